//! The operator service: one file per noun, every call audited.
//!
//! Handlers answer with views of the fleet, the store and the rollouts. Who may call what is `access`'s table, checked before a handler
//! runs; what a rollout does is the conductor's.

mod call;
mod feeds;
mod findings;
mod history;
mod hosts;
mod operators;
mod packages;
mod policies;
mod rollout_views;
mod rollouts;
mod safety;
mod stream;
mod tokens;

use std::sync::Arc;

use patchwave_proto::operator::v1 as wire;
use tonic::{Request, Response, Status, Streaming};
use wire::operator_service_server::{OperatorService, OperatorServiceServer};

use call::Call;
pub(crate) use call::store_status;
use stream::Rows;

use crate::access::Caller;
use crate::app::App;

/// The service.
pub struct Operators {
    app: Arc<App>,
}

/// The service, ready to be routed to.
#[must_use]
pub fn service(app: Arc<App>) -> OperatorServiceServer<Operators> {
    OperatorServiceServer::new(Operators { app }).max_decoding_message_size(MAX_REQUEST_BYTES)
}

/// Largest request: a policy file is the largest thing that operators send.
const MAX_REQUEST_BYTES: usize = 1024 * 1024;

impl Operators {
    fn call<T>(&self, request: Request<T>) -> Result<(Call, T), Status> {
        let Some(Caller::Operator { name, role }) = request.extensions().get::<Caller>().cloned() else {
            return Err(Status::permission_denied("this call is for operators"));
        };
        Ok((Call { app: self.app.clone(), name, role, at: self.app.clock.now() }, request.into_inner()))
    }
}

/// Implements the generated trait: each method finds the caller, runs its handler and records the outcome in the audit log.
macro_rules! methods {
    (
        unary { $($name:ident($request:ident) -> $answer:ident = $action:literal, $subject:expr => $handler:path;)+ }
        streams { $($sname:ident($srequest:ident) -> $sitem:ident as $stype:ident = $saction:literal, $ssubject:expr => $shandler:path;)+ }
    ) => {
        #[tonic::async_trait]
        impl OperatorService for Operators {
            $(
                async fn $name(&self, request: Request<wire::$request>) -> Result<Response<wire::$answer>, Status> {
                    let (call, request) = self.call(request)?;
                    let subject: fn(&wire::$request) -> String = $subject;
                    let subject = subject(&request);
                    let result = $handler(&call, request).await;
                    call.audit($action, &subject, result.as_ref().map(drop)).await;
                    result.map(Response::new)
                }
            )+
            $(
                type $stype = Rows<wire::$sitem>;
                async fn $sname(&self, request: Request<wire::$srequest>) -> Result<Response<Self::$stype>, Status> {
                    let (call, request) = self.call(request)?;
                    let subject: fn(&wire::$srequest) -> String = $ssubject;
                    let subject = subject(&request);
                    let result = $shandler(&call, request).await;
                    call.audit($saction, &subject, result.as_ref().map(drop)).await;
                    result.map(Response::new)
                }
            )+
            async fn import_feed(&self, request: Request<Streaming<wire::ImportFeedRequest>>) -> Result<Response<wire::Feed>, Status> {
                let (call, mut parts) = self.call(request)?;
                let mut name = String::new();
                let result = feeds::import(&call, &mut parts, &mut name).await;
                call.audit("feed.import", &name, result.as_ref().map(drop)).await;
                result.map(Response::new)
            }
        }
    };
}

