//! The table as the policy sees it.

use super::Engine;
use super::bury::{Found, Table};
use crate::policy::{Face, Marks, Met, Place, Region};
use crate::table;

/// Buckets that a hand looks at in one step; those without an entry of its region are passed by
/// without a look.
const REACH: usize = 32;

/// The clock's face.
pub(super) struct Dial<'g, K, V, S> {
    engine: &'g Engine<K, V, S>,
    view: Table<'g, K, V>,
}

impl<'g, K, V, S> Dial<'g, K, V, S> {
    pub(super) fn new(engine: &'g Engine<K, V, S>, view: Table<'g, K, V>) -> Self {
        Self { engine, view }
    }
}

impl<'g, K, V, S> Face for Dial<'g, K, V, S> {
    type Slot = Found<'g, K, V>;

    fn meet(&self, region: Region, from: Place) -> Result<Met<Self::Slot>, Place> {
        let region = match region {
            Region::Probation => table::Region::Probation,
            Region::Protected => table::Region::Protected,
        };
        let mut place = from.0;
        for _ in 0..REACH {
            let met = self.view.meet(region, place, REACH).map_err(Place)?;
            let marks = Marks::from_bits(met.bits);
            // An entry that weighs nothing makes no room, and stays.
            if let Some(marks) = marks.filter(|_| met.held.entry().charge() > 0) {
                let (at, next) = (Place(met.at), Place(met.next));
                return Ok(Met { slot: met.held, marks, at, next });
            }
            place = met.next;
        }
        Err(Place(place))
    }

    fn mark(&self, met: &Met<Self::Slot>, to: Marks) -> bool {
        met.slot.mark(met.marks.bits(), to.bits())
    }

    fn hash(&self, slot: Self::Slot) -> u64 {
        slot.entry().hash()
    }

    fn charge(&self, slot: Self::Slot) -> u64 {
        slot.entry().charge()
    }

    fn expired(&self, slot: Self::Slot) -> bool {
        !self.engine.is_live(slot.entry())
    }
}
