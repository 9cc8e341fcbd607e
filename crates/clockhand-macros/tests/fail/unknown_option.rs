use clockhand::memoize;

#[memoize(size = 7)]
fn id(n: u32) -> u32 {
    n
}

fn main() {}
