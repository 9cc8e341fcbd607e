//! Recomputing every count from the contents.

use std::hash::{BuildHasher, Hash};

use super::Engine;

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Panics where a count differs from the contents. No other thread may use the cache meanwhile.
    pub(crate) fn validate(&self) {
        // What the domain was told to keep is freed first, so that both ledgers speak of entries.
        self.collect(usize::MAX);
        assert_eq!(self.table.domain().backlog(), 0, "garbage stays: a guard is held somewhere");
        let pin = self.pin();
        let view = self.table.view(pin.guard_ref());
        let contents = view.audit(|a, b| a == b);
        let usage = self.usage();
        assert_eq!(usage.entries, contents.entries, "entries");
        assert_eq!(usage.charged, contents.charge, "charge");
        assert_eq!(usage.retired, 0, "retired capacity");
        assert_eq!(self.placeholders.get(), contents.placeholders, "loads that are under way");
        assert_eq!(self.lingering.charge(), 0, "lingering charge");
        assert_eq!(self.uncharged.get(), 0, "retired entries that nobody bears");
        assert!(usage.charged <= usage.capacity, "the bound");
        self.capacity.audit(self.credits(), contents.charge);
        self.retired.audit(self.retired_credits(), 0);
        let share = if self.keeps_counted_mark() { contents.counted } else { contents.young };
        assert_eq!(self.policy.probation_charge(), share, "probation's share");
        let stats = self.stats();
        let entries = if self.keeps_counted_mark() { contents.marked } else { contents.young };
        assert_eq!(stats.probation.entries as u64, entries, "entries on probation");
        assert_eq!(stats.awaited as u64, contents.placeholders, "entries without a value");
        assert_eq!(stats.misses, stats.misses_by.sum(), "the causes of misses");
        self.walk(|view, occupied| {
            let entry = occupied.entry();
            assert_eq!(self.hash(entry.key()), entry.hash(), "a hash");
            let found = view.find(entry.hash(), |k| k == entry.key());
            assert!(found.is_some_and(|found| found.entry().is(entry)), "an entry is not found");
        });
    }
}
