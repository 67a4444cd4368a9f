//! The control socket: what operators of the same user want done.

use std::{cell::RefMut, rc::Rc, time::Duration};

use hyper::{Method, Request, StatusCode, body::Incoming};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{sync::oneshot, time::timeout};

use super::{
    super::{
        super::{
            core::supervise::report::{Cause, FailedPhase, Outcome, Rejection, Token},
            messages::{Event, Order},
            operator::report::rejection_json,
        },
        asks::{Answered, Asks, OfProgram},
        context::Context,
        observe::Audience,
        orders::carry_out,
        supervision::{Limits, Supervision},
    },
    admin::{Readable, Reports, is_read},
    answer::{self, Answer, Refusal},
    describe::describe,
    server::{Peer, Routes, body},
};
use crate::sys::{operator_socket::may_control, signal_name};

/// Bytes of the body of a request.
const MAX_BODY: usize = 4096;

/// How long the program may take to begin with what only it can do. Its event loop may be busy for a while.
const PATIENCE: Duration = Duration::from_secs(5);

/// Slots there may be; as in `lib/supervisor/options.js`.
const MOST_WORKERS: u32 = 4096;

const INVALID: &str = "ERR_INVALID_ARG_VALUE";

/// What the control socket answers.
pub(super) struct Control {
    context: Rc<Context>,
    reports: Rc<Reports>,
}

/// What can be done.
#[derive(Clone, Copy)]
enum Operation {
    Reload,
    Scale,
    Restart,
    Hold,
    Release,
    Stop,
    Upgrade,
}

impl Operation {
    fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/reload" => Self::Reload,
            "/scale" => Self::Scale,
            "/restart" => Self::Restart,
            "/hold" => Self::Hold,
            "/release" => Self::Release,
            "/stop" => Self::Stop,
            "/upgrade" => Self::Upgrade,
            _ => return None,
        })
    }

    /// For the metric that counts requests.
    fn name(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Scale => "scale",
            Self::Restart => "restart",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Stop => "stop",
            Self::Upgrade => "upgrade",
        }
    }
}

/// How many slots there are to be: a number, 'auto', '+1' or '-1'.
#[derive(Deserialize)]
#[serde(untagged)]
enum Workers {
    Number(u32),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToScale {
    workers: Workers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToRestart {
    slot: u32,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToStop {
    /// In milliseconds.
    timeout: Option<u32>,
}

/// The program checks the values.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ToUpgrade {
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exec_path: Option<String>,
    /// In milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl Control {
    pub(super) fn new(context: Rc<Context>, reports: Rc<Reports>) -> Self {
        Self { context, reports }
    }

    async fn carry_out(&self, operation: Operation, body: &[u8]) -> Result<Answer, Refusal> {
        self.context.board.count_request(operation.name());
        match operation {
            Operation::Reload => {
                parse::<Nothing>(body)?;
                self.ask_program("/reload", None).await
            }
            Operation::Scale => {
                let ToScale { workers } = required(body, r#"{"workers": 4}"#)?;
                match self.wanted(workers)? {
                    None => self.ask_program("/scale", None).await,
                    Some(workers) => {
                        let (token, outcome) = self.asks(|asks| asks.scale(workers))?;
                        self.order(Order::Scale(token, workers), outcome).await
                    }
                }
            }
            Operation::Restart => {
                let ToRestart { slot } = required(body, r#"{"slot": 0}"#)?;
                let (token, outcome) = self.asks(Asks::operation)?;
                self.order(Order::Restart(token, slot), outcome).await
            }
            Operation::Hold => {
                parse::<Nothing>(body)?;
                carry_out(&self.context, Order::Hold);
                Ok(answer::value(Value::Null))
            }
            Operation::Release => {
                parse::<Nothing>(body)?;
                carry_out(&self.context, Order::Release);
                Ok(answer::value(Value::Null))
            }
            Operation::Stop => {
                let ToStop { timeout } = parse(body)?;
                let limits = self.limits()?;
                let given = timeout.map(|it| Duration::from_millis(it.into()));
                let timeout = given.unwrap_or(limits.drain_timeout);
                let (token, outcome) = self.asks(Asks::operation)?;
                // The program ends when the last worker has, as after SIGTERM.
                self.context.emit(Event::Asked { token: 0, operation: "/stop", options: None });
                let delay = limits.shutdown_delay;
                self.order(Order::Stop { token, delay, timeout }, outcome).await
            }
            Operation::Upgrade => {
                let given = parse::<ToUpgrade>(body)?;
                let options = serde_json::to_string(&given).ok();
                self.ask_program("/upgrade", options).await
            }
        }
    }

    /// How many slots there are to be; `None` if only the program knows.
    fn wanted(&self, workers: Workers) -> Result<Option<u32>, Refusal> {
        let wanted = match workers {
            Workers::Number(number) => i64::from(number),
            Workers::Text(text) if text == "auto" => return Ok(None),
            Workers::Text(text) => {
                let is_relative = text.starts_with(['+', '-']);
                let change = text.parse::<i32>().ok().filter(|_| is_relative);
                let Some(change) = change else {
                    let what = "workers must be a number, 'auto', or a change such as '+1'";
                    return Err(Refusal::new(StatusCode::BAD_REQUEST, INVALID, what));
                };
                let slots = self.context.ask(|core| core.slots());
                let now = self.asks(|asks| asks.workers())?.unwrap_or(slots);
                i64::from(now) + i64::from(change)
            }
        };
        let workers = u32::try_from(wanted).ok().filter(|it| (1..=MOST_WORKERS).contains(it));
        let Some(workers) = workers else {
            let what = format!("workers must be 1 to {MOST_WORKERS}, and would be {wanted}");
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "ERR_OUT_OF_RANGE", &what));
        };
        if workers == 1 && self.limits()?.max_surge == 0 {
            let what = "workers must be more than 1 with maxSurge: 0";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, INVALID, what));
        }
        Ok(Some(workers))
    }

