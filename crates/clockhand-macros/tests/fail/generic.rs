use clockhand::memoize;

#[memoize]
fn identity<T: Clone>(it: T) -> T {
    it
}

fn main() {}
