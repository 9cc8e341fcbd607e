use super::{Due, Repairs};

fn due_keys(repairs: &Repairs) -> Vec<(Vec<u8>, u64)> {
    match repairs.due(100) {
        Some(Due::Keys(keys)) => keys,
        Some(Due::Everything(_)) => panic!("everything is due"),
        None => Vec::new(),
    }
}

#[test]
fn a_key_is_kept_until_it_was_repaired_after_its_last_failure() {
    let repairs = Repairs::new(10);
    assert!(!repairs.concerns(b"a"));
    repairs.add(b"a");
    assert!(repairs.concerns(b"a") && !repairs.concerns(b"b"));
    let [(key, number)] = &due_keys(&repairs)[..] else { panic!("one key") };
    // Another write fails while the first one is being repaired.
    repairs.add(b"a");
    repairs.done(key, *number);
    assert!(repairs.concerns(b"a"));
    let number = repairs.number(b"a").expect("it is there");
    repairs.done(b"a", number);
    assert!(!repairs.concerns(b"a") && repairs.len() == 0);
}

#[test]
fn a_log_that_overflows_concerns_every_key_until_the_generation_was_advanced() {
    let repairs = Repairs::new(2);
    assert!(!repairs.add(b"a") && !repairs.add(b"b") && !repairs.add(b"a"));
    assert!(repairs.add(b"c"), "one more than it holds");
    assert!(repairs.concerns(b"z") && repairs.len() == usize::MAX);
    let Some(Due::Everything(number)) = repairs.due(100) else { panic!("everything is due") };
    assert!(!repairs.add(b"d"), "told once");
    repairs.everything_done(number);
    assert!(repairs.concerns(b"z"), "a write has failed since");
    let Some(Due::Everything(number)) = repairs.due(100) else { panic!("everything is due") };
    repairs.everything_done(number);
    assert!(!repairs.concerns(b"z") && due_keys(&repairs).is_empty());
}
