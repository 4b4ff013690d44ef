//! Exact execution against the referee: the same file, run by tract with the recurrence, the products and the sums as plain
//! loops. Bit for bit, in every form and variant, for random inputs and states, with states carried on.

use std::path::Path;

use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_onnx::export::{DirOptions, ExportOptions, Lowering, Target, write_export};
use minrnn_runtime::{ErrorKind, Execution, Form, Options};

use super::{exported, golden_variants, random_state, recounted, same, same_states};
use crate::runs::{drawn, run};

/// Batches and lengths: one row and several, shorter than a block of the lowering, a block and one more, several chunks.
const SHAPES: [(usize, usize); 4] = [(1, 1), (2, 17), (1, 64), (3, 101)];
/// How often states are carried on.
const PIECES: usize = 3;

pub(super) struct Pair {
    pub(super) what: String,
    pub(super) exact: minrnn_runtime::Model,
    referee: minrnn_runtime::Model,
}

impl Pair {
    pub(super) fn open(path: &Path, what: String) -> Self {
        let open = |options: &Options, execution| {
            let model = minrnn_runtime::Model::open_with(path, options);
            let model = model.unwrap_or_else(|e| {
                let cause = std::error::Error::source(&e).map(ToString::to_string);
                panic!("{what}, {execution:?}: {e}: {cause:?}")
            });
            let why = model.not_exact_because();
            assert_eq!(model.execution(), execution, "{what}: {why:?}");
            model
        };
        Self {
            exact: open(&Options::with_threads(2), Execution::Exact),
            referee: open(&Options::referee(), Execution::Referee),
            what,
        }
    }

    /// Some pieces of one shape, each from the states behind the one before.
    pub(super) fn hold(&self, batch: usize, time: usize, rng: &mut Rng) {
        let info = self.exact.info();
        let mut state = random_state(&self.exact, batch, rng);
        for piece in 0..PIECES {
            let mut case = drawn(info.input, (batch, time), rng);
            let lengths: Vec<usize> = (0..batch).map(|_| 1 + rng.below(time)).collect();
            let reset: Vec<bool> = (0..batch * time).map(|_| rng.below(5) == 0).collect();
            // The first piece without extras, so that their absence is held to the same.
            case.lengths = (info.lengths && piece > 0).then_some(lengths);
            case.reset = (info.reset && piece > 0).then_some(reset);
            let what = format!("{} [{batch}, {time}], piece {piece}", self.what);
            let run = |model: &minrnn_runtime::Model| {
                run(model, &case, &state).unwrap_or_else(|e| {
                    let cause = std::error::Error::source(&e).map(ToString::to_string);
                    panic!("{what}: {e}: {cause:?}")
                })
            };
            let ((got, next), (want, after)) = (run(&self.exact), run(&self.referee));
            assert_eq!(got.shape, want.shape, "{what}");
            assert!(
                want.values.iter().any(|v| *v != 0.0),
                "{what}: nothing but zeros"
            );
            same(&what, &got.values, &want.values);
            same_states(&what, &next, &after);
            state = next;
            recounted(&mut state);
        }
    }
}

/// Every form in `dir`, at every shape it takes.
pub(super) fn hold(dir: &Path, name: &str) {
    let mut rng = Rng::named(29, name);
    for form in ["step", "scan", "parallel"] {
        let path = dir.join(format!("model.{form}.onnx"));
        if !path.exists() {
            continue;
        }
        let pair = Pair::open(&path, format!("{name} {form}"));
        let info = pair.exact.info();
        for (batch, time) in SHAPES {
            let time = match info.form {
                Form::Step => 1,
                _ => info.seq_len.unwrap_or(time),
            };
            pair.hold(info.batch.unwrap_or(batch), time, &mut rng);
        }
    }
}

#[test]
fn exact_execution_equals_the_referee() {
    golden_variants(hold);
}

