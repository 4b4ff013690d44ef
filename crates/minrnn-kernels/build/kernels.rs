//! Every `src/**/*.cu` becomes a module, several at once.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};

use crate::nvcc::Nvcc;

/// Compiles what changed.
pub(crate) fn build(sources: &Sources, nvcc: &Nvcc, out: &Path) -> Result<(), String> {
    let headers = sources.header_text()?;
    let jobs: Vec<Job> = sources
        .kernels
        .iter()
        .map(|(stem, source)| Job { stem, source, out })
        .collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), String> {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            job.run(nvcc, &headers)?;
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
pub(crate) struct Sources {
    /// File by stem: the stem is the name of the module.
    pub(crate) kernels: BTreeMap<String, PathBuf>,
    headers: Vec<PathBuf>,
}

impl Sources {
    pub(crate) fn find(root: &Path) -> Result<Self, String> {
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
pub(crate) fn remove_others(out: &Path, kernels: &BTreeMap<String, PathBuf>) -> Result<(), String> {
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
            &nvcc.from_environment,
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
