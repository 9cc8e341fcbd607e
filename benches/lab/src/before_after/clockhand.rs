//! After: `clockhand`, which weighs the pages, loads each once at a time, and renews what is read ahead of
//! its expiry.

use std::sync::Arc;

use clockhand::{Cache, LoadSource, Loader, LoadingCache};

use super::page::{Page, Pages};
use super::{System, Terms};
use crate::clients::Answer;
use crate::failure::Failure;
use crate::store::TooMany;
use crate::words::unusable;

/// The pages, as the cache loads them.
struct Source(Arc<Pages>);

impl Loader<u64, Arc<Page>> for Source {
    type Error = TooMany;

    fn load(&self, key: &u64) -> Result<Arc<Page>, TooMany> {
        self.0.load(*key)
    }
}

pub(super) struct Clockhand(LoadingCache<u64, Arc<Page>, Source>);

impl Clockhand {
    pub(super) fn new(pages: Arc<Pages>, terms: &Terms) -> Result<Self, Failure> {
        let cache = Cache::builder()
            .capacity(terms.capacity)
            .retired_capacity(terms.garbage)
            .weigher(|_, page: &Arc<Page>| page.size())
            .time_to_live(terms.life)
            .build()
            .map_err(unusable)?;
        let loading = cache
            .loading(Source(pages))
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
