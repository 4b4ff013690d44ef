//! With the feature `cuda`: compiles every `src/**/*.cu` by nvcc into `OUT_DIR/<stem>.fatbin`, which holds machine code and
//! PTX (for later GPUs) of each architecture. Without the feature: nothing.
//!
//! | variable | meaning |
//! |---|---|
//! | `MINRNN_CUDA_ARCH` | the architectures, separated by commas: `80,90` |
//! | `CUDA_COMPUTE_CAP` | the one architecture that candle's kernels are built for; ours too where the former is not set |
//! | `NVCC`, `CUDA_HOME`, `CUDA_PATH` | the compiler, the toolkit; else `nvcc` in `PATH`, else `/usr/local/cuda` |
//! | `NVCC_CCBIN` | the host compiler |
//!
//! Where neither of the first two is set: the GPUs of this machine, else 90 (H100, H200).
//!
//! The crate reads what was built for as `env!("MINRNN_COMPUTE_CAP")`, e.g. `80,90`.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};

const VARIABLES: [&str; 6] = [
    "MINRNN_CUDA_ARCH",
    "CUDA_COMPUTE_CAP",
    "NVCC",
    "CUDA_HOME",
    "CUDA_PATH",
    "NVCC_CCBIN",
];

/// The flags of every kernel. Fast versions of functions are chosen in the source, one by one: no `--use_fast_math`.
const FLAGS: [&str; 5] = ["-fatbin", "-std=c++17", "-O3", "-I", "src"];

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return ExitCode::SUCCESS;
    }
    // A folder stands for all that it holds: a new `.cu` is seen. Kernels that did not change are not compiled again.
    println!("cargo::rerun-if-changed=src");
    for name in VARIABLES {
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
    remove_others(&out, &sources.kernels)?;
    let archs = architectures()?;
    println!("cargo::rustc-env=MINRNN_COMPUTE_CAP={}", archs.join(","));
    if sources.kernels.is_empty() {
        return Ok(());
    }
    let nvcc = Nvcc::find(&archs)?;
    let headers = sources.header_text()?;
    let jobs: Vec<Job> = sources
        .kernels
        .iter()
        .map(|(stem, source)| Job {
            stem,
            source,
            out: &out,
        })
        .collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), String> {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            job.run(&nvcc, &headers)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..parallelism().min(jobs.len()))
            .map(|_| scope.spawn(work))
            .collect();
        let failed: Vec<String> = workers
            .into_iter()
            .filter_map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|_| Err("a worker of build.rs panicked".into()))
                    .err()
            })
            .collect();
        if failed.is_empty() {
            Ok(())
        } else {
            Err(failed.join("\n"))
        }
    })
}

/// As many compilers at once as cargo runs jobs.
fn parallelism() -> usize {
    let jobs = env::var("NUM_JOBS").ok().and_then(|n| n.parse().ok());
    jobs.or_else(|| thread::available_parallelism().ok().map(usize::from))
        .unwrap_or(1)
        .max(1)
}

/// The CUDA files of this crate.
struct Sources {
    /// File by stem: the stem is the name of the module.
    kernels: BTreeMap<String, PathBuf>,
    headers: Vec<PathBuf>,
}

impl Sources {
    fn find(root: &Path) -> Result<Self, String> {
        let mut all = Vec::new();
        walk(root, &mut all)?;
        all.sort();
        let mut kernels: BTreeMap<String, PathBuf> = BTreeMap::new();
        for path in all.iter().filter(|path| has_extension(path, "cu")) {
            let stem = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if let Some(other) = kernels.insert(stem.clone(), path.clone()) {
                return Err(format!(
                    "{} and {} would both become the module `{stem}`: rename one of them",
                    other.display(),
                    path.display()
                ));
            }
        }
        let headers = all
            .into_iter()
            .filter(|path| has_extension(path, "cuh"))
            .collect();
        Ok(Self { kernels, headers })
    }

    fn header_text(&self) -> Result<Vec<(&Path, String)>, String> {
        self.headers
            .iter()
            .map(|path| Ok((path.as_path(), read(path)?)))
            .collect()
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let cannot = |e: std::io::Error| format!("cannot list {}: {e}", folder.display());
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.is_dir() {
            walk(&path, found)?
        } else {
            found.push(path)
        }
    }
    Ok(())
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|e| e == extension)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

/// Modules whose source is gone are gone too: nothing embeds an old one.
fn remove_others(out: &Path, kernels: &BTreeMap<String, PathBuf>) -> Result<(), String> {
    let mut found = Vec::new();
    walk(out, &mut found)?;
    for path in found
        .iter()
        .filter(|path| has_extension(path, "fatbin") || has_extension(path, "key"))
    {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        if !kernels.contains_key(stem.as_ref()) {
            fs::remove_file(path).map_err(|e| format!("cannot remove {}: {e}", path.display()))?;
        }
    }
    Ok(())
}

/// The compiler and what it builds for.
struct Nvcc {
    program: PathBuf,
    version: String,
    flags: Vec<String>,
}

impl Nvcc {
    fn find(archs: &[String]) -> Result<Self, String> {
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

fn architectures() -> Result<Vec<String>, String> {
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

/// One kernel file.
struct Job<'a> {
    stem: &'a str,
    source: &'a Path,
    out: &'a Path,
}

impl Job<'_> {
    /// Compiles, unless what lies there was made from the same source, headers, compiler and flags.
    fn run(&self, nvcc: &Nvcc, headers: &[(&Path, String)]) -> Result<(), String> {
        let mut hasher = DefaultHasher::new();
        (
            read(self.source)?,
            self.source,
            headers,
            &nvcc.program,
            &nvcc.version,
            &nvcc.flags,
        )
            .hash(&mut hasher);
        let key = format!("{:016x}", hasher.finish());
        let fatbin = self.out.join(format!("{}.fatbin", self.stem));
        let key_file = self.out.join(format!("{}.key", self.stem));
        if fatbin.exists() && fs::read_to_string(&key_file).is_ok_and(|old| old == key) {
            return Ok(());
        }
        // No key while the file may be half written.
        if key_file.exists() {
            fs::remove_file(&key_file)
                .map_err(|e| format!("cannot remove {}: {e}", key_file.display()))?;
        }
        let mut command = Command::new(&nvcc.program);
        command
            .args(&nvcc.flags)
            .arg("-o")
            .arg(&fatbin)
            .arg(self.source);
        let output = command
            .output()
            .map_err(|e| format!("cannot run {}: {e}", nvcc.program.display()))?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(format!(
                "nvcc could not compile {} ({})\n{text}\nthe command: {command:?}",
                self.source.display(),
                output.status
            ));
        }
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            println!("cargo::warning={}: {line}", self.source.display());
        }
        write(&key_file, &key)
    }
}
