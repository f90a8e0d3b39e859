//! Real TLS over loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bounds;
mod fixture;
mod handshake;
mod trust;
