//! Watches the frames of an HTTP/2 connection for GOAWAY, whose last id the library does not tell.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::traffic::stream::Stream;

const HEADER: usize = 9;
const GOAWAY: u8 = 7;
const ID: u32 = 0x7fff_ffff;

/// What is known about the end of a connection.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// The last id of the newest GOAWAY.
    pub(super) last: Cell<Option<u32>>,
    pub(super) is_closed: Cell<bool>,
    /// Streams without a whole answer.
    pub(super) streams: Cell<usize>,
}

pub(super) struct Sniffer {
    stream: Stream,
    ending: Rc<Ending>,
    frames: Frames,
}

impl Sniffer {
    pub(super) fn new(stream: Stream, ending: Rc<Ending>) -> Self {
        Self { stream, ending, frames: Frames::default() }
    }
}

/// Finds the frames in bytes that come in any pieces.
#[derive(Debug, Default)]
struct Frames {
    /// The header of a frame, followed by the first bytes of a GOAWAY.
    start: Vec<u8>,
    /// How much of the frame is still to come.
    left: usize,
}

impl Frames {
    /// Calls back with the last id of each GOAWAY.
    fn read(&mut self, mut bytes: &[u8], mut goaway: impl FnMut(u32)) {
        while !bytes.is_empty() {
            let wanted = if self.is_goaway() { HEADER + 4 } else { HEADER };
            if self.start.len() < wanted {
                let (byte, rest) = (bytes[0], &bytes[1..]);
                if self.start.len() >= HEADER {
                    self.left = self.left.saturating_sub(1);
                }
                self.start.push(byte);
                bytes = rest;
                if self.start.len() == HEADER {
                    let length = [0, self.start[0], self.start[1], self.start[2]];
                    self.left = u32::from_be_bytes(length) as usize;
                } else if self.start.len() == HEADER + 4 {
                    let id = &self.start[HEADER..];
                    goaway(u32::from_be_bytes([id[0], id[1], id[2], id[3]]) & ID);
                }
            } else {
                let skipped = self.left.min(bytes.len());
                self.left -= skipped;
                bytes = &bytes[skipped..];
            }
            let wanted = if self.is_goaway() { HEADER + 4 } else { HEADER };
            if self.left == 0 && self.start.len() >= wanted {
                self.start.clear();
            }
        }
    }

    fn is_goaway(&self) -> bool {
        self.start.get(3) == Some(&GOAWAY)
    }
}

impl AsyncRead for Sniffer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Self { frames, ending, .. } = &mut *self;
        frames.read(&buffer.filled()[before..], |id| ending.last.set(Some(id)));
        result
    }
}

impl AsyncWrite for Sniffer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goaway_is_found_in_any_pieces() {
        let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100];
        let acknowledged = [0, 0, 0, 4, 1, 0, 0, 0, 0];
        let goaway = [0, 0, 10, 7, 0, 0, 0, 0, 0, 0, 0, 0, 41, 0, 0, 0, 0, 7, 7];
        let bytes = [&settings[..], &acknowledged, &goaway, &settings, &goaway].concat();
        for size in 1..bytes.len() {
            let mut frames = Frames::default();
            let mut found = Vec::new();
            for piece in bytes.chunks(size) {
                frames.read(piece, |id| found.push(id));
            }
            assert_eq!(found, [41, 41], "in pieces of {size}");
        }
    }
}
