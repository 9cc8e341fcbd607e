use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Ended, Queue, Write};

fn write(value: u32) -> Write<u32, u32> {
    let until = Instant::now() + Duration::from_secs(3600);
    Write { key: Arc::new(0), value: Arc::new(value), encoded: Arc::from([]), until }
}

fn push(queue: &Queue<u32, u32>, key: u8, value: u32) -> bool {
    queue.push(vec![key], write(value))
}

fn get(queue: &Queue<u32, u32>, key: u8) -> Option<u32> {
    queue.get(&[key]).map(|value| *value)
}

#[tokio::test]
async fn a_key_has_one_place_and_its_last_value() {
    let queue = Queue::new(2);
    assert!(queue.is_empty());
    assert!(push(&queue, 1, 10) && push(&queue, 2, 20) && push(&queue, 1, 11));
    assert!(!push(&queue, 3, 30), "it is full");
    assert_eq!((get(&queue, 1), get(&queue, 2), get(&queue, 3)), (Some(11), Some(20), None));
    let mut taken = queue.take(1).await.expect("it is open");
    assert_eq!(*taken.writes[0].as_ref().expect("a write").2.value, 11, "the first that came");
    // A newer value comes while that is being written.
    assert!(push(&queue, 1, 12));
    taken.end(0, Ended::Written);
    assert_eq!(get(&queue, 1), Some(12));
    drop(taken);
    let mut taken = queue.take(9).await.expect("it is open");
    let values: Vec<u32> = taken.writes.iter().flatten().map(|(_, _, one)| *one.value).collect();
    assert_eq!(values, [20, 12]);
    taken.end(0, Ended::Written);
    taken.end(1, Ended::Written);
    drop(taken);
    assert!(queue.is_empty());
    let stats = queue.stats();
    assert_eq!((stats.written, stats.replaced, stats.refused, stats.lost), (3, 2, 1, 0));
}

#[tokio::test]
async fn what_failed_is_tried_again_and_what_is_hopeless_is_lost() {
    let queue = Queue::new(2);
    assert!(push(&queue, 1, 10) && push(&queue, 2, 20));
    let mut taken = queue.take(2).await.expect("it is open");
    taken.end(1, Ended::Hopeless);
    // Dropped: as if it had failed.
    drop(taken);
    assert_eq!((get(&queue, 1), get(&queue, 2)), (Some(10), None));
    let mut taken = queue.take(2).await.expect("it is open");
    taken.end(0, Ended::Written);
    drop(taken);
    let stats = queue.stats();
    assert_eq!((stats.written, stats.failed, stats.lost, stats.queued), (1, 2, 1, 0));
    assert!(push(&queue, 1, 10));
    queue.close();
    drop(queue.take(1).await.expect("something is left"));
    assert!(queue.take(1).await.is_none(), "no handle is left, and a write has failed");
    assert_eq!(queue.stats().lost, 2);
}

#[tokio::test]
async fn who_removes_a_key_waits_for_its_write() {
    let queue = Arc::new(Queue::new(2));
    assert!(push(&queue, 1, 10) && push(&queue, 2, 20));
    queue.remove(&[2]).await;
    assert_eq!(get(&queue, 2), None);
    let mut taken = queue.take(2).await.expect("it is open");
    assert_eq!(taken.writes.len(), 1);
    let own = Arc::clone(&queue);
    let removes = tokio::spawn(async move { own.remove_all().await });
    tokio::task::yield_now().await;
    assert!(!removes.is_finished());
    assert_eq!(get(&queue, 1), None, "it is not read any more");
    // One that comes later does not make the end of the older write.
    assert!(push(&queue, 1, 11));
    tokio::task::yield_now().await;
    assert!(!removes.is_finished());
    assert_eq!(get(&queue, 1), Some(11));
    taken.end(0, Ended::Failed);
    drop(taken);
    removes.await.expect("no panic");
    assert_eq!(get(&queue, 1), Some(11));
    let mut taken = queue.take(2).await.expect("it is open");
    taken.end(0, Ended::Written);
    queue.flushed().await;
    assert!(queue.is_empty());
}
