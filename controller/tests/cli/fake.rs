//! A controller that answers with samples, over an in-memory connection, and what a command prints when it talks to it.

use std::sync::{Arc, Mutex};

use clap::Parser as _;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use hyper_util::rt::TokioIo;
use patchwave::cli::connect::Target;
use patchwave::cli::printer::Screen;
use patchwave::cli::text::Paint;
use patchwave::cli::{Cli, CliError, Exit, Printer, Session, commands};
use patchwave_common::domain::Timestamp;
use patchwave_proto::operator::v1::operator_service_server::{OperatorService, OperatorServiceServer};
use patchwave_proto::operator::v1::*;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

use crate::samples;

/// When every command of these tests runs.
pub const NOW: Timestamp = Timestamp(1_795_428_930_000);

type Rows<T> = BoxStream<'static, Result<T, Status>>;

/// Answers with samples; a refusal that is set beforehand is what the next call gets instead.
#[derive(Clone, Default)]
pub struct Fake {
    refusal: Arc<Mutex<Option<Status>>>,
    asked: Arc<Mutex<Vec<String>>>,
    /// What `rollout watch` sees, in order.
    pub watched: Arc<Mutex<Vec<Result<RolloutDetail, Status>>>>,
    /// Whether streams stay open after their last item.
    stays: bool,
}

impl Fake {
    pub fn refusing(status: Status) -> Self {
        let fake = Self::default();
        *fake.refusal.lock().unwrap() = Some(status);
        fake
    }

    pub fn watching(states: Vec<Result<RolloutDetail, Status>>) -> Self {
        let fake = Self::default();
        *fake.watched.lock().unwrap() = states;
        fake
    }

    /// The same, whose streams stay open.
    pub fn staying(self) -> Self {
        Self { stays: true, ..self }
    }

    /// The requests so far, as Rust prints them.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn answer<Q: std::fmt::Debug, A>(&self, request: Request<Q>, answer: impl FnOnce() -> A) -> Result<Response<A>, Status> {
        self.asked.lock().unwrap().push(format!("{:?}", request.into_inner()));
        match self.refusal.lock().unwrap().take() {
            Some(status) => Err(status),
            None => Ok(Response::new(answer())),
        }
    }
}

macro_rules! answers {
    (
        unary { $($name:ident($request:ident) -> $answer:ident = $sample:expr;)+ }
        streams { $($sname:ident($srequest:ident) -> $sitem:ident as $stype:ident = $ssample:expr;)+ }
    ) => {
        #[tonic::async_trait]
        impl OperatorService for Fake {
            $(async fn $name(&self, request: Request<$request>) -> Result<Response<$answer>, Status> {
                self.answer(request, || $sample)
            })+
            $(type $stype = Rows<$sitem>;
            async fn $sname(&self, request: Request<$srequest>) -> Result<Response<Self::$stype>, Status> {
                let sample: fn(&Fake) -> Vec<Result<$sitem, Status>> = $ssample;
                let after = if self.stays { stream::pending().boxed() } else { stream::empty().boxed() };
                self.answer(request, || stream::iter(sample(self)).chain(after).boxed())
            })+
            async fn import_feed(&self, request: Request<tonic::Streaming<ImportFeedRequest>>) -> Result<Response<Feed>, Status> {
                let (mut parts, mut size, mut name) = (request.into_inner(), 0, String::new());
                while let Some(part) = parts.message().await? {
                    size += part.data.len();
                    name.push_str(&part.name);
                }
                self.answer(Request::new((name, size)), || samples::feeds().remove(0))
            }
        }
    };
}

