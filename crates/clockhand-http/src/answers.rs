//! The answers, without a server.

use clockhand::health::{Health, Status};
use prometheus_client::encoding::{prometheus_text, text};
use serde_json::{Map, Value, json};

use crate::page;
use crate::query::Query;
use crate::reply::{Refusal, Reply};
use crate::report::{CacheReport, HotKey, Report};
use crate::request::Request;
use crate::service::{Service, Shared};
use crate::source::Source;
use crate::timestamp;

/// Where orders are given.
const ORDERS: &str = "/cache/admin/";
/// The content type of OpenMetrics, and that of the older format.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The answers, for servers other than `axum`'s. Each is complete: status, headers and body. They take locks for a
/// short time and look at every entry of a cache now and then, so a server of tasks calls them where it may block.
impl Service {
    /// The answer to a request, whatever it asks for: an error in JSON if that is nothing that is there.
    ///
    /// `/cache/events` is answered with one event: a browser asks again after a second. A server that can keep a
    /// stream open sends one [`event`](Self::event) after the other instead.
    pub fn answer(&self, request: &Request<'_>) -> Reply {
        self.answered(request).into()
    }

    /// Whether the answer depends on the body: nothing else than an order of a thread that may give it has one, so
    /// strangers cannot send any.
    #[cfg(feature = "axum")]
    pub(crate) fn reads_body(&self, request: &Request<'_>) -> bool {
        let order = request.path.strip_prefix(ORDERS);
        order.is_some_and(|order| self.admit(order, request).is_ok())
    }

    fn answered(&self, request: &Request<'_>) -> Result<Reply, Refusal> {
        if let Some(order) = request.path.strip_prefix(ORDERS) {
            return self.administer(order, request);
        }
        let known = ["", "/health", "/stats", "/explain", "/events"];
        let below = request.path.strip_prefix("/cache");
        if request.path != "/metrics" && !below.is_some_and(|below| known.contains(&below)) {
            return Err(Refusal::new(404, "there is nothing at this path"));
        }
        if !matches!(request.method, "GET" | "HEAD") {
            return Err(Refusal::new(405, "this is read only").with("allow", "GET, HEAD"));
        }
        let query = Query::parse(request.query, self.shared.limits.query)?;
        match below {
            None => Ok(self.metrics(request.accept)),
            Some("") => Ok(self.page()),
            Some("/health") => self.healthy(query.cache.as_deref()),
            Some("/stats") => self.counted(query.cache.as_deref()),
            Some("/events") => Ok(Reply::new(200, "text/event-stream", self.event().to_string())),
            Some(_) => {
                let missing = || Refusal::new(400, "`key` is missing: /cache/explain?key=KEY");
                let key = query.key.ok_or_else(missing)?;
                self.explained(query.cache.as_deref(), &key)
            }
        }
    }

    /// Whether all is well, or a cache by its name: 503 if something is critical, else 200.
    pub fn health(&self, cache: Option<&str>) -> Reply {
        self.healthy(cache).into()
    }

    /// The figures of everything, or of a cache by its name.
    pub fn stats(&self, cache: Option<&str>) -> Reply {
        self.counted(cache).into()
    }

    /// Why a key of a cache is there, or is not. The name may be left out if there is one cache only.
    pub fn explain(&self, cache: Option<&str>, key: &str) -> Reply {
        self.explained(cache, key).into()
    }

    /// The figures for Prometheus: in the format of OpenMetrics if the value of the header `Accept` has it, else
    /// in the older one.
    pub fn metrics(&self, accept: Option<&str>) -> Reply {
        let mut body = String::new();
        let open = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
        let (encoded, content_type) = if open {
            (text::encode(&mut body, &self.shared.registry), OPEN_METRICS)
        } else {
            (prometheus_text::encode(&mut body, &self.shared.registry), PROMETHEUS)
        };
        match encoded {
            Ok(()) => Reply::new(200, content_type, body),
            Err(_) => Refusal::new(500, "the metrics cannot be written").into(),
        }
    }

    /// The page.
    pub fn page(&self) -> Reply {
        Reply::new(200, "text/html; charset=utf-8", page::PAGE)
            .with("content-security-policy", page::POLICY)
            .with("referrer-policy", "no-referrer")
    }

    fn healthy(&self, cache: Option<&str>) -> Result<Reply, Refusal> {
        let shared = &self.shared;
        let wanted = cache.map(|name| shared.find(Some(name))).transpose()?;
        let mut all = Findings::default();
        let caches =
            shared.caches.iter().filter(|one| wanted.is_none_or(|w| w.name() == one.name()));
        for one in caches {
            let (health, stats) = (one.health(&shared.thresholds), one.stats());
            let metrics = json!({
                "hit_ratio": stats.hit_ratio(),
                "entries": stats.entries,
                "charged": stats.charged,
                "capacity": stats.capacity,
                "retired": stats.retired,
                "retired_capacity": stats.retired_capacity,
                "evictions": stats.evictions,
                "refusals": stats.refusals,
                "loads_failed": stats.loads_failed,
            });
            all.add("cache", one.name(), &health, metrics);
        }
        if wanted.is_none() {
            for part in &shared.deduplicators {
                let report = part.report(&shared.thresholds);
                all.add("deduplicator", part.name(), &report.health, json!(report.metrics));
            }
            for part in &shared.trackers {
                let report = part.report(&shared.thresholds);
                all.add("tracker", part.name(), &report.health, json!(report.metrics));
            }
            for part in &shared.others {
                all.add_other(part);
            }
            #[cfg(feature = "predict")]
            for part in &shared.predictors {
                all.add_predictor(&part.report());
            }
        }
        Ok(all.reply())
    }

