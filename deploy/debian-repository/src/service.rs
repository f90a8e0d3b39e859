//! The shell that a package with systemd units carries in its maintainer scripts, after debhelper's `dh_installsystemd`.

use crate::MaintainerScript;

/// Only a real host with systemd as its init acts; in a sandbox `DPKG_ROOT` is set, in a chroot there is no `/run/systemd`.
const ON_A_BOOTED_HOST: &str = r#"[ -z "${DPKG_ROOT:-}" ] && [ -d /run/systemd/system ]"#;

/// The lines that `script` needs for `units`; empty if none.
pub(crate) fn snippet(script: MaintainerScript, units: &[String]) -> String {
    if units.is_empty() {
        return String::new();
    }
    let units = units.join(" ");
    let (condition, commands) = match script {
        MaintainerScript::BeforeInstallation => return String::new(),
        MaintainerScript::AfterInstallation => (
            r#"[ "$1" = configure ]"#,
            format!("systemctl daemon-reload\n\tsystemctl enable --quiet {units} || true\n\tsystemctl restart {units} || true"),
        ),
        MaintainerScript::BeforeRemoval => {
            (r#"[ "$1" = remove ]"#, format!("systemctl disable --quiet {units} || true\n\tsystemctl stop {units} || true"))
        }
        MaintainerScript::AfterRemoval => (r#"[ "$1" = remove ] || [ "$1" = purge ]"#, "systemctl daemon-reload".to_owned()),
    };
    format!("if {ON_A_BOOTED_HOST} && {{ {condition}; }}; then\n\t{commands}\nfi\n")
}
