use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Expiration, Expiry, LifetimeOverride, Reading};
use crate::entry::{Entry, EntryLayout, Slab};
use crate::time::{Clock, ManualClock, Moment};

const SECOND: Duration = Duration::from_secs(1);

/// Lives of one kind for all entries.
#[derive(Clone, Copy, Default)]
struct Lives {
    create: Option<Duration>,
    read: Option<Option<Duration>>,
    update: Option<Option<Duration>>,
}

impl Expiry<u8, u8> for Lives {
    fn expire_after_create(&self, _: &u8, _: &u8, _: Instant) -> Option<Duration> {
        self.create
    }
    fn expire_after_read(
        &self,
        _: &u8,
        _: &u8,
        _: Instant,
        left: Option<Duration>,
        _: Instant,
    ) -> Option<Duration> {
        self.read.unwrap_or(left)
    }
    fn expire_after_update(
        &self,
        _: &u8,
        _: &u8,
        _: Instant,
        left: Option<Duration>,
    ) -> Option<Duration> {
        self.update.unwrap_or(left)
    }
}

type Rule = Expiration<u8, u8>;

fn rule(
    live: Option<Duration>,
    idle: Option<Duration>,
    lives: Option<Lives>,
) -> (Rule, ManualClock) {
    let (clock, manual) = Clock::manual();
    let expiry = lives.map(|lives| Arc::new(lives) as Arc<dyn Expiry<u8, u8> + Send + Sync>);
    (Expiration::new(clock, live, idle, expiry, false), manual)
}

fn created(rule: &Rule) -> Entry<u8, u8> {
    let entry = Entry::new(Slab::leaked(rule.entry_layout()), 0, 1, 1, 1);
    rule.create(entry.as_ref(), &LifetimeOverride::default());
    entry
}

fn is_live(rule: &Rule, entry: &Entry<u8, u8>) -> bool {
    rule.is_live(entry.as_ref(), rule.now())
}

/// For how many whole seconds from now an entry lives, if no thread asks for it; at most a hundred.
fn seconds_left(rule: &Rule, manual: &ManualClock, entry: &Entry<u8, u8>) -> u32 {
    (0..100)
        .find(|_| {
            let over = !is_live(rule, entry);
            manual.advance(SECOND);
            over
        })
        .unwrap_or(100)
}

#[test]
fn entries_have_the_words_that_the_rule_needs() {
    assert_eq!(rule(Some(SECOND), None, None).0.entry_layout(), EntryLayout::TIMED);
    assert_eq!(rule(None, Some(SECOND), None).0.entry_layout(), EntryLayout::IDLING);
    assert_eq!(rule(None, None, Some(Lives::default())).0.entry_layout(), EntryLayout::TIMED);
    assert_eq!(rule(None, None, None).0.entry_layout(), EntryLayout::TIMED, "a clock alone");
}

#[test]
fn the_earliest_deadline_counts() {
    let lives = |seconds| Lives { create: Some(seconds * SECOND), ..Lives::default() };
    for (live, idle, own, expected) in [
        (Some(3), None, None, 3),
        (None, Some(4), None, 4),
        (None, None, Some(5), 5),
        (Some(3), Some(4), None, 3),
        (Some(4), Some(3), None, 3),
        (Some(9), Some(8), Some(7), 7),
        (Some(2), Some(8), Some(7), 2),
        (Some(0), None, None, 0),
    ] {
        let seconds = |count: Option<u32>| count.map(|count| count * SECOND);
        let (rule, manual) = rule(seconds(live), seconds(idle), own.map(lives));
        let entry = created(&rule);
        let left = seconds_left(&rule, &manual, &entry);
        assert_eq!(left, expected, "{live:?} {idle:?} {own:?}");
    }
}

#[test]
fn a_read_moves_the_idle_deadline_and_no_other() {
    let (rule, manual) = rule(Some(10 * SECOND), Some(4 * SECOND), None);
    let entry = created(&rule);
    for _ in 0..3 {
        manual.advance(3 * SECOND);
        rule.read(entry.as_ref(), rule.now());
    }
    assert_eq!(seconds_left(&rule, &manual, &entry), 1, "the time to live is over at ten");
}

