//! A connection to a server: TCP or a Unix socket, with or without TLS.

use std::{
    io,
    os::fd::{AsRawFd, RawFd},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, recv},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    time::sleep,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{HandshakeKind, pki_types::ServerName},
};

use super::plan::Address;

trait Io: AsyncRead + AsyncWrite {}
impl<T: AsyncRead + AsyncWrite> Io for T {}

/// An open connection. Dropping it closes it.
pub(crate) struct Stream {
    io: Pin<Box<dyn Io>>,
    descriptor: RawFd,
    /// Whether the TLS handshake resumed a session.
    pub(crate) resumed: bool,
}

/// What the kernel has received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    Nothing,
    Bytes,
    Fin,
    Reset,
}

impl Stream {
    pub(crate) async fn connect(address: &Address, tls: Option<&TlsConnector>) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Self::over(stream, tls).await
            }
            Address::Unix(path) => loop {
                match UnixStream::connect(path).await {
                    // The backlog is full. A blocking `connect()` would wait.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        sleep(Duration::from_millis(1)).await;
                    }
                    result => return Self::over(result?, tls).await,
                }
            },
        }
    }

    async fn over<T>(stream: T, tls: Option<&TlsConnector>) -> io::Result<Self>
    where
        T: AsyncRead + AsyncWrite + AsRawFd + Unpin + 'static,
    {
        let descriptor = stream.as_raw_fd();
        let Some(tls) = tls else {
            return Ok(Self { io: Box::pin(stream), descriptor, resumed: false });
        };
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let stream = tls.connect(name, stream).await?;
        let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        Ok(Self { io: Box::pin(stream), descriptor, resumed })
    }

    /// Asks the kernel, because the runtime may not have noticed yet what has come.
    pub(crate) fn received(&self) -> Received {
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        match recv(self.descriptor, &mut [0], flags) {
            Ok(0) => Received::Fin,
            Ok(_) => Received::Bytes,
            Err(Errno::EAGAIN | Errno::EINTR) => Received::Nothing,
            Err(_) => Received::Reset,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.io.as_mut().poll_read(context, buffer) {
            // FIN without TLS's own notice of the end is FIN nevertheless.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_shutdown(context)
    }
}
