use clockhand::memoize;

#[memoize(result_fallback = true, ttl_secs = 1)]
fn id(n: u32) -> u32 {
    n
}

fn main() {}