/// The engine does not know the doubling lowerings; with their recurrence replaced, the referee finds those of a step in them.
#[test]
fn in_every_lowering_the_referee_finds_the_same() {
    let config = "width = 5\nlayers = 2\n[input]\nfeatures = 3\n[conv]\nkernel = 3\n[head]\nwidth = 2\n\
                  kind = \"values\"\n";
    let model = Model::from_config(&toml::from_str(config).unwrap()).unwrap();
    let params = Params::init(model.graph(), 4);
    let mut rng = Rng::named(37, "lowerings");
    for lowering in Lowering::ALL {
        // The one whose operator neither tract nor the runtime has.
        if lowering == Lowering::LinearAttention {
            continue;
        }
        for ends in [false, true] {
            let options = ExportOptions {
                lowering,
                target: lowering.target(),
                max_seq_len: 64,
                lengths: ends,
                reset: ends,
                ..ExportOptions::default()
            };
            let options = DirOptions {
                options,
                ..DirOptions::default()
            };
            let dir = tempfile::tempdir().unwrap();
            write_export(dir.path(), &model, &params, &options).unwrap();
            let open = |form: &str| {
                let path = dir.path().join(format!("model.{form}.onnx"));
                minrnn_runtime::Model::open_with(path, &Options::referee()).unwrap()
            };
            let (scan, parallel) = (open("scan"), open("parallel"));
            for (batch, time) in [(1, 1), (2, 17), (3, 64)] {
                let case = drawn(scan.info().input, (batch, time), &mut rng);
                let state = random_state(&scan, batch, &mut rng);
                let what = format!("{} [{batch}, {time}]", lowering.name());
                let (want, after) = run(&scan, &case, &state).unwrap();
                let (got, next) = run(&parallel, &case, &state).unwrap();
                same(&what, &got.values, &want.values);
                same_states(&what, &next, &after);
            }
        }
    }
}

/// What has no definition here is refused, never judged by tract's own kernels.
#[test]
fn the_referee_refuses_what_it_has_no_definition_of() {
    let config = "width = 5\nlayers = 1\nnorm = \"layer\"\n[input]\nvocab = 3\n[head]\nwidth = 2\n";
    let dir = exported(config, 5, |_| ExportOptions {
        fused_norms: true,
        target: Target::OnnxRuntime,
        ..ExportOptions::default()
    });
    let path = dir.path().join("model.step.onnx");
    let error = minrnn_runtime::Model::open_with(path, &Options::referee()).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(error.kind(), ErrorKind::Load);
    assert!(
        cause.contains("no definition of LayerNormalization"),
        "{cause}"
    );
}

/// Widths about those of vectors and panels, in both cells, with everything a layer can have.
#[test]
fn at_every_width_exact_execution_equals_the_referee() {
    for width in [1, 2, 3, 16, 31, 96] {
        for (kind, input) in [("min_gru", "vocab = 7"), ("min_lstm", "features = 3")] {
            let config = format!(
                "width = {width}\nlayers = 2\n[input]\n{input}\n[cell]\nkind = \"{kind}\"\n\
                 initial_state = \"learned\"\nexpansion = 2.0\n[conv]\nkernel = 3\n[mlp]\n\
                 expansion = 2.0\ngated = true\nactivation = \"gelu_tanh\"\n[head]\nwidth = {width}\n\
                 kind = \"values\"\n"
            );
            let model = Model::from_config(&toml::from_str(&config).unwrap()).unwrap();
            let mut params = Params::init(model.graph(), 3);
            let mut rng = Rng::named(31, &config);
            for at in 0..params.len() {
                let noisy = params.get_mut(at).iter_mut();
                noisy.for_each(|v| *v += 0.1 * rng.normal() as f32);
            }
            let options = ExportOptions {
                max_seq_len: 4096,
                ..ExportOptions::default()
            };
            let options = DirOptions {
                options,
                ..DirOptions::default()
            };
            let dir = tempfile::tempdir().unwrap();
            write_export(dir.path(), &model, &params, &options).unwrap();
            hold(dir.path(), &format!("{kind} of width {width}"));
        }
    }
}
