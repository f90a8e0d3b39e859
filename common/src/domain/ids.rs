//! Names of things: hosts, rollouts, policies, operators, tokens, advisories, feeds.

use super::text::{checked_string, is_token};

checked_string!(
    /// A host, named by its certificate. Given at enrolment by the controller, never taken from a message.
    HostId, "host id", "1 to 64 lower-case letters, digits and '-', as `patchwave host list` shows them",
    |value| is_token(value, 64, "-") && !value.contains(|c: char| c.is_ascii_uppercase())
);
checked_string!(
    /// A rollout, e.g. `r-7k2m9qxa`.
    RolloutId, "rollout id", "1 to 64 lower-case letters, digits and '-', as `patchwave rollout list` shows them",
    |value| is_token(value, 64, "-") && !value.contains(|c: char| c.is_ascii_uppercase())
);
checked_string!(
    /// A policy's name.
    PolicyName, "policy name", "1 to 64 letters, digits, '-', '_' and '.', starting with a letter or digit",
    |value| is_token(value, 64, "-_.")
);
checked_string!(
    /// An operator's name, as it stands in the certificate and in the audit log.
    OperatorName, "operator name", "1 to 64 letters, digits, '-', '_', '.' and '@', starting with a letter or digit",
    |value| is_token(value, 64, "-_.@")
);
checked_string!(
    /// The public part of a join token; names it in lists, cannot be used to enrol.
    TokenId, "token id", "1 to 64 letters, digits and '-', as `patchwave token list` shows them",
    |value| is_token(value, 64, "-")
);
checked_string!(
    /// One run of an agent process: made anew at each start, tells a reconnect from a second running copy (a cloned image).
    InstanceId, "instance id", "1 to 64 letters, digits and '-'",
    |value| is_token(value, 64, "-")
);
checked_string!(
    /// A group of hosts that replace one another, or a site that shares a mirror.
    GroupName, "group name", "1 to 64 letters, digits, '-', '_' and '.', starting with a letter or digit",
    |value| is_token(value, 64, "-_.")
);
checked_string!(
    /// An advisory or one of its aliases, as its database names it, e.g. `CVE-2026-1234` or `DSA-5678-1`.
    AdvisoryId, "advisory id", "1 to 128 letters, digits, '-', '_', '.' and ':', starting with a letter or digit",
    |value| is_token(value, 128, "-_.:")
);
checked_string!(
    /// A feed of advisories, or of what is known of them.
    FeedName, "feed name", "1 to 64 letters, digits, '-', '_' and '.', starting with a letter or digit",
    |value| is_token(value, 64, "-_.")
);
