//! Least recently used: a list in the order of the last access.

use super::Dense;

/// A key's neighbours in the list; the list is a ring through one more link, its end.
#[derive(Debug, Clone, Copy)]
struct Link {
    older: u32,
    newer: u32,
}

/// How many accesses hit a cache of this many entries that evicts the least recently used.
pub(crate) fn lru(trace: &Dense, entries: usize) -> u64 {
    let mut list = List::new(trace.unique);
    let (mut hits, mut held) = (0, 0);
    for &key in &trace.accesses {
        if list.unlink(key) {
            hits += 1;
        } else if held == entries {
            list.unlink(list.oldest());
        } else {
            held += 1;
        }
        list.push(key);
    }
    hits
}

struct List {
    links: Vec<Link>,
    end: u32,
}

impl List {
    /// Links to itself are those of keys that are not in the list.
    fn new(keys: usize) -> Self {
        let end = keys as u32;
        Self { links: (0..=end).map(|key| Link { older: key, newer: key }).collect(), end }
    }

    fn oldest(&self) -> u32 {
        self.links[self.end as usize].newer
    }

    /// Takes a key out; says whether it was in.
    fn unlink(&mut self, key: u32) -> bool {
        let Link { older, newer } = self.links[key as usize];
        self.links[older as usize].newer = newer;
        self.links[newer as usize].older = older;
        self.links[key as usize] = Link { older: key, newer: key };
        older != key
    }

    /// Puts a key in as the newest.
    fn push(&mut self, key: u32) {
        let newest = self.links[self.end as usize].older;
        self.links[key as usize] = Link { older: newest, newer: self.end };
        self.links[newest as usize].newer = key;
        self.links[self.end as usize].older = key;
    }
}
