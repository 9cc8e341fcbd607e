use crate::sync::{AtomicU64, Relaxed};
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage { Young = 1, Old = 2, Protected = 3 }
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Marks { stage: Stage, count: u8 }
impl Marks {
    pub(crate) fn from_bits(b: u8) -> Option<Self> {
        let stage = match b & 3 { 0 => return None, 1 => Stage::Young, 2 => Stage::Old, _ => Stage::Protected };
        Some(Self { stage, count: b >> 2 })
    }
    pub(crate) fn bits(self) -> u8 { self.stage as u8 | self.count << 2 }
}
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Region { Probation, Protected }
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place(pub(crate) u64);
pub(crate) struct Met<S> { pub slot: S, pub marks: Marks, pub at: Place, pub next: Place }
pub(crate) trait Face {
    type Slot: Copy;
    fn meet(&self, region: Region, from: Place) -> Result<Met<Self::Slot>, Place>;
    fn mark(&self, met: &Met<Self::Slot>, to: Marks) -> bool;
    fn hash(&self, slot: Self::Slot) -> u64;
    fn charge(&self, slot: Self::Slot) -> u64;
    fn expired(&self, slot: Self::Slot) -> bool;
}
#[derive(Debug)]
pub(crate) struct Memory;
impl Memory { pub(crate) fn new(_: usize) -> Self { Self } }
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load { pub capacity: u64, pub free: u64 }
pub(crate) struct Policy(Relaxed<AtomicU64>);
impl Policy {
    pub(crate) fn new() -> Self { Self(Relaxed::<AtomicU64>::new(0)) }
    pub(crate) fn admit(&self, _: &Memory, _: u64, _: Load) -> Marks { Marks { stage: Stage::Young, count: 0 } }
    pub(crate) fn joined(&self, _: u8, _: u64) {}
    pub(crate) fn left(&self, _: u8, _: u64) {}
    pub(crate) fn reweighed(&self, _: u8, _: u64, _: u64) {}
    pub(crate) fn evicted(&self, _: &Memory, _: u64, _: u8) {}
    pub(crate) fn spread<F: Face>(&self, _: &F, _: &Memory, _: Load) {}
    pub(crate) fn victim<F: Face>(&self, face: &F, _: &Memory, _: Load) -> Option<F::Slot> {
        for _ in 0..64 {
            let at = self.0.get();
            match face.meet(Region::Probation, Place(at)) {
                Ok(met) => {
                    self.0.try_set(at, met.next.0);
                    if met.marks.count == 0 || face.expired(met.slot) { return Some(met.slot); }
                    face.mark(&met, Marks { stage: Stage::Old, count: met.marks.count - 1 });
                }
                Err(p) => { self.0.try_set(at, p.0); }
            }
        }
        None
    }
}
