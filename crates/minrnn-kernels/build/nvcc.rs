//! The compiler: where it is, for which GPUs it builds.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output};

/// The flags of every kernel. Fast versions of functions are chosen in the source, one by one: no `--use_fast_math`.
/// Compressed for size, a module is a quarter as large; drivers know that since CUDA 12.4, nvcc since 12.8.
const FLAGS: [&str; 6] = [
    "-fatbin",
    "--compress-mode=size",
    "-std=c++17",
    "-O3",
    "-I",
    "src",
];

/// Variables in which nvcc itself finds more flags.
pub(crate) const ENVIRONMENT: [&str; 2] = ["NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS"];

/// The compiler and what it builds for.
pub(crate) struct Nvcc {
    pub(crate) program: PathBuf,
    pub(crate) version: String,
    pub(crate) flags: Vec<String>,
    /// What nvcc takes from the environment by itself, as `-DREC_SWEEP`.
    pub(crate) from_environment: Vec<Option<String>>,
}

impl Nvcc {
    pub(crate) fn find(archs: &[String]) -> Result<Self, String> {
        let homes = ["CUDA_HOME", "CUDA_PATH"]
            .into_iter()
            .filter_map(env::var_os)
            .filter(|home| !home.is_empty())
            .map(|home| PathBuf::from(home).join("bin/nvcc"));
        let candidates: Vec<PathBuf> = match env::var_os("NVCC") {
            Some(named) => vec![named.into()],
            None => homes
                .chain(["nvcc".into(), "/usr/local/cuda/bin/nvcc".into()])
                .collect(),
        };
        for program in &candidates {
            if let Ok(Output { status, stdout, .. }) =
                Command::new(program).arg("--version").output()
                && status.success()
            {
                let version = String::from_utf8_lossy(&stdout).into_owned();
                return Ok(Self {
                    program: program.clone(),
                    version,
                    flags: flags(archs),
                    from_environment: ENVIRONMENT.map(|name| env::var(name).ok()).into(),
                });
            }
        }
        let tried: Vec<String> = candidates
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        Err(format!(
            "the feature `cuda` needs nvcc, CUDA's compiler, of version 12.8 or later (tried: {})\n\
             to set one up without installing anything, run in the root of the repository: eval \"$(scripts/cuda-toolkit)\"",
            tried.join(", ")
        ))
    }
}

impl Nvcc {
    /// Version of the toolkit, the number before the point.
    pub(crate) fn major(&self) -> Result<u32, String> {
        let release = self
            .version
            .split("release ")
            .nth(1)
            .and_then(|text| text.split('.').next());
        let number = release.and_then(|text| text.parse().ok());
        number.ok_or_else(|| {
            format!(
                "`{} --version` names no release: {}",
                self.program.display(),
                self.version
            )
        })
    }

    /// Headers of the toolkit that the compiler belongs to.
    pub(crate) fn include(&self) -> Option<PathBuf> {
        let program = if self.program.is_absolute() {
            self.program.clone()
        } else {
            let folders = env::split_paths(&env::var_os("PATH")?).collect::<Vec<_>>();
            folders
                .into_iter()
                .map(|folder| folder.join(&self.program))
                .find(|path| path.is_file())?
        };
        let program = program.canonicalize().ok()?;
        Some(program.parent()?.parent()?.join("include"))
    }
}

/// The flags, with machine code and PTX of every architecture.
fn flags(archs: &[String]) -> Vec<String> {
    let mut flags: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
    for arch in archs {
        for code in ["sm", "compute"] {
            flags.push("-gencode".into());
            flags.push(format!("arch=compute_{arch},code={code}_{arch}"));
        }
    }
    if let Ok(host) = env::var("NVCC_CCBIN") {
        flags.extend(["-ccbin".into(), host]);
    }
    flags
}

/// The architectures to build for, as nvcc names them without its `sm_`.
pub(crate) fn architectures() -> Result<Vec<String>, String> {
    let named = ["MINRNN_CUDA_ARCH", "CUDA_COMPUTE_CAP"]
        .into_iter()
        .find_map(|name| Some((name, env::var(name).ok()?)));
    let Some((name, list)) = named else {
        return Ok(of_this_machine().unwrap_or_else(|| vec!["90".into()]));
    };
    let mut archs: Vec<String> = Vec::new();
    for text in list.split(',').map(str::trim) {
        let arch = architecture(text).ok_or_else(|| {
            format!("{name}={list}: `{text}` is no compute capability; expected numbers such as 80, 8.6 or 90a, separated by commas")
        })?;
        if !archs.contains(&arch) {
            archs.push(arch);
        }
    }
    Ok(archs)
}

/// `8.6`, `86` and `sm_86` are `86`; a letter for features of one architecture (`90a`) stays.
fn architecture(text: &str) -> Option<String> {
    let text = text.strip_prefix("sm_").unwrap_or(text).replace('.', "");
    let digits = text.strip_suffix(['a', 'f']).unwrap_or(&text);
    ((2..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())).then_some(text)
}

fn of_this_machine() -> Option<Vec<String>> {
    let output = Command::new("nvidia-smi")
        .args(["--query-gpu=compute_cap", "--format=csv,noheader"])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout)
        .ok()
        .filter(|_| output.status.success())?;
    let mut archs: Vec<String> = text
        .lines()
        .map(|line| architecture(line.trim()))
        .collect::<Option<_>>()?;
    archs.sort();
    archs.dedup();
    (!archs.is_empty()).then_some(archs)
}
