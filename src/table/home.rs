//! A bucket with its chain: a small lock-free set. The protocol of `table` is here.

use super::array::{Array, Bucket, Contents};
use super::chain::{Head, Link};
use super::control::{Announced, Control};
use super::look::Look;
use super::outlived::Outlived;
use super::row::{LANES, Row, Slot};
use super::view::{Glance, Spotted};
use super::word::{Region, Word, tag_of};
use crate::entry::{Entry, EntryRef, Sought, is_plain};
use crate::sync::seeded;

/// The bucket where all keys with certain hashes live, as seen by a pinned thread (T1).
pub(super) struct Home<'g, K, V, X> {
    pub(super) array: &'g Array<K, V, X>,
    bucket: &'g Bucket,
}

impl<K, V, X> Clone for Home<'_, K, V, X> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V, X> Copy for Home<'_, K, V, X> {}

/// A readable entry and the slot it was found in.
pub(crate) struct Held<'g, K, V, X> {
    pub(super) home: Home<'g, K, V, X>,
    pub(super) slot: &'g Slot,
    pub(super) word: Word,
    entry: EntryRef<'g, K, V>,
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
    control: Control,
}

impl<'g, K, V, X> Home<'g, K, V, X> {
    #[inline(always)]
    pub(super) fn at(array: &'g Array<K, V, X>, index: usize) -> Self {
        Self { array, bucket: array.bucket(index) }
    }

    /// The home of a hash, or of a place.
    #[inline(always)]
    pub(super) fn of(array: &'g Array<K, V, X>, hash: u64) -> Self {
        Self { array, bucket: array.bucket_of(hash) }
    }

    /// Which of the generation's buckets it is.
    #[inline(always)]
    pub(super) fn index(&self) -> usize {
        self.array.index_at(self.bucket)
    }

