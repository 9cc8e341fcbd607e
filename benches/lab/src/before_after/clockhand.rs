//! After: `clockhand`, which weighs the pages, loads each once at a time, and renews what is read ahead of
//! its expiry.

use std::sync::Arc;

use clockhand::{Cache, LoadSource, Loader, LoadingCache};

use super::page::Page;
use super::store::{Store, TooMany};
use super::{Answer, System, Terms};
use crate::failure::Failure;
use crate::words::unusable;

/// The store, as the cache loads from it.
struct Pages(Arc<Store>);

impl Loader<u64, Arc<Page>> for Pages {
    type Error = TooMany;

    fn load(&self, key: &u64) -> Result<Arc<Page>, TooMany> {
        self.0.load(*key)
    }
}

pub(super) struct Clockhand(LoadingCache<u64, Arc<Page>, Pages>);

impl Clockhand {
    pub(super) fn new(store: Arc<Store>, terms: &Terms) -> Result<Self, Failure> {
        let cache = Cache::builder()
            .capacity(terms.capacity)
            .retired_capacity(terms.garbage)
            .weigher(|_, page: &Arc<Page>| page.size())
            .time_to_live(terms.life)
            .build()
            .map_err(unusable)?;
        let loading = cache
            .loading(Pages(store))
            .refresh_after(terms.refresh)
            .stale_while_revalidate(terms.grace)
            .stale_if_error(terms.grace)
            .build()
            .map_err(unusable)?;
        Ok(Self(loading))
    }
}

impl System for Clockhand {
    fn ask(&self, key: u64) -> Answer {
        match self.0.get_with_source(&key) {
            Ok(loaded) => match loaded.source {
                LoadSource::Hit | LoadSource::Stale => Answer::Hit,
                _ => Answer::Loaded,
            },
            Err(_) => Answer::Failed,
        }
    }

    fn beyond_bounds(&self) -> bool {
        let usage = self.0.cache().usage();
        usage.charged > usage.capacity || usage.retired > usage.retired_capacity
    }
}
