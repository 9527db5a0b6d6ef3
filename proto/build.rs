//! Compiles the two `.proto` files with a compiler written in Rust: building needs no `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = protox::compile(["uplink.proto", "record.proto"], ["."])?;
    tonic_prost_build::configure().build_transport(false).compile_fds(files)?;
    for file in ["uplink.proto", "record.proto"] {
        println!("cargo::rerun-if-changed={file}");
    }
    Ok(())
}
