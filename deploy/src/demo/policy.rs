//! The demo's policy.

/// Test ring, then two canaries, then half, then the rest; spans are short because nobody wants to watch a demo for a day. Only the
/// silence is long: it never comes in a demo, but a busy machine may keep an agent waiting. Both canaries have to fail before it stops:
/// with a limit of one, a canary that a busy machine let begin late would not begin at all, and the numbers would be others each time.
pub(super) const POLICY: &str = r#"
name = "demo"
description = "The demo's policy: real spans would be hours"
hosts = "mode=managed"

[health]
patience = "1500ms"
interval = "300ms"
settle = "1s"
silence = "60s"

[[health.check]]
name = "shop-works"
kind = "executable"
timeout = "20s"

[limits]
failures = 2
max_unavailable = "50%"

[[wave]]
name = "test ring"
kind = "test"
hosts = "ring=test"
soak = "1s"

[[wave]]
name = "canaries"
kind = "canary"
hosts = "ring=early"
soak = "1s"

[[wave]]
name = "half"
hosts = "ring=broad"
size = "50%"
soak = "1s"

[[wave]]
name = "rest"
soak = "1s"
"#;
