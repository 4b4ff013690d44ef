//! Files of an export that its manifest knows nothing of: they may be of other weights, and nothing would look at them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use minrnn_onnx::export::Form;
use minrnn_onnx::ir;

use super::folder::read;
use super::manifest::Manifest;
use super::{Result, broken};

impl Manifest {
    /// # Errors
    /// The first unlisted file that has the name of one of an export, or says of itself that it is a form. Others are foreign, and
    /// nobody's business.
    pub(super) fn unlisted(&self, dir: &Path) -> Result<()> {
        let listed = self.listed();
        let usual = usual_names().filter(|name| !listed.contains(name.as_str()));
        for path in usual.map(|name| dir.join(name)) {
            if path.symlink_metadata().is_ok() {
                let what = "lies in the folder, and the manifest does not list it; it may be of other weights: remove it, or export again";
                return Err(broken(path, what));
            }
        }
        for name in graphs(dir)? {
            let path = dir.join(&name);
            if listed.contains(name.as_str()) {
                continue;
            }
            if let Some(form) = form(&path) {
                let what = format!(
                    "lies in the folder and says that it is the form `{form}`, and the manifest does not list it; it may be of other weights: move it to another folder, or export again"
                );
                return Err(broken(path, what));
            }
        }
        Ok(())
    }

    fn listed(&self) -> BTreeSet<&str> {
        let of = self.forms.values().flat_map(|form| {
            let beside = form.weights.as_ref().map(|w| w.file.as_str());
            [Some(form.file.as_str()), beside]
        });
        of.flatten().collect()
    }
}

/// Names that an export gives.
fn usual_names() -> impl Iterator<Item = String> {
    let of = |form: Form| {
        let name = form.name();
        [format!("model.{name}.onnx"), format!("model.{name}.data")]
    };
    let own = Form::ALL.into_iter().flat_map(of);
    own.chain(["model.data".to_owned()])
}

/// Names of all ONNX files of the folder, in order.
fn graphs(dir: &Path) -> Result<BTreeSet<String>> {
    let unread = |e: std::io::Error| broken(dir, format!("cannot be read: {e}"));
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(dir).map_err(unread)? {
        let name = entry.map_err(unread)?.file_name();
        // The names of a manifest are all UTF-8.
        let name = name.to_string_lossy();
        if is_graph(&name) {
            names.insert(name.into_owned());
        }
    }
    Ok(names)
}

/// Some systems write endings in capitals, and all programs read such files.
fn is_graph(name: &str) -> bool {
    let end = Path::new(name).extension();
    end.is_some_and(|end| end.eq_ignore_ascii_case("onnx"))
}

/// How deep folders are searched, and how many of their files are told of.
const DEPTH: usize = 8;
const MANY: usize = 1000;

/// ONNX files in folders of the folder, whoever's they are, in order. Links to folders are not followed.
pub(crate) fn graphs_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    search(dir, 0, &mut found);
    found.sort();
    found
}

fn search(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    // What cannot be listed is nobody's file.
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if found.len() >= MANY {
            return;
        }
        let is_dir = entry.file_type().is_ok_and(|t| t.is_dir());
        if is_dir && depth < DEPTH {
            search(&entry.path(), depth + 1, found);
        } else if !is_dir && depth > 0 && is_graph(&entry.file_name().to_string_lossy()) {
            found.push(entry.path());
        }
    }
}

/// What form a file says it is; none for what is no plain ONNX file, or is somebody else's.
fn form(path: &Path) -> Option<String> {
    let file = ir::Model::decode(&read(path).ok()?).ok()?;
    file.metadata("minrnn.form").map(str::to_owned)
}
