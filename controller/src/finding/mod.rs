//! Findings: an advisory on a host, open until the host *runs* fixed code. Pure: no clock, no file, no network, no randomness.
//!
//! Terms: a finding is named by its advisory and the source package on the host ([`FindingKey`]); one for each source package, however many
//! binaries are built from it (rule 20). The *view* of a host is everything that decides about its findings: what is installed and what
//! speaks of it, what the host could get and will get, what it runs, and what people excepted. [`step`] makes the findings of a view from
//! those before it; what changed between two of them are *transitions*, each with its evidence.
//!
//! An installed fix is not a running fix (rule 35): while a process still uses the old code, or nobody can tell, a finding stays at *restart
//! pending*. Of kernels the booted one counts (rule 22).

mod running;
mod state;
mod step;
#[cfg(test)]
mod tests;

pub use running::{Holder, Running};
pub use state::{Finding, FindingKey, FindingSet, FindingState, Transition, transitions};
pub use step::{Available, Exception, ExceptionKind, View, step};
