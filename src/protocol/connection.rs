//! The hand-off queue: one packet is one accepted connection, whose descriptor goes with it.

use super::ListenerId;

/// The length of a packet, in bytes. All packets have the same length, so the number of bytes in a
/// queue (`FIONREAD`) tells how many connections wait in it.
pub const PACKET: usize = 4;

/// The packet for a connection that `listener` accepted.
pub fn encode(listener: ListenerId) -> [u8; PACKET] {
    listener.to_le_bytes()
}

/// The listener that a packet names, or `None` for bytes that are not a packet.
pub fn decode(packet: &[u8]) -> Option<ListenerId> {
    packet.try_into().ok().map(ListenerId::from_le_bytes)
}

/// How many connections wait in a queue with `bytes` unread bytes.
pub fn waiting(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX) / PACKET
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_round_trips_and_nothing_else_decodes() {
        assert_eq!(decode(&encode(0xfeed_beef)), Some(0xfeed_beef));
        for length in (0..9).filter(|&length| length != PACKET) {
            assert_eq!(decode(&vec![0; length]), None);
        }
    }

    #[test]
    fn unread_bytes_count_connections() {
        assert_eq!(waiting(0), 0);
        assert_eq!(waiting(3 * PACKET as u64), 3);
    }
}
