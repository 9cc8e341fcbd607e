//! A bucket with its chain: a small lock-free set. The protocol of `table` is here.

use super::array::{Array, Bucket, Contents};
use super::chain::{Head, Link};
use super::control::Control;
use super::outlived::Outlived;
use super::row::Row;
use super::shadow::{LANES, Region, Shadow};
use super::word::Word;
use crate::entry::{Entry, EntryRef, Node, Sought};
use crate::sync::seeded;

/// The bucket where all keys with certain hashes live, as seen by a pinned thread (T1).
pub(super) struct Home<'g, K, V, X> {
    pub(super) array: &'g Array<K, V, X>,
    bucket: &'g Bucket<K, V>,
    pub(super) index: usize,
}

impl<K, V, X> Clone for Home<'_, K, V, X> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V, X> Copy for Home<'_, K, V, X> {}

/// A slot, and how to find it again.
pub(super) struct Spot<'g, K, V, X> {
    pub(super) home: Home<'g, K, V, X>,
    pub(super) row: &'g Row<K, V>,
    lane: u32,
    /// At most [`Control::MAX_RANK`].
    rank: u32,
}

impl<K, V, X> Clone for Spot<'_, K, V, X> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V, X> Copy for Spot<'_, K, V, X> {}

/// A readable entry and the slot it was found in.
pub(crate) struct Held<'g, K, V, X> {
    pub(super) spot: Spot<'g, K, V, X>,
    pub(super) word: Word<Node<K, V>>,
    pub(super) shadow: Shadow,
}

impl<K, V, X> Clone for Held<'_, K, V, X> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V, X> Copy for Held<'_, K, V, X> {}

/// Evidence that a key was not there when its bucket's control word had a certain value.
pub(crate) struct Open<'g, K, V, X> {
    pub(super) home: Home<'g, K, V, X>,
    pub(super) control: Control,
}

impl<'g, K, V, X> Home<'g, K, V, X> {
    #[inline(always)]
    pub(super) fn at(array: &'g Array<K, V, X>, index: usize) -> Self {
        Self { array, bucket: array.bucket(index), index }
    }

    /// The home of a hash, or of a place.
    #[inline(always)]
    pub(super) fn of(array: &'g Array<K, V, X>, hash: u64) -> Self {
        Self { array, bucket: array.bucket_of(hash), index: array.index_of(hash) }
    }

