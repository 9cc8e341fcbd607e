//! Checking the table's invariants at rest.

use super::home::Home;
use super::row::Row;
use super::view::View;
use crate::entry::EntryRef;

/// What the table holds.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) entries: usize,
    pub(crate) charge: u64,
    /// Entries whose values are being loaded.
    pub(crate) placeholders: u64,
    /// The charge of the entries on probation, and of those that say that it is counted.
    pub(crate) probation: u64,
    pub(crate) counted: u64,
    /// How many say so.
    pub(crate) marked: u64,
    /// Slots on probation.
    pub(crate) young: u64,
}

impl<'g, K, V, X, L> View<'g, K, V, X, L> {
    /// Recounts the contents, and panics where an invariant does not hold. Nobody else may use the
    /// table meanwhile.
    pub(crate) fn audit(&self, same: impl Fn(&K, &K) -> bool) -> Contents {
        let mut contents = Contents::default();
        let mut next = Some(self.current());
        while let Some(array) = next {
            let mut links = 0;
            for index in 0..array.len() {
                let home = Home::at(array, index);
                links += home.links(home.head()).count();
                if !home.control().is_moved() {
                    self.audit_home(home, &mut contents, &same);
                }
            }
            assert_eq!(array.links.get(), links, "links");
            next = self.next(array);
        }
        contents
    }

    fn audit_home(
        &self,
        home: Home<'g, K, V, X>,
        contents: &mut Contents,
        same: &impl Fn(&K, &K) -> bool,
    ) {
        let mut seen: Vec<EntryRef<'g, K, V>> = Vec::new();
        let mut row = |row: &'g Row| {
            for (_, word) in row.words() {
                let bits = word.bits();
                assert_eq!(word.is_readable(), bits & 0b11 != 0, "an entry and its marks");
                assert!(word.is_readable() || word.is_vacant(), "a slot that somebody left behind");
                if word.is_readable() {
                    let entry = home.entry(word.number());
                    let again = |other: &EntryRef<'g, K, V>| {
                        other.hash() == entry.hash() && same(other.key(), entry.key())
                    };
                    assert!(!seen.iter().any(again), "a key that is in twice");
                    assert_eq!(home.array.index_of(entry.hash()), home.index(), "a home");
                    seen.push(entry);
                    contents.entries += usize::from(!entry.is_placeholder());
                    contents.placeholders += u64::from(entry.is_placeholder());
                    contents.charge += entry.charge();
                    contents.probation += if bits & 0b11 == 3 { 0 } else { entry.charge() };
                    contents.young += u64::from(bits & 0b11 != 3);
                    contents.marked += u64::from(entry.is_counted());
                    contents.counted += if entry.is_counted() { entry.charge() } else { 0 };
                }
            }
        };
        row(home.row());
        let mut chained = 0;
        for link in home.links(home.head()) {
            row(&link.row);
            chained += link.row.words().filter(|(_, word)| word.is_occupied()).count();
        }
        assert!(chained == 0 || home.control().overflows(), "a chain that nobody looks at");
    }
}
