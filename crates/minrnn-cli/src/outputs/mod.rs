//! What a command reads and what it writes, held against each other before it begins: no output lies over another one, nor over
//! a file that the same command reads.

mod folder;
mod place;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use minrnn_train::task::TaskConfig;

use place::Place;
pub(crate) use place::is_device;

/// All places of a command, each with the word of the command line that names it.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    reads: Vec<Named>,
    /// ONNX files of any program: their weights may lie beside them.
    graphs: Vec<Named>,
    writes: Vec<Named>,
    /// Folders that are written, and whether as a whole: else only files with the names of an export.
    folders: Vec<(Named, bool)>,
}

#[derive(Debug)]
struct Named {
    what: String,
    path: PathBuf,
}

impl Named {
    fn of(what: &str, path: &Path) -> Self {
        Self {
            what: what.to_owned(),
            path: path.to_path_buf(),
        }
    }
}

impl Outputs {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A file that is read; `-`, stdin, is none.
    pub(crate) fn reads(mut self, what: &str, path: Option<&Path>) -> Self {
        let file = path.filter(|p| *p != Path::new("-"));
        self.reads.extend(file.map(|p| Named::of(what, p)));
        self
    }

    /// The files of a task.
    pub(crate) fn reads_task(self, task: &TaskConfig) -> Self {
        match task {
            TaskConfig::Text(text) => self
                .reads("task.path", Some(&text.path))
                .reads("task.tokenizer", text.tokenizer.as_deref()),
            TaskConfig::Sequences(all) => self
                .reads("task.path", Some(&all.path))
                .reads("task.labels_path", all.labels_path.as_deref())
                .reads("task.lengths_path", all.lengths_path.as_deref()),
            // It makes its samples itself.
            _ => self,
        }
    }

    /// An ONNX file that is read, with what lies beside it; or the folder of an export.
    pub(crate) fn reads_onnx(mut self, what: &str, path: Option<&Path>) -> Self {
        match path {
            Some(dir) if dir.is_dir() => return self.reads_folder(what, Some(dir)),
            path => self.graphs.extend(path.map(|p| Named::of(what, p))),
        }
        self.reads(what, path)
    }

    /// The folder of an export, a checkpoint or a run: the files that are its own, not all that somebody puts there.
    pub(crate) fn reads_folder(mut self, what: &str, dir: Option<&Path>) -> Self {
        let files = dir.into_iter().flat_map(folder::own_files);
        self.reads.extend(files.map(|p| Named::of(what, &p)));
        self
    }

    /// A file that is written; `-`, stdout, is none.
    pub(crate) fn writes(mut self, what: &str, path: Option<&Path>) -> Self {
        let file = path.filter(|p| *p != Path::new("-"));
        self.writes.extend(file.map(|p| Named::of(what, p)));
        self
    }

    /// A folder that is written, in which nothing may lie that is read.
    pub(crate) fn writes_folder(mut self, what: &str, path: &Path) -> Self {
        self.folders.push((Named::of(what, path), true));
        self
    }

    /// The folder of an export: what is in it beside its own files stays.
    pub(crate) fn writes_export(mut self, what: &str, path: &Path) -> Self {
        self.folders.push((Named::of(what, path), false));
        self
    }

    /// # Errors
    /// The first output that lies over another one, over something that is read, or over a folder.
    pub(crate) fn check(self) -> Result<()> {
        let places =
            |all: &[Named]| -> Vec<Place> { all.iter().map(|n| Place::of(&n.path)).collect() };
        let (writes, mut reads) = (places(&self.writes), places(&self.reads));
        for (named, place) in self.writes.iter().zip(&writes) {
            if place.is_folder() {
                bail!(
                    "{}: {} is a folder; give the name of a file",
                    named.what,
                    named.path.display()
                );
            }
        }
        for (i, second) in writes.iter().enumerate() {
            if let Some(first) = writes[..i].iter().position(|first| first.same(second)) {
                let (first, second) = (&self.writes[first], &self.writes[i]);
                bail!("{}", twice(first, second));
            }
        }
        let mut all = self.reads;
        for graph in &self.graphs {
            for beside in folder::weights_beside(&graph.path, &writes) {
                reads.push(Place::of(&beside));
                all.push(Named::of(&format!("weights of {}", graph.what), &beside));
            }
        }
        for (named, place) in self.writes.iter().zip(&writes) {
            if let Some(read) = reads.iter().position(|read| read.same(place)) {
                bail!("{}", over(named, &all[read], "file"));
            }
        }
        for (named, whole) in &self.folders {
            let place = Place::of(&named.path);
            let inside = |read: &Place| {
                let ours = || read.is_in(&place) && folder::is_of_export(read.path());
                read.same(&place)
                    || if *whole {
                        read.is_below(&place)
                    } else {
                        ours()
                    }
            };
            if let Some(read) = reads.iter().position(inside) {
                bail!("{}", over(named, &all[read], "folder"));
            }
        }
        Ok(())
    }
}

fn twice(first: &Named, second: &Named) -> String {
    let (a, b) = (
        first.path.display().to_string(),
        second.path.display().to_string(),
    );
    let where_ = match a == b {
        true => a,
        false => format!("{a}, which is {b} too"),
    };
    format!(
        "{} and {} both write {where_}: the second would replace the first; give each a file of its own",
        first.what, second.what
    )
}

fn over(written: &Named, read: &Named, kind: &str) -> String {
    let (a, b) = (
        written.path.display().to_string(),
        read.path.display().to_string(),
    );
    let what = match a == b {
        true => String::new(),
        false => format!("{b}, "),
    };
    format!(
        "{} {a} would replace {what}what the same command reads ({}); choose another {kind}",
        written.what, read.what
    )
}
