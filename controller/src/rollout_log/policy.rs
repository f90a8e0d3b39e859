//! A policy as it stood when a rollout was planned.

use std::time::Duration;

use patchwave_common::domain::policy::{
    Amount, HealthRules, OfflineRules, PatchFilter, PatchKind, Policy, RolloutLimits, TransactionRules, WaveKind, WaveRule,
};
use patchwave_common::domain::{CheckKind, CheckName, HealthCheck, PolicyName, Selector, UnitName};
use patchwave_proto::store::rollout::v1 as proto;

use super::LogError;

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn span(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn encode(policy: &Policy) -> proto::Policy {
    proto::Policy {
        name: policy.name.to_string(),
        description: policy.description.clone(),
        hosts: policy.hosts.to_string(),
        kinds: policy.patches.kinds.iter().map(|kind| kind.as_str().to_owned()).collect(),
        origins: policy.patches.origins.clone(),
        include: policy.patches.include.clone(),
        exclude: policy.patches.exclude.clone(),
        approvals: policy.approvals,
        transaction: Some(encode_transaction(&policy.transaction)),
        health: Some(encode_health(&policy.health)),
        automatic_rollback: policy.automatic_rollback,
        waves: policy.waves.iter().map(encode_wave).collect(),
        limits: Some(encode_limits(&policy.limits)),
        offline: Some(encode_offline(&policy.offline)),
    }
}

pub(super) fn decode(policy: proto::Policy) -> Result<Policy, LogError> {
    Ok(Policy {
        name: PolicyName::parse(&policy.name)?,
        description: policy.description,
        hosts: Selector::parse(&policy.hosts)?,
        patches: PatchFilter {
            kinds: policy.kinds.iter().map(|kind| PatchKind::parse(kind)).collect::<Result<_, _>>()?,
            origins: policy.origins,
            include: policy.include,
            exclude: policy.exclude,
        },
        approvals: policy.approvals,
        transaction: decode_transaction(&policy.transaction.ok_or(LogError::Missing("transaction rules"))?),
        health: decode_health(policy.health.ok_or(LogError::Missing("health rules"))?)?,
        automatic_rollback: policy.automatic_rollback,
        waves: policy.waves.into_iter().map(decode_wave).collect::<Result<_, _>>()?,
        limits: decode_limits(policy.limits.ok_or(LogError::Missing("limits"))?)?,
        offline: decode_offline(&policy.offline.ok_or(LogError::Missing("offline rules"))?)?,
    })
}

fn encode_amount(amount: Amount) -> proto::Amount {
    use proto::amount::Amount as Wire;
    let amount = match amount {
        Amount::All => Wire::All(true),
        Amount::Count(count) => Wire::Count(count),
        Amount::Percent(percent) => Wire::Percent(u32::from(percent)),
    };
    proto::Amount { amount: Some(amount) }
}

fn decode_amount(amount: Option<&proto::Amount>) -> Result<Amount, LogError> {
    use proto::amount::Amount as Wire;
    match amount.and_then(|amount| amount.amount) {
        Some(Wire::All(_)) => Ok(Amount::All),
        Some(Wire::Count(count)) => Ok(Amount::Count(count)),
        Some(Wire::Percent(percent)) => match u8::try_from(percent) {
            Ok(percent @ 1..=100) => Ok(Amount::Percent(percent)),
            _ => Err(LogError::Missing("amount")),
        },
        None => Err(LogError::Missing("amount")),
    }
}

fn encode_transaction(rules: &TransactionRules) -> proto::TransactionRules {
    proto::TransactionRules {
        allow_removals: rules.allow_removals,
        allow_new_packages: rules.allow_new_packages,
        allow_no_way_back: rules.allow_no_way_back,
        observe_other_hands: rules.observe_other_hands,
        lock_wait_ms: millis(rules.lock_wait),
        time_limit_ms: millis(rules.time_limit),
    }
}

fn decode_transaction(rules: &proto::TransactionRules) -> TransactionRules {
    TransactionRules {
        allow_removals: rules.allow_removals,
        allow_new_packages: rules.allow_new_packages,
        allow_no_way_back: rules.allow_no_way_back,
        observe_other_hands: rules.observe_other_hands,
        lock_wait: span(rules.lock_wait_ms),
        time_limit: span(rules.time_limit_ms),
    }
}

fn encode_health(rules: &HealthRules) -> proto::HealthRules {
    proto::HealthRules {
        checks: rules.checks.iter().map(encode_check).collect(),
        patience_ms: millis(rules.patience),
        interval_ms: millis(rules.interval),
        settle_ms: millis(rules.settle),
        silence_ms: millis(rules.silence),
    }
}

fn decode_health(rules: proto::HealthRules) -> Result<HealthRules, LogError> {
    Ok(HealthRules {
        checks: rules.checks.into_iter().map(decode_check).collect::<Result<_, _>>()?,
        patience: span(rules.patience_ms),
        interval: span(rules.interval_ms),
        settle: span(rules.settle_ms),
        silence: span(rules.silence_ms),
    })
}

fn encode_check(check: &HealthCheck) -> proto::HealthCheck {
    use proto::health_check::Kind;
    let kind = match &check.kind {
        CheckKind::Tcp { address } => Kind::TcpAddress(address.to_string()),
        CheckKind::Http { url, status } => Kind::Http(proto::HttpCheck { url: url.clone(), status: u32::from(*status) }),
        CheckKind::Unit { unit } => Kind::Unit(unit.to_string()),
        CheckKind::Executable => Kind::Executable(true),
    };
    proto::HealthCheck { name: check.name.to_string(), timeout_ms: millis(check.timeout), kind: Some(kind) }
}

fn decode_check(check: proto::HealthCheck) -> Result<HealthCheck, LogError> {
    use proto::health_check::Kind;
    let kind = match check.kind.ok_or(LogError::Missing("health check"))? {
        Kind::TcpAddress(address) => CheckKind::Tcp { address: address.parse().map_err(|_| LogError::Missing("address"))? },
        Kind::Http(http) => CheckKind::http(&http.url, u16::try_from(http.status).map_err(|_| LogError::Missing("status"))?)?,
        Kind::Unit(unit) => CheckKind::Unit { unit: UnitName::parse(&unit)? },
        Kind::Executable(_) => CheckKind::Executable,
    };
    Ok(HealthCheck { name: CheckName::parse(&check.name)?, kind, timeout: span(check.timeout_ms) })
}

fn kind_name(kind: WaveKind) -> &'static str {
    match kind {
        WaveKind::Test => "test",
        WaveKind::Canary => "canary",
        WaveKind::Production => "production",
    }
}