    #[inline]
    pub(super) fn row(&self) -> &'g Row<K, V> {
        &self.bucket.row
    }

    #[inline]
    pub(super) fn control(&self) -> Control {
        self.bucket.control()
    }

    #[inline]
    pub(super) fn try_control(&self, from: Control, to: Control) -> bool {
        self.bucket.try_control(from, to)
    }

    pub(super) fn head(&self) -> Head<K, V> {
        self.array.head(self.index)
    }

    /// The slot in this lane of a row that begins with the rank `base`.
    #[inline]
    pub(super) fn spot(&self, row: &'g Row<K, V>, base: usize, lane: usize) -> Spot<'g, K, V, X> {
        Spot { home: *self, row, lane: lane as u32, rank: (base + lane) as u32 }
    }

    /// The links of the chain, newest first.
    pub(super) fn links(
        &self,
        head: Head<K, V>,
    ) -> impl Iterator<Item = &'g Link<K, V>> + use<'g, K, V, X> {
        let mut next = head.link();
        std::iter::from_fn(move || {
            // SAFETY: a link that was reached from its bucket is not freed while the thread is
            // pinned (T1).
            let link = unsafe { next.as_ref() }?;
            next = link.next;
            Some(link)
        })
    }

    /// The control word, after what it announces has become visible.
    ///
    /// # Progress
    ///
    /// Lock-free: it looks again only when the word has changed.
    #[inline(always)]
    pub(super) fn settle(&self) -> Control {
        loop {
            let control = self.control();
            let Some(rank) = control.announced() else { return control };
            if seeded("table-no-settle") {
                return control;
            }
            let Some((row, lane)) = self.slot(rank) else { continue };
            let word = row.word(lane);
            if !word.is_claimed() {
                return control;
            }
            // The claim is the announced one only if the announcement still stood when the claim
            // was there (T3).
            if self.control() == control {
                row.reveal(lane, word);
                return control;
            }
        }
    }

    /// The slot with this rank, unless its link was taken off meanwhile.
    fn slot(&self, rank: usize) -> Option<(&'g Row<K, V>, usize)> {
        if rank < LANES {
            return Some((self.row(), rank));
        }
        let link = self.links(self.head()).find(|link| link.base <= rank)?;
        (rank < link.base + LANES).then(|| (&link.row, rank - link.base))
    }

    /// Finds the key among the readable slots whose entries are sought.
    #[inline(always)]
    pub(super) fn seek(
        &self,
        control: Control,
        sought: (u64, Sought),
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Option<Held<'g, K, V, X>> {
        match self.seek_own(sought, eq) {
            None if control.overflows() => self.seek_chain(sought, eq),
            found => found,
        }
    }

    /// Finds the key among the bucket's own slots.
    #[inline(always)]
    pub(super) fn seek_own(
        &self,
        sought: (u64, Sought),
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Option<Held<'g, K, V, X>> {
        let row = self.row();
        // SAFETY: a home is made by a pinned thread, of entries of the array's shape (T1).
        let found = unsafe { row.seek(self.array.shape, sought, eq) }?;
        let spot = self.spot(row, 0, found.lane);
        Some(Held { spot, word: found.word, shadow: found.shadow })
    }

    #[cold]
    fn seek_chain(
        &self,
        sought: (u64, Sought),
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Option<Held<'g, K, V, X>> {
        self.links(self.head()).find_map(|link| {
            // SAFETY: as in `seek`.
            let found = unsafe { link.row.seek(self.array.shape, sought, eq) }?;
            let spot = self.spot(&link.row, link.base, found.lane);
            Some(Held { spot, word: found.word, shadow: found.shadow })
        })
    }

    /// Claims a slot and dresses its lane; `None` if the bucket is being frozen.
    #[inline(always)]
    fn claim(&self, node: *mut Node<K, V>, hash: u64, bits: u8) -> Option<Spot<'g, K, V, X>> {
        let in_row = |row: &'g Row<K, V>, base: usize| {
            let lane = row.claim(node)?;
            Some(self.spot(row, base, lane))
        };
        let spot = in_row(self.row(), 0).or_else(|| {
            let head = self.head();
            self.links(head).find_map(|link| in_row(&link.row, link.base))
        });
        let Some(spot) = spot else { return self.attach(node, hash, bits) };
        if spot.row.dress(spot.lane(), hash, bits) {
            return Some(spot);
        }
        spot.row.give_back(spot.lane(), node);
        None
    }

    /// Hangs a new link on the chain, with its first slot claimed. `None` if the chain has changed.
    fn attach(&self, node: *mut Node<K, V>, hash: u64, bits: u8) -> Option<Spot<'g, K, V, X>> {
        let head = self.head();
        if head.is_frozen() {
            return None;
        }
        let base = self.links(head).next().map_or(LANES, |link| link.base + LANES);
        assert!(base + LANES <= Control::MAX_RANK, "a quarter of a thousand million equal hashes");
        let mut link = Link::new(head.link(), base);
        link.row.fill(0, Word::claimed(node).raw(), hash, bits);
        let link = Box::into_raw(link);
        if !self.array.try_head(self.index, head, Head::of(link)) {
            // SAFETY: not published, so it is still ours.
            drop(unsafe { Box::from_raw(link) });
            return None;
        }
        self.array.links.add(1);
        // SAFETY: published just now, under our pin (T1).
        let link = unsafe { &*link };
        Some(self.spot(&link.row, base, 0))
    }

    /// Clears the bucket's bit in a region's summary, where nothing of the region was found.
    #[inline(always)]
    pub(super) fn forget(&self, region: Region) {
        let summaries = self.array.summaries();
        if !summaries.forget(region, self.index) {
            return;
        }
        let any = !self.row().shadow().of(region).is_empty()
            || self.control().overflows() && self.first_of_chain(region, LANES).is_some();
        if any {
            // One came in between, and found the bit still set.
            summaries.set(region, self.index);
        }
    }

    /// Takes empty links off the chain; those that come off go to `retire`.
    pub(super) fn dissolve(&self, mut retire: impl FnMut(Outlived<Link<K, V>>)) {
        loop {
            let head = self.head();
            let Some(link) = self.links(head).next() else { return };
            if head.is_frozen() || !link.row.occupied().is_empty() || !link.row.seal() {
                return;
            }
            if !self.array.try_head(self.index, head, Head::of(link.next)) {
                link.row.unseal(0..LANES);
                return;
            }
            self.array.links.sub(1);
            // SAFETY: we took it off, and links come from boxes; `retire` keeps it until nobody
            // looks at it any more.
            retire(unsafe { Outlived::new(head.link()) });
            if link.next.is_null() {
                return self.drop_overflow();
            }
        }
    }

    /// Clears the OVERFLOWS flag, and with it the announcement, if there is no chain.
    ///
    /// The word is read before the chain, and what it announces is visible then. If the exchange
    /// succeeds, no key came in between, and what came in before and is gone with its link was
    /// unlinked before.
    fn drop_overflow(&self) {
        let control =
            if seeded("table-overflow-unsettled") { self.control() } else { self.settle() };
        if control.overflows() && !control.is_frozen() && self.head().link().is_null() {
            self.try_control(control, control.without_overflow());
        }
    }

    /// All readable entries with their ranks' order. Stable once the bucket is frozen.
    pub(super) fn contents(&self) -> ([Option<usize>; LANES], Contents<K, V>) {
        let mut contents = Vec::with_capacity(LANES);
        let mut own = [None; LANES];
        let add = |row: &Row<K, V>, lane: usize, contents: &mut Contents<K, V>| {
            let word = row.word(lane);
            word.is_readable().then(|| {
                // SAFETY: a readable word points to a linked entry, and the thread is pinned (T1).
                let entry = unsafe { EntryRef::from_raw(word.node(), self.array.shape) };
                contents.push((word.node(), entry.hash(), row.shadow().lane(lane)));
                contents.len() - 1
            })
        };
        for (lane, nth) in own.iter_mut().enumerate() {
            *nth = add(self.row(), lane, &mut contents);
        }
        for link in self.links(self.head()) {
            for lane in 0..LANES {
                add(&link.row, lane, &mut contents);
            }
        }
        (own, contents)
    }
}

