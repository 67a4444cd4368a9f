//! Bodies that come slowly: of requests, or of answers.

use std::time::Duration;

use tokio::time::Instant;

use super::{body, get, post};
use crate::traffic::{
    client::{Answer, Client, check_body, check_status, receive},
    failure::{Class, Failure},
    http1::{Connection, Head},
    plan::Kind,
};

/// Sends bodies in pieces. The answer may come before the end of the body.
pub(super) async fn uploads(client: Client) {
    let mut kept = None;
    while !client.scene.is_stopped() {
        kept = exchange(&client, kept, upload).await;
    }
}

/// The connection, whether the server has said that this answer is the last on it, and the answer.
type Exchanged = Result<((Connection, bool), Answer), Failure>;

/// Makes one request, on the connection that was kept or on a new one. Returns the connection to keep.
async fn exchange(
    client: &Client,
    kept: Option<Connection>,
    ask: impl AsyncFnOnce(&Client, &str, Option<Connection>) -> Exchanged,
) -> Option<Connection> {
    let id = client.next_id();
    let attempt = ask(client, &id, kept);
    match client.exchange(&id, Instant::now(), client.shape().pieces_time(), attempt).await? {
        (connection, true) => {
            client.announced(connection).await;
            None
        }
        (connection, false) => client.think(connection).await,
    }
}

async fn upload(client: &Client, id: &str, connection: Option<Connection>) -> Exchanged {
    let shape = client.shape();
    let mut connection = match connection {
        Some(connection) => connection,
        None => client.connect().await?,
    };
    let body = body(id, shape.bytes);
    let size = body.len().div_ceil(shape.pieces.max(1) as usize).max(1);
    let _ = connection.send(post(&shape.path(), id, body.len()).as_bytes()).await;
    let mut answers_early = false;
    for piece in body.as_bytes().chunks(size) {
        let pause = client.scene.pause(Duration::from_millis(shape.every_ms));
        if answers_early {
            pause.await;
        } else {
            tokio::select! {
                result = connection.fill() => {
                    answers_early = true;
                    if let Err(error) = result {
                        return Err(Failure::before_answer(&error));
                    }
                }
                () = pause => {}
            }
        }
        if connection.send(piece).await.is_err() {
            break;
        }
    }
    let counted = if shape.early { 0 } else { body.len() };
    let (close, answer) = receive(&mut connection, id, counted).await?;
    Ok(((connection, close), answer))
}

/// Reads answers that come in pieces, each with its number.
pub(super) async fn downloads(client: Client) {
    let mut kept = None;
    while !client.scene.is_stopped() {
        if client.shape().endless {
            endless(&client).await;
        } else {
            kept = exchange(&client, kept, download).await;
        }
    }
}

async fn download(client: &Client, id: &str, connection: Option<Connection>) -> Exchanged {
    let mut connection = match connection {
        Some(connection) => connection,
        None => client.connect().await?,
    };
    let _ = connection.send(get(&client.shape().path(), id, "").as_bytes()).await;
    let mut head = connection.head().await?;
    let body = connection.body(&mut head).await?;
    let body = String::from_utf8_lossy(&body);
    check_status(head.status, &body)?;
    let mut lines = lines_of(&body, client.shape().shape);
    let answer = check_body(lines.next().unwrap_or_default(), id, 0)?;
    for number in 0..client.shape().pieces {
        check_number(lines.next(), number)?;
    }
    if lines.next() != Some("end") {
        return Err(Failure::new(Class::WrongBody, "no end"));
    }
    Ok(((connection, head.close), answer))
}

/// The lines of an answer, or the data of its events.
fn lines_of(body: &str, kind: Kind) -> impl Iterator<Item = &str> {
    let prefix = if kind == Kind::Events { "data: " } else { "" };
    body.lines().filter_map(move |line| line.strip_prefix(prefix)).filter(|line| !line.is_empty())
}

fn check_number(line: Option<&str>, number: u32) -> Result<(), Failure> {
    if line == Some(number.to_string().as_str()) {
        return Ok(());
    }
    Err(Failure::new(Class::WrongBody, format!("piece {number}: {line:?}")))
}

/// Reads events until the server ends them, which it may do between two events, but not by a reset.
async fn endless(client: &Client) {
    let id = client.next_id();
    let opening = async {
        let mut connection = client.connect().await?;
        let _ = connection.send(get(&client.shape().path(), &id, "").as_bytes()).await;
        let mut head = connection.head().await?;
        check_status(head.status, "")?;
        let mut text = String::new();
        while !text.contains("\n\n") {
            let piece = connection.piece(&mut head).await?;
            text += &String::from_utf8_lossy(&piece.unwrap_or_else(|| b"\n\n".to_vec()));
        }
        let first = text.split_once("\n\n").map_or("", |(first, _)| first);
        let answer = check_body(first.trim_start_matches("data: "), &id, 0)?;
        let rest = text[first.len() + 2..].to_owned();
        Ok(((connection, head, rest), answer))
    };
    let opened = client.exchange(&id, Instant::now(), Duration::ZERO, opening).await;
    let Some((connection, head, rest)) = opened else { return };
    tokio::select! {
        result = follow(client, connection, head, rest) => {
            if let Err(failure) = result {
                client.fail(&id, &failure);
            }
        }
        () = client.scene.stopped() => {}
    }
}

async fn follow(
    client: &Client,
    mut connection: Connection,
    mut head: Head,
    mut text: String,
) -> Result<(), Failure> {
    let mut number = 0;
    loop {
        while let Some((event, rest)) = text.split_once("\n\n") {
            if event == "data: end" {
                client.scene.record.borrow_mut().ended.close += 1;
                return Ok(());
            }
            check_number(event.strip_prefix("data: "), number)?;
            number += 1;
            text = rest.to_owned();
        }
        let record = || client.scene.record.borrow_mut();
        match connection.piece(&mut head).await {
            Ok(Some(piece)) => text += &String::from_utf8_lossy(&piece),
            Ok(None) => {
                record().ended.close += 1;
                return Ok(());
            }
            Err(failure) if failure.what.contains("reset") => {
                record().ended.reset += 1;
                return Err(failure);
            }
            Err(failure) if !text.is_empty() => return Err(failure),
            Err(_) => {
                record().ended.fin += 1;
                return Ok(());
            }
        }
    }
}
