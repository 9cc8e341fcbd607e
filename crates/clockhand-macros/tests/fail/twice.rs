use clockhand::memoize;

#[memoize(max_size = 7, max_size = 8)]
fn id(n: u32) -> u32 {
    n
}

fn main() {}
