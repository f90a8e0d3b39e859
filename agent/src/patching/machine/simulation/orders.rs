//! Orders for the simulation and for the machine's tests.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use patchwave_common::domain::policy::{HealthRules, TransactionRules};
use patchwave_common::domain::*;

pub fn generation(counter: u64) -> Generation {
    Generation { epoch: 1, counter }
}

pub fn check_name() -> CheckName {
    CheckName::parse("web").unwrap()
}

pub fn health() -> HealthRules {
    let kind = CheckKind::Tcp { address: "127.0.0.1:80".parse().unwrap() };
    HealthRules {
        checks: vec![HealthCheck { name: check_name(), kind, timeout: Duration::from_secs(1) }],
        patience: Duration::from_secs(60),
        interval: Duration::from_secs(10),
        settle: Duration::from_secs(20),
        silence: Duration::from_secs(600),
    }
}

pub fn targets(to: &str) -> TargetSet {
    let target = PackageTarget {
        id: PackageId { name: PackageName::parse("web").unwrap(), architecture: Architecture::parse("amd64").unwrap() },
        from: PackageVersion::parse("0").unwrap(),
        to: PackageVersion::parse(to).unwrap(),
        source: PackageName::parse("web").unwrap(),
        origin: "Debian/stable".to_owned(),
        sha256: None,
        size_bytes: 1,
    };
    TargetSet::new(Manager::Simulated, vec![target]).unwrap()
}

pub fn apply_order(to: &str, automatic_rollback: bool) -> ApplyOrder {
    ApplyOrder {
        targets: targets(to),
        transaction: TransactionRules {
            allow_removals: false,
            allow_new_packages: true,
            allow_no_way_back: false,
            observe_other_hands: false,
            lock_wait: Duration::from_secs(1),
            time_limit: Duration::from_secs(60),
        },
        health: health(),
        automatic_rollback,
    }
}

pub fn rollout() -> RolloutId {
    RolloutId::parse("r-1").unwrap()
}

pub fn apply(counter: u64, automatic_rollback: bool) -> Directive {
    let requires = vec![Feature(Feature::APPLY_V1.to_owned())];
    let order = Order::Apply(apply_order(&counter.to_string(), automatic_rollback));
    Directive { generation: generation(counter), rollout: rollout(), requires, order }
}

pub fn take_back(counter: u64, of: u64) -> Directive {
    let order = Order::TakeBack(TakeBackOrder { of: generation(of), health: health() });
    Directive { generation: generation(counter), rollout: rollout(), requires: vec![], order }
}
