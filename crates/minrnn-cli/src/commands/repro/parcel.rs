//! A folder of a run as a parcel: parts of at most 16 MiB that go to another machine. No path of this machine is in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::files::{self, BEST, LAST, METRICS};

/// Bytes of a part, and of any file that an experiment leaves.
pub(super) const MOST: usize = 16 << 20;
/// No parcel has more.
const ALL: u64 = 4 << 30;
/// What a parcel begins with; the length of its list follows.
const MAGIC: &[u8; 16] = b"minrnn parcel 1\n";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    path: String,
    bytes: u64,
    sha256: String,
}

/// Packs the run in `work` as `{name}.000`, `.001`, .. in `place`, and removes it. Of its best checkpoint only what a model is made of
/// goes along.
pub(super) fn pack(work: &Path, place: &Path, name: &str) -> Result<()> {
    let mut entries = vec![];
    let mut content = vec![];
    for path in listed(work)? {
        let mut bytes =
            fs::read(work.join(&path)).with_context(|| format!("cannot read {path}"))?;
        if path.ends_with("/config.json") {
            bytes = without_places(&bytes)?;
        }
        entries.push(Entry {
            sha256: hex(&bytes),
            bytes: bytes.len() as u64,
            path,
        });
        content.push(bytes);
    }
    let list = serde_json::to_vec(&entries)?;
    let head = [MAGIC.as_slice(), &(list.len() as u64).to_le_bytes(), &list].concat();
    content.insert(0, head);
    let whole = content.concat();
    remove(place, name)?;
    fs::create_dir_all(place).with_context(|| format!("cannot create {}", place.display()))?;
    for (i, part) in whole.chunks(MOST).enumerate() {
        files::write(&place.join(format!("{name}.{i:03}")), part)?;
    }
    fs::remove_dir_all(work).with_context(|| format!("cannot remove {}", work.display()))
}

/// Makes the folder `work` of the parcel again, if there is one; whether there is.
///
/// # Errors
/// A part that is missing or changed.
pub(super) fn unpack(place: &Path, name: &str, work: &Path) -> Result<bool> {
    let parts = parts(place, name);
    if parts.is_empty() && !has_later_parts(place, name)? {
        return Ok(false);
    }
    let what = || {
        format!(
            "{} is no whole parcel: bring all of its parts",
            place.join(name).display()
        )
    };
    if parts.is_empty() {
        bail!("{}; {name}.000, the first one, is missing", what());
    }
    let mut whole = vec![];
    for part in &parts {
        whole.extend(fs::read(part).with_context(what)?);
    }
    let rest = whole.strip_prefix(MAGIC.as_slice()).with_context(what)?;
    let (length, rest) = rest.split_first_chunk::<8>().with_context(what)?;
    let length = usize::try_from(u64::from_le_bytes(*length))?;
    let (list, mut rest) = rest.split_at_checked(length).with_context(what)?;
    let entries: Vec<Entry> = serde_json::from_slice(list).with_context(what)?;
    if entries
        .iter()
        .map(|e| e.bytes)
        .try_fold(0_u64, u64::checked_add)
        .is_none_or(|n| n > ALL)
    {
        bail!("{}", what());
    }
    if work.exists() {
        fs::remove_dir_all(work).with_context(|| format!("cannot remove {}", work.display()))?;
    }
    for Entry {
        path,
        bytes,
        sha256,
    } in &entries
    {
        let (own, behind) = rest.split_at_checked(*bytes as usize).with_context(what)?;
        rest = behind;
        if hex(own) != *sha256 || !is_plain(path) {
            bail!("{}; {path} is not as it was packed", what());
        }
        let to = work.join(path);
        fs::create_dir_all(to.parent().unwrap_or(work))?;
        files::write(&to, own)?;
    }
    Ok(true)
}

/// Removes a parcel.
pub(super) fn remove(place: &Path, name: &str) -> Result<()> {
    for part in parts(place, name) {
        fs::remove_file(&part).with_context(|| format!("cannot remove {}", part.display()))?;
    }
    // Empty it goes too; where it is not, it stays.
    let _ = fs::remove_dir(place);
    Ok(())
}

/// The parts that are there, from the first on.
fn parts(place: &Path, name: &str) -> Vec<PathBuf> {
    let part = |i| place.join(format!("{name}.{i:03}"));
    (0..1000).map(part).take_while(|p| p.is_file()).collect()
}

