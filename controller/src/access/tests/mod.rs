//! Every method × every kind of caller, over a real server with real certificates; calls that stay open; and what is answered.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod fixture;
mod matrix;
mod open_calls;