fn encode_wave(rule: &WaveRule) -> proto::WaveRule {
    proto::WaveRule {
        name: rule.name.clone(),
        kind: kind_name(rule.kind).to_owned(),
        hosts: rule.hosts.to_string(),
        size: Some(encode_amount(rule.size)),
        minimum: rule.minimum,
        soak_ms: millis(rule.soak),
        failure_limit: rule.failure_limit,
        max_in_flight: rule.max_in_flight,
        time_limit_ms: millis(rule.time_limit),
    }
}

fn decode_wave(rule: proto::WaveRule) -> Result<WaveRule, LogError> {
    let kinds = [WaveKind::Test, WaveKind::Canary, WaveKind::Production];
    Ok(WaveRule {
        kind: kinds.into_iter().find(|kind| kind_name(*kind) == rule.kind).ok_or(LogError::Missing("kind of wave"))?,
        name: rule.name,
        hosts: Selector::parse(&rule.hosts)?,
        size: decode_amount(rule.size.as_ref())?,
        minimum: rule.minimum,
        soak: span(rule.soak_ms),
        failure_limit: rule.failure_limit,
        max_in_flight: rule.max_in_flight,
        time_limit: span(rule.time_limit_ms),
    })
}

fn encode_limits(limits: &RolloutLimits) -> proto::Limits {
    proto::Limits {
        failures: limits.failures,
        max_unavailable: Some(encode_amount(limits.max_unavailable)),
        max_in_flight_per_site: limits.max_in_flight_per_site,
        site_label: limits.site_label.clone(),
        not_staged: Some(encode_amount(limits.not_staged)),
        staging_per_minute: limits.staging_per_minute,
        keep_originals_ms: millis(limits.keep_originals),
    }
}

fn decode_limits(limits: proto::Limits) -> Result<RolloutLimits, LogError> {
    Ok(RolloutLimits {
        failures: limits.failures,
        max_unavailable: decode_amount(limits.max_unavailable.as_ref())?,
        max_in_flight_per_site: limits.max_in_flight_per_site,
        site_label: limits.site_label,
        not_staged: decode_amount(limits.not_staged.as_ref())?,
        staging_per_minute: limits.staging_per_minute,
        keep_originals: span(limits.keep_originals_ms),
    })
}

fn encode_offline(rules: &OfflineRules) -> proto::OfflineRules {
    proto::OfflineRules {
        budget: Some(encode_amount(rules.budget)),
        grace_ms: millis(rules.grace),
        deadline_ms: millis(rules.deadline),
        catch_up_per_minute: rules.catch_up_per_minute,
    }
}

fn decode_offline(rules: &proto::OfflineRules) -> Result<OfflineRules, LogError> {
    Ok(OfflineRules {
        budget: decode_amount(rules.budget.as_ref())?,
        grace: span(rules.grace_ms),
        deadline: span(rules.deadline_ms),
        catch_up_per_minute: rules.catch_up_per_minute,
    })
}
