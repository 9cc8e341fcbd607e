use clockhand::memoize;

struct Shop;

impl Shop {
    #[memoize]
    fn price(&self, item: u32) -> u32 {
        item
    }
}

fn main() {}
