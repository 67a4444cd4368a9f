//! One request for each connection: at once, after a silence, or in two halves.

use std::{rc::Rc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{CLOSE, get};
use crate::traffic::{
    client::{Client, receive},
    http1::Connection,
    plan::Kind,
    tell,
};

/// Opens a connection when the last one has ended.
pub(super) async fn one_after_the_other(client: Client) {
    while !client.scene.is_stopped() {
        match client.shape().shape {
            Kind::Silent => silent(&client).await,
            Kind::HalfHead => {
                let (from, to) = (Instant::now(), client.shape().think_time());
                request(&client, from, None, Some(to)).await;
            }
            _ => {
                request(&client, Instant::now(), None, None).await;
                client.scene.pause(client.shape().think_time()).await;
            }
        }
    }
}

/// Opens each connection at its moment, however many have not ended yet.
pub(super) async fn at_rate(client: Rc<Client>, rate: f64) {
    let mut open = JoinSet::new();
    let started = Instant::now();
    for index in 0_u32.. {
        let moment = started + Duration::from_secs_f64(f64::from(index) / rate);
        tokio::select! {
            () = sleep_until(moment) => {}
            () = client.scene.stopped() => break,
        }
        let client = Rc::clone(&client);
        open.spawn_local(async move { request(&client, moment, None, None).await });
        while open.try_join_next().is_some() {}
    }
    open.join_all().await;
}

/// Opens many connections at once for each command.
pub(super) async fn bursts(client: Rc<Client>) {
    let mut bursts = client.scene.bursts.clone();
    let mut open = JoinSet::new();
    let mut done = 0;
    loop {
        while done < *bursts.borrow_and_update() {
            done += 1;
            for _ in 0..client.shape().count {
                let client = Rc::clone(&client);
                open.spawn_local(async move { request(&client, Instant::now(), None, None).await });
            }
            // Tasks run in their order, so this one says that all have begun to connect.
            open.spawn_local(async move { tell(&serde_json::json!({ "burst": done })) });
        }
        if client.scene.is_stopped() {
            break;
        }
        tokio::select! {
            _ = bursts.changed() => {}
            _ = open.join_next(), if !open.is_empty() => {}
            () = client.scene.stopped() => {}
        }
    }
    open.join_all().await;
}

/// Connects, and says nothing for some time. A server that closes meanwhile has lost no request.
async fn silent(client: &Client) {
    let connected = match client.connect().await {
        Ok(mut connection) => {
            let silence = client.shape().think_time();
            let ended = tokio::select! {
                idle = connection.watch() => Some(idle),
                () = client.scene.pause(silence) => None,
            };
            match ended {
                // The run ended during the silence, so no request follows.
                None if client.scene.is_stopped() => return,
                None => client.reuse(connection).await,
                Some(idle) => {
                    client.note_idle(&mut connection, &idle).await;
                    None
                }
            }
        }
        Err(failure) => {
            // The connection was meant for this request.
            let id = client.next_id();
            let attempt = async { Err::<((), _), _>(failure) };
            client.exchange(&id, Instant::now(), Duration::ZERO, attempt).await;
            return;
        }
    };
    request(client, Instant::now(), connected, None).await;
}

/// Makes one request on a connection of its own. With a `pause` it comes in two halves.
async fn request(
    client: &Client,
    since: Instant,
    connection: Option<Connection>,
    pause: Option<Duration>,
) {
    let id = client.next_id();
    let path = client.shape().path();
    let text = get(&path, &id, CLOSE);
    let attempt = async {
        let mut connection = match connection {
            Some(connection) => connection,
            None => client.connect().await?,
        };
        let (first, rest) = text.split_at(if pause.is_some() { text.len() / 2 } else { 0 });
        // Whether sending fails does not matter: the answer, or its absence, tells.
        if let Some(pause) = pause {
            let _ = connection.send(first.as_bytes()).await;
            tokio::select! {
                // The answer may be that the request takes too long.
                _ = connection.fill() => {}
                () = client.scene.pause(pause) => {}
            }
        }
        let _ = connection.send(rest.as_bytes()).await;
        let (_, answer) = receive(&mut connection, &id, 0).await?;
        Ok((connection, answer))
    };
    let extra = pause.unwrap_or_default();
    if let Some(connection) = client.exchange(&id, since, extra, attempt).await {
        // The server closes first, so that no port of the client stays taken.
        client.finish(connection).await;
    }
}
