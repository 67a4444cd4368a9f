//! What operators are told of a supervised program: data as JSON, and a page that shows it.

pub mod page;
pub mod report;
pub mod status;
