//! The types of descriptors on the IPC channel, and what JavaScript makes of each.

/// The type of a handle. `lib/ipc/handles.js` has the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum HandleType {
    /// A connection, for a `net.Socket`.
    TcpSocket = 1,
    /// A connection between processes of one machine, for a `net.Socket`.
    PipeSocket = 2,
    /// A listening socket, for a `net.Server`.
    TcpServer = 3,
    /// A listening socket for processes of one machine, for a `net.Server`.
    PipeServer = 4,
    /// A `TCP` handle of Node's own, as it is.
    TcpNative = 5,
    /// A `Pipe` handle of Node's own, as it is.
    PipeNative = 6,
    /// For a `dgram.Socket` of type `udp4`.
    Udp4Socket = 7,
    /// For a `dgram.Socket` of type `udp6`.
    Udp6Socket = 8,
    /// A `UDP` handle of Node's own, as it is.
    UdpNative = 9,
    /// A socket that is only bound, for a `net.BoundSocket`.
    TcpBound = 10,
}

impl HandleType {
    /// Every type, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::TcpSocket,
        Self::PipeSocket,
        Self::TcpServer,
        Self::PipeServer,
        Self::TcpNative,
        Self::PipeNative,
        Self::Udp4Socket,
        Self::Udp6Socket,
        Self::UdpNative,
        Self::TcpBound,
    ];

    /// The type with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.number() == number)
    }

    /// Its number in a frame.
    pub fn number(self) -> u8 {
        self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_a_number_of_its_own() {
        for (index, handle) in HandleType::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(handle.number()), index + 1);
            assert_eq!(HandleType::from_number(handle.number()), Some(handle));
        }
        assert_eq!(HandleType::from_number(0), None);
        assert_eq!(HandleType::from_number(11), None);
    }
}
