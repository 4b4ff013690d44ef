//! One form of an export: its file, held against the manifest.

use std::path::{Path, PathBuf};

use minrnn_onnx::check::{self, Types};
use minrnn_onnx::export::{Target, is_of_this_version, vocabulary_mark};
use minrnn_onnx::ir;
use serde_json::Value as Json;

use super::beside::Beside;
use super::folder::{is_own, must_be, read, sha256, sha256_of};
use super::json::same;
use super::manifest::{FormEntry, MANIFEST, Manifest};
use super::{ContractError, Result, broken, chain};
use crate::verify::{Check, Off};

/// One form of the export.
#[derive(Debug)]
pub(super) struct FormFile {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) model: ir::Model,
    pub(super) types: Types,
    pub(super) longest: Option<usize>,
}

pub(super) fn open(
    dir: &Path,
    name: &str,
    (entry, manifest): (&FormEntry, &Manifest),
    off: &Off,
) -> Result<FormFile> {
    if !is_own(dir, &entry.file) {
        let what = format!(
            "forms.{name}.file is `{}`, which {}",
            entry.file,
            must_be(dir, &entry.file)
        );
        return Err(broken(dir.join(MANIFEST), what));
    }
    let path = dir.join(&entry.file);
    let bytes = read(&path)?;
    let found = sha256(&bytes);
    if found != entry.sha256 && !off.has(Check::Hashes) {
        return Err(broken(path, changed(&found, &entry.sha256)));
    }
    if let Some(beside) = &entry.weights {
        off.hold(Check::Hashes, || check_beside(dir, beside))?;
    }
    let model = ir::Model::decode(&bytes).map_err(|e| broken(&path, chain(&e)))?;
    let types = check::check(&model).map_err(|e| broken(&path, chain(&e)))?;
    let file = FormFile {
        path,
        bytes,
        model,
        types,
        longest: entry.max_seq_len.and_then(|n| usize::try_from(n).ok()),
    };
    file.keeps(name, (entry, manifest), off)
        .map_err(|what| broken(&file.path, what))?;
    Ok(file)
}

fn changed(found: &str, said: &str) -> String {
    format!(
        "has the sha256 {found}, the manifest says {said}; the file was changed after the export"
    )
}

/// The weights beside a graph are those of the export.
fn check_beside(dir: &Path, beside: &Beside) -> Result<()> {
    let path = dir.join(&beside.file);
    if !is_own(dir, &beside.file) {
        return Err(broken(path, must_be(dir, &beside.file)));
    }
    let (found, size) = sha256_of(&path).map_err(|e| {
        broken(
            &path,
            format!("cannot be read: {e}; the graphs need it beside them"),
        )
    })?;
    if found != beside.sha256 {
        return Err(broken(path, changed(&found, &beside.sha256)));
    }
    if beside.bytes.is_some_and(|b| b != size) {
        let said = beside.bytes.unwrap_or_default();
        return Err(broken(
            path,
            format!("has {size} bytes, the manifest says {said}"),
        ));
    }
    Ok(())
}

impl FormFile {
    /// LinearAttention is in no engine here.
    pub(super) fn is_for_other_engines(&self) -> bool {
        self.model.metadata("minrnn.lowering") == Some("linear-attention")
    }

    /// What the runtime says of the file, its name once.
    pub(super) fn of_runtime(&self, error: &minrnn_runtime::Error) -> ContractError {
        let what = chain(error);
        let name = format!("{}: ", self.path.display());
        broken(&self.path, what.strip_prefix(&name).unwrap_or(&what))
    }

    /// Whether the file says the same of itself as the manifest does.
    fn keeps(
        &self,
        name: &str,
        (entry, manifest): (&FormEntry, &Manifest),
        off: &Off,
    ) -> std::result::Result<(), String> {
        off.hold(Check::Metadata, || self.keeps_words(name, entry, manifest))?;
        off.hold(Check::Longest, || self.keeps_longest(entry))?;
        off.hold(Check::Opset, || self.keeps_opset(entry))?;
        off.hold(Check::Vocabulary, || self.keeps_vocabulary(manifest))?;
        off.hold(Check::Description, || self.keeps_end(manifest))?;
        off.hold(Check::Description, || self.keeps_average(manifest))?;
        off.hold(Check::Description, || self.keeps_json(manifest))?;
        off.hold(Check::Activations, || self.keeps_activations(manifest))?;
        off.hold(Check::Ports, || self.keeps_ports(entry))?;
        off.hold(Check::Target, || self.keeps_target())?;
        off.hold(Check::Beside, || self.reads_beside(entry.weights.as_ref()))
    }

