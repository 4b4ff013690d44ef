//! Exports that lie: a file or the manifest changed as a forger would, with every hash made right again. Each lie is a breach,
//! or a row that does not hold.

mod card;
mod faults;
mod features;
mod golden;
mod manifest;
mod metadata;
mod small;
mod unseen;
mod weights;

use std::path::Path;

use minrnn_cli::verify::{
    ContractError, Export, Options, OtherModel, Report, verify, verify_files,
};
use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::{Params, Role};
use minrnn_model::rng::Rng;
use minrnn_onnx::export::{DirOptions, ExportOptions, Form, Weights, write_export};
use minrnn_onnx::ir;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const FORMS: [&str; 3] = ["parallel", "scan", "step"];

/// A small model of tokens with all kinds of parameters.
const TOKENS: &str = "width = 8\nlayers = 1\n[input]\nvocab = 4\n[head]\nwidth = 4\nbias = true\n[conv]\nkernel = 3\n[cell]\nexpansion = 2\ninitial_state = \"learned\"\n";

/// An export, and the checkpoint that it was made from.
pub(crate) struct Forged {
    dir: TempDir,
    model: Model,
    params: Params,
}

impl Forged {
    pub(crate) fn new(config: &str, change: impl FnOnce(&mut DirOptions)) -> Self {
        let config: ModelConfig = toml::from_str(config).unwrap();
        let model = Model::from_config(&config).unwrap();
        let params = params(&model, 3);
        let dir = tempfile::tempdir().unwrap();
        let mut options = DirOptions {
            options: ExportOptions {
                max_seq_len: 256,
                ..ExportOptions::default()
            },
            ..DirOptions::default()
        };
        change(&mut options);
        write_export(dir.path(), &model, &params, &options).unwrap();
        Self { dir, model, params }
    }

    fn tokens() -> Self {
        Self::new(TOKENS, |o| {
            o.vocabulary = Some(["a", "b", "c", "d"].map(String::from).to_vec().into());
        })
    }

    fn narrow(weights: Weights) -> Self {
        Self::new(TOKENS, |o| {
            o.options.weights = weights;
            o.options.target = minrnn_onnx::export::Target::OnnxRuntime;
        })
    }