impl<'g, K, V, X> Open<'g, K, V, X> {
    /// Links an entry whose key is not there.
    ///
    /// # Errors
    ///
    /// The entry, if another key came in since the key was found absent, or the bucket is being
    /// migrated: find the place again. With it the policy bits that its slot had when it was given back, which are
    /// others than `bits` if a hand changed them for the entry that was there before.
    ///
    /// # Progress
    ///
    /// Lock-free.
    #[inline(always)]
    pub(crate) fn commit(self, entry: Entry<K, V>, bits: u8) -> Result<(), (Entry<K, V>, u8)> {
        let (home, shape) = (self.home, self.home.array.shape);
        let hash = entry.as_ref().hash();
        let node = entry.into_raw();
        // SAFETY: the entry was never visible, so it is still ours.
        let give_up = |bits| Err((unsafe { Entry::from_raw(node, shape) }, bits));
        let Some(spot) = home.claim(node, hash, bits) else { return give_up(bits) };
        let mut from = self.control;
        if seeded("table-announce-unversioned") {
            from = home.control();
        }
        if from.is_frozen()
            || !home.try_control(from, from.announcing(spot.rank(), spot.is_in_chain()))
        {
            let left = spot.row.give_back(spot.lane(), node);
            return give_up(if seeded("share-by-bits-asked-for") { bits } else { left });
        }
        spot.row.reveal(spot.lane(), Word::claimed(node));
        home.array.summaries().note(home.index, bits);
        Ok(())
    }
}

