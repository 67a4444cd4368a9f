//! What the targets share: IPC channels without processes, descriptors to send, and what must not grow.

use std::{
    fs::{self, File},
    io,
    net::{TcpListener, UdpSocket},
    os::{
        fd::{AsFd, OwnedFd},
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    sync::LazyLock,
};

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use nix::sys::{
    socket::{AddressFamily, SockFlag, SockType, socket},
    stat::fstat,
};
use rs_cluster::{
    ipc::Channel,
    protocol::{frame::Kind, handle::HandleType},
    sys::{
        lane,
        ring::{self, Ring, Side},
    },
};

mod memory;
#[cfg(not(feature = "libfuzzer"))]
mod replay;

pub use memory::{Bounded, largest_request};

/// One end of an IPC channel, and the stream and the memory that its peer has.
pub fn half_a_channel() -> (Channel, OwnedFd, OwnedFd) {
    let (ours, theirs) = lane::stream_pair().expect("a pair of sockets");
    let memory = ring::create().expect("memory");
    let ring = Ring::map(&memory, Side::Primary).expect("a mapping");
    (Channel::new(ours, ring), theirs, memory)
}

/// Both ends of an IPC channel.
pub fn channel() -> (Channel, Channel) {
    let (ours, theirs, memory) = half_a_channel();
    (ours, Channel::new(theirs, Ring::map(memory, Side::Worker).expect("a mapping")))
}

/// How many descriptors this process has open.
pub fn open_descriptors() -> usize {
    LazyLock::force(&CARGO);
    fs::read_dir("/proc/self/fd").expect("/proc").count()
}

/// A number of bytes; all the limits are in reach.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Length {
    /// Of most messages.
    Short(u8),
    /// Around the longest that goes by memory.
    Medium(u16),
    /// Longer than the memory, and than the stream takes at once.
    Long(u32),
}

impl Length {
    /// The number.
    pub fn get(self) -> usize {
        match self {
            Self::Short(length) => length.into(),
            Self::Medium(length) => length.into(),
            Self::Long(length) => length as usize % 300_000,
        }
    }
}

/// The kinds that are messages.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Sort {
    Text,
    Internal,
    Bytes,
    String,
    WideText,
    WideString,
}

impl Sort {
    /// The kind.
    pub fn kind(self) -> Kind {
        match self {
            Self::Text => Kind::Text,
            Self::Internal => Kind::Internal,
            Self::Bytes => Kind::Bytes,
            Self::String => Kind::String,
            Self::WideText => Kind::WideText,
            Self::WideString => Kind::WideString,
        }
    }
}

/// One descriptor of every nature.
struct Cargo {
    tcp_socket: OwnedFd,
    tcp_server: OwnedFd,
    pipe_socket: OwnedFd,
    pipe_server: OwnedFd,
    udp: OwnedFd,
    fifo: OwnedFd,
    packets: OwnedFd,
    file: OwnedFd,
}

static CARGO: LazyLock<Cargo> = LazyLock::new(|| Cargo::open().expect("descriptors"));

impl Cargo {
    fn open() -> io::Result<Self> {
        let name = format!("rs-cluster-fuzz-{}", std::process::id());
        let name = SocketAddr::from_abstract_name(name)?;
        Ok(Self {
            tcp_socket: socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None)?,
            tcp_server: TcpListener::bind("127.0.0.1:0")?.into(),
            pipe_socket: lane::stream_pair()?.0,
            pipe_server: UnixListener::bind_addr(&name)?.into(),
            udp: UdpSocket::bind("127.0.0.1:0")?.into(),
            fifo: nix::unistd::pipe()?.0,
            packets: lane::packet_pair()?.0,
            file: File::open("/dev/null")?.into(),
        })
    }
}

/// A descriptor that is what a handle of this type has to be.
pub fn fitting(handle: HandleType) -> OwnedFd {
    let descriptor = match handle {
        HandleType::TcpSocket | HandleType::TcpBound => &CARGO.tcp_socket,
        HandleType::TcpServer | HandleType::TcpNative => &CARGO.tcp_server,
        HandleType::PipeSocket => &CARGO.pipe_socket,
        HandleType::PipeServer => &CARGO.pipe_server,
        HandleType::PipeNative => &CARGO.fifo,
        HandleType::Udp4Socket | HandleType::Udp6Socket | HandleType::UdpNative => &CARGO.udp,
    };
    descriptor.try_clone().expect("a descriptor")
}

/// A descriptor that fits or not.
pub fn any_descriptor(number: u8) -> OwnedFd {
    let descriptor = match number % 8 {
        0 => &CARGO.tcp_socket,
        1 => &CARGO.tcp_server,
        2 => &CARGO.pipe_socket,
        3 => &CARGO.pipe_server,
        4 => &CARGO.udp,
        5 => &CARGO.fifo,
        6 => &CARGO.packets,
        _ => &CARGO.file,
    };
    descriptor.try_clone().expect("a descriptor")
}

/// Any type of handle.
pub fn handle_type(number: u8) -> HandleType {
    HandleType::ALL[usize::from(number) % HandleType::ALL.len()]
}

/// Whether two descriptors are of the same open file.
pub fn are_same(one: impl AsFd, other: impl AsFd) -> bool {
    let identity = |fd| fstat(fd).map(|it| (it.st_dev, it.st_ino));
    identity(one.as_fd()).expect("a file") == identity(other.as_fd()).expect("a file")
}
