//! HTTP/2, whose misbehaving servers send frames that are written out here.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};

use super::{assert_only, assert_well, play, servers::server};

const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const GOAWAY_ABOVE_0: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const GOAWAY_ABOVE_ALL: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 127, 255, 255, 255, 0, 0, 0, 0];
const REFUSE_STREAM_1: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7];

fn http2() -> Value {
    json!({ "shape": "http2", "streams": 4, "think": [1, 3] })
}

/// Ends the first connections with these frames once requests came, and then answers all.
fn server_that_first_sends(frames: &'static [u8], connections: usize) -> SocketAddr {
    server(move |mut stream, number| {
        if number >= connections {
            return answer_all(stream);
        }
        stream.write_all(SETTINGS).expect("sent");
        let mut input = vec![0; 4096];
        // The preface and the settings, then the requests.
        while !has_request(&stream, &mut input) {}
        stream.write_all(frames).expect("sent");
        let _ = stream.shutdown(std::net::Shutdown::Write);
        while matches!(stream.read(&mut input), Ok(count) if count > 0) {}
    })
}

/// Whether a HEADERS frame has come, behind the preface of 24 bytes.
fn has_request(stream: &TcpStream, input: &mut [u8]) -> bool {
    let count = stream.peek(input).expect("input");
    let mut at = 24;
    while at + 9 <= count {
        if input[at + 3] == 1 {
            return true;
        }
        at += 9 + usize::from(input[at + 1]) * 256 + usize::from(input[at + 2]);
    }
    false
}

fn answer_all(stream: TcpStream) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        stream.set_nonblocking(true).expect("a socket");
        let stream = tokio::net::TcpStream::from_std(stream).expect("a socket");
        let mut connection = h2::server::handshake(stream).await.expect("a client");
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let id = request.headers()["x-id"].to_str().expect("an id");
            let text = format!("{id} 1 64");
            let mut body = respond.send_response(Response::new(()), false).expect("sent");
            body.send_data(Bytes::from(text), true).expect("sent");
        }
    });
}

#[test]
fn a_good_server_has_no_failures() {
    let report = play(server(|stream, _| answer_all(stream)), &http2());
    assert_well(&report);
    assert_eq!(report["opened"], 1, "{report:#}");
    assert_eq!(report["retried"], 0);
}

#[test]
fn streams_above_the_last_id_are_tried_again() {
    let report = play(server_that_first_sends(GOAWAY_ABOVE_0, 2), &http2());
    assert_well(&report);
    assert!(report["retried"].as_u64() >= Some(2), "{report:#}");
    assert_eq!(report["opened"], 3, "{report:#}");
    assert_eq!(report["closed"]["announced"], 2, "{report:#}");
}

#[test]
fn streams_that_every_connection_refuses_have_failed() {
    let report = play(server_that_first_sends(GOAWAY_ABOVE_0, usize::MAX), &http2());
    assert_only(&report, "refusedStream");
}

#[test]
fn streams_up_to_the_last_id_that_are_not_answered_have_failed() {
    let report = play(server_that_first_sends(GOAWAY_ABOVE_ALL, 1), &http2());
    assert_only(&report, "refusedStream");
}

#[test]
fn a_stream_that_is_refused_without_goaway_has_failed() {
    let shape = json!({ "shape": "http2", "streams": 1, "think": [1, 3] });
    let report = play(server_that_first_sends(REFUSE_STREAM_1, 1), &shape);
    assert_only(&report, "refusedStream");
}

#[test]
fn a_connection_that_ends_without_goaway_has_failed() {
    assert_only(&play(server_that_first_sends(&[], 1), &http2()), "closed");
}
