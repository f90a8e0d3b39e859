//! Requests of operators: each field as the service reads it, before anything is looked up.
//!
//! Holds: whatever is refused is refused with a text that is clean and bounded; whatever is let in prints as it was read.

use patchwave::records::Serial;
use patchwave::rollout::planner::UpdateRequest;
use patchwave_common::domain::policy::parse_policy;
use patchwave_common::domain::*;
use patchwave_proto::operator::v1 as wire;
use prost::Message;

use super::samples;
use crate::clean::assert_fit;
use crate::pieces;

/// Bound on a refusal: the value (80 characters) with what is allowed around it.
const REFUSAL_MAX_CHARS: usize = 400;

type Read = fn(&[u8]) -> Option<()>;

const KINDS: &[Read] = &[
    |data| read::<wire::ListHostsRequest>(data).map(|request| selector(&request.selector)),
    |data| read::<wire::LabelHostsRequest>(data).map(|request| labels(&request)),
    |data| read::<wire::CreateTokenRequest>(data).map(|request| token(&request)),
    |data| read::<wire::PlanRolloutRequest>(data).map(|request| plan(&request)),
    |data| read::<wire::ApplyPolicyRequest>(data).map(|request| policy(&request.toml)),
    |data| read::<wire::CreateOperatorRequest>(data).map(|request| operator(&request)),
    |data| read::<wire::RolloutReasonRequest>(data).map(|request| reason(&request.rollout, &request.reason)),
    |data| read::<wire::ListPackagesRequest>(data).map(|request| pattern(&request)),
];

/// See the module.
pub fn run(data: &[u8]) {
    if let Some((kind, rest)) = pieces::choice(data, KINDS.len()) {
        KINDS[kind](rest);
    }
}

fn read<M: Message + Default>(data: &[u8]) -> Option<M> {
    M::decode(data).ok()
}

/// What is let in prints as it was read; what is not is told fit to be shown.
fn parsed<T: ToString + PartialEq + std::fmt::Debug, E: ToString>(text: &str, parse: impl Fn(&str) -> Result<T, E>) {
    match parse(text) {
        Ok(value) => assert_eq!(parse(&value.to_string()).ok().as_ref(), Some(&value)),
        Err(error) => assert_fit(&error.to_string(), REFUSAL_MAX_CHARS),
    }
}

fn selector(text: &str) {
    parsed(text, Selector::parse);
}

fn labels(request: &wire::LabelHostsRequest) {
    selector(&request.host);
    for change in &request.changes {
        parsed(change, |text| LabelKey::parse(text));
        if let Err(error) = Labels::parse_pair(change) {
            assert_fit(&error.to_string(), REFUSAL_MAX_CHARS);
        }
    }
}

fn token(request: &wire::CreateTokenRequest) {
    if let Err(error) = HostMode::parse(&request.mode) {
        assert_fit(&error.to_string(), REFUSAL_MAX_CHARS);
    }
    request.labels.iter().for_each(|pair| drop(Labels::parse_pair(pair)));
}

fn plan(request: &wire::PlanRolloutRequest) {
    selector(&request.selector);
    request.updates.iter().for_each(|update| parsed(update, |text| text.parse::<UpdateRequest>()));
    parsed(&request.policy, |text| PolicyName::parse(text));
}

fn policy(toml: &str) {
    if let Err(error) = parse_policy(toml) {
        let shown = error.to_string();
        assert!(shown.chars().count() < 4_000, "{} characters", shown.chars().count());
        shown.lines().for_each(|line| assert_fit(line, REFUSAL_MAX_CHARS));
    }
}

fn operator(request: &wire::CreateOperatorRequest) {
    parsed(&request.name, |text| OperatorName::parse(text));
    if let Err(error) = patchwave::fuzzing::requested_key(&request.certificate_request) {
        assert_fit(&error, REFUSAL_MAX_CHARS);
    }
}

fn reason(rollout: &str, reason: &str) {
    parsed(rollout, |text| RolloutId::parse(text));
    parsed(rollout, Serial::parse);
    assert_fit(&clean_text(reason.trim(), 500), 500);
}

fn pattern(request: &wire::ListPackagesRequest) {
    selector(&request.selector);
    let _ = patchwave::fuzzing::name_pattern(&request.name_pattern, "libssl3");
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let text = |text: &str| text.to_owned();
    let requests = [
        wire::ListHostsRequest { selector: text("ring=test,os in (debian, rocky),!gpu") }.encode_to_vec(),
        wire::LabelHostsRequest { host: text("ring=test"), changes: vec![text("site=ams"), text("gpu-"), text("ring=last")] }
            .encode_to_vec(),
        wire::CreateTokenRequest { mode: text("report-only"), labels: vec![text("ring=test"), text("a=b")], ..Default::default() }
            .encode_to_vec(),
        wire::PlanRolloutRequest {
            policy: text("web"),
            selector: text("site!=ams"),
            updates: vec![text("src:openssl=3.0.17-1"), text("nginx")],
        }
        .encode_to_vec(),
        wire::ApplyPolicyRequest { toml: text(samples::POLICY) }.encode_to_vec(),
        wire::CreateOperatorRequest { name: text("alice@example.org"), role: text("admin"), certificate_request: vec![0x30, 0] }
            .encode_to_vec(),
        wire::RolloutReasonRequest { rollout: text("r-7k2m9qxa"), reason: text(samples::HOSTILE) }.encode_to_vec(),
        wire::ListPackagesRequest { selector: text(""), name_pattern: text("lib*ssl[0-9]?") }.encode_to_vec(),
    ];
    requests.into_iter().enumerate().map(|(kind, request)| [vec![u8::try_from(kind).unwrap()], request].concat()).collect()
}
