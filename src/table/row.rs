//! Six slots and their shadow: what a bucket and every link of its chain are made of.

use super::shadow::{LANES, Lanes, Shadow, tag_of};
use super::word::Word;
use crate::entry::{EntryRef, Node, Shape, Sought};
use crate::sync::{AtomicPtr, AtomicU64, Ordering};

#[derive(Debug)]
#[repr(C)]
pub(super) struct Row<K, V> {
    shadow: AtomicU64,
    slots: [AtomicPtr<Node<K, V>>; LANES],
}

/// What a search found in a row.
pub(super) struct Match<K, V> {
    pub(super) lane: usize,
    pub(super) word: Word<Node<K, V>>,
    pub(super) shadow: Shadow,
}

impl<K, V> Row<K, V> {
    pub(super) fn new() -> Self {
        Self {
            shadow: AtomicU64::new(0),
            slots: std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut())),
        }
    }

    #[inline]
    pub(super) fn shadow(&self) -> Shadow {
        // ORDERING T-f: Acquire: the slots are looked at after their tags; pairs with `dress`.
        Shadow(self.shadow.load(Ordering::Acquire))
    }

    /// One attempt to change the shadow.
    #[inline]
    pub(super) fn try_shadow(&self, from: Shadow, to: Shadow) -> Result<(), Shadow> {
        // ORDERING T-g: AcqRel: Release keeps the chain of tags that `dress` began; Acquire as in
        // `shadow`. A lost race means that another lane or this one's count has changed.
        self.shadow
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
            .map_err(Shadow)
    }

    /// Changes the shadow until `change` is applied or declines.
    ///
    /// # Progress
    ///
    /// Lock-free: an attempt fails only where another thread changed the shadow.
    fn update_shadow(&self, mut change: impl FnMut(Shadow) -> Option<Shadow>) -> Option<Shadow> {
        let mut shadow = self.shadow();
        loop {
            match self.try_shadow(shadow, change(shadow)?) {
                Ok(()) => return Some(shadow),
                Err(now) => shadow = now,
            }
        }
    }

    /// Gives the lane of a claimed slot its tag and its bits. False if the row is frozen.
    pub(super) fn dress(&self, lane: usize, hash: u64, bits: u8) -> bool {
        self.update_shadow(|shadow| {
            let dressed = shadow.with_tag(lane, tag_of(hash)).with_lane(lane, bits);
            (!shadow.is_frozen()).then_some(dressed)
        })
        .is_some()
    }

    /// Marks a lane vacant and returns the shadow before: from now on, nobody else can account for the
    /// lane's bits.
    pub(super) fn undress(&self, lane: usize) -> Shadow {
        // In a frozen row the bits stay, and this is their only reader: the copier leaves out what
        // is not visible.
        let before =
            self.update_shadow(|shadow| (!shadow.is_frozen()).then(|| shadow.with_lane(lane, 0)));
        before.unwrap_or_else(|| self.shadow())
    }

    #[inline]
    pub(super) fn word(&self, lane: usize) -> Word<Node<K, V>> {
        // ORDERING T-c: Acquire: the entry's contents; pairs with the release of whoever made it
        // visible (`try_word`).
        Word::from_raw(self.slots[lane].load(Ordering::Acquire))
    }

    /// One attempt to change a slot.
    pub(super) fn try_word(
        &self,
        lane: usize,
        from: Word<Node<K, V>>,
        to: Word<Node<K, V>>,
    ) -> Result<(), Word<Node<K, V>>> {
        // ORDERING T-d: AcqRel: Release publishes the entry's contents to `word`; Acquire lets the
        // winner read the entry that it took out. The loser sees what the winner left.
        self.slots[lane]
            .compare_exchange(from.raw(), to.raw(), Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
            .map_err(Word::from_raw)
    }

    /// Empties a slot whose dead entry the caller unlinked.
    pub(super) fn vacate(&self, lane: usize) {
        // ORDERING T-e: Release: the lane is cleared before the slot can be claimed; pairs with the
        // claimer's exchange. A plain store, as nobody else may change a dead word but to freeze
        // it, and a frozen row takes no new key whatever its slots say (T5).
        self.slots[lane].store(Word::<Node<K, V>>::vacant().raw(), Ordering::Release);
    }

    /// Finds the key with this hash among the readable slots whose entries are sought.
    ///
    /// # Safety
    ///
    /// The caller is pinned, and the row's entries are of this shape.
    #[inline(always)]
    pub(super) unsafe fn seek(
        &self,
        shape: Shape,
        (hash, sought): (u64, Sought),
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Option<Match<K, V>> {
        let shadow = self.shadow();
        for lane in shadow.matching(tag_of(hash)) {
            let word = self.word(lane);
            if word.is_readable() {
                // SAFETY: a readable word points to a linked entry, and the caller is pinned (T1).
                let entry: EntryRef<'_, K, V> = unsafe { EntryRef::from_raw(word.node(), shape) };
                if entry.matches(hash, sought) && eq(entry.key()) {
                    return Some(Match { lane, word, shadow });
                }
            }
        }
        None
    }

    /// Claims a vacant slot for an entry.
    pub(super) fn claim(&self, node: *mut Node<K, V>) -> Option<usize> {
        self.shadow().vacant().find(|&lane| {
            let word = self.word(lane);
            word.is_vacant() && self.try_word(lane, word, Word::claimed(node)).is_ok()
        })
    }

    /// Gives a claim back that was not announced; the bits that its lane had.
    pub(super) fn give_back(&self, lane: usize, node: *mut Node<K, V>) -> u8 {
        let before = self.undress(lane);
        // If this fails the slot was frozen, and nothing needs to be given back.
        let _ = self.try_word(lane, Word::claimed(node), Word::vacant());
        before.lane(lane)
    }

    /// Makes an announced claim visible. Whoever comes first does it; the others change nothing.
    pub(super) fn reveal(&self, lane: usize, claimed: Word<Node<K, V>>) {
        let _ = self.try_word(lane, claimed, Word::visible(claimed.node()));
    }

    /// Freezes the shadow and every slot.
    pub(super) fn freeze(&self) {
        self.update_shadow(|shadow| (!shadow.is_frozen()).then(|| shadow.frozen()));
        for lane in 0..LANES {
            let mut word = self.word(lane);
            while !word.is_frozen() {
                match self.try_word(lane, word, word.frozen()) {
                    Ok(()) => break,
                    Err(now) => word = now,
                }
            }
        }
    }

    /// Seals a row whose slots are all vacant, so that it can be taken off a chain.
    pub(super) fn seal(&self) -> bool {
        for lane in 0..LANES {
            let word = self.word(lane);
            if !word.is_vacant() || self.try_word(lane, word, Word::sealed()).is_err() {
                self.unseal(0..lane);
                return false;
            }
        }
        true
    }

    pub(super) fn unseal(&self, lanes: std::ops::Range<usize>) {
        for lane in lanes {
            let _ = self.try_word(lane, Word::sealed(), Word::vacant());
        }
    }

    /// Fills a row that nobody can see yet.
    pub(super) fn fill(&mut self, lane: usize, node: *mut Node<K, V>, hash: u64, bits: u8) {
        let shadow = self.shadow().with_tag(lane, tag_of(hash)).with_lane(lane, bits);
        // ORDERING S-o: Relaxed, both: published with the row.
        self.shadow.store(shadow.0, Ordering::Relaxed);
        self.slots[lane].store(node, Ordering::Relaxed);
    }

    pub(super) fn occupied(&self) -> Lanes {
        self.shadow().occupied()
    }
}
