//! A Kafka consumer with workers, in the shape that rdkafka gives it: callbacks of rebalances, a poll loop, a commit
//! loop, snapshots. The broker is simulated; what is called on `Client` has its like in `rdkafka::consumer`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use clockhand::dedup::{Claim, OffsetTracker, SnapshotError};

#[path = "../../tests/support/broker.rs"]
mod broker;

use broker::{Broker, Member, Record};

const TOPIC: &str = "orders";
const PARTITIONS: usize = 4;
const WORKERS: usize = 3;

/// What the client library gives: a position for each partition that is assigned.
struct Client {
    broker: Arc<Mutex<Broker>>,
    member: Member,
    positions: Vec<(i32, i64)>,
}

enum Rebalance<'a> {
    Assign(&'a [i32]),
    Revoke(&'a [i32]),
}

impl Client {
    fn with<R>(&self, f: impl FnOnce(&mut Broker) -> R) -> R {
        f(&mut self.broker.lock().expect("no panic under it"))
    }

    /// What one poll returns: records of one partition, in the order of their offsets.
    fn poll(&mut self) -> Vec<Record> {
        for nth in 0..self.positions.len() {
            let (partition, position) = self.positions[nth];
            let records = self.with(|broker| broker.fetch(partition, position, 10));
            if let Some(last) = records.last() {
                self.positions[nth].1 = last.offset + 1;
                return records;
            }
        }
        Vec::new()
    }

    fn commit(&self, partition: i32, offset: i64) {
        // Refused if the group has moved on; then another consumer processes what comes after the last commit.
        self.with(|broker| broker.commit(self.member, partition, offset));
    }
}

/// The consumer: as with `rdkafka::consumer::ConsumerContext`, callbacks tell the tracker who has what.
struct Consumer {
    client: Client,
    tracker: OffsetTracker,
    snapshot: PathBuf,
}

impl Consumer {
    fn new(name: usize, broker: &Arc<Mutex<Broker>>, snapshot: &Path) -> Self {
        let member = Member { name, generation: 0 };
        let client = Client { broker: Arc::clone(broker), member, positions: Vec::new() };
        let tracker = OffsetTracker::builder()
            .lease(Duration::from_secs(30))
            .snapshot_every(Duration::from_secs(5), snapshot)
            .build()
            .expect("the settings agree");
        Self { client, tracker, snapshot: snapshot.to_path_buf() }
    }

    /// `pre_rebalance` and `post_rebalance`, on the thread that polls.
    fn on_rebalance(&mut self, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Revoke(partitions) => {
                for &partition in *partitions {
                    // Fences the tickets that are out, and says what may be committed for the last time.
                    if let Some(offset) = self.tracker.revoke(TOPIC, partition) {
                        self.client.commit(partition, offset);
                    }
                    self.client.positions.retain(|&(its, _)| its != partition);
                }
            }
            Rebalance::Assign(partitions) => {
                for &partition in *partitions {
                    let committed = self.client.with(|broker| broker.committed(partition));
                    self.tracker.assign(TOPIC, partition, committed);
                    self.client.positions.push((partition, committed.max(0)));
                }
            }
        }
    }

    /// After a start, when the first partitions were assigned: what was done and not committed before it.
    fn recall(&self) -> Result<(), SnapshotError> {
        match self.tracker.restore_from(&self.snapshot) {
            Ok(_) => {}
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
        }
        for partition in 0..PARTITIONS as i32 {
            // What the snapshot knows of partitions that others have now is of no use here.
            if !self.client.positions.iter().any(|&(its, _)| its == partition) {
                self.tracker.revoke(TOPIC, partition);
            }
        }
        Ok(())
    }

    /// The poll loop, for as long as there is something to poll.
    fn run(&mut self, process: &(impl Fn(Record) -> Result<(), &'static str> + Sync)) {
        let (send, receive) = mpsc::channel::<Record>();
        let (receive, tracker) = (Mutex::new(receive), self.tracker.clone());
        let next = || receive.lock().expect("no panic under it").recv();
        let work = || {
            while let Ok(record) = next() {
                // Until it is done: what is given back holds the commit.
                while let Claim::New(ticket) = tracker.claim(TOPIC, record.partition, record.offset)
                {
                    if process(record).is_ok() {
                        // If that comes too late, the partition is another consumer's: not again, in any case.
                        ticket.complete();
                        break;
                    }
                }
            }
        };
        thread::scope(|scope| {
            (0..WORKERS).for_each(|_| drop(scope.spawn(work)));
            loop {
                let records = self.client.poll();
                let Some(first) = records.first() else { break };
                // Before workers get them: what lies between is no record, but markers and what was compacted.
                let offsets = records.iter().map(|record| record.offset);
                self.tracker.polled(TOPIC, first.partition, offsets);
                for record in records {
                    send.send(record).expect("the workers live as long as this");
                }
                self.commit();
            }
            drop(send);
        });
        self.commit();
    }

    /// The commit loop's body.
    fn commit(&self) {
        self.tracker.for_each_committable(|_topic, partition, offset| {
            self.client.commit(partition, offset);
        });
    }
}

fn deal(broker: &Mutex<Broker>, consumers: &mut [&mut Consumer], owners: &[usize]) {
    let mine = |consumer: &Consumer, owner: usize| consumer.client.member.name == owner;
    for consumer in &mut *consumers {
        let has = consumer.client.positions.iter().map(|&(partition, _)| partition);
        let lost: Vec<i32> = has.filter(|&p| !mine(consumer, owners[p as usize])).collect();
        consumer.on_rebalance(&Rebalance::Revoke(&lost));
    }
    let owners_of: Vec<Option<usize>> = owners.iter().map(|&owner| Some(owner)).collect();
    let generation = broker.lock().expect("no panic under it").rebalance(&owners_of);
    for consumer in consumers {
        consumer.client.member.generation = generation;
        let has = |partition: i32| consumer.client.positions.iter().any(|&(p, _)| p == partition);
        let gained: Vec<i32> = (0..PARTITIONS as i32)
            .filter(|&p| mine(consumer, owners[p as usize]) && !has(p))
            .collect();
        consumer.on_rebalance(&Rebalance::Assign(&gained));
    }
}

pub(crate) fn main() {
    let broker = Arc::new(Mutex::new(Broker::new(PARTITIONS, true)));
    let produce = |transactions: u64| {
        let mut broker = broker.lock().expect("no panic under it");
        (0..transactions * PARTITIONS as u64)
            .for_each(|nth| broker.produce((nth % PARTITIONS as u64) as i32, 1 + nth % 7, true));
    };
    let attempts = Mutex::new(0_u32);
    let process = |record: Record| {
        let mut attempts = attempts.lock().expect("no panic under it");
        *attempts += 1;
        if attempts.is_multiple_of(50) {
            return Err("the database is away");
        }
        // Where a real consumer stores the result.
        broker.lock().expect("no panic under it").note_processed(record);
        Ok(())
    };
    let folder = std::env::temp_dir();
    let file = |name: usize| folder.join(format!("clockhand-kafka-{name}-{}", std::process::id()));

    // One consumer has everything, until a second one comes.
    let mut first = Consumer::new(0, &broker, &file(0));
    deal(&broker, &mut [&mut first], &[0, 0, 0, 0]);
    first.recall().expect("there is no snapshot yet");
    produce(50);
    first.run(&process);
    let mut second = Consumer::new(1, &broker, &file(1));
    deal(&broker, &mut [&mut first, &mut second], &[0, 0, 1, 1]);
    produce(50);
    first.run(&process);
    second.run(&process);
    assert!(
        broker.lock().expect("no panic under it").is_drained(),
        "all is processed and committed"
    );

    // The first one crashes behind a snapshot, and comes back: what it has done is not done again.
    first.tracker.snapshot_to(&file(0)).expect("the folder can be written");
    drop(first);
    let mut first = Consumer::new(0, &broker, &file(0));
    deal(&broker, &mut [&mut first, &mut second], &[0, 0, 1, 1]);
    first.recall().expect("it is whole");
    produce(10);
    let before = *attempts.lock().expect("no panic under it");
    first.run(&process);
    second.run(&process);
    assert!(
        broker.lock().expect("no panic under it").is_drained(),
        "all is processed and committed"
    );
    assert!(*attempts.lock().expect("no panic under it") > before);
    assert_eq!(first.tracker.oldest_pending(TOPIC, 0), None);
    for name in 0..2 {
        // Where one was written.
        let _ = std::fs::remove_file(file(name));
    }
}