    fn counted(&self, cache: Option<&str>) -> Result<Reply, Refusal> {
        match cache {
            None => Ok(Reply::json(200, &self.shared.report())),
            Some(name) => {
                let cache = self.shared.find(Some(name))?;
                let caches = vec![self.shared.report_of(cache)];
                let interval = self.shared.limits.interval;
                Ok(Reply::json(200, &Report::new(interval, caches, Vec::new(), Vec::new())))
            }
        }
    }

    fn explained(&self, cache: Option<&str>, key: &str) -> Result<Reply, Refusal> {
        let cache = self.shared.find(cache)?;
        let bad =
            |error| Refusal::new(400, format!("this is no key of `{}`: {error}", cache.name()));
        let explanation = cache.explain(key).map_err(bad)?;
        Ok(Reply::json(
            200,
            &json!({
                "cache": cache.name(),
                "key": key,
                "explanation": explanation.to_string(),
                "details": explanation,
            }),
        ))
    }
}

/// The verdicts on all parts.
#[derive(Default)]
struct Findings {
    status: Status,
    reasons: Vec<Value>,
    parts: Vec<Value>,
    /// By kind and name.
    metrics: Map<String, Value>,
}

impl Findings {
    fn add(&mut self, kind: &str, name: &str, health: &Health, metrics: Value) {
        self.status = self.status.max(health.status);
        self.parts.push(json!({ "kind": kind, "name": name, "status": health.status }));
        let of_kind = self.metrics.entry(kind).or_insert_with(|| json!({}));
        of_kind[name] = metrics;
        self.reasons.extend(health.reasons.iter().map(|reason| {
            let mut told = json!(reason);
            told["kind"] = json!(kind);
            told["name"] = json!(name);
            told
        }));
    }

    fn add_other(&mut self, part: &crate::part::OtherPart) {
        let (kind, name, health) = (&part.kind[..], &part.name[..], (part.health)());
        self.status = self.status.max(health.status);
        self.parts.push(json!({ "kind": kind, "name": name, "status": health.status }));
        let of_kind = self.metrics.entry(kind).or_insert_with(|| json!({}));
        of_kind[name] =
            health.figures.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        self.reasons.extend(health.reasons.iter().map(|reason| {
            let (status, message) = (reason.status, &reason.message);
            json!({ "kind": kind, "name": name, "status": status, "message": message })
        }));
    }

    #[cfg(feature = "predict")]
    fn add_predictor(&mut self, report: &crate::report::PredictorReport) {
        let health = &report.health;
        self.status = self.status.max(health.status);
        let part = json!({ "kind": "predictor", "name": report.name, "status": health.status });
        self.parts.push(part);
        let of_kind = self.metrics.entry("predictor").or_insert_with(|| json!({}));
        of_kind[&report.name] = json!(report.stats);
        self.reasons.extend(health.reasons.iter().map(|reason| {
            let mut told = json!(reason);
            told["kind"] = json!("predictor");
            told["name"] = json!(report.name);
            told
        }));
    }

    fn reply(self) -> Reply {
        let status = if self.status == Status::Critical { 503 } else { 200 };
        let body = json!({
            "status": self.status,
            "timestamp": timestamp::now(),
            "reasons": self.reasons,
            "parts": self.parts,
            "metrics": self.metrics,
        });
        Reply::json(status, &body)
    }
}

impl Shared {
    /// A cache by its name, which may be left out if there is one cache only.
    pub(crate) fn find(&self, name: Option<&str>) -> Result<&dyn Source, Refusal> {
        match (name, &self.caches[..]) {
            (None, [only]) => Ok(&**only),
            (None, []) => Err(Refusal::new(404, "there is no cache")),
            (None, _) => Err(Refusal::new(400, "`cache` is missing: there are several")),
            (Some(name), caches) => {
                let found = caches.iter().find(|cache| cache.name() == name);
                found
                    .map(|cache| &**cache)
                    .ok_or_else(|| Refusal::new(404, "there is no cache of this name"))
            }
        }
    }

    pub(crate) fn report(&self) -> Report {
        let report = Report::new(
            self.limits.interval,
            self.caches.iter().map(|cache| self.report_of(&**cache)).collect(),
            self.deduplicators.iter().map(|part| part.report(&self.thresholds)).collect(),
            self.trackers.iter().map(|part| part.report(&self.thresholds)).collect(),
        );
        #[cfg(feature = "predict")]
        let report = report.with_predictors(
            self.predictors.iter().map(crate::parts::PredictorPart::report).collect(),
        );
        report
    }

    fn report_of(&self, cache: &dyn Source) -> CacheReport {
        let keys = cache.hottest(self.limits.hottest);
        CacheReport {
            name: cache.name().to_string(),
            unit: if cache.in_bytes() { "bytes" } else { "units" },
            health: cache.health(&self.thresholds),
            stats: cache.stats(),
            #[cfg(feature = "histograms")]
            latencies: cache.latencies(),
            hottest: keys.into_iter().map(|key| HotKey::new(key, self.limits.shown)).collect(),
        }
    }
}
