//! What is asked, by whatever server.

/// A request, as far as the service looks at it, for [`Service::answer`](crate::Service::answer).
///
/// # Examples
///
/// ```
/// use clockhand_http::{Request, Service};
///
/// let service = Service::builder().build()?;
/// let reply = service.answer(&Request::new("GET", "/cache/health"));
/// assert_eq!(reply.status, 200);
/// let reply = service.answer(&Request::new("GET", "/cache/explain").query("cache=prices&key=EURUSD"));
/// assert_eq!(reply.status, 404, "there is no such cache");
/// # Ok::<_, clockhand_http::ServiceError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    pub(crate) method: &'r str,
    pub(crate) path: &'r str,
    pub(crate) query: &'r str,
    pub(crate) accept: Option<&'r str>,
    pub(crate) authorization: Option<&'r str>,
    pub(crate) content_type: Option<&'r str>,
    pub(crate) body: &'r [u8],
}

impl<'r> Request<'r> {
    /// A request by its method, such as `GET`, and its path below the place where the service is mounted, such as
    /// `/cache/health`.
    pub fn new(method: &'r str, path: &'r str) -> Self {
        Self {
            method,
            path,
            query: "",
            accept: None,
            authorization: None,
            content_type: None,
            body: &[],
        }
    }

    /// With a query, as it came and without the question mark.
    #[must_use]
    pub fn query(mut self, query: &'r str) -> Self {
        self.query = query;
        self
    }

    /// With the value of the header `Accept`.
    #[must_use]
    pub fn accept(mut self, value: Option<&'r str>) -> Self {
        self.accept = value;
        self
    }

    /// With the value of the header `Authorization`.
    #[must_use]
    pub fn authorization(mut self, value: Option<&'r str>) -> Self {
        self.authorization = value;
        self
    }

    /// With the value of the header `Content-Type`.
    #[must_use]
    pub fn content_type(mut self, value: Option<&'r str>) -> Self {
        self.content_type = value;
        self
    }

    /// With a body. The server bounds it while it reads it.
    #[must_use]
    pub fn body(mut self, body: &'r [u8]) -> Self {
        self.body = body;
        self
    }
}
