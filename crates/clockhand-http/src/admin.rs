//! What changes a cache: for callers that show the token, by POST only.

use serde::Deserialize;
use serde_json::json;

use crate::reply::{Refusal, Reply};
use crate::request::Request;
use crate::service::Service;

/// The body of an order.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    cache: Option<String>,
    key: Option<String>,
    capacity: Option<u64>,
}

impl Service {
    pub(crate) fn administer(&self, order: &str, request: &Request<'_>) -> Result<Reply, Refusal> {
        self.admit(order, request)?;
        self.carry_out(order, &read(request)?)
    }

    /// Whether the caller may give the order, whatever its body says.
    pub(crate) fn admit(&self, order: &str, request: &Request<'_>) -> Result<(), Refusal> {
        let nothing = || Refusal::new(404, "there is nothing at this path");
        let token = self.shared.token.as_ref().ok_or_else(nothing)?;
        if !matches!(order, "invalidate" | "invalidate-all" | "resize") {
            return Err(nothing());
        }
        if request.method != "POST" {
            return Err(Refusal::new(405, "this changes something: POST").with("allow", "POST"));
        }
        if !token.is_shown_by(request.authorization) {
            let refusal = Refusal::new(401, "this needs the token: Authorization: Bearer TOKEN");
            return Err(refusal.with("www-authenticate", "Bearer"));
        }
        Ok(())
    }

    fn carry_out(&self, order: &str, body: &Order) -> Result<Reply, Refusal> {
        let cache = self.shared.find(body.cache.as_deref())?;
        let name = cache.name();
        let done = match order {
            "invalidate" => {
                let key = body.key.as_deref().ok_or_else(|| missing("key"))?;
                let bad = |error| Refusal::new(400, format!("this is no key of `{name}`: {error}"));
                let removed = cache.invalidate(key).map_err(bad)?;
                json!({ "cache": name, "key": key, "removed": removed })
            }
            "resize" => {
                let capacity = body.capacity.ok_or_else(|| missing("capacity"))?;
                cache.set_capacity(capacity);
                json!({ "cache": name, "capacity": capacity })
            }
            _ => {
                cache.invalidate_all();
                json!({ "cache": name })
            }
        };
        Ok(Reply::json(200, &done))
    }
}

fn missing(field: &str) -> Refusal {
    Refusal::new(400, format!("`{field}` is missing in the body"))
}

/// The order in a body. That it has to be declared as JSON keeps forms of foreign pages out.
fn read(request: &Request<'_>) -> Result<Order, Refusal> {
    let declared = request.content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    if !declared.trim().eq_ignore_ascii_case("application/json") {
        return Err(Refusal::new(415, "the body has to be application/json"));
    }
    serde_json::from_slice(request.body)
        .map_err(|error| Refusal::new(400, format!("the body is not what it should be: {error}")))
}
