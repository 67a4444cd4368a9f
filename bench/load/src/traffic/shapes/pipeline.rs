//! Several requests sent at once, and answered in their order.

use tokio::time::{Instant, timeout};

use super::get;
use crate::traffic::{
    client::{Client, receive},
    failure::{Class, Failure},
    http1::Connection,
};

pub(super) async fn requests(client: Client) {
    let mut kept: Option<Connection> = None;
    while !client.scene.is_stopped() {
        let ids: Vec<String> = (0..client.shape().depth).map(|_| client.next_id()).collect();
        kept = match batch(&client, kept.take(), &ids).await {
            Some((connection, true)) => {
                client.announced(connection).await;
                None
            }
            Some((connection, false)) => client.think(connection).await,
            None => None,
        };
    }
}

/// Makes the requests; the connection, and whether the server closes it, if all were answered.
async fn batch(
    client: &Client,
    connection: Option<Connection>,
    ids: &[String],
) -> Option<(Connection, bool)> {
    let since = Instant::now();
    let path = client.shape().path();
    let text: String = ids.iter().map(|id| get(&path, id, "")).collect();
    for _ in ids {
        client.begin();
    }
    let mut answered = 0;
    let attempt = async {
        let mut connection = match connection {
            Some(connection) => connection,
            None => client.connect().await?,
        };
        let _ = connection.send(text.as_bytes()).await;
        let mut close = false;
        for id in ids {
            let (closes, answer) = receive(&mut connection, id, 0).await?;
            client.succeed(id, answer, since.elapsed());
            answered += 1;
            close = closes;
        }
        Ok((connection, close))
    };
    let limit = client.scene.limit;
    let late = || Failure::new(Class::Timeout, format!("no answer in {limit:?}"));
    match timeout(limit, attempt).await.unwrap_or_else(|_| Err(late())) {
        Ok(result) => Some(result),
        Err(failure) => {
            for id in &ids[answered..] {
                client.fail(id, &failure);
            }
            client.scene.pause(std::time::Duration::from_millis(20)).await;
            None
        }
    }
}
