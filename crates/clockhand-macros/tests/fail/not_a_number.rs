use clockhand::memoize;

#[memoize(ttl_secs = "60")]
fn id(n: u32) -> u32 {
    n
}

fn main() {}
