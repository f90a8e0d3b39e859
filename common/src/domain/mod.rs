//! The words of the design as types. Pure: no clock, no file, no network, no randomness.
//!
//! Values here hold what was proved when they were made: a [`HostId`] is well-formed, a [`PackageVersion`] can stand in an argument
//! vector. Wire types live in `patchwave-proto` and become these in one place.

mod digest;
mod directive;
pub mod dpkg;
mod generation;
mod health;
mod host;
mod ids;
mod inventory;
mod labels;
mod package;
pub mod policy;
mod selector;
mod session;
mod target;
mod text;
mod time;
pub mod version;

pub use digest::{Digest, DigestBuilder};
pub use directive::{
    ApplyOrder, Directive, DirectiveProgress, Feature, HarmReason, Lease, NotStagedReason, Order, RefusalReason, StageRequest, StageResult,
    TakeBackOrder,
};
pub use generation::Generation;
pub use health::{CheckKind, CheckName, HealthCheck, UnitName};
pub use host::{HostFacts, HostMode, RebootRequired};
pub use ids::{AdvisoryId, FeedName, GroupName, HostId, InstanceId, OperatorName, PolicyName, RolloutId, TokenId};
pub use inventory::{CandidateSet, Inventory, InventoryDelta, InventoryError, MAX_PACKAGES};
pub use labels::{LabelKey, LabelValue, Labels, RING_LABEL, Ring};
pub use package::{
    Architecture, Blocked, Candidate, InstallState, InstalledPackage, Manager, Mark, Origin, PackageId, PackageName, PackageVersion,
    QuarantineKey,
};
pub use selector::{Selector, SelectorError};
pub use session::{DirectiveHistory, FromAgent, Hello, StopCause, ToAgent};
pub use target::{PackageTarget, TargetSet};
pub use text::{ParseError, clean_text, steers_output};
pub use time::{Timestamp, parse_duration, show_duration};
pub use version::{Ecosystem, InvalidVersion, compare_debian};
