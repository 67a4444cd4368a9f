//! What operators ask for over HTTP.
//!
//! - [`page`](mod@page): the status page.

pub mod page;
