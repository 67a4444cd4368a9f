//! The keys of TLS session tickets: a current one, by which servers make tickets, and the one before it, whose
//! tickets they still take. So a client resumes its session at any worker, also at one that starts later.

use std::{fmt::Write, time::Duration};

use zeroize::Zeroizing;

use crate::protocol::{secret::Secret, upgrade::TicketKey as Offered};

/// How long a key is the current one. Tickets made by it are taken for at least as long again, which is more than Node's
/// servers let a session live unless they are told otherwise.
pub const PERIOD: Duration = Duration::from_secs(12 * 60 * 60);

/// The length of a key: 16 bytes each for its name, for authentication and for encryption.
pub(super) const LENGTH: usize = 48;

/// The current key, and the one before.
const KEPT: usize = 2;

/// The bytes of a new key.
pub(super) type Bytes = Zeroizing<[u8; LENGTH]>;

/// A key, overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq)]
struct TicketKey {
    bytes: Bytes,
    /// In milliseconds since 1970: a clock that all primaries of a program share.
    made: u64,
}

/// The keys, the current one first.
pub(super) struct TicketKeys {
    period: u64,
    keys: Vec<TicketKey>,
}

impl TicketKeys {
    /// None yet. A period is how long a key is the current one.
    pub(super) fn new(period: Duration) -> Self {
        Self { period: u64::try_from(period.as_millis()).unwrap_or(u64::MAX), keys: Vec::new() }
    }

    /// For how long the current key remains the current one, in milliseconds. A key that is older than a period, or
    /// that a clock which has been set back makes seem to be of the future, does not.
    pub(super) fn left(&self, now: u64) -> u64 {
        let made = self.keys.first().map(|current| current.made);
        let age = made.and_then(|made| now.checked_sub(made));
        age.map_or(0, |age| self.period.saturating_sub(age))
    }

    /// Makes this key the current one.
    pub(super) fn rotate(&mut self, bytes: Bytes, now: u64) {
        self.keys.insert(0, TicketKey { bytes, made: now });
        self.keys.truncate(KEPT);
    }

    /// Each key in hexadecimal digits.
    pub(super) fn texts(&self) -> Vec<Secret> {
        self.keys.iter().map(|key| hexadecimal(&key.bytes)).collect()
    }

    /// What the next primary of the program gets.
    pub(super) fn offer(&self) -> Vec<Offered> {
        let offered = |key: &TicketKey| Offered { key: hexadecimal(&key.bytes), made: key.made };
        self.keys.iter().map(offered).collect()
    }

    /// Takes over the keys of the primary before this one. What is not a key is left out.
    pub(super) fn adopt(&mut self, offered: &[Offered]) {
        let adopted = offered.iter().filter_map(|Offered { key, made }| {
            Some(TicketKey { bytes: bytes(key.reveal())?, made: *made })
        });
        // Those that have been made here already have been given to workers.
        self.keys.extend(adopted);
        self.keys.sort_by_key(|key| std::cmp::Reverse(key.made));
        self.keys.dedup();
        self.keys.truncate(KEPT);
    }
}

fn hexadecimal(bytes: &Bytes) -> Secret {
    // It does not grow, which would leave copies behind.
    let mut text = String::with_capacity(2 * LENGTH);
    for byte in bytes.iter() {
        // Writing to a text can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}

fn bytes(text: &str) -> Option<Bytes> {
    let mut bytes = Bytes::new([0; LENGTH]);
    let digits = text.as_bytes();
    if digits.len() != 2 * LENGTH {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|it| u8::try_from(it).ok());
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = 16 * digit(*high)? + digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 60 * 60 * 1000;

    fn key(byte: u8) -> Bytes {
        Bytes::new([byte; LENGTH])
    }

    fn text(byte: u8) -> Secret {
        format!("{byte:02x}").repeat(LENGTH).into()
    }

    #[test]
    fn a_key_is_current_for_a_period_and_kept_for_another() {
        let mut keys = TicketKeys::new(PERIOD);
        assert_eq!((keys.left(0), keys.texts()), (0, vec![]));
        keys.rotate(key(1), 100);
        assert_eq!(keys.left(100 + HOUR), 11 * HOUR);
        assert_eq!(keys.left(100 + 13 * HOUR), 0);
        keys.rotate(key(0xab), 100 + 12 * HOUR);
        assert_eq!(keys.texts(), [text(0xab), text(1)]);
        keys.rotate(key(3), 100 + 24 * HOUR);
        assert_eq!(keys.texts(), [text(3), text(0xab)]);
    }

    #[test]
    fn a_clock_that_is_set_back_ends_the_period() {
        let mut keys = TicketKeys::new(PERIOD);
        keys.rotate(key(1), 5 * HOUR);
        assert_eq!(keys.left(4 * HOUR), 0);
    }

    #[test]
    fn the_next_primary_goes_on_with_the_keys() {
        let mut old = TicketKeys::new(PERIOD);
        old.rotate(key(1), HOUR);
        old.rotate(key(2), 13 * HOUR);
        let mut new = TicketKeys::new(PERIOD);
        new.adopt(&old.offer());
        assert_eq!(new.texts(), old.texts());
        assert_eq!(new.left(14 * HOUR), 11 * HOUR);
        new.adopt(&old.offer());
        assert_eq!(new.texts(), old.texts());
    }

    #[test]
    fn what_is_not_a_key_is_not_taken_over() {
        let mut keys = TicketKeys::new(PERIOD);
        let long = "0".repeat(2 * LENGTH + 2);
        let no_digits = "g".repeat(2 * LENGTH);
        let no_ascii = "é".repeat(LENGTH);
        for wrong in ["", "00", &long, &no_digits, &no_ascii] {
            keys.adopt(&[Offered { key: wrong.into(), made: 1 }]);
        }
        assert_eq!(keys.texts(), []);
    }
}
