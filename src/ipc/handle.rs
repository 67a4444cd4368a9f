use std::os::fd::OwnedFd;

use crate::{
    protocol::handle::HandleType,
    sys::socket::{self, Nature},
};

/// Whether a descriptor is of the type that its sender claims. With another descriptor, what JavaScript
/// makes of it would fail or abort later.
pub(super) fn fits(descriptor: &OwnedFd, handle: HandleType) -> bool {
    let Some(nature) = socket::nature(descriptor) else { return false };
    match handle {
        HandleType::TcpSocket | HandleType::TcpBound => nature == Nature::Tcp { listening: false },
        HandleType::TcpServer => nature == Nature::Tcp { listening: true },
        HandleType::TcpNative => matches!(nature, Nature::Tcp { .. }),
        HandleType::PipeSocket => {
            matches!(nature, Nature::Pipe { listening: false } | Nature::Fifo)
        }
        HandleType::PipeServer => nature == Nature::Pipe { listening: true },
        HandleType::PipeNative => matches!(nature, Nature::Pipe { .. } | Nature::Fifo),
        HandleType::Udp4Socket | HandleType::Udp6Socket | HandleType::UdpNative => {
            nature == Nature::Udp
        }
    }
}
