//! The routes, for `axum`.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{self, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::StreamExt;
use tokio::task;
use tokio::time::timeout;

use crate::limits::Limits;
use crate::reply::{Refusal, Reply};
use crate::request::Request;
use crate::service::Service;
use crate::stream;

impl Service {
    /// The routes `/cache`, `/cache/...` and `/metrics`, to merge into a router or to nest in it. The page finds the
    /// others wherever it is nested.
    ///
    /// What may take locks, or walk over a cache, runs where tokio lets tasks block. Without a runtime of tokio, the
    /// handlers panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use axum::Router;
    /// use clockhand_http::Service;
    ///
    /// let service = Service::builder().build()?;
    /// let app: Router = Router::new().nest("/internal", service.router());
    /// # Ok::<_, clockhand_http::ServiceError>(())
    /// ```
    pub fn router<T>(&self) -> Router<T>
    where
        T: Clone + Send + Sync + 'static,
    {
        Router::new()
            .route("/cache", any(handle))
            .route("/cache/", any(handle))
            .route("/cache/{*below}", any(handle))
            .route("/metrics", any(handle))
            .with_state(self.clone())
    }

    /// Ends the streams of events, those as well that are opened later: a server that waits for its connections
    /// when it stops would wait for streams until their lives are over. All else is answered as before.
    pub fn close(&self) {
        self.shared.gates.close();
    }
}

async fn handle(State(service): State<Service>, request: extract::Request) -> Response {
    let (head, body) = request.into_parts();
    if head.uri.path() == "/cache/events" && head.method == Method::GET {
        return stream::open(&service)
            .unwrap_or_else(|refusal| Reply::from(refusal).into_response());
    }
    let reads = service.reads_body(&asked(&head));
    let body = if reads { read(body, service.shared.limits).await } else { Ok(Bytes::new()) };
    match body {
        Ok(body) => answer(service, head, body).await,
        Err(refusal) => Reply::from(refusal).into_response(),
    }
}

/// Answers where it may block.
async fn answer(service: Service, head: Parts, body: Bytes) -> Response {
    let place = match service.shared.gates.request() {
        Ok(place) => place,
        Err(refusal) => return Reply::from(refusal).into_response(),
    };
    let answered = task::spawn_blocking(move || {
        // The place is taken until the work is done, even if the client has gone.
        let _place = place;
        service.answer(&asked(&head).body(&body))
    });
    let failed = |_| {
        Refusal::new(500, "the answer could not be made: a function of a key has panicked").into()
    };
    answered.await.unwrap_or_else(failed).into_response()
}

/// What is asked, without the body.
fn asked(head: &Parts) -> Request<'_> {
    let header = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
    Request::new(head.method.as_str(), head.uri.path())
        .query(head.uri.query().unwrap_or_default())
        .accept(header(ACCEPT))
        .authorization(header(AUTHORIZATION))
        .content_type(header(CONTENT_TYPE))
}

/// A body within its bounds.
async fn read(body: Body, limits: Limits) -> Result<Bytes, Refusal> {
    let late = |_| Refusal::new(408, "the body takes too long");
    timeout(limits.patience, gather(body, limits.body)).await.map_err(late)?
}

async fn gather(body: Body, most: usize) -> Result<Bytes, Refusal> {
    let mut pieces = body.into_data_stream();
    let mut whole = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Refusal::new(400, "the body has an end before it should"))?;
        if whole.len() + piece.len() > most {
            return Err(Refusal::new(413, format!("the body is longer than {most} bytes")));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.into())
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::try_from(&*value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}
