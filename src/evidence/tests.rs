use super::{Evidence, ReadEvent};

fn collected(evidence: &Evidence) -> Vec<ReadEvent> {
    let mut told = Vec::new();
    evidence.collect(|event| told.push(event));
    told
}

fn hit(hash: u64) -> ReadEvent {
    ReadEvent::new(hash, false)
}

fn miss(hash: u64) -> ReadEvent {
    ReadEvent::new(hash, true)
}

#[test]
fn nothing_is_told_before_a_collector_comes_by() {
    let evidence = Evidence::default();
    evidence.note_hit(1 << 16);
    evidence.note_miss(2 << 16);
    assert_eq!(collected(&evidence), []);
    evidence.note_hit(3 << 16);
    evidence.note_miss(4 << 16);
    assert_eq!(collected(&evidence), [hit(3 << 16), miss(4 << 16)]);
    assert_eq!(collected(&evidence), []);
}

#[test]
fn hits_leave_room_for_misses() {
    let evidence = Evidence::default();
    collected(&evidence);
    for round in 1..4 {
        for nth in 0..2_000_u64 {
            evidence.note_hit(nth << 16);
        }
        for nth in 0..2_000_u64 {
            evidence.note_miss((round * 10_000 + nth) << 16);
        }
        let told = collected(&evidence);
        assert_eq!(told.len(), 1_024, "as many as there is room for");
        assert_eq!(told[..512], (0..512).map(|nth| hit(nth << 16)).collect::<Vec<_>>());
        let missed = (0..512).map(|nth| miss((round * 10_000 + nth) << 16));
        assert_eq!(told[512..], missed.collect::<Vec<_>>());
    }
}

#[test]
fn a_closed_ring_takes_nothing_and_can_be_opened_again() {
    let evidence = Evidence::default();
    collected(&evidence);
    evidence.note_hit(1 << 16);
    evidence.close();
    evidence.note_hit(2 << 16);
    evidence.note_miss(3 << 16);
    assert_eq!(collected(&evidence), []);
    evidence.note_miss(4 << 16);
    assert_eq!(collected(&evidence), [miss(4 << 16)]);
}