#[test]
fn a_read_that_changes_nothing_writes_nothing() {
    let (rule, _hand) = rule(None, Some(4 * SECOND), Some(Lives::default()));
    let entry = created(&rule);
    let words = || {
        let entry = entry.as_ref();
        [entry.deadline(), entry.idle_deadline(), entry.modified()].map(|w| w.map(|w| w.get()))
    };
    let before = words();
    rule.read(entry.as_ref(), rule.now());
    assert_eq!(words(), before);
}

#[test]
fn an_expiry_may_change_the_deadline_at_a_read() {
    let expiry = Lives { create: Some(SECOND), read: Some(Some(6 * SECOND)), ..Lives::default() };
    let (longer, manual) = rule(None, None, Some(expiry));
    let entry = created(&longer);
    longer.read(entry.as_ref(), longer.now());
    assert_eq!(seconds_left(&longer, &manual, &entry), 6);

    let expiry = Lives { create: Some(SECOND), read: Some(None), ..Lives::default() };
    let (ever, manual) = rule(None, None, Some(expiry));
    let entry = created(&ever);
    ever.read(entry.as_ref(), ever.now());
    assert_eq!(seconds_left(&ever, &manual, &entry), 100, "no deadline any more");
}

#[test]
fn an_update_keeps_or_replaces_what_was_left() {
    let create = Some(10 * SECOND);
    for (update, expected) in [(None, 4), (Some(Some(7 * SECOND)), 7), (Some(None), 100)] {
        let (rule, manual) = rule(None, None, Some(Lives { create, read: None, update }));
        let old = created(&rule);
        manual.advance(6 * SECOND);
        let new = Entry::new(Slab::leaked(rule.entry_layout()), 0, 1, 2, 1);
        rule.update(new.as_ref(), old.as_ref(), &LifetimeOverride::default());
        assert_eq!(seconds_left(&rule, &manual, &new), expected);
    }
}

#[test]
fn the_longest_durations_never_end() {
    let ever = Some(Duration::MAX);
    let lives = Lives { create: ever, read: Some(ever), update: Some(ever) };
    let (rule, manual) = rule(ever, ever, Some(lives));
    let entry = created(&rule);
    manual.advance(Duration::MAX);
    rule.read(entry.as_ref(), rule.now());
    assert!(is_live(&rule, &entry));
}

/// A rule of each kind under which entries live for longer than the tests last.
fn long_lives() -> Vec<(Rule, ManualClock)> {
    let long = Some(1000 * SECOND);
    let lives = |create| Some(Lives { create, ..Lives::default() });
    vec![
        rule(None, None, None),
        rule(Some(Duration::MAX), None, None),
        rule(long, None, None),
        rule(None, long, None),
        rule(None, None, lives(None)),
        rule(None, None, lives(long)),
        rule(long, long, lives(long)),
    ]
}

#[test]
fn a_value_is_due_when_it_is_old_however_long_it_lives() {
    for lifetime_override in [
        LifetimeOverride::default(),
        LifetimeOverride { lifetime: None, jitter: 0.9, ..LifetimeOverride::default() },
        LifetimeOverride {
            lifetime: Some(50 * SECOND),
            jitter: 0.0,
            ..LifetimeOverride::default()
        },
        LifetimeOverride {
            lifetime: Some(500 * SECOND),
            jitter: 0.5,
            ..LifetimeOverride::default()
        },
    ] {
        for (rule, manual) in long_lives() {
            manual.advance(100 * SECOND);
            let entry = Entry::new(Slab::leaked(rule.entry_layout()), 7, 1, 1, 1);
            rule.create(entry.as_ref(), &lifetime_override);
            let is_due = || rule.is_due(entry.as_ref(), (10 * SECOND, 0.0), rule.now());
            assert!(!is_due(), "just written");
            manual.advance(10 * SECOND - Duration::from_nanos(1));
            assert!(!is_due());
            rule.read(entry.as_ref(), rule.now());
            manual.advance(Duration::from_nanos(1));
            assert!(is_due(), "{rule:?}");
        }
    }
}

