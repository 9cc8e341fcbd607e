//! What is answered.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::json;

/// An answer, for whatever server sends it.
///
/// # Examples
///
/// ```
/// let service = clockhand_http::Service::builder().build()?;
/// let reply = service.health(None);
/// assert_eq!(reply.status, 200);
/// assert_eq!(reply.content_type, "application/json");
/// # Ok::<_, clockhand_http::ServiceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The status, such as 200.
    pub status: u16,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// Further headers, names in small letters.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body.
    pub body: Cow<'static, str>,
}

/// What every answer has: it is of this moment, and nothing else than it says.
const ALWAYS: [(&str, &str); 2] =
    [("cache-control", "no-store"), ("x-content-type-options", "nosniff")];

impl Reply {
    pub(crate) fn new(
        status: u16,
        content_type: &'static str,
        body: impl Into<Cow<'static, str>>,
    ) -> Self {
        let headers = ALWAYS.iter().map(|&(name, value)| (name, Cow::Borrowed(value))).collect();
        Self { status, content_type, headers, body: body.into() }
    }

    /// An answer in JSON.
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        match serde_json::to_string(body) {
            Ok(body) => Self::new(status, "application/json", body),
            Err(error) => Refusal::new(500, error.to_string()).into(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Why something is not answered.
#[derive(Debug, PartialEq)]
pub(crate) struct Refusal {
    status: u16,
    message: Cow<'static, str>,
    header: Option<(&'static str, &'static str)>,
}

impl Refusal {
    pub(crate) fn new(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into(), header: None }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let Refusal { status, message, header } = refusal;
        let body = json!({ "error": { "status": status, "message": message } }).to_string();
        let reply = Self::new(status, "application/json", body);
        match header {
            Some((name, value)) => reply.with(name, value),
            None => reply,
        }
    }
}

impl From<Result<Reply, Refusal>> for Reply {
    fn from(answer: Result<Reply, Refusal>) -> Self {
        answer.unwrap_or_else(Self::from)
    }
}