answers! {
    unary {
        who_am_i(WhoAmIRequest) -> Identity = Identity::default();
        create_operator(CreateOperatorRequest) -> OperatorCreated = OperatorCreated::default();
        list_operators(ListOperatorsRequest) -> OperatorList = samples::operators();
        revoke_operator(RevokeOperatorRequest) -> Operator = samples::operators().operators.remove(1);
        create_token(CreateTokenRequest) -> TokenCreated = samples::token_created();
        list_tokens(ListTokensRequest) -> TokenList = samples::tokens();
        revoke_token(RevokeTokenRequest) -> Token = samples::tokens().tokens.remove(0);
        show_host(ShowHostRequest) -> HostDetail = samples::host_detail();
        label_hosts(LabelHostsRequest) -> HostList = HostList { hosts: samples::hosts().into_iter().take(1).collect() };
        retire_host(RetireHostRequest) -> Host = samples::hosts().remove(2);
        replace_host(ReplaceHostRequest) -> Host = samples::hosts().remove(0);
        refresh_hosts(ListHostsRequest) -> RefreshAsked = RefreshAsked { asked: 11, away: 1 };
        apply_policy(ApplyPolicyRequest) -> Policy = samples::policies().remove(0);
        list_policies(ListPoliciesRequest) -> PolicyList = PolicyList { policies: samples::policies() };
        show_policy(ShowPolicyRequest) -> Policy = samples::policies().remove(0);
        lint_policy(LintPolicyRequest) -> LintReport = LintReport { lints: samples::lints() };
        plan_rollout(PlanRolloutRequest) -> RolloutPlan = samples::plan();
        approve_rollout(RolloutRequest) -> Rollout = samples::awaiting_approval();
        start_rollout(StartRolloutRequest) -> Rollout = samples::running();
        list_rollouts(ListRolloutsRequest) -> RolloutList = RolloutList { rollouts: vec![samples::running(), samples::stopped()] };
        show_rollout(RolloutRequest) -> RolloutDetail = samples::stopped_detail();
        explain_rollout(ExplainRolloutRequest) -> Explanation = samples::explanation();
        pause_rollout(RolloutReasonRequest) -> Rollout = samples::running();
        resume_rollout(RolloutReasonRequest) -> Rollout = samples::running();
        abort_rollout(RolloutReasonRequest) -> Rollout = samples::running();
        rollback_rollout(RolloutReasonRequest) -> RolloutPlan = samples::reverse_plan();
        replan_rollout(RolloutRequest) -> RolloutPlan = samples::empty_plan();
        report_harm(ReportHarmRequest) -> Rollout = samples::stopped();
        list_quarantine(ListQuarantineRequest) -> QuarantineList = QuarantineList { entries: samples::quarantine() };
        lift_quarantine(LiftQuarantineRequest) -> QuarantineEntry = samples::quarantine().remove(1);
        list_feeds(ListFeedsRequest) -> FeedList = FeedList { feeds: samples::feeds() };
        add_feed(AddFeedRequest) -> Feed = samples::feeds().remove(1);
        remove_feed(FeedRequest) -> Feed = samples::feeds().remove(0);
        refresh_feed(RefreshFeedRequest) -> Feed = samples::feeds().remove(0);
        count_findings(ListFindingsRequest) -> FindingCounts = samples::finding_counts();
        show_finding(FindingRequest) -> FindingDetail = samples::finding_detail();
        show_advisory(AdvisoryRequest) -> AdvisoryDetail = samples::advisory_detail();
        set_halt(SetHaltRequest) -> Halt = samples::halt();
        show_halt(ShowHaltRequest) -> Halt = samples::halt();
    }
    streams {
        list_hosts(ListHostsRequest) -> Host as ListHostsStream = |_| samples::hosts().into_iter().map(Ok).collect();
        list_packages(ListPackagesRequest) -> PackageRow as ListPackagesStream = |_| samples::packages().into_iter().map(Ok).collect();
        list_package_hosts(ListPackageHostsRequest) -> PackageHost as ListPackageHostsStream =
            |_| samples::package_hosts().into_iter().map(Ok).collect();
        list_updates(ListUpdatesRequest) -> Update as ListUpdatesStream = |_| samples::updates().into_iter().map(Ok).collect();
        watch_rollout(RolloutRequest) -> RolloutDetail as WatchRolloutStream = |fake| std::mem::take(&mut *fake.watched.lock().unwrap());
        events(EventsRequest) -> FleetEvent as EventsStream = |_| samples::events().into_iter().map(Ok).collect();
        // All of them are a full page and one more.
        list_audit(ListAuditRequest) -> AuditEntry as ListAuditStream = |fake| {
            let asked = fake.asked().concat();
            let entries = samples::audit();
            match (asked.contains("limit: 4294967295"), asked.contains("after: 1000")) {
                (true, false) => (1..=1000).map(|number| Ok(AuditEntry { number, ..entries[0].clone() })).collect(),
                (true, true) => vec![Ok(AuditEntry { number: 1001, ..entries[0].clone() })],
                _ => entries.into_iter().map(Ok).collect(),
            }
        };
        list_findings(ListFindingsRequest) -> Finding as ListFindingsStream = |_| samples::findings().into_iter().map(Ok).collect();
        backup(BackupRequest) -> BackupChunk as BackupStream = |_| vec![Ok(BackupChunk { data: vec![7; 70_000] }), Ok(BackupChunk { data: vec![8; 3] })];
    }
}

/// What a command left behind.
pub struct Outcome {
    pub exit: Exit,
    pub data: String,
    pub talk: String,
}

impl Outcome {
    /// For a snapshot.
    pub fn transcript(&self, command: &str) -> String {
        format!("$ patchwave {command}\n{}--- talk, status {}\n{}", self.data, self.exit.code(), self.talk)
    }
}

async fn channel(fake: Fake) -> Channel {
    let (near, far) = tokio::io::duplex(1 << 20);
    tokio::spawn(
        Server::builder().add_service(OperatorServiceServer::new(fake)).serve_with_incoming(stream::iter([Ok::<_, std::io::Error>(far)])),
    );
    let mut near = Some(near);
    let connector = tower::service_fn(move |_| {
        let near = near.take();
        async move { near.map(TokioIo::new).ok_or_else(|| std::io::Error::from(std::io::ErrorKind::ConnectionRefused)) }
    });
    Endpoint::from_static("http://in-memory").connect_with_connector(connector).await.unwrap()
}

/// Runs a command line against the fake, printed to a terminal of `width` columns (without colour), or to none.
pub async fn run_with(fake: &Fake, command: &str, width: Option<u16>) -> Outcome {
    let words = std::iter::once("patchwave").chain(command.split_whitespace());
    let cli = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{command}: {error}"));
    let (mut printer, captured) = Printer::captured(cli.global.output, Screen { width, paint: Paint::No }, NOW);
    let target = Target { controller: "https://patchwave.example:7443".to_owned(), operator: "anna".to_owned() };
    let mut session = Session::over(channel(fake.clone()).await, target, cli.global.clone(), &mut printer);
    let result = commands::dispatch(cli.command, &mut session).await;
    if let Err(error) = &result {
        printer.error(error);
    }
    let exit = result.as_ref().err().map_or(Exit::Done, CliError::exit);
    Outcome { exit, data: captured.data(), talk: captured.talk() }
}

/// Runs a command line against a fake of its own.
pub async fn run(command: &str, width: Option<u16>) -> Outcome {
    run_with(&Fake::default(), command, width).await
}
