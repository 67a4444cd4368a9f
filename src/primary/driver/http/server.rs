//! HTTP/1 for operators on the engine's thread: connections, and the limits on them.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io::{self, Write},
    os::fd::OwnedFd,
    pin::Pin,
    rc::Rc,
    time::Duration,
};

use http_body_util::{BodyExt, Collected, Limited};
use hyper::{
    Request,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf, unix::AsyncFd},
    net::{TcpStream, UnixStream},
    task::spawn_local,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    answer::Answer,
    clients::{Client, Clients},
    pace::Admission,
};
use crate::sys::{
    failure::{Failure, SHORTAGE_PAUSE},
    listen::{Bound, accept},
    watched::try_ready,
};

/// How long a client may take for the head of a request, how long it may be silent between two, and how long
/// it may take to read an answer.
const SILENCE: Duration = Duration::from_secs(10);

/// How long a client whose connection is ended here may still send, and how many bytes.
const LINGER: Duration = Duration::from_secs(1);
const MAX_LINGER: usize = 1024 * 1024;

/// How many of these bytes take as much of the engine's time as a request, at most.
const LINGER_A_REQUEST: usize = 64 * 1024;

/// Bytes of a request's head.
const MAX_HEAD: usize = 8 * 1024;

/// Lines of a request's head.
const MAX_HEADERS: usize = 64;

/// Connections accepted before connections of the program get their turn, …
const ACCEPTS_A_TURN: usize = 4;

/// … and how long that turn is.
const TURN: Duration = Duration::from_millis(1);

/// How a connection is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp,
    Unix,
}

impl Kind {
    /// How long a request may be on its way after the connection.
    fn grace(self) -> Duration {
        Duration::from_millis(match self {
            Self::Tcp => 100,
            Self::Unix => 10,
        })
    }
}

/// Who asks.
#[derive(Clone, Copy)]
pub(super) struct Peer {
    /// The user at the other end of a Unix socket, where the system tells.
    pub(super) user: Option<u32>,
}

/// What answers the requests that come to one socket.
pub(super) trait Routes: 'static {
    /// Connections at the same time.
    const CLIENTS: usize;

    fn answer(
        self: Rc<Self>,
        request: Request<Incoming>,
        peer: Peer,
    ) -> impl Future<Output = Answer>;
}

/// Accepts until the task is aborted.
pub(super) async fn serve<R: Routes>(listening: AsyncFd<Rc<Bound>>, kind: Kind, routes: Rc<R>) {
    let clients = Clients::new(kind.grace());
    let admission = Rc::new(Admission::default());
    loop {
        // Fails only when the runtime ends.
        if listening.readable().await.is_err() {
            return;
        }
        for _ in 0..ACCEPTS_A_TURN {
            match try_ready(&listening, Interest::READABLE, |bound| accept(&**bound)) {
                Ok(Some(connection)) if clients.room(R::CLIENTS).await => {
                    let client = clients.client();
                    let service = Service {
                        routes: Rc::clone(&routes),
                        client: Rc::clone(&client),
                        admission: Rc::clone(&admission),
                    };
                    let task = attend(connection, kind, service);
                    clients.add(client, spawn_local(task).abort_handle());
                }
                Ok(Some(connection)) => turn_away(connection, kind),
                Ok(None) => {}
                Err(Failure::WouldBlock) => break,
                Err(_) => {
                    sleep(SHORTAGE_PAUSE).await;
                    break;
                }
            }
        }
        sleep(TURN).await;
    }
}

/// Tells a client that there are too many, if that is possible without waiting.
fn turn_away(connection: OwnedFd, kind: Kind) {
    let code = "ERR_RS_CLUSTER_TOO_MANY_CLIENTS";
    let body = json!({ "error": { "code": code, "message": "too many clients wait for answers" } });
    let body = body.to_string();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len(),
    );
    let _ = match kind {
        Kind::Tcp => std::net::TcpStream::from(connection).write(answer.as_bytes()),
        Kind::Unix => std::os::unix::net::UnixStream::from(connection).write(answer.as_bytes()),
    };
}

/// What serves one connection.
struct Service<R> {
    routes: Rc<R>,
    client: Rc<Client>,
    admission: Rc<Admission>,
}

impl<R: Routes> Service<R> {
    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Answer {
        let _answering = self.client.begin();
        self.admission.wait().await;
        Rc::clone(&self.routes).answer(request, peer).await
    }
}

/// One connection, from beginning to end.
async fn attend<R: Routes>(connection: OwnedFd, kind: Kind, service: Service<R>) {
    match kind {
        Kind::Tcp => {
            let Ok(stream) = TcpStream::from_std(connection.into()) else {
                return;
            };
            // An answer is written at once, and nothing follows it.
            let _ = stream.set_nodelay(true);
            exchange(stream, Peer { user: None }, service).await;
        }
        Kind::Unix => {
            let Ok(stream) = UnixStream::from_std(connection.into()) else {
                return;
            };
            let user = stream.peer_cred().ok().map(|peer| peer.uid());
            exchange(stream, Peer { user }, service).await;
        }
    }
}

async fn exchange<R: Routes>(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: Peer,
    service: Service<R>,
) {
    let answers =
        service_fn(async |request| Ok::<_, Infallible>(service.answer(request, peer).await));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(&mut stream), answers);
    tokio::select! {
        // What a client does wrong ends its connection, and is its own affair.
        _ = connection => {}
        () = silence(&service.client) => return,
    }
    let _ = timeout(LINGER, linger(&mut stream, &service.admission)).await;
}

/// Ends this side, and reads until the client ends the connection or has sent too much. If the connection were closed
/// while bytes are unread, a client that still sends would get an error in place of the answer.
async fn linger(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    admission: &Admission,
) -> io::Result<()> {
    poll_fn(|context| Pin::new(&mut *stream).poll_shutdown(context)).await?;
    let mut bytes = [0; 8 * 1024];
    for _ in 0..MAX_LINGER / LINGER_A_REQUEST {
        admission.wait().await;
        let mut left = LINGER_A_REQUEST;
        while left > 0 {
            let mut read = ReadBuf::new(&mut bytes);
            poll_fn(|context| Pin::new(&mut *stream).poll_read(context, &mut read)).await?;
            match read.filled().len() {
                0 => return Ok(()),
                length => left = left.saturating_sub(length),
            }
        }
    }
    Ok(())
}

/// Until the client has been silent for too long.
async fn silence(client: &Client) {
    loop {
        let since = client.silent_since().map_or_else(Instant::now, Instant::from_std);
        let until = since + SILENCE;
        if until <= Instant::now() {
            return;
        }
        sleep_until(until).await;
    }
}

/// The body of a request, if it is short and comes in time.
pub(super) async fn body(request: Request<Incoming>, limit: usize) -> Option<Bytes> {
    let body = Limited::new(request.into_body(), limit).collect();
    timeout(SILENCE, body).await.ok()?.ok().map(Collected::to_bytes)
}
