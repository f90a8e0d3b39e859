//! Compiles the .proto files with protox, so that no protoc needs to be installed.

use std::path::PathBuf;

const FILES: &[&str] = &[
    "fleet/v1/agent.proto",
    "fleet/v1/operator.proto",
    "store/v1/fleet.proto",
    "store/v1/backup.proto",
    "store/v1/rollout.proto",
    "store/v1/finding.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), prost::Message::encode_to_vec(&descriptors))?;
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    // Operator messages are what `-o json` prints: their field names are the stable ones.
    // Maps are ordered, so that the same answer prints the same bytes, and the same record is stored as the same bytes.
    tonic_prost_build::configure()
        .codec_path("crate::codec::SmallBuffers")
        .type_attribute(".patchwave.operator", "#[derive(serde::Serialize)]")
        .btree_map(".")
        .compile_fds(descriptors)?;
    Ok(())
}