#[test]
fn jitter_takes_a_part_of_the_life_and_of_the_age() {
    let (rule, manual) = rule(Some(100 * SECOND), None, None);
    for hash in 0..100 {
        let entry = Entry::new(Slab::leaked(rule.entry_layout()), hash << 32, 1, 1, 1);
        rule.create(
            entry.as_ref(),
            &LifetimeOverride { lifetime: None, jitter: 0.5, ..LifetimeOverride::default() },
        );
        manual.advance(5 * SECOND - Duration::from_nanos(1));
        assert!(!rule.is_due(entry.as_ref(), (10 * SECOND, 0.5), rule.now()), "not half as old");
        manual.advance(5 * SECOND + Duration::from_nanos(1));
        assert!(rule.is_due(entry.as_ref(), (10 * SECOND, 0.5), rule.now()));
        manual.advance(40 * SECOND - Duration::from_nanos(1));
        assert!(is_live(&rule, &entry), "half of its life is not over");
        manual.advance(50 * SECOND + Duration::from_nanos(1));
        assert!(!is_live(&rule, &entry));
    }
}

#[test]
fn jitter_spreads_the_time_to_live_beside_an_expiry_too() {
    let (rule, manual) = rule(Some(90 * SECOND), None, Some(Lives::default()));
    let lives: std::collections::HashSet<_> = (0..20)
        .map(|hash| {
            let entry = Entry::new(Slab::leaked(rule.entry_layout()), hash << 32, 1, 1, 1);
            rule.create(
                entry.as_ref(),
                &LifetimeOverride { lifetime: None, jitter: 1.0, ..LifetimeOverride::default() },
            );
            seconds_left(&rule, &manual, &entry)
        })
        .collect();
    assert!(lives.len() > 5 && lives.iter().all(|&life| life <= 90), "{lives:?}");
}

#[test]
fn what_has_expired_is_worth_something_for_as_long_whether_or_not_it_was_seen() {
    let lives = Lives { create: Some(10 * SECOND), ..Lives::default() };
    for seen in [true, false] {
        for (rule, manual) in [
            rule(Some(10 * SECOND), None, None),
            rule(None, Some(10 * SECOND), None),
            rule(None, None, Some(lives)),
            rule(Some(10 * SECOND), None, Some(Lives::default())),
        ] {
            rule.keep(5 * SECOND);
            let entry = created(&rule);
            let is_kept = || rule.is_kept(entry.as_ref(), rule.now());
            manual.advance(10 * SECOND);
            if seen {
                assert_eq!(rule.read(entry.as_ref(), rule.now()), Reading::Expired);
            }
            assert!(is_kept() && !is_live(&rule, &entry));
            manual.advance(5 * SECOND - Duration::from_nanos(1));
            assert!(is_kept());
            manual.advance(Duration::from_nanos(1));
            assert!(!is_kept());
        }
    }
}

#[test]
fn a_deadline_is_marked_when_it_was_seen_as_passed_and_told_as_it_was() {
    let create = Some(10 * SECOND);
    let (rule, manual) = rule(None, None, Some(Lives { create, ..Lives::default() }));
    let old = created(&rule);
    manual.advance(10 * SECOND);
    assert!(!is_live(&rule, &old));
    // A read whose clock is older: too late.
    assert_eq!(rule.read(old.as_ref(), Moment::ORIGIN), Reading::Expired);
    // The user's expiry is told that nothing is left.
    let new = Entry::new(Slab::leaked(rule.entry_layout()), 0, 1, 2, 1);
    rule.update(new.as_ref(), old.as_ref(), &LifetimeOverride::default());
    assert_eq!(seconds_left(&rule, &manual, &new), 0);
}
