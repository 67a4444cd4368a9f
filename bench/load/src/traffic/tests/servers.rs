//! Servers of a few lines, each connection in a thread of its own.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

/// Serves each connection by `serve`, which is told its number, from 0.
pub(super) fn server(serve: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream, number));
        }
    });
    address
}

/// Serves each request by `serve`, which writes the answer; a connection ends when that fails.
pub(super) fn http_server(
    serve: impl Fn(&mut TcpStream, &Request) -> std::io::Result<()> + Send + Sync + 'static,
) -> SocketAddr {
    server(move |mut stream, _| {
        let mut input = Vec::new();
        while let Some(request) = read_request(&mut stream, &mut input) {
            if serve(&mut stream, &request).is_err() {
                return;
            }
        }
    })
}

/// A request, which is read as a whole.
pub(super) struct Request {
    pub(super) id: String,
    pub(super) length: usize,
    /// How many requests came before on the connection.
    pub(super) sequence: u64,
}

impl Request {
    pub(super) fn body(&self) -> String {
        format!("{} 1 {}\n", self.id, self.length)
    }
}

/// The next request; none if the client is gone.
pub(super) fn read_request(stream: &mut TcpStream, input: &mut Vec<u8>) -> Option<Request> {
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(input).into_owned();
        if let Some(end) = text.find("\r\n\r\n") {
            let value = |name: &str| {
                let line = text[..end].lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or_default().to_owned()
            };
            let length = value("Content-Length: ").parse().unwrap_or(0);
            if input.len() >= end + 4 + length {
                input.drain(..end + 4 + length);
                let id = value("X-Id: ");
                let sequence = id.rsplit('.').next().and_then(|it| it.parse().ok()).unwrap_or(0);
                return Some(Request { id, length, sequence });
            }
        }
        match stream.read(&mut chunk) {
            Ok(count) if count > 0 => input.extend(&chunk[..count]),
            _ => return None,
        }
    }
}

pub(super) fn answer(stream: &mut TcpStream, more: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{more}\r\n{body}")
}

/// What ends a connection after an answer.
pub(super) fn ended() -> std::io::Result<()> {
    Err(std::io::ErrorKind::ConnectionAborted.into())
}

/// Closes a connection with unread bytes, which resets it.
pub(super) fn reset(stream: TcpStream) {
    let _ = stream.peek(&mut [0]);
    drop(stream);
}
