//! `pb.rs` is generated; this proves that it is what the schema gives.

use std::path::Path;

/// Rust for `proto/onnx.proto`, as prost-build writes it into `out`.
fn generate(root: &Path, out: &Path) -> String {
    let proto_dir = root.join("../../proto");
    let schema = protox::compile(["onnx.proto"], [&proto_dir]).expect("the schema compiles");
    prost_build::Config::new()
        .out_dir(out)
        .compile_fds(schema)
        .expect("prost-build accepts the schema");
    let generated = std::fs::read_to_string(out.join("onnx.rs")).expect("one package, one file");
    format!(
        "#![allow(\n    unreachable_pub,\n    missing_docs,\n    dead_code,\n    clippy::doc_markdown,\n    clippy::enum_variant_names,\n    reason = \"generated from proto/onnx.proto; see proto/README.md\"\n)]\n{generated}"
    )
}

#[test]
fn pb_is_what_the_schema_gives() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempfile::tempdir().expect("a temporary folder");
    let fresh = generate(root, out.path());
    let committed = root.join("src/pb.rs");
    if std::env::var_os("MINRNN_WRITE_PB").is_some() {
        std::fs::write(&committed, &fresh).expect("src/pb.rs is writable");
    }
    let current = std::fs::read_to_string(&committed).unwrap_or_default();
    assert!(
        current == fresh,
        "src/pb.rs is not what proto/onnx.proto gives; write it anew with\n    \
         MINRNN_WRITE_PB=1 cargo test -p minrnn-onnx --lib pb_is_what_the_schema_gives"
    );
}
