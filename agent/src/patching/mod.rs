//! Applying staged patches and taking them back: a pure machine, a driver that does the I/O, a journal that makes every step resumable.
//!
//! * [`machine`] decides. It is pure.
//! * `driver` carries its actions out: it asks the package manager, runs checks, starts transactions, and tells the session.
//! * `journal` keeps a case's records, so that any step resumes after kill -9 or a reboot.
//! * `transaction` runs a package manager outside the agent, in a unit or session of its own (rule 23).
//! * [`retention`] keeps receipts and originals within their bounds.
//!
//! What the rest of the agent calls: [`PatchingHandle`] from the session, `run_transaction` for the hidden subcommand of that name,
//! [`read_status`] from the command line. A report-only agent makes no [`PatchingHandle`] at all.

mod driver;
mod handle;
pub mod journal;
pub mod machine;
pub mod retention;
mod settings;
mod store;
mod transaction;

pub(crate) use transaction::tool;

pub use handle::{Command, Event, PatchingError, PatchingHandle, PatchingStatus, read_status};
pub use settings::{Isolation, PatchingSettings, Runner};
pub use transaction::run_transaction;
