use clockhand::memoize;

#[memoize(result_fallback = true)]
fn id(n: u32) -> Result<u32, ()> {
    Ok(n)
}

fn main() {}
