//! HTTP/1 on one connection: requests as text, answers read exactly to their end.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{
    failure::{Class, Failure},
    stream::{Received, Stream},
};

const HEADERS: usize = 64;
/// How long a server that said `close` may take to do so.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
/// How long what has reached the kernel may take to reach the program.
const ARRIVAL_LIMIT: Duration = Duration::from_millis(20);

/// A connection, and what came on it but is not read yet.
pub(crate) struct Connection {
    pub(crate) stream: Stream,
    pub(crate) input: Vec<u8>,
    /// What `Keep-Alive: timeout` said last.
    pub(crate) promise: Option<Duration>,
}

/// How a connection without a request fared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    Open,
    Fin,
    Reset,
    /// Something came, unasked.
    Unsolicited,
}

/// The head of an answer, and where its body ends.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// No further request can be sent.
    pub(crate) close: bool,
    framing: Framing,
}

#[derive(Debug)]
enum Framing {
    Length(u64),
    Chunk { left: u64, first: bool },
    UntilClose,
    Done,
}

fn eof() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

impl Connection {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, input: Vec::new(), promise: None }
    }

    /// Sends bytes. An error is not final: an answer may have come nevertheless.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Reads more bytes. Fails at the end of the connection.
    pub(crate) async fn fill(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(eof()),
            _ => Ok(()),
        }
    }

    /// Reads the head of the next answer that is not an interim one.
    pub(crate) async fn head(&mut self) -> Result<Head, Failure> {
        loop {
            match self.parse()? {
                Some(head) if head.status >= 200 || head.status == 101 => return Ok(head),
                Some(_) => {}
                None => self.fill().await.map_err(|error| {
                    if self.input.is_empty() {
                        Failure::before_answer(&error)
                    } else {
                        Failure::within_answer(&error)
                    }
                })?,
            }
        }
    }

    fn parse(&mut self) -> Result<Option<Head>, Failure> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(&self.input).map_err(|error| {
            Failure::protocol(format!("{error}: {:?}", String::from_utf8_lossy(&self.input)))
        })?;
        let httparse::Status::Complete(length) = parsed else { return Ok(None) };
        let status = response.code.unwrap_or_default();
        let mut close = response.version == Some(0);
        let mut framing = Framing::UntilClose;
        let mut promise = None;
        for header in response.headers.iter() {
            let value = String::from_utf8_lossy(header.value).to_ascii_lowercase();
            if header.name.eq_ignore_ascii_case("connection") {
                close = close && value != "keep-alive" || value.contains("close");
            } else if header.name.eq_ignore_ascii_case("content-length") {
                let length = value.parse().map_err(|_| Failure::protocol("content-length"))?;
                framing = Framing::Length(length);
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                framing = Framing::Chunk { left: 0, first: true };
            } else if header.name.eq_ignore_ascii_case("keep-alive") {
                promise = value.strip_prefix("timeout=").and_then(|text| text.parse().ok());
            }
        }
        if status < 200 || status == 204 || status == 304 {
            framing = Framing::Done;
        }
        close |= matches!(framing, Framing::UntilClose);
        self.input.drain(..length);
        self.promise = promise.map(Duration::from_secs);
        Ok(Some(Head { status, close, framing }))
    }

    /// Reads a piece of the body; none at its end.
    pub(crate) async fn piece(&mut self, head: &mut Head) -> Result<Option<Vec<u8>>, Failure> {
        let result = self.read_piece(&mut head.framing).await;
        result.map_err(|error| Failure::within_answer(&error))
    }

    async fn read_piece(&mut self, framing: &mut Framing) -> io::Result<Option<Vec<u8>>> {
        loop {
            match framing {
                Framing::Done | Framing::Length(0) => return Ok(None),
                Framing::Length(left) | Framing::Chunk { left, .. } if *left > 0 => {
                    let bytes = self.take(*left).await?;
                    *left -= bytes.len() as u64;
                    return Ok(Some(bytes));
                }
                Framing::Chunk { left, first } => {
                    if !*first && !self.line().await?.is_empty() {
                        return Err(io::Error::new(io::ErrorKind::InvalidData, "end of a chunk"));
                    }
                    *first = false;
                    *left = parse_size(&self.line().await?)?;
                    if *left == 0 {
                        while !self.line().await?.is_empty() {}
                        *framing = Framing::Done;
                    }
                }
                Framing::Length(_) => return Ok(None),
                Framing::UntilClose => match self.take(u64::MAX).await {
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                    result => return result.map(Some),
                },
            }
        }
    }

    /// Reads up to so many bytes, and at least one.
    async fn take(&mut self, most: u64) -> io::Result<Vec<u8>> {
        if self.input.is_empty() {
            self.fill().await?;
        }
        let length = usize::try_from(most).unwrap_or(usize::MAX).min(self.input.len());
        Ok(self.input.drain(..length).collect())
    }

    async fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") {
                let mut line: Vec<u8> = self.input.drain(..end + 2).collect();
                line.truncate(end);
                return Ok(line);
            }
            self.fill().await?;
        }
    }

    pub(crate) async fn body(&mut self, head: &mut Head) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece(head).await? {
            body.extend(piece);
        }
        Ok(body)
    }

    /// Waits until something comes, or the connection ends.
    pub(crate) async fn watch(&mut self) -> Idle {
        if !self.input.is_empty() {
            return Idle::Unsolicited;
        }
        match self.fill().await {
            Ok(()) => Idle::Unsolicited,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Idle::Fin,
            Err(_) => Idle::Reset,
        }
    }

    /// Looks whether the connection can carry a request, as late as possible.
    pub(crate) async fn check(&mut self) -> Idle {
        if !self.input.is_empty() {
            return Idle::Unsolicited;
        }
        match self.stream.received() {
            Received::Nothing => Idle::Open,
            Received::Fin => Idle::Fin,
            Received::Reset => Idle::Reset,
            // With TLS these may be tickets, which are not for the program.
            Received::Bytes => timeout(ARRIVAL_LIMIT, self.watch()).await.unwrap_or(Idle::Open),
        }
    }

    /// Waits until the server has closed, as it said. Closing first would take ports of the client.
    pub(crate) async fn finish(&mut self) -> Idle {
        timeout(CLOSE_LIMIT, self.watch()).await.unwrap_or(Idle::Open)
    }

    /// What came unasked: a second answer, or something else.
    pub(crate) async fn unsolicited(&mut self) -> Failure {
        let line = async { while !self.input.contains(&b'\n') && self.fill().await.is_ok() {} };
        // Whatever has come by then is described.
        let _ = timeout(ARRIVAL_LIMIT, line).await;
        let text = String::from_utf8_lossy(&self.input).into_owned();
        let is_answer = text.starts_with("HTTP/1.1 2");
        let class = if is_answer { Class::Twice } else { Class::Unsolicited };
        Failure::new(class, text.chars().take(200).collect::<String>())
    }
}

fn parse_size(line: &[u8]) -> io::Result<u64> {
    let text = String::from_utf8_lossy(line);
    let digits = text.split(';').next().unwrap_or_default().trim();
    u64::from_str_radix(digits, 16)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("chunk size {text:?}")))
}
