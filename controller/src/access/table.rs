//! The table: every method of every service, and who may call it.

use super::CallerKind::{self, Admin, Anonymous, Approver, ExpiredHost, ManagedHost, Operator, ReportOnlyHost, Viewer};

/// A row.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The method as gRPC names it: `/package.Service/Method`.
    pub method: &'static str,
    /// Who may call it.
    pub callers: &'static [CallerKind],
}

impl Rule {
    /// Whether this kind of caller may.
    #[must_use]
    pub fn allows(&self, kind: CallerKind) -> bool {
        self.callers.contains(&kind)
    }

    /// The least role that may, for the error that operators see.
    #[must_use]
    pub fn least_role(&self) -> Option<&'static str> {
        let roles = [(Viewer, "viewer"), (Operator, "operator"), (Approver, "approver"), (Admin, "admin")];
        roles.into_iter().find(|(kind, _)| self.allows(*kind)).map(|(_, name)| name)
    }
}

const ENROLLERS: &[CallerKind] = &[Anonymous];
const HOSTS: &[CallerKind] = &[ReportOnlyHost, ManagedHost];
const RENEWERS: &[CallerKind] = &[ExpiredHost, ReportOnlyHost, ManagedHost];
const READERS: &[CallerKind] = &[Viewer, Operator, Approver, Admin];
const RUNNERS: &[CallerKind] = &[Operator, Approver, Admin];
const APPROVERS: &[CallerKind] = &[Approver, Admin];
const ADMINS: &[CallerKind] = &[Admin];

macro_rules! table {
    ($($service:literal { $($method:literal => $callers:ident,)+ })+) => {
        /// Every row.
        pub const TABLE: &[Rule] = &[$($(Rule { method: concat!("/", $service, "/", $method), callers: $callers },)+)+];
    };
}

table! {
    "patchwave.fleet.v1.EnrolmentService" {
        "Enroll" => ENROLLERS,
    }
    "patchwave.fleet.v1.AgentService" {
        "Session" => HOSTS,
        "Renew" => RENEWERS,
    }
    "patchwave.operator.v1.OperatorService" {
        "WhoAmI" => READERS,
        "CreateOperator" => ADMINS,
        "ListOperators" => READERS,
        "RevokeOperator" => ADMINS,
        "CreateToken" => RUNNERS,
        "ListTokens" => READERS,
        "RevokeToken" => RUNNERS,
        "ListHosts" => READERS,
        "ShowHost" => READERS,
        "LabelHosts" => RUNNERS,
        "RetireHost" => RUNNERS,
        "ReplaceHost" => RUNNERS,
        "RefreshHosts" => RUNNERS,
        "ListPackages" => READERS,
        "ListPackageHosts" => READERS,
        "ListUpdates" => READERS,
        "ApplyPolicy" => RUNNERS,
        "ListPolicies" => READERS,
        "ShowPolicy" => READERS,
        "LintPolicy" => READERS,
        "PlanRollout" => RUNNERS,
        "ApproveRollout" => APPROVERS,
        "StartRollout" => RUNNERS,
        "ListRollouts" => READERS,
        "ShowRollout" => READERS,
        "WatchRollout" => READERS,
        "ExplainRollout" => READERS,
        "PauseRollout" => RUNNERS,
        "ResumeRollout" => RUNNERS,
        "AbortRollout" => RUNNERS,
        "RollbackRollout" => RUNNERS,
        "ReplanRollout" => RUNNERS,
        "ReportHarm" => RUNNERS,
        "ListQuarantine" => READERS,
        "LiftQuarantine" => RUNNERS,
        "SetHalt" => RUNNERS,
        "ShowHalt" => READERS,
        "ListFeeds" => READERS,
        "AddFeed" => ADMINS,
        "RemoveFeed" => ADMINS,
        "RefreshFeed" => RUNNERS,
        "ImportFeed" => ADMINS,
        "ListFindings" => READERS,
        "CountFindings" => READERS,
        "ShowFinding" => READERS,
        "ShowAdvisory" => READERS,
        "Events" => READERS,
        "ListAudit" => READERS,
        "Backup" => ADMINS,
    }
    "metrics" {
        "get" => READERS,
    }
}

/// The row of a method; `/metrics` is the one path that is not gRPC.
#[must_use]
pub fn rule_of(path: &str) -> Option<&'static Rule> {
    let method = if path == "/metrics" { "/metrics/get" } else { path };
    TABLE.iter().find(|rule| rule.method == method)
}