/// Whether there is a part of that parcel, the first one or another.
fn has_later_parts(place: &Path, name: &str) -> Result<bool> {
    if !place.is_dir() {
        return Ok(false);
    }
    let is = |file: &str| {
        let rest = file.strip_prefix(name).and_then(|r| r.strip_prefix('.'));
        rest.is_some_and(|r| r.len() == 3 && r.bytes().all(|b| b.is_ascii_digit()))
    };
    let entries = fs::read_dir(place);
    for entry in entries.with_context(|| format!("cannot read {}", place.display()))? {
        if is(&entry?.file_name().to_string_lossy()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The files of a run that go along.
fn listed(work: &Path) -> Result<Vec<String>> {
    let mut all = vec![];
    for (folder, whole) in [(LAST, true), (BEST, false)] {
        let dir = work.join(folder);
        if !dir.is_dir() {
            continue;
        }
        let mut names = vec![];
        for entry in fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        let of_training = [
            "optimizer.safetensors",
            "trainer_state.json",
            "states.safetensors",
        ];
        names.retain(|name| whole || !of_training.contains(&name.as_str()));
        all.extend(names.iter().map(|name| format!("{folder}/{name}")));
    }
    if work.join(METRICS).is_file() {
        all.push(METRICS.to_owned());
    }
    Ok(all)
}

/// A configuration whose data have no folder.
fn without_places(config: &[u8]) -> Result<Vec<u8>> {
    let mut json: serde_json::Value = serde_json::from_slice(config)?;
    if let Some(path) = json.pointer_mut("/task/path") {
        let name = path.as_str().and_then(|p| Path::new(p).file_name());
        *path = name.map(|n| n.to_string_lossy().into_owned()).into();
    }
    let mut text = serde_json::to_string_pretty(&json)?;
    text.push('\n');
    Ok(text.into_bytes())
}

/// Whether a path leads nowhere else.
fn is_plain(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let plain = |p: &&str| !p.is_empty() && *p != "." && *p != ".." && !p.contains(['\\', ':']);
    parts.len() <= 2 && parts.iter().all(plain)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let byte = |b: &u8| format!("{b:02x}");
    Sha256::digest(bytes).iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(dir: &Path, weights: usize) -> PathBuf {
        let work = dir.join("runs/a-s0");
        for folder in [LAST, BEST] {
            fs::create_dir_all(work.join(folder)).unwrap();
            let config = r#"{"task":{"kind":"text","path":"/home/somebody/book.txt"}}"#;
            fs::write(work.join(folder).join("config.json"), config).unwrap();
            fs::write(
                work.join(folder).join("model.safetensors"),
                vec![7; weights],
            )
            .unwrap();
            fs::write(work.join(folder).join("optimizer.safetensors"), vec![8; 10]).unwrap();
        }
        fs::write(work.join(METRICS), "{}\n").unwrap();
        work
    }

    #[test]
    fn a_run_comes_back_whole_from_parts_that_are_small_enough() {
        let dir = tempfile::tempdir().unwrap();
        let (work, state) = (run(dir.path(), 20 << 20), dir.path().join("state"));
        pack(&work, &state, "a-s0").unwrap();
        assert!(!work.exists());
        let sizes: Vec<u64> = parts(&state, "a-s0")
            .iter()
            .map(|p| p.metadata().unwrap().len())
            .collect();
        assert_eq!(sizes.len(), 3);
        assert!(sizes.iter().all(|n| *n <= 16 << 20), "{sizes:?}");
        assert!(unpack(&state, "a-s0", &work).unwrap());
        assert_eq!(
            fs::read(work.join("last/model.safetensors")).unwrap(),
            vec![7; 20 << 20]
        );
        assert!(work.join("last/optimizer.safetensors").exists());
        assert!(!work.join("best/optimizer.safetensors").exists());
        let config = fs::read_to_string(work.join("best/config.json")).unwrap();
        assert!(
            config.contains("\"book.txt\"") && !config.contains("somebody"),
            "{config}"
        );
        remove(&state, "a-s0").unwrap();
        assert!(!state.exists());
        assert!(!unpack(&state, "a-s0", &work).unwrap());
    }

    #[test]
    fn parts_that_are_missing_or_changed_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (work, state) = (run(dir.path(), 17 << 20), dir.path().join("state"));
        pack(&work, &state, "a").unwrap();
        fs::copy(state.join("a.001"), state.join("b.000")).unwrap();
        assert!(unpack(&state, "b", &work).is_err());
        let second = fs::read(state.join("a.001")).unwrap();
        fs::remove_file(state.join("a.001")).unwrap();
        let error = format!("{:#}", unpack(&state, "a", &work).unwrap_err());
        assert!(error.contains("bring all of its parts"), "{error}");
        let first = fs::read(state.join("a.000")).unwrap();
        fs::remove_file(state.join("a.000")).unwrap();
        fs::write(state.join("a.001"), &second).unwrap();
        let error = format!("{:#}", unpack(&state, "a", &work).unwrap_err());
        assert!(
            error.contains("a.000, the first one, is missing"),
            "{error}"
        );
        fs::write(state.join("a.000"), first).unwrap();
        let changed: Vec<u8> = second.iter().map(|b| b ^ 1).collect();
        fs::write(state.join("a.001"), changed).unwrap();
        assert!(unpack(&state, "a", &work).is_err());
        assert!(!is_plain("../x") && !is_plain("/x") && !is_plain("a/b/c") && is_plain("last/x"));
    }
}
