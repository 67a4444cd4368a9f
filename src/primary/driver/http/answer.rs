//! Answers to operators.

use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    body::Bytes,
    header::{
        ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
        HeaderValue, VARY,
    },
};
use serde_json::{Value, json};

pub(super) type Answer = Response<Full<Bytes>>;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// The media type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// That of the older text format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    answer(status, TEXT, text)
}

pub(super) fn json_text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    answer(status, JSON, text)
}

/// Metrics in one of the two formats, which depends on what the client accepts.
pub(super) fn metrics(text: impl Into<Bytes>, is_open: bool) -> Answer {
    let kind = if is_open { OPEN_METRICS } else { METRICS };
    let mut answer = answer(StatusCode::OK, kind, text);
    set(&mut answer, VARY, "accept");
    answer
}

/// A page, with what it may load.
pub(super) fn page(html: &'static str, policy: &'static str) -> Answer {
    let mut answer = answer(StatusCode::OK, HTML, html);
    set(&mut answer, CONTENT_SECURITY_POLICY, policy);
    set(&mut answer, HeaderName::from_static("x-frame-options"), "DENY");
    set(&mut answer, HeaderName::from_static("referrer-policy"), "no-referrer");
    answer
}

/// An operation is done.
pub(super) fn value(value: Value) -> Answer {
    json_text(StatusCode::OK, json!({ "value": value }).to_string())
}

/// Why something is not done.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    /// JSON.
    error: String,
}

impl Refusal {
    /// What is wrong, with a code that stays the same.
    pub(super) fn new(status: StatusCode, code: &str, message: &str) -> Self {
        Self::with(status, &json!({ "code": code, "message": message }))
    }

    /// What is wrong, with details.
    pub(super) fn with(status: StatusCode, error: &Value) -> Self {
        Self { status, error: json!({ "error": error }).to_string() }
    }
}

impl From<Refusal> for Answer {
    fn from(Refusal { status, error }: Refusal) -> Self {
        json_text(status, error)
    }
}

/// The path has other methods.
pub(super) fn with_methods(mut answer: Answer, methods: &'static str) -> Answer {
    set(&mut answer, ALLOW, methods);
    answer
}

/// The connection ends with the answer.
pub(super) fn last(mut answer: Answer) -> Answer {
    set(&mut answer, CONNECTION, "close");
    answer
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    set(&mut answer, CONTENT_TYPE, kind);
    set(&mut answer, CACHE_CONTROL, "no-store");
    set(&mut answer, HeaderName::from_static("x-content-type-options"), "nosniff");
    answer
}

fn set(answer: &mut Answer, name: HeaderName, value: &'static str) {
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
}
