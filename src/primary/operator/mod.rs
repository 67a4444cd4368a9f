//! What operators are told of a supervised program: data as JSON, and a page that shows it.

pub mod identity;
pub mod page;
pub mod report;
pub mod sockets;
pub mod status;
