//! Several futures side by side.

use std::future::poll_fn;
use std::task::Poll;

/// The outputs of all futures, in their order. Each time it is polled, all that are not done are.
pub(crate) async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(|future| (None, Box::pin(future))).collect();
    poll_fn(|context| {
        let mut all = true;
        for (output, future) in &mut running {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(done) => *output = Some(done),
                    Poll::Pending => all = false,
                }
            }
        }
        if all { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(output, _)| output).collect()
}
