//! Requests one after the other on a connection that stays open. None is ever tried again.

use std::time::Duration;

use tokio::time::Instant;

use super::{body, get, post};
use crate::traffic::{
    client::{Client, receive},
    http1::Connection,
    plan::Kind,
};

pub(super) async fn requests(client: Client) {
    let mut kept: Option<Connection> = None;
    let path = client.shape().path();
    while !client.scene.is_stopped() {
        let id = client.next_id();
        let (text, length) = request(&client, &path, &id);
        let connection = kept.take();
        let attempt = async {
            let mut connection = match connection {
                Some(connection) => connection,
                None => client.connect().await?,
            };
            let _ = connection.send(text.as_bytes()).await;
            let (close, answer) = receive(&mut connection, &id, length).await?;
            Ok(((connection, close), answer))
        };
        match client.exchange(&id, Instant::now(), Duration::ZERO, attempt).await {
            Some((connection, true)) => {
                client.announced(connection).await;
                client.scene.pause(client.shape().think_time()).await;
            }
            Some((connection, false)) => kept = client.think(connection).await,
            None => {}
        }
    }
}

/// The text of a request, and the length of its body.
fn request(client: &Client, path: &str, id: &str) -> (String, usize) {
    if client.shape().shape == Kind::Get {
        return (get(path, id, ""), 0);
    }
    let body = body(id, client.shape().bytes);
    (post(path, id, body.len()) + &body, body.len())
}
