//! What the store remembers.

use super::*;

#[test]
fn the_most_of_a_key_within_a_period() {
    let store = Store::new(Duration::ZERO, u64::MAX);
    let (began, second) = (Instant::now(), Duration::from_secs(1));
    let asked = [(1, 0), (2, 0), (1, 9), (1, 10), (2, 10), (1, 18), (2, 21)];
    *step(&store.asked) = asked.map(|(key, at)| (key, began + second * at)).to_vec();
    let most = |seconds| store.most_within(second * seconds);
    assert_eq!([1, 2, 9, 10, 11, 60].map(most), [1, 2, 2, 3, 3, 4]);
}
