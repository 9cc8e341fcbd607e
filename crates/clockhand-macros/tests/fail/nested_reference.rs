use clockhand::memoize;

#[memoize]
fn join(parts: &[&str]) -> String {
    parts.concat()
}

fn main() {}
