//! Removing many entries, freeing, resizing, and the time.

use clockhand::RemovalCause;

use super::Bytes;
use super::plan;
use super::world::World;

impl World {
    /// Takes in that entries expired, as they may wherever the cache cleans up; how many.
    pub(crate) fn absorb_expired(&mut self) -> usize {
        let events = self.log.take();
        for &event in &events {
            assert_eq!(event.cause, RemovalCause::Expired, "{event:?}");
            self.model.leave(event);
        }
        events.len()
    }

    /// Removes some of the entries.
    pub(crate) fn retain(&mut self, bytes: &mut Bytes<'_>) {
        let (by, rest) = (u64::from(bytes.byte() % 4) + 2, u64::from(bytes.byte() % 4));
        let wanted = self.model.contents();
        let mut asked = Vec::new();
        self.subject.retain(|key, value| {
            asked.push((key.number(), value.id()));
            value.id() % by != rest
        });
        asked.sort_unstable();
        assert_eq!(asked, wanted, "retain asks for every entry once");
        self.absorb_removed(|id| id % by == rest);
    }

    /// Removes all of them.
    pub(crate) fn invalidate_all(&mut self) {
        self.subject.invalidate_all();
        self.absorb_removed(|_| true);
        assert!(self.model.entries.is_empty());
    }

    /// Takes in that the live entries with certain values were removed, and all expired ones.
    fn absorb_removed(&mut self, removed: impl Fn(u64) -> bool) {
        for event in self.log.take() {
            let live = self.model.live(event.key).is_some();
            let wanted = if live { RemovalCause::Invalidated } else { RemovalCause::Expired };
            assert_eq!(event.cause, wanted, "{event:?}");
            assert!(!live || removed(event.id), "{event:?} was to be kept");
            self.model.leave(event);
        }
        let left = self.model.entries.values().find(|record| removed(record.id));
        assert!(left.is_none(), "{left:?} was to be removed");
        assert_eq!(self.model.entries.len(), self.model.contents().len(), "expired ones stayed");
    }

    /// Another capacity. More is there at once; less is in force at once unless a guard is held: then
    /// the call may give up, and the bound stays above for as long as the entries need it, which
    /// `check` looks at.
    pub(crate) fn set_capacity(&mut self, bytes: &mut Bytes<'_>) {
        let capacity = bytes.one_of(&[8, 4, 1, 0, 2, 16, 30, 64, 120, u64::MAX]);
        self.subject.set_capacity(capacity);
        self.model.capacity = capacity;
        self.unpaid = !self.is_free();
        self.absorb_shrunk();
    }

    /// Takes in what a smaller capacity evicts, and that entries expired; how many of these.
    fn absorb_shrunk(&mut self) -> usize {
        let (events, capacity) = (self.log.take(), self.model.capacity);
        for &event in &events {
            if event.cause == RemovalCause::Evicted {
                assert!(self.model.charge() > capacity, "{event:?} was not in the way");
            } else {
                assert_eq!(event.cause, RemovalCause::Expired, "{event:?}");
            }
            self.model.leave(event);
        }
        events.iter().filter(|event| event.cause == RemovalCause::Expired).count()
    }

    /// Frees and expires, and goes on with a smaller capacity that a guard has stopped.
    pub(crate) fn maintain(&mut self, bytes: &mut Bytes<'_>) {
        let budget = bytes.one_of(&[1000, 0, 1, 8, 64]);
        let done = self.subject.maintain(budget);
        if self.unpaid {
            // Those that the hands find expired, as they look for what to evict, are not among them.
            assert!(done.expired <= self.absorb_shrunk(), "{done:?}");
        } else {
            assert_eq!(done.expired, self.absorb_expired(), "{done:?}");
        }
        assert!(done.freed <= budget, "{done:?}, {budget}");
        assert!(done.backlog == 0 || budget < 1000 || !self.is_free(), "{done:?}");
    }

    /// Removes what has expired.
    pub(crate) fn remove_expired(&mut self) {
        let expired = self.subject.remove_expired();
        assert_eq!(expired, self.absorb_expired());
        assert_eq!(self.model.entries.len(), self.model.contents().len(), "expired ones stayed");
    }

    /// Moves the time.
    pub(crate) fn advance(&mut self, bytes: &mut Bytes<'_>) {
        let step = plan::duration(bytes);
        self.manual.advance(step);
        self.model.advance(step);
        assert_eq!(self.manual.elapsed().as_nanos(), u128::from(self.model.now));
    }
}
