//! WebSockets (RFC 6455): messages that are echoed, and how the connections end.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::get;
use crate::traffic::{
    client::{Answer, Client},
    failure::{Class, Failure},
    http1::Connection,
};

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// How the server ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Close,
    Fin,
    Reset,
}

pub(super) async fn messages(client: Client) {
    while !client.scene.is_stopped() {
        let id = client.next_id();
        let attempt = upgrade(&client, &id);
        let opened = client.exchange(&id, Instant::now(), Duration::ZERO, attempt).await;
        if let Some(connection) = opened {
            converse(&client, connection).await;
        }
    }
}

async fn upgrade(client: &Client, id: &str) -> Result<(Connection, Answer), Failure> {
    let mut connection = client.connect().await?;
    let _ = connection.send(get(&client.shape().path(), id, UPGRADE).as_bytes()).await;
    let head = connection.head().await?;
    if head.status != 101 {
        return Err(Failure::new(Class::Status, head.status.to_string()));
    }
    Ok((connection, Answer::default()))
}

/// Sends messages until the connection or the run ends.
async fn converse(client: &Client, mut connection: Connection) {
    loop {
        let ended = tokio::select! {
            end = next_message(&mut connection) => Some(end),
            () = client.scene.pause(client.shape().think_time()) => None,
        };
        match ended {
            Some(Ok(message)) => {
                let what = format!("message {message:?}");
                return client.fail("-", &Failure::new(Class::Unsolicited, what));
            }
            Some(Err(end)) => return note(client, end, "-"),
            None if client.scene.is_stopped() => {
                let _ = connection.send(&frame(CLOSE, &[])).await;
                connection.finish().await;
                return;
            }
            None => {}
        }
        let id = client.next_id();
        let since = Instant::now();
        client.begin();
        let _ = connection.send(&frame(TEXT, id.as_bytes())).await;
        match timeout(client.scene.limit, next_message(&mut connection)).await {
            Ok(Ok(message)) if message == id => {
                client.succeed(&id, Answer::default(), since.elapsed());
            }
            Ok(Ok(message)) => {
                return client.fail(&id, &Failure::new(Class::WrongBody, message));
            }
            Ok(Err(end)) => {
                client.scene.record.borrow_mut().not_echoed += 1;
                return note(client, end, &id);
            }
            Err(_) => return client.fail(&id, &Failure::new(Class::Timeout, "no echo")),
        }
    }
}

/// A server may end a connection, but not by a reset.
fn note(client: &Client, end: End, id: &str) {
    let mut record = client.scene.record.borrow_mut();
    match end {
        End::Close => record.ended.close += 1,
        End::Fin => record.ended.fin += 1,
        End::Reset => {
            record.ended.reset += 1;
            drop(record);
            client.fail(id, &Failure::new(Class::Reset, "a WebSocket was reset"));
        }
    }
}

/// The next text; pings are answered meanwhile, and so is a close frame.
async fn next_message(connection: &mut Connection) -> Result<String, End> {
    loop {
        let (kind, payload) = match take_frame(connection).await {
            Ok(frame) => frame,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(End::Fin);
            }
            Err(_) => return Err(End::Reset),
        };
        match kind {
            PING => {
                let _ = connection.send(&frame(PONG, &payload)).await;
            }
            CLOSE => {
                let _ = connection.send(&frame(CLOSE, &payload)).await;
                return Err(End::Close);
            }
            TEXT => return Ok(String::from_utf8_lossy(&payload).into_owned()),
            _ => {}
        }
    }
}

/// Removes a frame from the input. Nothing is lost if the future is dropped.
async fn take_frame(connection: &mut Connection) -> std::io::Result<(u8, Vec<u8>)> {
    loop {
        let input = &connection.input;
        let header = match input.get(1).map(|it| it & 0x7f) {
            None => None,
            Some(126) => {
                input.get(2..4).map(|it| (4, usize::from(it[0]) << 8 | usize::from(it[1])))
            }
            Some(127) => return Err(std::io::ErrorKind::InvalidData.into()),
            Some(length) => Some((2, usize::from(length))),
        };
        if let Some((start, length)) = header
            && input.len() >= start + length
        {
            let kind = input[0] & 0x0f;
            let frame: Vec<u8> = connection.input.drain(..start + length).collect();
            return Ok((kind, frame[start..].to_vec()));
        }
        connection.fill().await?;
    }
}

/// A frame of a client, which must be masked; the mask is zero.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len().min(125)).unwrap_or(125);
    let mut frame = vec![0x80 | kind, 0x80 | length, 0, 0, 0, 0];
    frame.extend(&payload[..usize::from(length)]);
    frame
}
