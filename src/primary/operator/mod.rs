//! What operators are told of a supervised program, as JSON.

pub mod report;
pub mod status;