    /// The form alone.
    fn alone(form: Form, weights: Weights) -> Self {
        Self::new(TOKENS, |o| {
            o.forms = vec![form];
            o.options.weights = weights;
            o.options.target = minrnn_onnx::export::Target::OnnxRuntime;
        })
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Changes the manifest.
    fn manifest(&self, change: impl FnOnce(&mut Json)) -> &Self {
        let path = self.path().join("manifest.json");
        let mut json: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let before = json.clone();
        change(&mut json);
        assert_ne!(json, before, "the manifest is not changed");
        std::fs::write(&path, serde_json::to_vec(&json).unwrap()).unwrap();
        self
    }

    /// Changes one file, and the manifest's hash of it.
    pub(crate) fn file(&self, form: &str, change: &dyn Fn(&mut ir::Model)) -> &Self {
        let path = self.path().join(format!("model.{form}.onnx"));
        let mut file = ir::Model::decode(&std::fs::read(&path).unwrap()).unwrap();
        let before = file.clone();
        change(&mut file);
        assert!(file != before, "the {form} file is not changed");
        let bytes = file.encode();
        std::fs::write(&path, &bytes).unwrap();
        let sum = Sha256::digest(&bytes);
        let hash: String = sum.iter().map(|b| format!("{b:02x}")).collect();
        self.manifest(|m| m["forms"][form]["sha256"] = hash.into())
    }

    /// Changes every file.
    fn files(&self, change: &dyn Fn(&mut ir::Model)) -> &Self {
        FORMS.iter().for_each(|form| {
            self.file(form, change);
        });
        self
    }

    /// Verifies it, against the checkpoint beyond a block, or by itself within one.
    pub(crate) fn report(&self, checkpoint: bool) -> anyhow::Result<Report> {
        let export = Export::open(self.path())?;
        let options = Options {
            longest: Some(if checkpoint { 18 } else { 5 }),
            probe_steps: 8,
            ..Options::default()
        };
        let mut observe = |_: usize, _: usize, _: &str| ();
        if checkpoint {
            return verify(&export, &self.model, &self.params, &options, &mut observe);
        }
        let model = export.model()?;
        let params = export.params(&model)?;
        verify(&export, &model, &params, &options, &mut observe)
    }

    /// Verifies the files alone, without any engine.
    fn files_alone(&self, checkpoint: bool) -> anyhow::Result<Report> {
        let export = Export::open(self.path())?;
        match checkpoint {
            true => verify_files(&export, &self.model, &self.params),
            false => {
                let model = export.model()?;
                verify_files(&export, &model, &export.params(&model)?)
            }
        }
    }

    /// Whether the files alone hold, with the checkpoint and without.
    #[track_caller]
    fn files_hold(&self) -> &Self {
        for checkpoint in [false, true] {
            let report = self.files_alone(checkpoint).unwrap();
            assert!(report.holds, "{}\n{:#?}", report.table(), report.remarks());
        }
        self
    }

    /// Whether the files alone hold, with a remark that has these words.
    #[track_caller]
    fn files_hold_but(&self, words: &str) -> &Self {
        for checkpoint in [false, true] {
            let report = self.files_alone(checkpoint).unwrap();
            let said = report.remarks().join("\n");
            assert!(
                report.holds && said.contains(words),
                "{}\n{said}",
                report.table()
            );
        }
        self
    }

    /// Whether all holds, with the checkpoint and without.
    #[track_caller]
    fn holds(&self) -> &Self {
        for checkpoint in [false, true] {
            let report = self.report(checkpoint).unwrap();
            assert!(report.holds, "{}\n{:#?}", report.table(), report.remarks());
        }
        self
    }

    /// A breach, by itself and against the checkpoint, with these words.
    #[track_caller]
    fn breaks(&self, words: &str) {
        for checkpoint in [false, true] {
            self.breaks_with(checkpoint, words);
        }
    }

    #[track_caller]
    fn breaks_with(&self, checkpoint: bool, words: &str) {
        let error = match self.report(checkpoint) {
            Ok(report) => panic!(
                "not noticed (checkpoint: {checkpoint}, holds: {})\n{}",
                report.holds,
                report.table()
            ),
            Err(error) => error,
        };
        let known = error.downcast_ref::<ContractError>().is_some()
            || error.downcast_ref::<OtherModel>().is_some();
        assert!(known, "{error:#}");
        let text = format!("{error:#}");
        assert!(text.contains(words), "{text}\ndoes not say: {words}");
    }

    /// A row that does not hold, whose form and other side contain these words.
    #[track_caller]
    fn fails(&self, checkpoint: bool, row: &str) {
        let report = self.report(checkpoint).unwrap();
        let wrong = wrong(&report);
        assert!(
            wrong.iter().any(|w| w.contains(row)),
            "{wrong:?}\n{}\n{:#?}",
            report.table(),
            report.remarks()
        );
    }
}

/// The rows that do not hold.
fn wrong(report: &Report) -> Vec<String> {
    let rows = report.rows.iter().filter(|r| !r.holds);
    rows.map(|r| format!("{} {} against {}", r.engine, r.form, r.against))
        .collect()
}

/// Weights large enough that nothing hides in rounding; statistics as they are.
fn params(model: &Model, seed: u64) -> Params {
    let mut params = Params::init(model.graph(), seed);
    let mut rng = Rng::named(seed, "forged");
    for (i, spec) in model.graph().params().iter().enumerate() {
        if matches!(spec.role, Role::Weight { .. }) {
            let values = params.get_mut(i).iter_mut();
            values.for_each(|v| *v += 0.3 * rng.range(-1.0, 1.0) as f32);
        }
    }
    params
}

/// Says something else in the metadata; none: nothing.
fn say(file: &mut ir::Model, key: &str, value: Option<&str>) {
    file.metadata.retain(|(k, _)| k != key);
    if let Some(value) = value {
        file.metadata.push((key.into(), value.into()));
    }
}

/// What it says.
fn said(file: &ir::Model, key: &str) -> Json {
    serde_json::from_str(file.metadata(key).unwrap()).unwrap()
}

/// Changes the f32 values of an initializer.
fn weigh(file: &mut ir::Model, name: &str, change: impl FnOnce(&mut [f32])) {
    let tensor = file.graph.initializers.iter_mut().find(|t| t.name == name);
    let tensor = tensor.unwrap_or_else(|| panic!("no {name}"));
    let mut values = tensor.to_f32().unwrap();
    change(&mut values);
    *tensor = ir::Tensor::f32(name, tensor.dims.clone(), &values);
}

/// Everything reads another tensor in the place of `name`, which stays in the file.
fn beside(file: &mut ir::Model, name: &str, change: impl FnOnce(&mut [f32])) {
    let tensor = file.graph.initializers.iter().find(|t| t.name == name);
    let tensor = tensor.unwrap_or_else(|| panic!("no {name}"));
    let mut values = tensor.to_f32().unwrap();
    change(&mut values);
    let other = ir::Tensor::f32("other", tensor.dims.clone(), &values);
    file.graph.initializers.push(other);
    let inputs = file.graph.nodes.iter_mut().flat_map(|n| &mut n.inputs);
    inputs
        .filter(|i| *i == name)
        .for_each(|i| *i = "other".into());
}
