//! How models are run that are too large to be searched to their end.

/// Runs a model under the schedules with up to `preemptions` preemptions, and under `schedules` of them at most: a number
/// and not a time, so that on a busy machine as many are explored.
pub(crate) fn explore(
    preemptions: usize,
    schedules: usize,
    model: impl Fn() + Send + Sync + 'static,
) {
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&runs);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_permutations = Some(schedules);
    // To count what there is at the end takes many steps.
    builder.max_branches = 20_000;
    builder.checkpoint_interval = 1_000;
    builder.check(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        model();
    });
    println!("{} schedules", runs.load(std::sync::atomic::Ordering::Relaxed));
}
