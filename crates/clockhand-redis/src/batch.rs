//! Many keys in one question.
//!
//! Each key that is missing has a flight of its own, which others may join, and which a message stops; but the flights of one
//! call ask together. A flight that is polled leaves its key here. When all have been, who polls them asks for these keys, and
//! hands the answers out. What is left here after that is asked for next.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use clockhand::tier::{Found, Tier, TierLookup};

/// What has become of a key.
enum Place<E> {
    /// It is to be asked for.
    Left(Vec<u8>),
    /// It is being asked for.
    Asked,
    Answered(Result<Found, E>),
    /// Its flight has the answer, or is gone.
    Empty,
}

pub(crate) struct Batch<E> {
    places: Mutex<Vec<Place<E>>>,
}

impl<E> Batch<E> {
    pub(crate) fn new() -> Self {
        Self { places: Mutex::new(Vec::new()) }
    }

    fn places(&self) -> MutexGuard<'_, Vec<Place<E>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a flight: what was found for its key; `None` if nothing was told of it.
    pub(crate) async fn answer(&self, key: Vec<u8>) -> Option<Result<Found, E>> {
        let own = {
            let mut places = self.places();
            places.push(Place::Left(key));
            places.len() - 1
        };
        // Woken together with who polls the flights, and the question.
        poll_fn(|_| {
            let mut places = self.places();
            match std::mem::replace(&mut places[own], Place::Empty) {
                Place::Answered(found) => Poll::Ready(Some(found)),
                Place::Empty => Poll::Ready(None),
                waits => {
                    places[own] = waits;
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// The keys that are to be asked for, and where they stand.
    fn take(&self) -> (Vec<usize>, Vec<Vec<u8>>) {
        let mut places = self.places();
        let left = places.iter_mut().enumerate().filter_map(|(nth, place)| {
            let Place::Left(key) = place else { return None };
            let key = std::mem::take(key);
            *place = Place::Asked;
            Some((nth, key))
        });
        left.unzip()
    }

    /// Polls flights to their end, and asks for them.
    pub(crate) async fn drive<T: Tier<Error = E>, O>(
        &self,
        (tier, lookup): (&T, TierLookup<'_>),
        flights: impl Future<Output = O>,
    ) -> O {
        let (mut flights, mut asking) = (pin!(flights), None);
        poll_fn(|context| {
            loop {
                if let Poll::Ready(done) = flights.as_mut().poll(context) {
                    return Poll::Ready(done);
                }
                if asking.is_none() {
                    let (places, keys) = self.take();
                    if keys.is_empty() {
                        return Poll::Pending;
                    }
                    asking = Some(Box::pin(async move {
                        let found = tier.get_many(&keys, lookup).await;
                        (places, found)
                    }));
                }
                let Some(question) = &mut asking else { continue };
                let Poll::Ready((asked, found)) = question.as_mut().poll(context) else {
                    return Poll::Pending;
                };
                asking = None;
                let (mut places, mut found) = (self.places(), found.into_iter());
                for nth in asked {
                    places[nth] = found.next().map_or(Place::Empty, Place::Answered);
                }
            }
        })
        .await
    }
}
