//! What a message carries, as it is given to a [`Channel`](super::Channel).

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Weak},
};

/// Bytes that several channels can send, and queue, without a copy each.
#[derive(Clone)]
pub struct SharedBytes(Arc<dyn AsRef<[u8]> + Send + Sync>);

impl SharedBytes {
    /// Takes a buffer, which is freed when nothing refers to it any longer.
    pub fn new(buffer: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(buffer))
    }

    /// Refers to these bytes without keeping them.
    pub fn downgrade(&self) -> WeakBytes {
        WeakBytes(Arc::downgrade(&self.0))
    }
}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SharedBytes({} bytes)", (*self.0).as_ref().len())
    }
}

/// Refers to [`SharedBytes`] as long as something else keeps them.
pub struct WeakBytes(Weak<dyn AsRef<[u8]> + Send + Sync>);

impl WeakBytes {
    /// The bytes, if they are still kept.
    pub fn upgrade(&self) -> Option<SharedBytes> {
        self.0.upgrade().map(SharedBytes)
    }
}

impl fmt::Debug for WeakBytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("WeakBytes")
    }
}

/// The bytes of a message. Those that are borrowed are copied if they have to wait.
#[derive(Debug, Clone)]
pub enum Payload<'a> {
    /// The caller keeps them, and needs them back when `send` returns.
    Borrowed(&'a [u8]),
    /// Only this message uses them.
    Owned(Vec<u8>),
    /// Other messages may use them too.
    Shared(SharedBytes),
}

impl Payload<'_> {
    /// Makes a payload that can wait in a queue, after `sent` of its bytes have been sent. Returns it, and how many bytes
    /// at its start are not to be sent again.
    pub(super) fn into_waiting(self, sent: usize) -> (Payload<'static>, usize) {
        match self {
            Self::Borrowed(bytes) => (Payload::Owned(bytes[sent..].to_vec()), 0),
            Self::Owned(bytes) => (Payload::Owned(bytes), sent),
            Self::Shared(bytes) => (Payload::Shared(bytes), sent),
        }
    }
}

impl Deref for Payload<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => (*bytes.0).as_ref(),
        }
    }
}

impl From<SharedBytes> for Payload<'_> {
    fn from(bytes: SharedBytes) -> Self {
        Self::Shared(bytes)
    }
}

impl<'a> From<&'a [u8]> for Payload<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Borrowed(bytes)
    }
}

impl From<Vec<u8>> for Payload<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes)
    }
}