impl<'g, K, V, X> Held<'g, K, V, X> {
    /// The entry.
    #[inline]
    pub(crate) fn entry(&self) -> EntryRef<'g, K, V> {
        // SAFETY: the word was readable when it was found, and the thread is pinned since (T1).
        unsafe { EntryRef::from_raw(self.word.node(), self.spot.home.array.shape) }
    }

    /// Whether the slot was frozen when the entry was found.
    pub(super) fn is_frozen(&self) -> bool {
        self.word.is_frozen()
    }

    /// The policy bits of the slot, as they were when the entry was found.
    #[inline]
    pub(crate) fn bits(&self) -> u8 {
        self.shadow.lane(self.spot.lane())
    }

    /// The policy bits that the slot has now, whoever is in it.
    pub(crate) fn bits_now(&self) -> u8 {
        self.spot.row.shadow().lane(self.spot.lane())
    }

    /// Adds one to the slot's count unless it is full: one attempt, which may be lost.
    #[inline]
    pub(crate) fn touch(&self) {
        if let Some(touched) = self.shadow.touched(self.spot.lane()) {
            let _ = self.spot.row.try_shadow(self.shadow, touched);
        }
    }

    /// Changes the slot's policy bits if they are still `from`. Changes of the bucket's other slots
    /// are no reason to fail, up to three times.
    #[inline(always)]
    pub(crate) fn mark(&self, from: u8, to: u8) -> bool {
        let mut shadow = self.shadow;
        for _ in 0..4 {
            if shadow.lane(self.spot.lane()) != from || shadow.is_frozen() {
                return false;
            }
            if self.spot.row.word(self.spot.lane()) != self.word && !seeded("table-mark-unseen") {
                // Another entry with the same bits: what it weighs is not what was met.
                return false;
            }
            let marked = shadow.with_lane(self.spot.lane(), to);
            match self.spot.row.try_shadow(shadow, marked) {
                Ok(()) => {
                    if Region::of(from) != Region::of(to) {
                        self.spot.home.array.summaries().note(self.spot.home.index, to);
                    }
                    return true;
                }
                Err(now) => shadow = now,
            }
        }
        false
    }

    /// Puts another entry with the same key in the place of this one.
    #[inline(always)]
    pub(super) fn swap(&self, node: *mut Node<K, V>) -> bool {
        !self.word.is_frozen()
            && self.spot.row.try_word(self.spot.lane(), self.word, Word::visible(node)).is_ok()
    }

    /// Makes the entry dead, and empties its slot; its policy bits at that moment.
    ///
    /// `None` if it was no longer there.
    #[inline(always)]
    pub(super) fn unlink(&self) -> Option<u8> {
        if self.word.is_frozen() {
            return None;
        }
        if !self.retract() {
            return None;
        }
        self.spot.row.try_word(self.spot.lane(), self.word, self.word.dead()).ok()?;
        let lane = self.spot.lane();
        let before = self.spot.row.undress(lane);
        self.spot.row.vacate(lane);
        Some(before.lane(lane))
    }

    /// Clears an announcement of the entry, before it leaves its slot (T3); false if it has left.
    ///
    /// The slot may have been claimed anew since the entry was found, and that claim be announced and
    /// not visible yet: its announcement must stay. So the slot is looked at after the control word.
    /// If the entry is there, and the exchange of the word succeeds, then what was announced is the
    /// entry, or one that it replaced: it could not have come back into the slot in between.
    fn retract(&self) -> bool {
        let Spot { home, row, .. } = self.spot;
        loop {
            let control = home.control();
            if control.announced() != Some(self.spot.rank()) || seeded("table-no-retract") {
                return true;
            }
            let word = row.word(self.spot.lane());
            if word != self.word && !seeded("table-retract-unseen") {
                return false;
            }
            if home.try_control(control, control.without_announcement()) {
                return true;
            }
        }
    }
}

impl<K, V, X> Spot<'_, K, V, X> {
    pub(super) fn is_in_chain(&self) -> bool {
        self.rank() >= LANES
    }

    pub(super) fn lane(&self) -> usize {
        self.lane as usize
    }

    pub(super) fn rank(&self) -> usize {
        self.rank as usize
    }
}
