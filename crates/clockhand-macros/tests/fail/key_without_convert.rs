use clockhand::memoize;

#[memoize(key = "String")]
fn id(n: u32) -> u32 {
    n
}

fn main() {}
