//! The shapes of traffic: what a client does, over and over, until the run ends.

mod http2;
mod kept;
mod pieces;
mod pipeline;
mod single;
mod sniffer;
mod web_socket;

use std::rc::Rc;

use tokio::task::JoinSet;

use super::{
    client::{Client, Scene},
    plan::Kind,
};

/// Starts the clients of a shape.
pub(crate) fn start(scene: &Rc<Scene>, clients: &mut JoinSet<()>) {
    let client = |number| Client::new(Rc::clone(scene), number);
    match (scene.shape.shape, scene.shape.rate) {
        (Kind::Connections, Some(rate)) => {
            clients.spawn_local(single::at_rate(Rc::new(client(0)), rate));
            return;
        }
        (Kind::Burst, _) => {
            clients.spawn_local(single::bursts(Rc::new(client(0))));
            return;
        }
        _ => {}
    }
    for number in 0..scene.shape.count {
        let client = client(number);
        match scene.shape.shape {
            Kind::Connections | Kind::Silent | Kind::HalfHead => {
                clients.spawn_local(single::one_after_the_other(client));
            }
            Kind::Get | Kind::Post => {
                clients.spawn_local(kept::requests(client));
            }
            Kind::Pipeline => {
                clients.spawn_local(pipeline::requests(client));
            }
            Kind::Upload => {
                clients.spawn_local(pieces::uploads(client));
            }
            Kind::Download | Kind::Events => {
                clients.spawn_local(pieces::downloads(client));
            }
            Kind::WebSockets => {
                clients.spawn_local(web_socket::messages(client));
            }
            Kind::Http2 => {
                clients.spawn_local(http2::requests(client));
            }
            Kind::Burst => {}
        }
    }
}

/// A request without a body.
fn get(path: &str, id: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Id: {id}\r\n{more}\r\n")
}

/// The head of a request with a body of this length.
fn post(path: &str, id: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Id: {id}\r\nContent-Length: {length}\r\n\
         Content-Type: text/plain\r\n\r\n"
    )
}

/// A body of this length that begins with the id.
fn body(id: &str, length: usize) -> String {
    format!("{:.<length$}", format!("{id} "))
}

const CLOSE: &str = "Connection: close\r\n";
