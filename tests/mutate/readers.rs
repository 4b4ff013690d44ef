//! The same for everything else that is read from disk: configurations, checkpoints, manifests, saved states, imports.

use std::path::Path;

use minrnn_cli::verify::Export;
use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::export::{DirOptions, ExportOptions, Placement, write_export};
use minrnn_runtime::State;
use minrnn_train::checkpoint::{Checkpoint, TensorData, TrainerState};
use minrnn_train::import;
use minrnn_train::optim::OptimizerState;
use minrnn_train::schedule::Schedule;
use sha2::{Digest, Sha256};

use super::mutation;
use super::random::Random;
use super::try_one::End;
use super::wire;

const CONFIG: &str = "width = 2\nlayers = 1\n[input]\nvocab = 3\n[conv]\nkernel = 2\n[mlp]\nexpansion = 2\n[head]\nwidth = 3";

/// A file that is read, and who reads it.
pub(crate) struct Target {
    pub(crate) name: String,
    bytes: Vec<u8>,
    reader: Reader,
}

enum Reader {
    Config,
    /// The file of that name in a folder of a checkpoint.
    Checkpoint(String),
    /// The file of that name in a folder of an export.
    Export(String),
    State,
    /// Of that ending.
    Import(String),
}

/// Where the files lie.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

fn words(error: impl std::fmt::Display) -> End {
    // Every error has words.
    assert!(!error.to_string().is_empty());
    End::Refused("named")
}

