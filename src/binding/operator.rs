use napi_derive::napi;

use crate::{
    primary::operator::{identity::Program, sockets::Refusal},
    sys::errno,
};

/// What the engine is told of the program.
#[napi(object, object_to_js = false)]
pub struct EngineProgram {
    /// Its name.
    pub name: String,
    /// `process.version`.
    pub node: String,
}

impl From<EngineProgram> for Program {
    fn from(EngineProgram { name, node }: EngineProgram) -> Self {
        Self { name, node }
    }
}

/// Why a socket for operators can't be bound.
#[napi(object, object_from_js = false)]
pub struct ListenFailure {
    /// The negated errno, if a system call has failed.
    pub errno: Option<i32>,
    /// Whether something else than a socket has the path.
    pub is_occupied: bool,
    /// The process that listens there, where the system tells.
    pub pid: Option<i32>,
}

impl From<Refusal> for ListenFailure {
    fn from(refusal: Refusal) -> Self {
        let nothing = Self { errno: None, is_occupied: false, pid: None };
        match refusal {
            Refusal::InUse(pid) => Self { pid, ..nothing },
            Refusal::Occupied => Self { is_occupied: true, ..nothing },
            Refusal::System(error) => Self { errno: Some(errno(&error)), ..nothing },
        }
    }
}
