//! S3-FIFO: a small queue that new keys pass through, a main queue, and a queue of ghosts.
//!
//! J. Yang et al., *FIFO queues are all you need for cache eviction* (SOSP 2023), with the details of
//! its authors' simulator: until the first eviction, what the small queue has no room for goes to the
//! main one; an entry moves on at its second hit; the main queue counts up to three.

use std::collections::VecDeque;

use super::Dense;

/// The small queue's share of the entries.
const SMALL: f64 = 0.1;

/// Ghosts for each entry.
const GHOSTS: f64 = 0.9;

/// Hits in the small queue after which an entry moves on to the main one.
const MOVES_ON: u8 = 2;

/// What the main queue counts to.
const MOST: u8 = 3;

/// How many accesses hit an S3-FIFO cache of so many entries.
#[must_use]
pub fn s3fifo(trace: &Dense, entries: usize) -> u64 {
    let mut queues = Queues::new(trace.unique, entries);
    trace.accesses.iter().filter(|key| queues.access(**key)).count() as u64
}

/// Where a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    Small,
    Main,
    /// The ghost that was put in as this one; an older one of the same key is void.
    Ghost(u32),
}

struct Queues {
    places: Vec<Place>,
    counts: Vec<u8>,
    small: VecDeque<u32>,
    main: VecDeque<u32>,
    ghosts: Ghosts,
    small_size: usize,
    entries: usize,
    evicted: bool,
}

impl Queues {
    fn new(keys: usize, entries: usize) -> Self {
        let share = |of: f64| (entries as f64 * of) as usize;
        Self {
            places: vec![Place::Nowhere; keys],
            counts: vec![0; keys],
            small: VecDeque::new(),
            main: VecDeque::new(),
            ghosts: Ghosts { size: share(GHOSTS), ..Ghosts::default() },
            small_size: share(SMALL).max(1),
            entries,
            evicted: false,
        }
    }

    /// Whether the key was in; it is afterwards.
    fn access(&mut self, key: u32) -> bool {
        let place = self.places[key as usize];
        if matches!(place, Place::Small | Place::Main) {
            self.counts[key as usize] = self.counts[key as usize].saturating_add(1);
            return true;
        }
        let known = matches!(place, Place::Ghost(_));
        if known {
            self.ghosts.live -= 1;
        }
        self.places[key as usize] = Place::Nowhere;
        // Ends: the small queue gets shorter, and then the main queue's counts lower.
        while self.small.len() + self.main.len() >= self.entries {
            self.evict();
        }
        let early = !self.evicted && self.small.len() >= self.small_size;
        self.put(key, if known || early { Place::Main } else { Place::Small });
        false
    }

    fn put(&mut self, key: u32, place: Place) {
        let queue = if place == Place::Main { &mut self.main } else { &mut self.small };
        queue.push_back(key);
        self.places[key as usize] = place;
        self.counts[key as usize] = 0;
    }

    fn evict(&mut self) {
        self.evicted = true;
        if self.main.len() > self.entries - self.small_size || self.small.is_empty() {
            self.evict_from_main();
        } else {
            self.evict_from_small();
        }
    }

    /// The oldest without enough hits goes, if there is one; those before it move on.
    fn evict_from_small(&mut self) {
        while let Some(key) = self.small.pop_front() {
            if self.counts[key as usize] < MOVES_ON {
                self.ghosts.put(key, &mut self.places);
                return;
            }
            self.put(key, Place::Main);
        }
    }

    /// The oldest with no count left goes; those before it lose one and begin anew.
    fn evict_from_main(&mut self) {
        while let Some(key) = self.main.pop_front() {
            let count = self.counts[key as usize].min(MOST);
            if count == 0 {
                self.places[key as usize] = Place::Nowhere;
                return;
            }
            self.put(key, Place::Main);
            self.counts[key as usize] = count - 1;
        }
    }
}

/// Keys that left the small queue, in that order.
#[derive(Debug, Default)]
struct Ghosts {
    queue: VecDeque<(u32, u32)>,
    /// Those in the queue that are not void.
    live: usize,
    size: usize,
    next: u32,
}

impl Ghosts {
    fn put(&mut self, key: u32, places: &mut [Place]) {
        places[key as usize] = Place::Nowhere;
        if self.size == 0 {
            return;
        }
        while self.live >= self.size {
            let Some((oldest, ghost)) = self.queue.pop_front() else { break };
            if places[oldest as usize] == Place::Ghost(ghost) {
                places[oldest as usize] = Place::Nowhere;
                self.live -= 1;
            }
        }
        self.queue.push_back((key, self.next));
        places[key as usize] = Place::Ghost(self.next);
        self.live += 1;
        self.next = self.next.wrapping_add(1);
    }
}
