//! The thin shell that agent and controller share: everything here touches the operating system, and nothing here decides about patches.

pub mod atomic_file;
pub mod clock;
pub mod config;
pub mod retry;
pub mod steady_clock;
pub mod telemetry;
pub mod throttle;
pub mod tls;
