//! HTTP/2 with many streams on each connection. A stream refused above the last id of a GOAWAY was not
//! run, so it is tried again on another connection.

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;
use h2::{Reason, client::SendRequest};
use http::Request;
use tokio::{sync::Mutex, task::JoinSet, time::Instant};

use super::{
    body,
    sniffer::{Ending, Sniffer},
};
use crate::traffic::{
    client::{Answer, Client, check_body, check_status},
    failure::{Class, Failure},
};

/// So many connections in a row may refuse a request.
const ATTEMPTS: usize = 10;

/// An open connection.
#[derive(Clone)]
struct Session {
    sender: SendRequest<Bytes>,
    ending: Rc<Ending>,
}

/// The connection that new streams use.
type Current = Mutex<Option<Session>>;

/// Why a stream was not answered.
enum Refusal {
    /// It was never run, and may be tried again; whether the server had seen it.
    NotRun {
        was_sent: bool,
    },
    Failed(Failure),
}

pub(super) async fn requests(client: Client) {
    let client = Rc::new(client);
    let current = Rc::new(Current::new(None));
    let connections = Rc::new(RefCell::new(JoinSet::new()));
    let mut streams = JoinSet::new();
    for _ in 0..client.shape().streams {
        let (client, current) = (Rc::clone(&client), Rc::clone(&current));
        let connections = Rc::clone(&connections);
        streams.spawn_local(async move {
            while !client.scene.is_stopped() {
                let id = client.next_id();
                let attempt = request(&client, &current, &connections, &id);
                client.exchange(&id, Instant::now(), std::time::Duration::ZERO, attempt).await;
                client.scene.pause(client.shape().think_time()).await;
            }
        });
    }
    streams.join_all().await;
}

async fn request(
    client: &Rc<Client>,
    current: &Current,
    connections: &RefCell<JoinSet<()>>,
    id: &str,
) -> Result<((), Answer), Failure> {
    let mut refused = 0;
    while refused < ATTEMPTS {
        let session = session(client, current, connections).await?;
        match stream(client, session, id).await {
            Ok(answer) => return Ok(((), answer)),
            Err(Refusal::Failed(failure)) => return Err(failure),
            Err(Refusal::NotRun { was_sent: false }) => tokio::task::yield_now().await,
            Err(Refusal::NotRun { was_sent: true }) => {
                refused += 1;
                client.scene.record.borrow_mut().retried += 1;
            }
        }
    }
    Err(Failure::new(Class::RefusedStream, format!("refused by {ATTEMPTS} connections in a row")))
}

/// The connection for a new stream: the current one, or a new one if that is about to end.
async fn session(
    client: &Rc<Client>,
    current: &Current,
    connections: &RefCell<JoinSet<()>>,
) -> Result<Session, Failure> {
    let mut current = current.lock().await;
    if let Some(session) = &*current
        && session.ending.last.get().is_none()
        && !session.ending.is_closed.get()
    {
        return Ok(session.clone());
    }
    let ending = Rc::new(Ending::default());
    let stream = Sniffer::new(client.open().await?, Rc::clone(&ending));
    let handshake = h2::client::handshake(stream).await;
    let (sender, connection) = handshake.map_err(|error| failure_of(&error))?;
    let session = Session { sender, ending: Rc::clone(&ending) };
    let client = Rc::clone(client);
    connections.borrow_mut().spawn_local(async move {
        let result = connection.await;
        ending.is_closed.set(true);
        let mut record = client.scene.record.borrow_mut();
        match result {
            _ if client.scene.is_stopped() => {}
            _ if ending.last.get().is_some() => record.closed.announced += 1,
            _ if ending.streams.get() > 0 => {}
            Ok(()) => record.closed.idle_fin += 1,
            Err(_) => record.closed.idle_reset += 1,
        }
    });
    *current = Some(session.clone());
    Ok(session)
}

async fn stream(client: &Client, session: Session, id: &str) -> Result<Answer, Refusal> {
    let Session { sender, ending } = session;
    let not_sent = |_| Refusal::NotRun { was_sent: false };
    let mut sender = sender.ready().await.map_err(not_sent)?;
    let length = if client.shape().bytes > 0 { client.shape().bytes.max(id.len() + 1) } else { 0 };
    let method = if length > 0 { "POST" } else { "GET" };
    let uri = format!("http://localhost{}", client.shape().path());
    let request = Request::builder().method(method).uri(uri).header("x-id", id).body(());
    let request = request.map_err(|error| failed(Failure::protocol(error.to_string())))?;
    let (response, mut upload) = sender.send_request(request, length == 0).map_err(not_sent)?;
    let stream = u32::from(response.stream_id());
    ending.streams.set(ending.streams.get() + 1);
    let answer = async {
        if length > 0 {
            upload.send_data(Bytes::from(body(id, length)), true)?;
        }
        let (head, mut body) = response.await?.into_parts();
        let mut text = Vec::new();
        while let Some(piece) = body.data().await {
            let piece = piece?;
            body.flow_control().release_capacity(piece.len())?;
            text.extend(piece);
        }
        Ok((head.status.as_u16(), text))
    }
    .await;
    ending.streams.set(ending.streams.get() - 1);
    let (status, text) = answer.map_err(|error| refusal_of(&error, stream, &ending))?;
    let text = String::from_utf8_lossy(&text);
    check_status(status, &text).map_err(failed)?;
    check_body(&text, id, length).map_err(failed)
}

fn failed(failure: Failure) -> Refusal {
    Refusal::Failed(failure)
}

/// Distinguishes streams above the last id from those that the server said it would answer.
fn refusal_of(error: &h2::Error, stream: u32, ending: &Ending) -> Refusal {
    let last = ending.last.get();
    if last.is_some_and(|last| stream > last) {
        return Refusal::NotRun { was_sent: true };
    }
    if error.reason() == Some(Reason::REFUSED_STREAM) || last.is_some() {
        let what = format!("stream {stream}, last id {last:?}: {error}");
        return failed(Failure::new(Class::RefusedStream, what));
    }
    failed(failure_of(error))
}

fn failure_of(error: &h2::Error) -> Failure {
    match error.get_io() {
        Some(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            Failure::new(Class::Closed, error.to_string())
        }
        Some(error) => Failure::before_answer(error),
        None if error.is_reset() => Failure::new(Class::Reset, error.to_string()),
        None => Failure::protocol(error.to_string()),
    }
}
