//! What all shapes share: ids, the time limit, and how the end of each request is recorded.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::TlsConnector;

use super::{
    failure::{Class, Failure},
    http1::{Connection, Idle},
    log::Log,
    plan::Shape,
    record::Record,
    stream::Stream,
};

/// A client that can't connect tries again after this time.
const RETRY: Duration = Duration::from_millis(20);

/// What the clients of one shape share.
pub(crate) struct Scene {
    pub(crate) shape: Shape,
    pub(crate) tls: Option<TlsConnector>,
    pub(crate) limit: Duration,
    pub(crate) started: Instant,
    pub(crate) record: RefCell<Record>,
    pub(crate) log: Rc<Log>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) bursts: watch::Receiver<u64>,
}

impl Scene {
    pub(crate) fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Resolves when the run is to end.
    pub(crate) async fn stopped(&self) {
        // It fails if the sender is gone, which is the end too.
        let _ = self.stop.clone().wait_for(|stopped| *stopped).await;
    }

    /// Waits, but not longer than the run goes on.
    pub(crate) async fn pause(&self, time: Duration) {
        tokio::select! {
            () = sleep(time) => {}
            () = self.stopped() => {}
        }
    }
}

/// A whole answer.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The worker that gave it.
    pub(crate) worker: Option<String>,
}

/// One client.
pub(crate) struct Client {
    pub(crate) scene: Rc<Scene>,
    number: usize,
    sequence: Cell<u64>,
}

impl Client {
    pub(crate) fn new(scene: Rc<Scene>, number: usize) -> Self {
        Self { scene, number, sequence: Cell::new(0) }
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.scene.shape
    }

    /// The id of the next request, which no other request has.
    pub(crate) fn next_id(&self) -> String {
        let sequence = self.sequence.get() + 1;
        self.sequence.set(sequence);
        format!("{}.{}.{sequence}", self.shape().name(), self.number)
    }

    pub(crate) async fn connect(&self) -> Result<Connection, Failure> {
        self.open().await.map(Connection::new)
    }

    pub(crate) async fn open(&self) -> Result<Stream, Failure> {
        self.scene.record.borrow_mut().opened += 1;
        let stream = Stream::connect(&self.shape().address, self.scene.tls.as_ref())
            .await
            .map_err(|error| Failure::of_connecting(&error))?;
        self.scene.record.borrow_mut().resumed += u64::from(stream.resumed);
        Ok(stream)
    }

    /// Makes one request, and records how it ends. The answer may take `extra` time beyond the limit.
    pub(crate) async fn exchange<T>(
        &self,
        id: &str,
        since: Instant,
        extra: Duration,
        attempt: impl Future<Output = Result<(T, Answer), Failure>>,
    ) -> Option<T> {
        self.begin();
        let limit = self.scene.limit + extra;
        let late = || Failure::new(Class::Timeout, format!("no answer in {limit:?}"));
        match timeout(limit, attempt).await.unwrap_or_else(|_| Err(late())) {
            Ok((value, answer)) => {
                self.succeed(id, answer, since.elapsed());
                Some(value)
            }
            Err(failure) => {
                self.fail(id, &failure);
                self.scene.pause(RETRY).await;
                None
            }
        }
    }

    pub(crate) fn begin(&self) {
        self.scene.record.borrow_mut().requests += 1;
    }

    pub(crate) fn succeed(&self, id: &str, answer: Answer, latency: Duration) {
        self.scene.record.borrow_mut().answer(answer.worker, latency);
        self.scene.log.write(id, "answered");
    }

    pub(crate) fn fail(&self, id: &str, failure: &Failure) {
        let at = self.scene.started.elapsed();
        self.scene.record.borrow_mut().fail(id, failure, at);
        self.scene.log.write(id, &failure.class.to_string());
    }

