//! Many keys in one query.

use std::collections::HashMap;
use std::sync::Mutex;

use clockhand::{Cache, LoadError, Loader};

/// A table of a database, and how many queries it has seen.
struct Users {
    rows: HashMap<u32, String>,
    queries: Mutex<Vec<usize>>,
}

impl Loader<u32, String> for &'static Users {
    type Error = String;

    fn load(&self, id: &u32) -> Result<String, String> {
        self.rows.get(id).cloned().ok_or_else(|| format!("there is no user {id}"))
    }

    // One query for all keys that are missing; nobody else asks for these meanwhile.
    fn load_many(&self, ids: &[u32]) -> Result<Vec<Option<String>>, String> {
        self.queries.lock().expect("sound").push(ids.len());
        Ok(ids.iter().map(|id| self.rows.get(id).cloned()).collect())
    }
}

pub(crate) fn main() {
    let rows = (0..100).map(|id| (id, format!("user {id}"))).collect();
    let users: &'static Users =
        Box::leak(Box::new(Users { rows, queries: Mutex::new(Vec::new()) }));
    let cache = Cache::new(1_000).loading(users);

    // Before the doors open.
    assert_eq!(cache.warm(0..50), Ok(50));

    // Of these, two are missing, and one does not exist.
    let page = cache.get_many(&[10, 20, 60, 70, 999]).expect("the database is up");
    let missing = page.iter().filter(|user| user.is_none()).count();
    assert_eq!((page.len(), missing), (5, 1));
    assert_eq!(*users.queries.lock().expect("sound"), [50, 3]);

    let Err(LoadError::Failed(error)) = cache.get(&999) else { panic!("nobody has this id") };
    assert_eq!(*error, "there is no user 999");
}