methods! {
    unary {
        who_am_i(WhoAmIRequest) -> Identity = "operator.who-am-i", |_| String::new() => operators::who_am_i;
        create_operator(CreateOperatorRequest) -> OperatorCreated = "operator.create", |request| request.name.clone() => operators::create;
        list_operators(ListOperatorsRequest) -> OperatorList = "operator.list", |_| String::new() => operators::list;
        revoke_operator(RevokeOperatorRequest) -> Operator = "operator.revoke", |request| request.name.clone() => operators::revoke;
        create_token(CreateTokenRequest) -> TokenCreated = "token.create", |request| request.mode.clone() => tokens::create;
        list_tokens(ListTokensRequest) -> TokenList = "token.list", |_| String::new() => tokens::list;
        revoke_token(RevokeTokenRequest) -> Token = "token.revoke", |request| request.id.clone() => tokens::revoke;
        show_host(ShowHostRequest) -> HostDetail = "host.show", |request| request.host.clone() => hosts::show;
        label_hosts(LabelHostsRequest) -> HostList = "host.label", |request| request.host.clone() => hosts::label;
        retire_host(RetireHostRequest) -> Host = "host.retire", |request| request.host.clone() => hosts::retire;
        replace_host(ReplaceHostRequest) -> Host = "host.replace", |request| request.old_host.clone() => hosts::replace;
        refresh_hosts(ListHostsRequest) -> RefreshAsked = "host.refresh", |request| request.selector.clone() => hosts::refresh;
        apply_policy(ApplyPolicyRequest) -> Policy = "policy.apply", |_| String::new() => policies::apply;
        list_policies(ListPoliciesRequest) -> PolicyList = "policy.list", |_| String::new() => policies::list;
        show_policy(ShowPolicyRequest) -> Policy = "policy.show", |request| request.name.clone() => policies::show;
        lint_policy(LintPolicyRequest) -> LintReport = "policy.lint", |request| request.name.clone() => policies::lint;
        plan_rollout(PlanRolloutRequest) -> RolloutPlan = "rollout.plan", |request| request.policy.clone() => rollouts::plan;
        approve_rollout(RolloutRequest) -> Rollout = "rollout.approve", |request| request.rollout.clone() => rollouts::approve;
        start_rollout(StartRolloutRequest) -> Rollout = "rollout.start", |request| request.rollout.clone() => rollouts::start;
        list_rollouts(ListRolloutsRequest) -> RolloutList = "rollout.list", |_| String::new() => rollouts::list;
        show_rollout(RolloutRequest) -> RolloutDetail = "rollout.show", |request| request.rollout.clone() => rollouts::show;
        explain_rollout(ExplainRolloutRequest) -> Explanation = "rollout.explain", |request| request.rollout.clone() => rollouts::explain;
        pause_rollout(RolloutReasonRequest) -> Rollout = "rollout.pause", |request| request.rollout.clone() => rollouts::pause;
        resume_rollout(RolloutReasonRequest) -> Rollout = "rollout.resume", |request| request.rollout.clone() => rollouts::resume;
        abort_rollout(RolloutReasonRequest) -> Rollout = "rollout.abort", |request| request.rollout.clone() => rollouts::abort;
        rollback_rollout(RolloutReasonRequest) -> RolloutPlan = "rollout.rollback", |request| request.rollout.clone() => rollouts::rollback;
        replan_rollout(RolloutRequest) -> RolloutPlan = "rollout.replan", |request| request.rollout.clone() => rollouts::replan;
        report_harm(ReportHarmRequest) -> Rollout = "rollout.report-harm", |request| request.host.clone() => rollouts::report_harm;
        list_quarantine(ListQuarantineRequest) -> QuarantineList = "quarantine.list", |_| String::new() => safety::list_quarantine;
        lift_quarantine(LiftQuarantineRequest) -> QuarantineEntry = "quarantine.lift", |request| request.id.clone() => safety::lift_quarantine;
        list_feeds(ListFeedsRequest) -> FeedList = "feed.list", |_| String::new() => feeds::list;
        add_feed(AddFeedRequest) -> Feed = "feed.add", |request| request.name.clone() => feeds::add;
        remove_feed(FeedRequest) -> Feed = "feed.remove", |request| request.name.clone() => feeds::remove;
        refresh_feed(RefreshFeedRequest) -> Feed = "feed.refresh", |request| request.name.clone() => feeds::refresh;
        count_findings(ListFindingsRequest) -> FindingCounts = "finding.count", |request| request.selector.clone() => findings::count;
        show_finding(FindingRequest) -> FindingDetail = "finding.show", |request| request.advisory.clone() => findings::show;
        show_advisory(AdvisoryRequest) -> AdvisoryDetail = "advisory.show", |request| request.advisory.clone() => findings::advisory;
        set_halt(SetHaltRequest) -> Halt = "halt.set", |request| if request.halted { "on".into() } else { "off".into() } => safety::set_halt;
        show_halt(ShowHaltRequest) -> Halt = "halt.show", |_| String::new() => safety::show_halt;
    }
    streams {
        list_hosts(ListHostsRequest) -> Host as ListHostsStream = "host.list", |request| request.selector.clone() => hosts::list;
        list_packages(ListPackagesRequest) -> PackageRow as ListPackagesStream = "package.list", |_| String::new() => packages::list;
        list_package_hosts(ListPackageHostsRequest) -> PackageHost as ListPackageHostsStream = "package.hosts", |request| request.name.clone() => packages::hosts;
        list_updates(ListUpdatesRequest) -> Update as ListUpdatesStream = "update.list", |_| String::new() => packages::updates;
        watch_rollout(RolloutRequest) -> RolloutDetail as WatchRolloutStream = "rollout.watch", |request| request.rollout.clone() => rollouts::watch;
        events(EventsRequest) -> FleetEvent as EventsStream = "events", |_| String::new() => history::events;
        list_audit(ListAuditRequest) -> AuditEntry as ListAuditStream = "audit.list", |_| String::new() => history::audit;
        list_findings(ListFindingsRequest) -> Finding as ListFindingsStream = "finding.list", |request| request.selector.clone() => findings::list;
        backup(BackupRequest) -> BackupChunk as BackupStream = "backup", |_| String::new() => history::backup;
    }
}
