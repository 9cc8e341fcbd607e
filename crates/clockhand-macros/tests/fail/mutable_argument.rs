use clockhand::memoize;

#[memoize]
fn push(list: &mut Vec<u32>) {
    list.push(1);
}

fn main() {}
