use clockhand::memoize;

#[memoize]
struct Nothing;

fn main() {}
