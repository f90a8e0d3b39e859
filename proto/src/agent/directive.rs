//! Directives, their rules, and the news of them.

use std::time::Duration;

use patchwave_common::domain::policy::{HealthRules, TransactionRules};
use patchwave_common::domain::{
    ApplyOrder, CheckKind, CheckName, Directive, DirectiveProgress, Feature, HarmReason, HealthCheck, NotStagedReason, Order,
    RefusalReason, RolloutId, StageRequest, StageResult, TakeBackOrder, UnitName, clean_text,
};

use super::packages::{decode_digest, decode_targets, encode_targets};
use super::{MAX_SMALL_LIST, WireError, bounded, decode_generation, detail, encode_generation, millis, value};
use crate::fleet::v1 as wire;
use wire::{ProgressKind, directive, health_check, stage_report};

pub(super) fn encode_directive(directive: &Directive) -> wire::Directive {
    let order = match &directive.order {
        Order::Apply(order) => directive::Order::Apply(wire::ApplyOrder {
            targets: Some(encode_targets(&order.targets)),
            transaction: Some(encode_transaction(order.transaction)),
            health: Some(encode_health(&order.health)),
            automatic_rollback: order.automatic_rollback,
        }),
        Order::TakeBack(order) => directive::Order::TakeBack(wire::TakeBackOrder {
            of: Some(encode_generation(order.of)),
            health: Some(encode_health(&order.health)),
        }),
    };
    wire::Directive {
        generation: Some(encode_generation(directive.generation)),
        rollout_id: directive.rollout.to_string(),
        requires: directive.requires.iter().map(|feature| feature.0.clone()).collect(),
        order: Some(order),
    }
}

pub(super) fn decode_directive(directive: wire::Directive) -> Result<Directive, WireError> {
    let order = match directive.order.ok_or(WireError::Missing("order"))? {
        directive::Order::Apply(order) => Order::Apply(ApplyOrder {
            targets: decode_targets(order.targets)?,
            transaction: decode_transaction(order.transaction)?,
            health: decode_health(order.health)?,
            automatic_rollback: order.automatic_rollback,
        }),
        directive::Order::TakeBack(order) => {
            Order::TakeBack(TakeBackOrder { of: decode_generation("of", order.of)?, health: decode_health(order.health)? })
        }
    };
    let requires = bounded("requires", directive.requires, MAX_SMALL_LIST)?;
    Ok(Directive {
        generation: decode_generation("generation", directive.generation)?,
        rollout: value("rollout", RolloutId::parse(&directive.rollout_id))?,
        requires: decode_features(&requires),
        order,
    })
}

pub(super) fn decode_features(features: &[String]) -> Vec<Feature> {
    features.iter().map(|feature| Feature(clean_text(feature, 64))).collect()
}

fn encode_transaction(rules: TransactionRules) -> wire::TransactionRules {
    wire::TransactionRules {
        allow_removals: rules.allow_removals,
        allow_new_packages: rules.allow_new_packages,
        allow_no_way_back: rules.allow_no_way_back,
        observe_other_hands: rules.observe_other_hands,
        lock_wait_ms: millis(rules.lock_wait),
        time_limit_ms: millis(rules.time_limit),
    }
}

fn decode_transaction(rules: Option<wire::TransactionRules>) -> Result<TransactionRules, WireError> {
    let rules = rules.ok_or(WireError::Missing("transaction rules"))?;
    Ok(TransactionRules {
        allow_removals: rules.allow_removals,
        allow_new_packages: rules.allow_new_packages,
        allow_no_way_back: rules.allow_no_way_back,
        observe_other_hands: rules.observe_other_hands,
        lock_wait: Duration::from_millis(rules.lock_wait_ms),
        time_limit: Duration::from_millis(rules.time_limit_ms),
    })
}

fn encode_health(rules: &HealthRules) -> wire::HealthRules {
    wire::HealthRules {
        checks: rules.checks.iter().map(encode_check).collect(),
        patience_ms: millis(rules.patience),
        interval_ms: millis(rules.interval),
        settle_ms: millis(rules.settle),
        silence_ms: millis(rules.silence),
    }
}

fn decode_health(rules: Option<wire::HealthRules>) -> Result<HealthRules, WireError> {
    let rules = rules.ok_or(WireError::Missing("health rules"))?;
    Ok(HealthRules {
        checks: bounded("checks", rules.checks, MAX_SMALL_LIST)?.into_iter().map(decode_check).collect::<Result<_, _>>()?,
        patience: Duration::from_millis(rules.patience_ms),
        interval: Duration::from_millis(rules.interval_ms.max(100)),
        settle: Duration::from_millis(rules.settle_ms),
        silence: Duration::from_millis(rules.silence_ms),
    })
}

fn encode_check(check: &HealthCheck) -> wire::HealthCheck {
    let kind = match &check.kind {
        CheckKind::Tcp { address } => health_check::Kind::Tcp(wire::TcpCheck { address: address.to_string() }),
        CheckKind::Http { url, status } => health_check::Kind::Http(wire::HttpCheck { url: url.clone(), status: u32::from(*status) }),
        CheckKind::Unit { unit } => health_check::Kind::Unit(wire::UnitCheck { unit: unit.to_string() }),
        CheckKind::Executable => health_check::Kind::Executable(wire::ExecutableCheck {}),
    };
    wire::HealthCheck { name: check.name.to_string(), timeout_ms: millis(check.timeout), kind: Some(kind) }
}

