//! `stampede`.

use super::said::told;
use crate::charts::draw_before_after;
use crate::failure::Failure;
use crate::stampede::{self, Order};

pub(super) fn run(order: &Order) -> Result<(), Failure> {
    let (plan, terms) = (order.plan()?, order.terms());
    let mut broken = 0;
    told(order.json.clone(), |quiet| {
        let stampede = stampede::run(&plan, terms.as_ref(), order.has_ways(), quiet)?;
        broken = stampede.broken();
        if let (Some(sides), Some(path)) = (&stampede.before_after, &order.chart) {
            draw_before_after(sides, path)?;
        }
        Ok(stampede)
    })?;
    let line = format!(
        "clockhand loaded a key twice in one period, or had more than it was given, {broken} times"
    );
    Failure::unless_kept(broken, line)
}
