//! What agent and controller share.
//!
//! * [`domain`] is pure: words of the design as types, parsed once, and the functions over them. It reads no clock, file or network.
//! * [`runtime`] is the thin shell around them: TLS, clocks, retry, atomic files, configuration, telemetry.

pub mod domain;
pub mod runtime;
