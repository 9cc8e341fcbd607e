//! Health, statistics, explanations, metrics and a live page of [`clockhand`] caches over HTTP.
//!
//! A [`Service`] knows the caches, deduplicators and trackers that are to be seen. With the feature `axum`, which is on
//! by default, `Service::router` has the routes; [`Service::answer`] answers for any other server.
//!
//! | file | idea |
//! |---|---|
//! | `service` | what is exposed, and how |
//! | `keys` | how keys are read and shown |
//! | `source`, `parts` | a cache whatever its keys are; deduplicators and trackers |
//! | `latency` | how long operations took lately |
//! | `request`, `query` | what is asked |
//! | `answers`, `admin`, `events` | what is answered, without a server |
//! | `reply`, `report` | the form of answers, and of what they tell |
//! | `token` | what opens the routes that change something |
//! | `limits`, `gates` | how much is done at the same time |
//! | `router`, `stream`, `connections` | the same for `axum` |
//! | `page` | the page as one document |
#![forbid(unsafe_code)]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod admin;
mod answers;
#[cfg(feature = "axum")]
mod connections;
mod events;
#[cfg(feature = "axum")]
mod gates;
mod keys;
#[cfg(feature = "histograms")]
mod latency;
mod limits;
mod page;
mod part;
mod parts;
mod query;
mod reply;
mod report;
mod request;
#[cfg(feature = "axum")]
mod router;
mod service;
mod source;
#[cfg(feature = "axum")]
mod stream;
#[cfg(test)]
mod tests;
mod timestamp;
mod token;

#[cfg(feature = "axum")]
pub use connections::{Bounded, Connection};
pub use keys::Keys;
pub use limits::Limits;
pub use part::{PartHealth, PartReason};
pub use reply::Reply;
pub use request::Request;
pub use service::{Service, ServiceBuilder, ServiceError};

/// The example of the README.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Texts;
