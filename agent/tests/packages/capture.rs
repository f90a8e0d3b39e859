//! Captures real tools' output for the parsers' fixtures. Writes `tests/packages_fixtures/`; run it by hand after a change:
//! `cargo nextest run -p patchwave-agent --test packages --run-ignored all capture`.

use crate::apt_world::AptWorld;
use crate::world::{Spec, World, spec};

fn write(world: &AptWorld, name: &str, program: &str, arguments: &[&str]) {
    let text = world.sandbox.apt(program, arguments).unwrap();
    let port = format!(":{}", world.server.address().port());
    let text = text.replace(&world.root().display().to_string(), "").replace(&port, ":80");
    std::fs::write(format!("{}/tests/packages_fixtures/{name}.txt", env!("CARGO_MANIFEST_DIR")), text).unwrap();
}

#[test]
#[ignore = "writes the fixtures anew"]
fn capture() {
    let mut world = AptWorld::new().unwrap();
    let needy = Spec { depends: &["web-new"], ..spec("web", "2.0-1") };
    let rival = Spec { conflicts: &["web-lib"], ..spec("rival", "1.0-1") };
    let both = ["web", "web-lib", "pinned", "raised"].map(|name| [spec(name, "1.0-1"), spec(name, "1.1-1")]);
    world.publish(&both.concat());
    world.publish(&[spec("web-new", "1.0-1"), spec("local-only", "1.0-1")]);
    for name in ["web", "web-lib", "pinned", "raised", "local-only"] {
        world.install(name, "1.0-1");
    }
    world.withdraw("local-only", "1.0-1");
    world.pin_away("pinned", "1.1-1");
    let raised = world.root().join("etc/apt/preferences.d/raised.pref");
    std::fs::write(raised, "Package: raised\nPin: version 1.0-1\nPin-Priority: 1001\n").unwrap();
    write(&world, "apt-cache-policy-names", "apt-cache", &["policy", "web", "web-lib", "pinned", "raised", "local-only"]);
    write(&world, "apt-cache-policy", "apt-cache", &["policy"]);
    world.publish(&[needy, rival]);
    write(&world, "apt-get-simulate-upgrade", "apt-get", &["--simulate", "install", "web=2.0-1"]);
    write(&world, "apt-get-simulate-removal", "apt-get", &["--simulate", "install", "rival"]);
}
