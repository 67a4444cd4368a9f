use napi_derive::napi;

use crate::primary::Offered;

/// What a primary is told of this one, whose place it is to take.
#[napi(object, object_to_js = false)]
pub struct EngineSuccessor {
    /// The version of this package.
    pub version: String,
    /// `process.version`.
    pub node: String,
}

/// A primary whose place this one is to take.
#[napi(object, object_from_js = false)]
pub struct EnginePredecessor {
    /// The generation of its workers. Those of this one are of the next.
    pub generation: u32,
    /// Its process.
    pub pid: u32,
    /// The version of its package.
    pub version: String,
    /// Its `process.version`.
    pub node: String,
    /// The path of its control socket, or null.
    pub control: Option<String>,
    /// The address of its admin endpoint, or null.
    pub admin: Option<String>,
}

impl From<Offered> for EnginePredecessor {
    fn from(Offered { predecessor, control, admin }: Offered) -> Self {
        let (generation, pid) = (predecessor.generation, predecessor.pid);
        let (version, node) = (predecessor.version, predecessor.node);
        Self { generation, pid, version, node, control, admin }
    }
}