impl Place {
    /// A checkpoint, an export with weights beside the graphs, and the files of other implementations.
    pub(crate) fn new() -> (Self, Vec<Target>) {
        let place = Self {
            dir: tempfile::tempdir().expect("a folder"),
        };
        let config: ModelConfig = toml::from_str(CONFIG).expect("a configuration");
        let model = Model::from_config(&config).expect("a model");
        let params = Params::init(model.graph(), 5);
        place.save(&model, &params);
        let options = DirOptions {
            options: ExportOptions {
                max_seq_len: 4,
                block: 2,
                ..ExportOptions::default()
            },
            placement: Placement::External,
            ..DirOptions::default()
        };
        write_export(&place.path("export"), &model, &params, &options).expect("an export");
        let targets = place.targets(&config);
        (place, targets)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn save(&self, model: &Model, params: &Params) {
        let specs = model.graph().params().iter().enumerate();
        let tensors = specs.map(|(i, spec)| {
            let data = params.get(i).to_vec();
            (
                spec.name.clone(),
                TensorData {
                    shape: spec.shape.clone(),
                    data,
                },
            )
        });
        let params: std::collections::BTreeMap<_, _> = tensors.collect();
        let optimizer = OptimizerState {
            step: 3,
            slots: ["first", "second"]
                .map(|slot| (slot.to_owned(), params.clone()))
                .into(),
        };
        let checkpoint = Checkpoint {
            config: model.config().clone(),
            params,
            optimizer: Some(optimizer),
            trainer: Some(TrainerState {
                step: 3,
                seed: 1,
                samples: 12,
                schedule: Schedule::cosine(1e-3, 1e-4, 2, 10),
                best: None,
                evals_since_best: 0,
                evaluation_due: false,
                roll_backs: 0,
                average_since: 0,
                streams: None,
                skipped: 0,
                reached: None,
                loss_scale: None,
                parts: Default::default(),
            }),
            raw: None,
            states: None,
            vocabulary: Some(["a", "b", "c"].map(String::from).to_vec().into()),
        };
        checkpoint
            .save(&self.path("checkpoint"))
            .expect("a checkpoint");
    }

    fn targets(&self, config: &ModelConfig) -> Vec<Target> {
        let json = serde_json::to_vec(config).expect("plain data");
        let mut all = vec![Target {
            name: "config".into(),
            bytes: json,
            reader: Reader::Config,
        }];
        let mut add = |folder: &Path, reader: &dyn Fn(String) -> Reader| {
            let mut names: Vec<_> = std::fs::read_dir(folder)
                .expect("a folder")
                .map(|f| {
                    f.expect("a file")
                        .file_name()
                        .to_string_lossy()
                        .into_owned()
                })
                .collect();
            names.sort();
            for name in names {
                let bytes = std::fs::read(folder.join(&name)).expect("a file");
                let reader = reader(name.clone());
                all.push(Target {
                    name,
                    bytes,
                    reader,
                });
            }
        };
        add(&self.path("checkpoint"), &Reader::Checkpoint);
        add(&self.path("export"), &Reader::Export);
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/import");
        add(&golden, &|name| {
            let end = name.rsplit('.').next().unwrap_or_default();
            Reader::Import(end.to_owned())
        });
        all.retain(|t| {
            !t.name.contains("golden") && !t.name.ends_with(".py") && !t.name.ends_with(".md")
        });
        all.push(self.state());
        all
    }

    fn state(&self) -> Target {
        let step = self.path("export").join("model.step.onnx");
        let model = minrnn_runtime::Model::open(step).expect("the step file");
        let state = model.initial_state(2).expect("two rows");
        Target {
            name: "state".into(),
            bytes: state.to_bytes(),
            reader: Reader::State,
        }
    }

    /// A mutant of the target, in its place, and its bytes.
    pub(crate) fn mutant(&self, target: &Target, random: &mut Random) -> Vec<u8> {
        let bytes = match target.reader {
            Reader::State => headed(&target.bytes, 0, random),
            _ if target.name.ends_with(".safetensors") => headed(&target.bytes, 0, random),
            _ if target.name.ends_with(".json") || target.name == "config" => {
                json(&target.bytes, random)
            }
            _ if target.name.ends_with(".onnx") => graph(&target.bytes, random),
            _ => raw(&target.bytes, random),
        };
        self.put(target, &bytes);
        bytes
    }

    /// Writes it to where it is read, with the manifest's hash of a graph made right.
    fn put(&self, target: &Target, bytes: &[u8]) {
        if let Some(path) = self.of(target) {
            std::fs::write(path, bytes).expect("the folder is ours");
        }
        let form = target
            .name
            .strip_prefix("model.")
            .and_then(|n| n.strip_suffix(".onnx"));
        if let (Reader::Export(_), Some(form)) = (&target.reader, form) {
            let path = self.path("export").join("manifest.json");
            let text = std::fs::read(&path).expect("the manifest");
            let mut json: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
            let sum = Sha256::digest(bytes);
            let hex: String = sum.iter().map(|b| format!("{b:02x}")).collect();
            json["forms"][form]["sha256"] = hex.into();
            std::fs::write(&path, json.to_string()).expect("the folder is ours");
        }
    }

    /// The good file again.
    pub(crate) fn restore(&self, target: &Target) {
        self.put(target, &target.bytes);
    }

    fn of(&self, target: &Target) -> Option<std::path::PathBuf> {
        match &target.reader {
            Reader::Checkpoint(name) => Some(self.path("checkpoint").join(name)),
            Reader::Export(name) => Some(self.path("export").join(name)),
            Reader::Import(end) => Some(self.path(&format!("import.{end}"))),
            Reader::Config | Reader::State => None,
        }
    }

    /// Reads it as the program does.
    pub(crate) fn read(&self, target: &Target, bytes: &[u8]) -> End {
        let result = match target.reader {
            Reader::Config => config(bytes),
            Reader::Checkpoint(_) => checkpoint(&self.path("checkpoint")),
            Reader::Export(_) => export(&self.path("export")),
            Reader::State => State::from_bytes(bytes).map(drop).map_err(words),
            Reader::Import(_) => {
                let path = self.of(target).expect("imports lie in a file");
                import::import(&path, &import::Options::default())
                    .map(drop)
                    .map_err(words)
            }
        };
        result.map_or_else(|end| end, |()| End::Ran)
    }
}

fn config(bytes: &[u8]) -> Result<(), End> {
    let config: ModelConfig = serde_json::from_slice(bytes).map_err(words)?;
    Model::from_config(&config).map(drop).map_err(words)
}

fn checkpoint(path: &Path) -> Result<(), End> {
    let checkpoint = Checkpoint::load(path).map_err(words)?;
    let config = serde_json::from_value::<ModelConfig>(checkpoint.config.clone());
    let model = Model::from_config(&config.map_err(words)?).map_err(words)?;
    let specs = model.graph().params().iter();
    let wanted: Vec<_> = specs.map(|s| (s.name.clone(), s.shape.clone())).collect();
    checkpoint.check_against(path, &wanted).map_err(words)?;
    if let Some(trainer) = checkpoint.trainer {
        for step in [0, 1, trainer.step, u64::MAX - 1] {
            assert!(trainer.schedule.lr_at(step).is_finite());
        }
    }
    Ok(())
}

fn export(path: &Path) -> Result<(), End> {
    let export = Export::open(path).map_err(words)?;
    let model = export.model().map_err(words)?;
    export.stored(&model).map_err(words)?;
    for form in ["parallel", "scan", "step"] {
        export.load(form).map_err(words)?;
    }
    Ok(())
}

fn raw(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    mutation::damage(&mut bytes, random.below(2), random);
    bytes
}

fn json(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    if random.below(4) == 0 {
        return raw(bytes, random);
    }
    if random.below(2) == 0
        && let Ok(mut value) = serde_json::from_slice(bytes)
    {
        (0..1 + random.below(2)).for_each(|_| mutation::value(&mut value, random));
        return value.to_string().into_bytes();
    }
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    for _ in 0..1 + random.below(3) {
        let other = mutation::piece(&text, random);
        text = mutation::text(&text, &other, random);
    }
    text.into_bytes()
}

fn graph(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let tree = wire::read(wire::Kind::Model, bytes).expect("a good file");
    mutation::mutate(&tree, random).0
}

/// A length of eight bytes, a JSON header of that length, values.
fn headed(bytes: &[u8], at: usize, random: &mut Random) -> Vec<u8> {
    let length = bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
    let length = length.map_or(0, u64::from_le_bytes) as usize;
    let Some((header, data)) = bytes.get(at + 8..).and_then(|b| b.split_at_checked(length)) else {
        return raw(bytes, random);
    };
    let header = match random.below(5) {
        0 => return raw(bytes, random),
        1 => header.to_vec(),
        _ => json(header, random),
    };
    let length = match random.below(5) {
        0 => random.edge() as u64,
        _ => header.len() as u64,
    };
    let mut data = data.to_vec();
    if random.below(4) == 0 {
        mutation::damage(&mut data, random.below(2), random);
    }
    [&bytes[..at], &length.to_le_bytes(), &header, &data].concat()
}
