//! Compiles the schema with protox, so that nobody installs protoc, and writes the descriptor set that server reflection shows.

use std::error::Error;
use std::path::PathBuf;

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let files = ["sesshu/v1/records.proto", "sesshu/v1/storage.proto", "sesshu/v1/services.proto"];
    for file in files {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;

    let grpc = std::env::var_os("CARGO_FEATURE_GRPC").is_some();
    tonic_prost_build::configure()
        .build_client(grpc)
        .build_server(grpc)
        .bytes(".sesshu.v1.Generation.blake3")
        // Few replies hold them.
        .boxed(".sesshu.v1.RecordReply.resident")
        .boxed(".sesshu.v1.RecordReply.held")
        // These hold a My Number, open or sealed: src/lib.rs prints them without.
        .skip_debug([
            "sesshu.v1.RegisterRow",
            "sesshu.v1.ColdEntry",
            "sesshu.v1.ResidentChange",
            "sesshu.v1.FindByMyNumber",
        ])
        .compile_fds(descriptors)?;
    Ok(())
}