    #[inline]
    pub(super) fn row(&self) -> &'g Row {
        &self.bucket.row
    }

    /// A look at all of the bucket's own slots.
    #[inline(always)]
    pub(super) fn look(&self) -> Look {
        Look::at(self.bucket)
    }

    #[inline]
    pub(super) fn control(&self) -> Control {
        self.bucket.control()
    }

    #[inline]
    pub(super) fn try_control(&self, from: Control, to: Control) -> bool {
        self.bucket.try_control(from, to)
    }

    pub(super) fn head(&self) -> Head {
        self.array.head(self.index())
    }

    /// The entry with a number that a readable slot has, or that was announced and has not left.
    #[inline(always)]
    pub(super) fn entry(&self, number: u32) -> EntryRef<'g, K, V> {
        // SAFETY: a home is made by a pinned thread (T1).
        unsafe { EntryRef::from_raw(number, self.array.slab()) }
    }

    /// A readable entry that was met in a slot.
    #[inline]
    pub(super) fn held(&self, slot: &'g Slot, word: Word) -> Held<'g, K, V, X> {
        Held { home: *self, slot, word, entry: self.entry(word.number()) }
    }

    /// The links of the chain, newest first.
    pub(super) fn links(&self, head: Head) -> impl Iterator<Item = &'g Link> + use<'g, K, V, X> {
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
            if seeded("table-no-settle") {
                return control;
            }
            let settled = match control.announced() {
                Announced::Nobody => true,
                Announced::For(lane, number) => {
                    let word = self.row().word(lane);
                    // What is vacant was left by the announced entry, or waits for it.
                    !word.is_vacant()
                        || word.is_vacated_at(control.version())
                        || self.help(control, (lane, word), number)
                }
                Announced::InChain(number) => self.help_in_chain(control, number),
            };
            if settled {
                return control;
            }
        }
    }

    /// The first of the bucket's own slots that is vacant, and was not vacated at this version.
    #[inline(always)]
    fn vacancy(&self, but: u32) -> Option<(usize, Word)> {
        let mut words = self.look().unoccupied().map(|lane| (lane, self.row().word(lane)));
        words.find(|(_, word)| word.is_vacant() && !word.is_vacated_at(but))
    }

    /// Puts the announced entry in its slot, if it still is announced; whether it was.
    ///
    /// The word was read while the announcement stood. A word of a slot that was left later says so, and no word
    /// comes back (T3): if the exchange succeeds, the entry has never been there.
    #[cold]
    #[inline(never)]
    fn help(&self, control: Control, (lane, word): (usize, Word), number: u32) -> bool {
        if self.control() != control && !seeded("table-help-late") {
            return false;
        }
        let entry = self.entry(number);
        self.fill(lane, word, Word::visible(number, entry.hash(), entry.entered_with()));
        true
    }

    /// Puts an announced entry in its slot. Whoever comes first does it; the others change nothing.
    #[inline(always)]
    fn fill(&self, lane: usize, vacant: Word, visible: Word) {
        let _ = self.row().slot(lane).try_word(vacant, visible);
    }

    /// Reveals the entry that is announced in the chain, if it still is announced; whether it was.
    #[cold]
    #[inline(never)]
    fn help_in_chain(&self, control: Control, number: u32) -> bool {
        let rows = self.links(self.head()).map(|link| &link.row);
        let claimed = rows.flat_map(|row| row.words().map(move |at| (row, at)));
        let found = { claimed }.find(|(_, (_, word))| word.is_claimed() && word.number() == number);
        // The claim is the announced one only if the announcement still stood when the claim was there.
        if self.control() != control {
            return false;
        }
        if let Some((row, (lane, word))) = found {
            let _ = row.slot(lane).try_word(word, word.revealed());
        }
        true
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
        let (row, tag) = (self.row(), tag_of(sought.0));
        let lanes = (self.look().matching(sought.0), |word: Word| word.is_own_as(tag));
        // SAFETY: a home is made by a pinned thread, of entries of the array's slab (T1); a bucket's own slots are
        // never claimed.
        let found = unsafe { row.seek(self.array.slab(), sought, lanes, eq) }?;
        Some(Held { home: *self, slot: found.slot, word: found.word, entry: found.entry })
    }

    /// Finds a key's value among the bucket's own slots, where nearly all values are. The hash is not compared, as its tag
    /// was.
    ///
    /// # Errors
    ///
    /// Whether it may be found by a search that includes placeholders.
    #[inline(always)]
    pub(super) fn glance(
        &self,
        hash: u64,
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Result<Held<'g, K, V, X>, Glance> {
        for lane in self.look().matching(hash) {
            let slot = self.row().slot(lane);
            let word = slot.word();
            // It may have changed since the look; a vacant word has no number.
            if !is_plain(word.number()) {
                if word.is_occupied() {
                    return Err(Glance::Further);
                }
                continue;
            }
            // SAFETY: the number of a linked entry, as a bucket's own slots are never claimed; the thread is pinned (T1).
            let entry = unsafe { EntryRef::from_plain(word.number(), self.array.slab()) };
            if eq(entry.key()) {
                return Ok(Held { home: *self, slot, word, entry });
            }
        }
        Err(Glance::Nothing)
    }

    /// Finds the key, or the place where it could come in. What the control word announces is in its slot.
    #[inline(always)]
    pub(super) fn locate(
        &self,
        control: Control,
        sought: (u64, Sought),
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Spotted<'g, K, V, X> {
        match self.seek(control, sought, eq) {
            Some(held) => Spotted::Held(held),
            None => Spotted::Open(Open { home: *self, control }),
        }
    }

    #[cold]
    fn seek_chain(
        &self,
        sought: (u64, Sought),
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Option<Held<'g, K, V, X>> {
        let tag = tag_of(sought.0);
        self.links(self.head()).find_map(|link| {
            let lanes = (0..LANES, |word: Word| word.is_readable_as(tag));
            // SAFETY: as in `seek_own`.
            let found = unsafe { link.row.seek(self.array.slab(), sought, lanes, eq) }?;
            Some(Held { home: *self, slot: found.slot, word: found.word, entry: found.entry })
        })
    }

    /// Claims a slot in the chain, or hangs a new link on it with its first slot claimed. `None` if the chain has
    /// changed, or is frozen.
    #[cold]
    #[inline(never)]
    fn claim(&self, word: Word) -> Option<&'g Slot> {
        let head = self.head();
        let in_link = |link: &'g Link| link.row.claim(word);
        self.links(head).find_map(in_link).or_else(|| self.attach(head, word))
    }

    fn attach(&self, head: Head, word: Word) -> Option<&'g Slot> {
        if head.is_frozen() {
            return None;
        }
        let base = self.links(head).next().map_or(LANES, |link| link.base + LANES);
        assert!(base < MOST_RANKS, "a quarter of a thousand million equal hashes");
        let mut link = Link::new(head.link(), base);
        link.row.fill(0, word.claimed());
        let link = Box::into_raw(link);
        if !self.array.try_head(self.index(), head, Head::of(link)) {
            // SAFETY: not published, so it is still ours.
            drop(unsafe { Box::from_raw(link) });
            return None;
        }
        self.array.links.add(1);
        // SAFETY: published just now, under our pin (T1).
        let link = unsafe { &*link };
        Some(link.row.slot(0))
    }

    /// Clears the bucket's bit in a region's summary, where nothing of the region was found.
    #[inline(always)]
    pub(super) fn forget(&self, region: Region) {
        let summaries = self.array.summaries();
        if !summaries.forget(region, self.index()) {
            return;
        }
        let any = !self.look().of(region).is_empty()
            || self.control().overflows() && self.first_of_chain(region, LANES).is_some();
        if any {
            // One came in between, and found the bit still set.
            summaries.set(region, self.index());
        }
    }

    /// Takes empty links off the chain; those that come off go to `retire`.
    pub(super) fn dissolve(&self, mut retire: impl FnMut(Outlived<Link>)) {
        loop {
            let head = self.head();
            let Some(link) = self.links(head).next() else { return };
            if head.is_frozen() || !link.row.is_empty() || !link.row.seal() {
                return;
            }
            if !self.array.try_head(self.index(), head, Head::of(link.next)) {
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

    /// Clears the OVERFLOWS flag if there is no chain.
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
    pub(super) fn contents(&self) -> ([Option<usize>; LANES], Contents) {
        let mut contents = Vec::with_capacity(LANES);
        let mut own = [None; LANES];
        let add = |word: Word, contents: &mut Contents| {
            word.is_readable().then(|| {
                contents.push((word.number(), self.entry(word.number()).hash(), word.bits()));
                contents.len() - 1
            })
        };
        for (lane, word) in self.row().words() {
            own[lane] = add(word, &mut contents);
        }
        for link in self.links(self.head()) {
            for (_, word) in link.row.words() {
                add(word, &mut contents);
            }
        }
        (own, contents)
    }
}

/// The most slots of a bucket with its chain.
const MOST_RANKS: usize = 1 << 28;

impl<'g, K, V, X> Open<'g, K, V, X> {
    /// Links an entry whose key is not there.
    ///
    /// # Errors
    ///
    /// The entry, if another key came in since the key was found absent, or the bucket is being
    /// migrated: find the place again.
    ///
    /// # Progress
    ///
    /// Lock-free.
    #[inline(always)]
    pub(crate) fn commit(self, mut entry: Entry<K, V>, bits: u8) -> Result<(), Entry<K, V>> {
        let home = self.home;
        entry.enters_with(bits);
        let hash = entry.as_ref().hash();
        let number = entry.into_raw();
        let visible = Word::visible(number, hash, bits);
        if self.link(number, visible) {
            home.array.summaries().note(home.index(), bits);
            return Ok(());
        }
        // SAFETY: never visible, so it is still ours.
        Err(unsafe { Entry::from_raw(number, home.array.slab()) })
    }

    /// Announces an entry, and makes it visible; false if that could not be.
    #[inline(always)]
    fn link(self, number: u32, visible: Word) -> bool {
        let (home, mut from) = (self.home, self.control);
        if seeded("table-announce-unversioned") {
            from = home.control();
        }
        if from.is_frozen() {
            return false;
        }
        // A lane that was vacated at the version of this announcement would be taken for one that the entry has left.
        let Some((lane, vacant)) = home.vacancy(from.announcing(0, number).version()) else {
            return self.link_in_chain(from, number, visible);
        };
        if !home.try_control(from, from.announcing(lane, number)) {
            return false;
        }
        home.fill(lane, vacant, visible);
        true
    }

    /// Claims a slot in the chain, announces the claim, and reveals it.
    #[cold]
    #[inline(never)]
    fn link_in_chain(&self, mut from: Control, number: u32, visible: Word) -> bool {
        let home = self.home;
        if from.names(number) {
            // An entry that had this number was announced last, and has left: nobody shall reveal this claim for it.
            if !home.try_control(from, from.without_announcement()) {
                return false;
            }
            from = from.without_announcement();
        }
        let Some(slot) = home.claim(visible) else { return false };
        let claimed = visible.claimed();
        if !home.try_control(from, from.announcing_in_chain(number)) {
            // If this fails the slot was frozen, and nothing needs to be given back.
            let _ = slot.try_word(claimed, Word::vacant(0));
            return false;
        }
        let _ = slot.try_word(claimed, visible);
        true
    }
}

impl<'g, K, V, X> Held<'g, K, V, X> {
    /// The entry.
    #[inline]
    pub(crate) fn entry(&self) -> EntryRef<'g, K, V> {
        self.entry
    }

    /// Whether the slot was frozen when the entry was found.
    pub(super) fn is_frozen(&self) -> bool {
        self.word.is_frozen()
    }

    /// Whether the slot is one of a chain.
    #[inline]
    pub(super) fn is_in_chain(&self) -> bool {
        !self.home.row().has(self.slot)
    }

    /// The policy bits of the slot, as they were when the entry was found.
    #[inline]
    pub(crate) fn bits(&self) -> u8 {
        self.word.bits()
    }

    /// The policy bits that the slot has now, whoever is in it.
    pub(crate) fn bits_now(&self) -> u8 {
        self.slot.word().bits()
    }

    /// Adds one to the slot's count unless it is full: one attempt, which may be lost.
    #[inline(always)]
    pub(crate) fn touch(&self) {
        if let Some(touched) = self.word.touched() {
            let _ = self.slot.try_word(self.word, touched);
        }
    }

    /// Changes the slot's policy bits if they are still `from`.
    #[inline(always)]
    pub(crate) fn mark(&self, from: u8, to: u8) -> bool {
        let word = if seeded("table-mark-unseen") { self.slot.word() } else { self.word };
        if word.bits() != from || word.is_frozen() || !word.is_readable() {
            return false;
        }
        let marked = self.slot.try_word(word, word.with_bits(to)).is_ok();
        if marked && Region::of(from) != Region::of(to) {
            self.home.array.summaries().note(self.home.index(), to);
        }
        marked
    }

    /// Puts another entry with the same key in the place of this one. What the policy knows stays.
    #[inline(always)]
    pub(super) fn swap(&self, number: u32) -> bool {
        self.change(|word| word.with_number(number)).is_some()
    }

    /// Empties the slot; the entry's policy bits at that moment.
    ///
    /// `None` if the entry was no longer there.
    ///
    /// The version is read while the entry is in the slot: so it is not less than the one at which the entry was
    /// announced, and less than any at which another is announced for the slot (T3).
    #[inline(always)]
    pub(super) fn unlink(&self) -> Option<u8> {
        let version = match self.home.control().version() {
            _ if seeded("table-vacate-unversioned") => 0,
            version => version,
        };
        self.change(|_| Word::vacant(version)).map(Word::bits)
    }

    /// Changes the slot while the entry is in it and may be changed, whatever becomes of its policy bits; the word
    /// before.
    ///
    /// # Progress
    ///
    /// Lock-free: an attempt fails only where another thread changed the word.
    #[inline(always)]
    fn change(&self, to: impl Fn(Word) -> Word) -> Option<Word> {
        let mut word = self.word;
        loop {
            if word.is_frozen() {
                return None;
            }
            match self.slot.try_word(word, to(word)) {
                Ok(()) => return Some(word),
                Err(now) if now.is_same_entry(word) => word = now,
                Err(_) => return None,
            }
        }
    }
}
