//! The admin endpoint: everything can be read, nothing changed.

use std::{net::IpAddr, rc::Rc};

use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{ACCEPT, HOST},
    http::uri::Authority,
};

use super::{
    super::{
        context::Context,
        observe::{self, Audience},
    },
    answer::{self, Answer},
    pace::Pace,
    server::{Peer, Routes},
    shared::Shared,
};
use crate::primary::operator::{page::page, text_format::text_format};

/// What the admin endpoint answers.
pub(super) struct Admin {
    context: Rc<Context>,
    reports: Rc<Reports>,
    /// Whether only this machine reaches it. Then a page from elsewhere could reach it through a browser by a
    /// name of its own ("DNS rebinding"), so requests have to name this machine.
    is_local: bool,
}

impl Admin {
    pub(super) fn new(context: Rc<Context>, reports: Rc<Reports>, is_local: bool) -> Self {
        Self { context, reports, is_local }
    }
}

impl Routes for Admin {
    const CLIENTS: usize = 64;

    async fn answer(self: Rc<Self>, request: Request<Incoming>, _: Peer) -> Answer {
        if self.is_local && !names_this_machine(&request) {
            let why = "this address answers requests to localhost only\n";
            return answer::text(StatusCode::FORBIDDEN, why);
        }
        let Some(read) = Readable::at(&request, Audience::Public) else {
            let paths = "the paths are /, /metrics, /status, /livez and /readyz\n";
            return answer::text(StatusCode::NOT_FOUND, paths);
        };
        if !is_read(request.method()) {
            let refused = answer::text(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n");
            return answer::with_methods(refused, "GET, HEAD");
        }
        read.answer(&self.context, &self.reports).await
    }
}

/// Whether a method only reads.
pub(super) fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// What takes a while to make, on both sockets.
#[derive(Default)]
pub(super) struct Reports {
    pace: Pace,
    metrics: Shared,
    open_metrics: Shared,
    for_owner: Shared,
    for_public: Shared,
}

/// What can be read.
pub(super) enum Readable {
    Page,
    Metrics {
        /// Whether the client asks for OpenMetrics; most tools and people do not.
        is_open: bool,
    },
    Status(Audience),
    Liveness,
    Readiness,
}

impl Readable {
    pub(super) fn at(request: &Request<Incoming>, audience: Audience) -> Option<Self> {
        Some(match request.uri().path() {
            "/" => Self::Page,
            "/metrics" => Self::Metrics { is_open: asks_for_open_metrics(request) },
            "/status" => Self::Status(audience),
            "/livez" => Self::Liveness,
            "/readyz" => Self::Readiness,
            _ => return None,
        })
    }

    pub(super) fn is_page(&self) -> bool {
        matches!(self, Self::Page)
    }

    /// For the metric that counts requests.
    fn name(&self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Metrics { .. } => "metrics",
            Self::Status(_) => "status",
            Self::Liveness => "livez",
            Self::Readiness => "readyz",
        }
    }

    pub(super) async fn answer(self, context: &Rc<Context>, reports: &Reports) -> Answer {
        context.board.count_request(self.name());
        match self {
            Self::Page => {
                let page = page();
                answer::page(page.html, page.policy)
            }
            Self::Metrics { is_open: true } => {
                let metrics = reports.open_metrics.get(&reports.pace, observe::metrics(context));
                answer::metrics(metrics.await, true)
            }
            Self::Metrics { is_open: false } => {
                let make = async { text_format(&observe::metrics(context).await) };
                answer::metrics(reports.metrics.get(&reports.pace, make).await, false)
            }
            Self::Status(audience) => {
                let shared = match audience {
                    Audience::Owner => &reports.for_owner,
                    Audience::Public => &reports.for_public,
                };
                let status = shared.get(&reports.pace, observe::status(context, audience));
                answer::json_text(StatusCode::OK, status.await)
            }
            Self::Liveness => answer::text(StatusCode::OK, "ok\n"),
            Self::Readiness => match observe::readiness(context) {
                Ok(()) => answer::text(StatusCode::OK, "ok\n"),
                Err(why) => answer::text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
            },
        }
    }
}

fn asks_for_open_metrics(request: &Request<Incoming>) -> bool {
    let accepted = request.headers().get_all(ACCEPT).into_iter();
    accepted.filter_map(|it| it.to_str().ok()).any(|it| it.contains("application/openmetrics-text"))
}

/// Whether a request is for an address, or for localhost. One of HTTP/1.0 names nothing.
fn names_this_machine(request: &Request<Incoming>) -> bool {
    let Some(host) = request.headers().get(HOST) else {
        return true;
    };
    let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    host.is_some_and(|host| {
        let name = host.host().trim_start_matches('[').trim_end_matches(']');
        name.parse::<IpAddr>().is_ok() || name == "localhost" || name.ends_with(".localhost")
    })
}
