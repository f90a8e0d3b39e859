//! Every method × every kind of caller, over a real server with real certificates; and calls that stay open.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;
mod matrix;
mod open_calls;
