//! Reads, scans, and guards that are held over other operations.

use super::Bytes;
use super::parts::Value;
use super::world::{Walk, World};

/// Operations under one guard, at most.
const HELD: u8 = 16;

impl World {
    /// A read that counts.
    pub(crate) fn get(&mut self, bytes: &mut Bytes<'_>) {
        let key = self.key(bytes);
        let wanted = self.model.read(key);
        let found = match key % 3 {
            0 => self.subject.get(&key).map(|value| value.id()),
            1 => self.subject.read(&key, Value::id),
            _ => self.subject.pin().get(&key).map(Value::id),
        };
        assert_eq!(found, wanted, "a read of {key}");
    }

    /// A read that nobody notices.
    pub(crate) fn look(&mut self, bytes: &mut Bytes<'_>) {
        let key = self.key(bytes);
        let wanted = self.model.live(key).map(|record| record.id);
        let pinned = self.subject.pin();
        assert_eq!(self.subject.peek(&key).map(|value| value.id()), wanted, "a peek at {key}");
        assert_eq!(self.subject.contains_key(&key), wanted.is_some(), "contains {key}");
        assert_eq!(pinned.peek(&key).map(Value::id), wanted, "a pinned peek at {key}");
        assert_eq!(pinned.contains_key(&key), wanted.is_some(), "contains {key}, pinned");
    }

    /// Everything, in three ways.
    pub(crate) fn scan(&mut self) {
        let wanted = self.model.contents();
        let mut visited = Vec::new();
        self.subject.for_each(|key, value| visited.push((key.number(), value.id())));
        visited.sort_unstable();
        assert_eq!(visited, wanted, "for_each");
        let copies = self.subject.snapshot();
        let mut copied: Vec<_> = copies.iter().map(|(k, v)| (k.number(), v.id())).collect();
        copied.sort_unstable();
        assert_eq!(copied, wanted, "snapshot");
        let mut iterated: Vec<_> = self.subject.iter().map(|(k, v)| (k.number(), v.id())).collect();
        iterated.sort_unstable();
        assert_eq!(iterated, wanted, "iter");
    }

    /// A guard that is held over other operations: what it has lent stays, what it reads is new.
    pub(crate) fn pin(&mut self, bytes: &mut Bytes<'_>) {
        let cache = self.subject.clone();
        let pinned = cache.pin();
        self.guards += 1;
        let mut lent: Vec<(&Value, u64)> = Vec::new();
        for _ in 0..bytes.byte() % HELD {
            let key = self.key(bytes);
            let wanted = self.model.read(key);
            let value = pinned.get(&key);
            assert_eq!(value.map(Value::id), wanted, "a pinned read of {key}");
            lent.extend(value.map(|value| (value, value.id())));
            self.step(bytes);
        }
        for (value, id) in lent {
            assert_eq!(value.id(), id, "a value that changed under a guard");
        }
        self.guards -= 1;
    }

    /// A walk that other operations come between.
    pub(crate) fn walk(&mut self, bytes: &mut Bytes<'_>) {
        let mut iter = self.subject.iter();
        let now: std::collections::BTreeSet<_> = self.model.contents().into_iter().collect();
        self.walks.push(Walk { ever: now.clone(), throughout: now });
        let mut met = Vec::new();
        for _ in 0..bytes.byte() % HELD {
            let some = iter.by_ref().take(usize::from(bytes.byte() % 4));
            met.extend(some.map(|(key, value)| (key.number(), value.id())));
            self.step(bytes);
        }
        met.extend(iter.map(|(key, value)| (key.number(), value.id())));
        let walk = self.walks.pop().expect("walks end in the order in which they began");
        let mut keys: Vec<u8> = met.iter().map(|&(key, _)| key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), met.len(), "a key that was met twice: {met:?}");
        for entry in &met {
            assert!(walk.ever.contains(entry), "{entry:?} was not there");
        }
        for entry in &walk.throughout {
            assert!(met.contains(entry), "{entry:?} was there throughout, and was not met");
        }
    }

    /// A new reader, in the place of the one there is.
    pub(crate) fn renew_reader(&mut self) {
        self.reader = Some(self.subject.reader());
        self.reader_pinned = false;
    }

    /// A read through the reader, which lends over other operations.
    pub(crate) fn read_with_reader(&mut self, bytes: &mut Bytes<'_>) {
        let mut reader = self.reader.take().unwrap_or_else(|| self.subject.reader());
        let key = self.key(bytes);
        self.guards += 1;
        let value = if bytes.byte() & 1 == 1 {
            let wanted = self.model.live(key).map(|record| record.id);
            let value = reader.peek(&key);
            assert_eq!(value.map(Value::id), wanted, "a reader's peek at {key}");
            value
        } else {
            let wanted = self.model.read(key);
            let value = reader.get(&key);
            assert_eq!(value.map(Value::id), wanted, "a reader's read of {key}");
            value
        };
        let id = value.map(Value::id);
        for _ in 0..bytes.byte() % HELD {
            self.step(bytes);
        }
        assert_eq!(value.map(Value::id), id, "a value that changed under a reader");
        self.guards -= 1;
        self.reader = Some(reader);
        self.reader_pinned = true;
    }

    /// Lets go of what the reader read last.
    pub(crate) fn park(&mut self) {
        if let Some(reader) = &mut self.reader {
            reader.park();
            self.reader_pinned = false;
        }
    }

    /// Another cache on the same thread, which comes and goes.
    pub(crate) fn elsewhere(&mut self, bytes: &mut Bytes<'_>) {
        let key = bytes.byte();
        if key == u8::MAX {
            self.other = None;
            return;
        }
        let other = self.other.get_or_insert_with(|| clockhand::Cache::new(4));
        other.insert(key, u64::from(key));
        assert_eq!(other.get(&key), Some(u64::from(key)));
    }

    /// Texts for the log: they read counters, and must not disturb anything.
    pub(crate) fn describe(&mut self) {
        let text = format!("{:?} {:?} {:?}", self.subject, self.subject.iter(), self.reader);
        assert!(text.starts_with("Cache"), "{text}");
    }
}