fn decode_check(check: wire::HealthCheck) -> Result<HealthCheck, WireError> {
    let kind = match check.kind.ok_or(WireError::Missing("check kind"))? {
        health_check::Kind::Tcp(tcp) => {
            CheckKind::Tcp { address: tcp.address.parse().map_err(|_| WireError::Unknown("tcp check address"))? }
        }
        health_check::Kind::Http(http) => value("http check", CheckKind::http(&http.url, u16::try_from(http.status).unwrap_or_default()))?,
        health_check::Kind::Unit(unit) => CheckKind::Unit { unit: value("unit check", UnitName::parse(&unit.unit))? },
        health_check::Kind::Executable(_) => CheckKind::Executable,
    };
    Ok(HealthCheck { name: value("check name", CheckName::parse(&check.name))?, kind, timeout: Duration::from_millis(check.timeout_ms) })
}

pub(super) fn encode_stage(request: &StageRequest) -> wire::Stage {
    wire::Stage {
        rollout_id: request.rollout.to_string(),
        plan_root: request.plan_root.0.to_vec(),
        targets: Some(encode_targets(&request.targets)),
    }
}

pub(super) fn decode_stage(request: wire::Stage) -> Result<StageRequest, WireError> {
    Ok(StageRequest {
        rollout: value("rollout", RolloutId::parse(&request.rollout_id))?,
        plan_root: decode_digest("plan root", &request.plan_root)?.ok_or(WireError::Missing("plan root"))?,
        targets: decode_targets(request.targets)?,
    })
}

pub(super) fn encode_stage_report(rollout: &RolloutId, result: &StageResult) -> wire::StageReport {
    let result = match result {
        StageResult::Staged { bytes, way_back } => stage_report::Result::Staged(wire::Staged { bytes: *bytes, way_back: *way_back }),
        StageResult::NotStaged { reason, detail } => {
            stage_report::Result::NotStaged(wire::NotStaged { reason: reason.as_str().to_owned(), detail: detail.clone() })
        }
    };
    wire::StageReport { rollout_id: rollout.to_string(), result: Some(result) }
}

pub(super) fn decode_stage_report(report: wire::StageReport) -> Result<(RolloutId, StageResult), WireError> {
    let result = match report.result.ok_or(WireError::Missing("stage result"))? {
        stage_report::Result::Staged(staged) => StageResult::Staged { bytes: staged.bytes, way_back: staged.way_back },
        stage_report::Result::NotStaged(not_staged) => StageResult::NotStaged {
            // A newer agent may know more reasons than this release.
            reason: NotStagedReason::parse(&not_staged.reason).unwrap_or(NotStagedReason::Other),
            detail: detail(&not_staged.detail),
        },
    };
    Ok((value("rollout", RolloutId::parse(&report.rollout_id))?, result))
}

pub(super) fn encode_progress(generation: patchwave_common::domain::Generation, progress: &DirectiveProgress) -> wire::Progress {
    let (kind, reason, detail) = match progress {
        DirectiveProgress::Accepted => (ProgressKind::Accepted, "", ""),
        DirectiveProgress::Refused { reason, detail } => (ProgressKind::Refused, reason.as_str(), detail.as_str()),
        DirectiveProgress::Ready => (ProgressKind::Ready, "", ""),
        DirectiveProgress::Applying => (ProgressKind::Applying, "", ""),
        DirectiveProgress::Verifying => (ProgressKind::Verifying, "", ""),
        DirectiveProgress::Healthy => (ProgressKind::Healthy, "", ""),
        DirectiveProgress::Harmed { reason, detail } => (ProgressKind::Harmed, reason.as_str(), detail.as_str()),
        DirectiveProgress::TakingBack => (ProgressKind::TakingBack, "", ""),
        DirectiveProgress::TakenBack => (ProgressKind::TakenBack, "", ""),
        DirectiveProgress::NeedsAttention { detail } => (ProgressKind::NeedsAttention, "", detail.as_str()),
    };
    wire::Progress {
        generation: Some(encode_generation(generation)),
        kind: kind.into(),
        reason: reason.to_owned(),
        detail: detail.to_owned(),
        question: 0,
    }
}

pub(super) fn decode_progress(progress: &wire::Progress) -> Result<DirectiveProgress, WireError> {
    let detail = detail(&progress.detail);
    Ok(match progress.kind() {
        ProgressKind::Accepted => DirectiveProgress::Accepted,
        ProgressKind::Refused => DirectiveProgress::Refused { reason: value("refusal", RefusalReason::parse(&progress.reason))?, detail },
        ProgressKind::Ready => DirectiveProgress::Ready,
        ProgressKind::Applying => DirectiveProgress::Applying,
        ProgressKind::Verifying => DirectiveProgress::Verifying,
        ProgressKind::Healthy => DirectiveProgress::Healthy,
        ProgressKind::Harmed => DirectiveProgress::Harmed { reason: value("harm", HarmReason::parse(&progress.reason))?, detail },
        ProgressKind::TakingBack => DirectiveProgress::TakingBack,
        ProgressKind::TakenBack => DirectiveProgress::TakenBack,
        ProgressKind::NeedsAttention => DirectiveProgress::NeedsAttention { detail },
        ProgressKind::Unspecified => return Err(WireError::Unknown("progress")),
    })
}