    /// Has the engine do something, and waits for the outcome.
    async fn order(
        &self,
        order: Order,
        outcome: oneshot::Receiver<Answered>,
    ) -> Result<Answer, Refusal> {
        carry_out(&self.context, order);
        let (outcome, stderr) = outcome.await.map_err(|_| stopped())?;
        match outcome {
            Outcome::Done => Ok(answer::value(Value::Null)),
            Outcome::Scaled(workers) => Ok(answer::value(json!(workers))),
            Outcome::Reloaded(generation, time) => {
                let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                Ok(answer::value(json!({ "generation": generation, "ms": ms })))
            }
            Outcome::Upgraded { pid, generation, time } => {
                let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                Ok(answer::value(json!({ "pid": pid, "generation": generation, "ms": ms })))
            }
            Outcome::Rejected(rejection) => Err(failed(&rejection, stderr)),
        }
    }

    /// Has the program do something, and waits for its answer. A program whose event loop is stuck does not
    /// begin with it, and does not do it later either.
    async fn ask_program(
        &self,
        operation: &'static str,
        options: Option<String>,
    ) -> Result<Answer, Refusal> {
        let OfProgram { token, taken, replied } = self.asks(Asks::of_program)?;
        let asked = Asked { control: self, token };
        self.context.emit(Event::Asked { token, operation, options });
        if !matches!(timeout(PATIENCE, taken).await, Ok(Ok(()))) {
            let what = "only the primary's JavaScript can do this, and its event loop is blocked";
            return Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "ERR_RS_CLUSTER_PRIMARY_BLOCKED",
                what,
            ));
        }
        let reply = replied.await.map_err(|_| stopped())?;
        drop(asked);
        let status = StatusCode::from_u16(reply.status);
        Ok(answer::json_text(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), reply.body))
    }

    fn asks<T>(&self, ask: impl FnOnce(&mut Asks) -> T) -> Result<T, Refusal> {
        let supervision = self.context.supervision.borrow_mut();
        let supervision = RefMut::filter_map(supervision, Option::as_mut).map_err(|_| stopped());
        supervision.map(|mut supervision: RefMut<'_, Supervision>| ask(&mut supervision.asks))
    }

    fn limits(&self) -> Result<Limits, Refusal> {
        let supervision = self.context.supervision.borrow();
        supervision.as_ref().map(|it| it.limits).ok_or_else(stopped)
    }
}

/// Something that the program has been asked for, until the operator has an answer, or has gone.
struct Asked<'a> {
    control: &'a Control,
    token: Token,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        // Without supervision it is forgotten already.
        let _ = self.control.asks(|asks| asks.withdraw(self.token));
    }
}

impl Routes for Control {
    const CLIENTS: usize = 32;

    async fn answer(self: Rc<Self>, request: Request<Incoming>, peer: Peer) -> Answer {
        if !peer.user.is_some_and(may_control) {
            let what = "only the user of the primary and root may control it";
            return answer::last(Refusal::new(StatusCode::FORBIDDEN, "EACCES", what).into());
        }
        let readable = Readable::at(&request, Audience::Owner).filter(|it| !it.is_page());
        let operation = Operation::at(request.uri().path());
        let method = request.method();
        match (readable, operation) {
            (Some(readable), _) if is_read(method) => {
                readable.answer(&self.context, &self.reports).await
            }
            (None, Some(operation)) if *method == Method::POST => {
                let Some(body) = body(request, MAX_BODY).await else {
                    let what = format!("the body must have at most {MAX_BODY} bytes");
                    return Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, INVALID, &what).into();
                };
                self.carry_out(operation, &body).await.unwrap_or_else(Answer::from)
            }
            (None, None) => {
                let what = "the paths are /status, /metrics, /livez and /readyz, and for POST /reload, \
                            /scale, /restart, /hold, /release, /stop and /upgrade";
                Refusal::new(StatusCode::NOT_FOUND, "ERR_RS_CLUSTER_NO_SUCH_OPERATION", what).into()
            }
            (readable, _) => {
                let methods = if readable.is_some() { "GET, HEAD" } else { "POST" };
                let what = format!("the method must be {methods}");
                let refused =
                    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "ERR_INVALID_METHOD", &what);
                answer::with_methods(refused.into(), methods)
            }
        }
    }
}

/// What a request says, where all of it is optional.
fn parse<T: Default + for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, Refusal> {
    if body.is_empty() { Ok(T::default()) } else { required(body, "{}") }
}

/// What a request says.
fn required<T: for<'a> Deserialize<'a>>(body: &[u8], example: &str) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        let what = format!("the body must be JSON such as {example}: {error}");
        Refusal::new(StatusCode::BAD_REQUEST, INVALID, &what)
    })
}

/// The engine does nothing any more.
fn stopped() -> Refusal {
    let (code, message) = describe(&Rejection {
        cause: Cause::Stopping,
        phase: FailedPhase::Drain,
        worker: None,
        slot: None,
    });
    Refusal::new(StatusCode::CONFLICT, code, &message)
}

fn failed(rejection: &Rejection, stderr: Option<String>) -> Refusal {
    let (code, message) = describe(rejection);
    let mut error = rejection_json(rejection, stderr.as_deref());
    if let Some(signal) = error["signal"].as_i64().and_then(|it| i32::try_from(it).ok()) {
        error["signal"] = json!(signal_name(signal));
    }
    error["code"] = json!(code);
    error["message"] = json!(message);
    Refusal::with(StatusCode::CONFLICT, &error)
}
