//! A packet of the control socket and of the hand-off queue: garbage is an error, and what can be read
//! is the same after it was written and read again.

#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use rs_cluster::protocol::{
    connection,
    control::{ControlError, MAX_PACKET, ToWorker, decode, decode_request, encode},
};
// Where there is no libFuzzer, it has `main`.
use rs_cluster_fuzz as _;
use serde::Serialize;

fn round_trip<T: Debug + PartialEq + Serialize>(
    packet: &[u8],
    decode: fn(&[u8], usize) -> Result<T, ControlError>,
) {
    let too_long = decode(packet, MAX_PACKET + 1);
    assert!(matches!(too_long, Err(ControlError::TooLong(_) | ControlError::TooLongRequest(_))));
    let Ok(message) = decode(packet, packet.len()) else { return };
    let written = match encode(&message) {
        Ok(written) => written,
        // Text grows where numbers are written in full.
        Err(ControlError::TooLong(_)) => return,
        Err(error) => panic!("{message:?} can't be written: {error}"),
    };
    assert_eq!(decode(&written, written.len()).expect("our own packet"), message);
}

fuzz_target!(|packet: &[u8]| {
    round_trip(packet, decode_request);
    round_trip::<ToWorker>(packet, decode);
    match connection::decode(packet) {
        Some(listener) => assert_eq!(connection::encode(listener), packet),
        None => assert_ne!(packet.len(), connection::PACKET),
    }
});
