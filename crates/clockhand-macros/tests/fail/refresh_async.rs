use clockhand::memoize;

#[memoize(refresh_secs = 5)]
async fn id(n: u32) -> u32 {
    n
}

fn main() {}
