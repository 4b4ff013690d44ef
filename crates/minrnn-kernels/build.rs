//! With the feature `cuda`: compiles every `src/**/*.cu` by nvcc into `OUT_DIR/<stem>.fatbin`, which holds machine code and
//! PTX (for later GPUs) of each architecture, and writes the entry points by which CUDA's libraries are loaded when they
//! are first called (`entries`). Without the feature: nothing.
//!
//! | variable | meaning |
//! |---|---|
//! | `MINRNN_CUDA_ARCH` | the architectures, separated by commas: `80,90` |
//! | `CUDA_COMPUTE_CAP` | the one architecture that candle's kernels are built for; ours too where the former is not set |
//! | `NVCC`, `CUDA_HOME`, `CUDA_PATH` | the compiler, the toolkit; else `nvcc` in `PATH`, else `/usr/local/cuda` |
//! | `NVCC_CCBIN` | the host compiler |
//! | `NVCC_APPEND_FLAGS` | nvcc's own; ours are `-DREC_SWEEP` (more tiles of the recurrences, to be timed) and `-DREC_ARRIVE_EACH=1` (`recurrence/exchange.cuh`) |
//!
//! Where neither of the first two is set: the GPUs of this machine, else 90 (H100, H200).
//!
//! The crate reads what was built for as `env!("MINRNN_COMPUTE_CAP")`, e.g. `80,90`.

#[path = "build/entries.rs"]
mod entries;
#[path = "build/kernels.rs"]
mod kernels;
#[path = "build/nvcc.rs"]
mod nvcc;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use kernels::Sources;
use nvcc::Nvcc;

const VARIABLES: [&str; 6] = [
    "MINRNN_CUDA_ARCH",
    "CUDA_COMPUTE_CAP",
    "NVCC",
    "CUDA_HOME",
    "CUDA_PATH",
    "NVCC_CCBIN",
];

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rustc-check-cfg=cfg(cuda_on_demand)");
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return ExitCode::SUCCESS;
    }
    // A folder stands for all that it holds: a new `.cu` is seen. Kernels that did not change are not compiled again.
    println!("cargo::rerun-if-changed=src");
    for name in VARIABLES.iter().chain(&nvcc::ENVIRONMENT) {
        println!("cargo::rerun-if-env-changed={name}");
    }
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            for line in text.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let out =
        PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: run this through cargo")?);
    let sources = Sources::find(Path::new("src"))?;
    kernels::remove_others(&out, &sources.kernels)?;
    let archs = nvcc::architectures()?;
    println!("cargo::rustc-env=MINRNN_COMPUTE_CAP={}", archs.join(","));
    let nvcc = Nvcc::find(&archs)?;
    kernels::build(&sources, &nvcc, &out)?;
    println!("cargo::rustc-env=MINRNN_CUDA_MAJOR={}", nvcc.major()?);
    if entries::write(&nvcc, &out)? {
        println!("cargo::rustc-cfg=cuda_on_demand");
    }
    Ok(())
}