    fn keeps_words(
        &self,
        name: &str,
        entry: &FormEntry,
        manifest: &Manifest,
    ) -> std::result::Result<(), String> {
        let said = |key: &str| self.model.metadata(key);
        let expect = |key: &str, found: Option<&str>, want: &str| match found == Some(want) {
            true => Ok(()),
            false => Err(format!(
                "metadata `{key}` is {}, the manifest says `{want}`",
                found.unwrap_or("absent")
            )),
        };
        let always = [
            ("minrnn.form", name),
            ("minrnn.head", &manifest.head),
            ("minrnn.weights", &manifest.weights_sha256),
        ];
        for (key, want) in always {
            expect(key, said(key), want)?;
        }
        // Files of the time before there was a choice do not say.
        let chosen = [
            ("minrnn.dtype", &manifest.dtype, "f32"),
            ("minrnn.target", &manifest.target, "portable"),
            ("minrnn.state_names", &manifest.state_names, "minrnn"),
            ("minrnn.state_layout", &manifest.state_layout, "separate"),
        ];
        for (key, want, silent) in chosen {
            expect(key, Some(said(key).unwrap_or(silent)), want)?;
        }
        match &entry.lowering {
            Some(lowering) => expect("minrnn.lowering", said("minrnn.lowering"), lowering),
            None => Ok(()),
        }
    }

    fn keeps_longest(&self, entry: &FormEntry) -> std::result::Result<(), String> {
        let said = |key: &str| self.model.metadata(key);
        let longest = entry.max_seq_len.map(|n| n.to_string());
        if said("minrnn.max_seq_len") != longest.as_deref() {
            return Err(format!(
                "metadata `minrnn.max_seq_len` is {}, the manifest says {}; export again",
                said("minrnn.max_seq_len").unwrap_or("absent"),
                longest.as_deref().unwrap_or("null")
            ));
        }
        Ok(())
    }

    fn keeps_opset(&self, entry: &FormEntry) -> std::result::Result<(), String> {
        if entry.opset.is_some() && entry.opset != self.model.opset() {
            return Err(format!(
                "has opset {}, the manifest says {}",
                self.model.opset().unwrap_or_default(),
                entry.opset.unwrap_or_default()
            ));
        }
        Ok(())
    }

    /// Files have a hash of it; those of older versions need not.
    fn keeps_vocabulary(&self, manifest: &Manifest) -> std::result::Result<(), String> {
        let said = self.model.metadata("minrnn.vocabulary");
        let wanted = manifest.words.as_ref().map(vocabulary_mark);
        if said == wanted.as_deref() || said.is_none() && !is_of_this_version(&self.model) {
            return Ok(());
        }
        Err(format!(
            "metadata `minrnn.vocabulary` is {}, and by the manifest's vocabulary {}; export again",
            said.unwrap_or("absent"),
            wanted.as_deref().unwrap_or("absent")
        ))
    }

    /// As the vocabulary: the file says the token, where there is one.
    fn keeps_end(&self, manifest: &Manifest) -> std::result::Result<(), String> {
        let said = self.model.metadata("minrnn.end_of_stream");
        let wanted = manifest.end().map(|token| token.to_string());
        if said == wanted.as_deref() || said.is_none() && !is_of_this_version(&self.model) {
            return Ok(());
        }
        Err(format!(
            "metadata `minrnn.end_of_stream` is {}, and by the manifest's end_of_stream {}; export again",
            said.unwrap_or("absent"),
            wanted.as_deref().unwrap_or("absent")
        ))
    }

    /// Weights that are an average are one in every file.
    fn keeps_average(&self, manifest: &Manifest) -> std::result::Result<(), String> {
        if self.json("minrnn.average") == manifest.average {
            return Ok(());
        }
        let said = self.model.metadata("minrnn.average");
        let wanted = manifest.average.as_ref().map(Json::to_string);
        Err(format!(
            "metadata `minrnn.average` is {}, and by the manifest's average {}; export again",
            said.unwrap_or("absent"),
            wanted.as_deref().unwrap_or("absent")
        ))
    }

