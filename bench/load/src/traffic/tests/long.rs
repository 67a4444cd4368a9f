//! Bodies that come slowly, events, and WebSockets.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{assert_only, assert_well, play, play_impatiently, play_slowly, servers::*};

fn download() -> Value {
    json!({ "shape": "download", "pieces": 3, "everyMs": 5 })
}

fn with_lines(lines: &str) -> std::net::SocketAddr {
    let lines = lines.to_owned();
    http_server(move |stream, request| answer(stream, "", &format!("{}{lines}", request.body())))
}

#[test]
fn a_download_has_all_its_pieces() {
    assert_well(&play(with_lines("0\n1\n2\nend\n"), &download()));
}

#[test]
fn a_download_without_a_piece_is_wrong() {
    for lines in ["0\n2\nend\n", "0\n1\n1\n2\nend\n", "0\n1\n2\n"] {
        assert_only(&play(with_lines(lines), &download()), "wrongBody");
    }
}

#[test]
fn a_download_that_ends_between_two_pieces_is_truncated() {
    let address = http_server(|stream, request| {
        let body = request.body();
        let length = body.len();
        write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        write!(stream, "{length:x}\r\n{body}\r\n2\r\n0\n\r\n")?;
        ended()
    });
    assert_only(&play(address, &download()), "truncated");
}

#[test]
fn an_upload_is_counted_and_may_be_answered_early() {
    let upload = json!({ "shape": "upload", "bytes": 1000, "pieces": 4, "everyMs": 5 });
    let address = http_server(|stream, request| answer(stream, "", &request.body()));
    assert_well(&play(address, &upload));

    let address = server(|mut stream, _| {
        let mut head = [0; 1024];
        let _ = stream.read(&mut head);
        let text = String::from_utf8_lossy(&head).into_owned();
        let id = text.lines().find_map(|line| line.strip_prefix("X-Id: ")).expect("an id");
        let _ = answer(&mut stream, "Connection: close\r\n", &format!("{id} 1 0"));
        while matches!(stream.read(&mut head), Ok(count) if count > 0) {}
    });
    let mut early = upload;
    early["early"] = json!(true);
    assert_well(&play(address, &early));
}

fn event_server(end: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> std::net::SocketAddr {
    http_server(move |stream, request| {
        let body = request.body();
        write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        for data in [body.trim(), "0", "1"] {
            let event = format!("data: {data}\n\n");
            write!(stream, "{:x}\r\n{event}\r\n", event.len())?;
        }
        end(stream);
        ended()
    })
}

#[test]
fn the_end_of_endless_events_is_told() {
    let shape = json!({ "shape": "events", "endless": true });
    let report = play(event_server(|_| {}), &shape);
    assert_well(&report);
    assert!(report["ended"]["fin"].as_u64() > Some(0), "{report:#}");

    let report = play(event_server(|stream| stream.write_all(b"0\r\n\r\n").expect("sent")), &shape);
    assert_well(&report);
    assert!(report["ended"]["close"].as_u64() > Some(0), "{report:#}");

    let skip = b"9\r\ndata: 3\n\n\r\n";
    assert_only(
        &play(event_server(move |stream| stream.write_all(skip).expect("sent")), &shape),
        "wrongBody",
    );
}

/// Upgrades; echoes the first message as `echo` changes it; then ends as `end` says.
fn web_sockets(
    echo: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static,
    end: impl Fn(TcpStream) + Send + Sync + 'static,
) -> std::net::SocketAddr {
    server(move |mut stream, _| {
        read_request(&mut stream, &mut Vec::new());
        let upgrade = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n";
        stream.write_all(upgrade).expect("sent");
        let mut message = [0; 256];
        let count = stream.read(&mut message).expect("a message");
        if count < 6 {
            return;
        }
        let text = echo(message[6..count].to_vec());
        let header = [0x81, u8::try_from(text.len()).expect("a short text")];
        stream.write_all(&[&header[..], &text].concat()).expect("sent");
        end(stream);
    })
}

fn web_socket() -> Value {
    json!({ "shape": "webSockets", "think": [10, 10] })
}

#[test]
fn how_web_sockets_end_is_told() {
    let report = play_slowly(web_sockets(|text| text, drop), &web_socket());
    assert_well(&report);
    assert!(report["ended"]["fin"].as_u64() > Some(0), "{report:#}");

    let close = |mut stream: TcpStream| {
        stream.write_all(&[0x88, 0]).expect("sent");
        let _ = stream.read(&mut [0; 64]);
    };
    let report = play_slowly(web_sockets(|text| text, close), &web_socket());
    assert_well(&report);
    assert!(report["ended"]["close"].as_u64() > Some(0), "{report:#}");

    let report = play_slowly(web_sockets(|text| text, reset), &web_socket());
    assert_only(&report, "reset");
    assert!(report["ended"]["reset"].as_u64() > Some(0), "{report:#}");
}

#[test]
fn a_wrong_or_missing_echo_is_found() {
    let report = play_slowly(web_sockets(|_| b"other".to_vec(), drop), &web_socket());
    assert_only(&report, "wrongBody");
    let late = |text: Vec<u8>| {
        thread::sleep(Duration::from_millis(500));
        text
    };
    assert_only(&play_impatiently(web_sockets(late, drop), &web_socket()), "timeout");
}
