use clockhand::memoize;

#[memoize(refresh_secs = 5, ttl_secs = 5)]
fn id(n: u32) -> u32 {
    n
}

fn main() {}