    fn keeps_json(&self, manifest: &Manifest) -> std::result::Result<(), String> {
        for (key, want) in [
            ("minrnn.states", &manifest.states),
            ("minrnn.config", &manifest.config),
        ] {
            if self.json(key).as_ref() != Some(want) {
                return Err(format!(
                    "metadata `{key}` is not what the manifest says; export again"
                ));
            }
        }
        for (key, said) in [
            ("minrnn.features", &manifest.features),
            ("minrnn.classes", &manifest.classes),
            ("minrnn.targets", &manifest.targets),
        ] {
            if *said != self.json(key) {
                return Err(format!(
                    "metadata `{key}` is not what the manifest says; export again"
                ));
            }
        }
        Ok(())
    }

    fn keeps_activations(&self, manifest: &Manifest) -> std::result::Result<(), String> {
        let own = self.json("minrnn.activations");
        let holds = match (&own, &manifest.activations) {
            (None, None) => true,
            (Some(own), Some(scales)) => same(own, scales),
            // Older manifests do not say it.
            (Some(_), None) => !is_of_this_version(&self.model),
            (None, Some(_)) => false,
        };
        if holds {
            return Ok(());
        }
        Err("metadata `minrnn.activations` is not what the manifest says; export again".into())
    }

    fn json(&self, key: &str) -> Option<Json> {
        let text = self.model.metadata(key)?;
        minrnn_model::json::from_str(text).ok()
    }

    fn keeps_ports(&self, entry: &FormEntry) -> std::result::Result<(), String> {
        for (what, list, want) in [
            ("inputs", &self.model.graph.inputs, &entry.inputs),
            ("outputs", &self.model.graph.outputs, &entry.outputs),
        ] {
            let found = signature(list);
            if found != *want {
                return Err(format!("its {what} are {found}, the manifest says {want}"));
            }
        }
        Ok(())
    }

    /// A target is a promise about operators.
    fn keeps_target(&self) -> std::result::Result<(), String> {
        let word = self.model.metadata("minrnn.target").unwrap_or("portable");
        let target = Target::from_name(word).ok_or_else(|| {
            format!("metadata `minrnn.target` is `{word}`, which is not known here")
        })?;
        check::conform(&self.model, &self.types, target).map_err(|e| {
            format!(
                "says that it is for {word}, whose rules it breaks: {}",
                chain(&e)
            )
        })
    }

    /// Weights beside the graph lie in the file that the manifest has a hash of, and that file is listed for them.
    fn reads_beside(&self, listed: Option<&Beside>) -> std::result::Result<(), String> {
        let listed = listed.map(|b| b.file.as_str());
        let read = locations(&self.model.graph);
        if let Some(file) = listed.filter(|_| read.is_empty()) {
            return Err(format!(
                "reads no weights from `{file}`, which the manifest lists for it; export again"
            ));
        }
        for location in read {
            if listed != Some(location) {
                return Err(format!(
                    "reads weights from `{location}`, which the manifest does not list for it"
                ));
            }
        }
        Ok(())
    }
}

/// Files that tensors of a graph lie in.
fn locations(graph: &ir::Graph) -> Vec<&str> {
    let outside = |t: &ir::Tensor| matches!(t.data, ir::TensorData::External(_));
    let own = graph.initializers.iter().filter(|t| outside(t));
    let mut all: Vec<&str> = own
        .filter_map(|t| match &t.data {
            ir::TensorData::External(external) => Some(external.location.as_str()),
            _ => None,
        })
        .collect();
    for node in &graph.nodes {
        for (_, inner) in node.subgraphs() {
            all.extend(locations(inner));
        }
    }
    all
}

/// Names, types and shapes.
pub(super) fn signature(list: &[ir::ValueInfo]) -> Json {
    list.iter().map(one).collect()
}

fn one(value: &ir::ValueInfo) -> Json {
    let dim = |d: &ir::Dim| match d {
        ir::Dim::Fixed(n) => Json::from(*n),
        ir::Dim::Symbol(s) => Json::from(s.clone()),
        ir::Dim::Unknown => Json::Null,
    };
    let shape: Option<Vec<Json>> = value
        .dims
        .as_ref()
        .map(|dims| dims.iter().map(dim).collect());
    serde_json::json!({ "name": value.name, "dtype": value.dtype.map(|d| d.name()), "shape": shape })
}
