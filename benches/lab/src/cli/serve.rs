//! `serve`.

use super::said::{complain, told};
use crate::failure::Failure;
use crate::serve::{self, Order};

pub(super) fn run(order: &Order) -> Result<(), Failure> {
    let plan = order.plan()?;
    let mut broken = 0;
    told(order.json.clone(), |_| {
        let closing = serve::run(plan)?;
        closing.broken.iter().for_each(|line| complain(line));
        broken = closing.broken.len();
        Ok(closing)
    })?;
    let line = format!("{broken} promises were broken");
    Failure::unless_kept(broken as u64, line)
}
