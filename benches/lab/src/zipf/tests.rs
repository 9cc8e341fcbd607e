//! Ranks are drawn as often as they weigh.

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::*;

#[test]
fn ranks_are_drawn_as_often_as_they_weigh() {
    let (law, mut random) = (Zipf::new(4, 1.0), SmallRng::seed_from_u64(1));
    let mut drawn = [0_u32; 4];
    for _ in 0..100_000 {
        drawn[law.draw(&mut random) as usize] += 1;
    }
    // 12, 6, 4 and 3 of 25.
    for (times, share) in drawn.into_iter().zip([12.0, 6.0, 4.0, 3.0]) {
        let wanted = share / 25.0;
        let found = f64::from(times) / 100_000.0;
        assert!((found - wanted).abs() < 0.01, "{drawn:?}");
    }
}