    /// Records the end of a connection that no request was under way on.
    pub(crate) async fn note_idle(&self, connection: &mut Connection, idle: &Idle) {
        match idle {
            Idle::Open => {}
            Idle::Fin => self.scene.record.borrow_mut().closed.idle_fin += 1,
            Idle::Reset => self.scene.record.borrow_mut().closed.idle_reset += 1,
            Idle::Unsolicited => self.fail("-", &connection.unsolicited().await),
        }
    }

    /// Lets the time pass between two requests. The connection is gone afterwards if the server closed
    /// it, or if the server's promise to keep it open is about to end, or if the run ends.
    pub(crate) async fn think(&self, mut connection: Connection) -> Option<Connection> {
        let think = self.shape().think_time();
        let safe = connection.promise.map(|it| it.saturating_sub(Duration::from_secs(1)));
        let time = safe.map_or(think, |safe| safe.min(think));
        if !time.is_zero() {
            let ended = tokio::select! {
                idle = connection.watch() => Some(idle),
                () = sleep(time) => None,
                () = self.scene.stopped() => return None,
            };
            if let Some(idle) = ended {
                self.note_idle(&mut connection, &idle).await;
                self.scene.pause(think.saturating_sub(time)).await;
                return None;
            }
        }
        if time < think {
            self.scene.record.borrow_mut().closed.by_client += 1;
            drop(connection);
            self.scene.pause(think - time).await;
            return None;
        }
        self.reuse(connection).await
    }

    /// The connection, unless the server has closed it.
    pub(crate) async fn reuse(&self, mut connection: Connection) -> Option<Connection> {
        let idle = connection.check().await;
        self.note_idle(&mut connection, &idle).await;
        (idle == Idle::Open).then_some(connection)
    }

    /// Waits for the end of a connection that the server has said it closes, unasked.
    pub(crate) async fn announced(&self, connection: Connection) {
        self.scene.record.borrow_mut().closed.announced += 1;
        self.finish(connection).await;
    }

    /// Waits for the end of a connection after its last answer.
    pub(crate) async fn finish(&self, mut connection: Connection) {
        if connection.finish().await == Idle::Unsolicited {
            self.fail("-", &connection.unsolicited().await);
        }
    }
}

/// Reads an answer to its end, and checks it: `ID WORKER LENGTH`, where the length is that of the
/// request's body.
pub(crate) async fn receive(
    connection: &mut Connection,
    id: &str,
    length: usize,
) -> Result<(bool, Answer), Failure> {
    let mut head = connection.head().await?;
    let body = connection.body(&mut head).await?;
    let body = String::from_utf8_lossy(&body);
    check_status(head.status, &body)?;
    let answer = check_body(&body, id, length)?;
    Ok((head.close, answer))
}

pub(crate) fn check_status(status: u16, body: &str) -> Result<(), Failure> {
    if status == 200 {
        return Ok(());
    }
    let body: String = body.chars().take(100).collect();
    Err(Failure::new(Class::Status, format!("{status} {body}")))
}

pub(crate) fn check_body(body: &str, id: &str, length: usize) -> Result<Answer, Failure> {
    let mut words = body.split_whitespace();
    let (found, worker, counted) = (words.next(), words.next(), words.next());
    let found = found.unwrap_or_default();
    if found != id {
        return Err(Failure::new(class_of(found, id), format!("answer: {body}")));
    }
    if counted.and_then(|text| text.parse().ok()) != Some(length) {
        return Err(Failure::new(Class::WrongBody, format!("not {length} bytes: {body}")));
    }
    Ok(Answer { worker: worker.map(str::to_owned) })
}

/// An earlier id of the same client has been answered before.
fn class_of(found: &str, id: &str) -> Class {
    let split = |id: &str| {
        let (client, sequence) = id.rsplit_once('.')?;
        Some((client.to_owned(), sequence.parse::<u64>().ok()?))
    };
    match (split(found), split(id)) {
        (Some((client, before)), Some((own, sequence))) if client == own && before < sequence => {
            Class::Twice
        }
        _ => Class::WrongBody,
    }
}
