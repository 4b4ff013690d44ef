//! The promise of the runtime: all forms of a model, in any chunks, any batch and on any number of threads, bit for bit. And,
//! because a replaced recurrence would hide a broken lowering, near what tract makes of the untouched files.

mod attention;
mod beyond;
mod feedback;
mod random;
mod rare;
mod referee;

use std::path::Path;

use minrnn_model::compare;
use minrnn_model::graph::Graph;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_model::trial::{Case, carried, spans};
use minrnn_onnx::export::{
    Activations, DirOptions, ExportOptions, Lowering, StateLayout, Target, Weights, write_export,
};
use minrnn_runtime::{Execution, Options, Output, Session, State};

use crate::golden::read;
use crate::regressions::regressions;
use crate::runs::{drawn, next, run, streamed};

fn random_state(model: &minrnn_runtime::Model, batch: usize, rng: &mut Rng) -> State {
    let mut state = model.initial_state(batch).unwrap();
    let names: Vec<String> = state.names().map(str::to_owned).collect();
    for name in names {
        let len = state.get(&name).unwrap().len();
        // Steps so far are whole numbers.
        let value = |rng: &mut Rng| match name.ends_with(".n") {
            true => rng.below(9) as f32,
            false => rng.normal() as f32 * 0.5,
        };
        let values: Vec<f32> = (0..len).map(|_| value(rng)).collect();
        state.set(&name, &values).unwrap();
    }
    begun(&mut state);
    state
}

/// Makes all counts of a row its first one, and windows without anything of before the begin.
fn begun(state: &mut State) {
    let names: Vec<String> = state.names().map(str::to_owned).collect();
    let counts: Vec<&String> = names.iter().filter(|n| n.ends_with(".n")).collect();
    let Some(first) = counts.first() else { return };
    let rank = state.shape(first).unwrap().len() + 1;
    let each = state.get(first).unwrap().len() / state.rows();
    let steps: Vec<f32> = state.get(first).unwrap().to_vec();
    let steps: Vec<f32> = steps.into_iter().step_by(each).collect();
    for name in &names {
        let shape = state.shape(name).unwrap().to_vec();
        let mut values = state.get(name).unwrap().to_vec();
        let each = values.len() / steps.len();
        for (row, of_row) in values.chunks_mut(each).enumerate() {
            if counts.contains(&name) {
                of_row.fill(steps[row]);
            } else if let [.., lag, width] = shape[..]
                && shape.len() == rank
            {
                let older = lag.saturating_sub(steps[row] as usize) * width;
                let windows = of_row.chunks_mut(lag * width);
                windows.for_each(|window| window[..older].fill(0.0));
            }
        }
        state.set(name, &values).unwrap();
    }
}

/// Counts of steps begin again, so that more of them fit.
fn recounted(state: &mut State) {
    let names: Vec<String> = state.names().map(str::to_owned).collect();
    for name in names.iter().filter(|n| n.ends_with(".n")) {
        let ones = vec![1.0; state.get(name).unwrap().len()];
        state.set(name, &ones).unwrap();
    }
    begun(state);
}

/// Value for value; what is no number equals nothing.
fn same(what: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{what}");
    let c = compare::exact(got, want);
    assert_eq!(c.failing, 0, "{what}: {c:?}");
}

fn same_states(what: &str, got: &State, want: &State) {
    for name in want.names() {
        same(
            &format!("{what}: {name}"),
            got.get(name).unwrap(),
            want.get(name).unwrap(),
        );
    }
}

/// The last step's outputs of a per-step output, or the output of a last-step head.
fn last(out: &Output, time: usize) -> Vec<f32> {
    if out.shape.len() == 2 {
        return out.values.clone();
    }
    let width = out.shape[2];
    let rows = out.values.chunks_exact(time * width);
    rows.flat_map(|row| &row[(time - 1) * width..])
        .copied()
        .collect()
}

fn check(dir: &Path, name: &str) {
    let open = |form: &str, threads| {
        let path = dir.join(format!("model.{form}.onnx"));
        path.exists().then(|| {
            let model = minrnn_runtime::Model::open_with(&path, &Options::with_threads(threads));
            let model = model.unwrap_or_else(|e| panic!("{name} {form}: {e}"));
            let why = model.not_exact_because();
            assert_eq!(
                model.execution(),
                Execution::Exact,
                "{name} {form}: {why:?}"
            );
            model
        })
    };
    let step = open("step", 1).unwrap();
    let info = step.info().clone();
    let mut rng = Rng::named(11, "exact");
    let sequences: Vec<_> = ["parallel", "scan"]
        .iter()
        .flat_map(|form| {
            [1, 3].map(|threads| (format!("{name} {form} on {threads}"), open(form, threads)))
        })
        .filter_map(|(what, model)| Some((what, model?)))
        .collect();
    let fixed = sequences
        .iter()
        .find_map(|(_, m)| Some((m.info().batch?, m.info().seq_len?)));
    let (batch, time) = fixed.unwrap_or((3, 101));
    let case = drawn(info.input, (batch, time), &mut rng);
    let start = random_state(&step, batch, &mut rng);

    // The step form is the measure: one row after the other, all rows together.
    let (stepped, state) = streamed(&step, &case, start.clone());
    if info.batch.is_none() {
        for b in 0..batch {
            let one = start.select(&[b]).unwrap();
            let (alone, last) = streamed(&step, &case.rows(b..b + 1), one);
            let what = format!("{name}: row {b} alone");
            for (got, all) in alone.iter().zip(&stepped) {
                let width = got.len();
                same(&what, got, &all[b * width..(b + 1) * width]);
            }
            same_states(&what, &last, &state.select(&[b]).unwrap());
        }
    }
    for (what, model) in &sequences {
        let (out, next) = run(model, &case, &start).unwrap();
        same(
            &format!("{what}: last outputs"),
            &last(&out, time),
            &stepped[time - 1],
        );
        if out.shape.len() == 3 {
            let width = out.shape[2];
            for (t, want) in stepped.iter().enumerate() {
                for b in 0..batch {
                    let at = (b * time + t) * width;
                    let want = &want[b * width..(b + 1) * width];
                    same(
                        &format!("{what}: row {b}, step {t}"),
                        &out.values[at..at + width],
                        want,
                    );
                }
            }
        }
        same_states(&format!("{what}: states"), &next, &state);
        if fixed.is_none() {
            let cuts = [1, 2, 15, 16, 17, 50];
            assert_eq!(cuts.iter().sum::<usize>(), time);
            let (_, pieces) = carried(spans(&cuts), start.clone(), |(from, to), state| {
                run(model, &case.cut(from, to, None), &state)
            })
            .unwrap();
            same_states(&format!("{what}: in pieces"), &pieces, &state);
            ends(what, model, &step, &case, &start);
        }
    }
}

/// Lengths and resets: each row as if it were alone, cut at its end and begun anew where it says so.
fn ends(
    what: &str,
    model: &minrnn_runtime::Model,
    step: &minrnn_runtime::Model,
    case: &Case,
    start: &State,
) {
    if !model.info().lengths || !model.info().reset {
        return;
    }
    let lengths: Vec<usize> = (0..case.batch).map(|b| [case.time, 1, 40][b % 3]).collect();
    let mut case = case.clone();
    case.reset = Some((0..case.batch * case.time).map(|i| i % 23 == 5).collect());
    let stepped = case.clone();
    case.lengths = Some(lengths.clone());
    let (out, next) = run(model, &case, start).unwrap();
    for (b, length) in lengths.into_iter().enumerate() {
        let row = stepped.rows(b..b + 1).cut(0, length, None);
        let (values, one) = streamed(step, &row, start.select(&[b]).unwrap());
        let values = values.last().unwrap();
        let width = values.len();
        let at = match out.shape.len() {
            3 => (b * case.time + length - 1) * width,
            _ => b * width,
        };
        let what = format!("{what}: end of row {b}");
        same(&what, &out.values[at..at + width], values);
        same_states(&what, &next.select(&[b]).unwrap(), &one);
    }
}

/// A model of `config` with parameters of `seed`, exported; `options` may look at its graph.
pub(crate) fn exported(
    config: &str,
    seed: u64,
    options: impl FnOnce(&Graph) -> ExportOptions,
) -> tempfile::TempDir {
    let model = Model::from_config(&toml::from_str(config).unwrap()).unwrap();
    let params = Params::init(model.graph(), seed);
    let options = DirOptions {
        options: options(model.graph()),
        ..DirOptions::default()
    };
    let dir = tempfile::tempdir().unwrap();
    write_export(dir.path(), &model, &params, &options).unwrap();
    dir
}

/// Activations as 8-bit numbers of scales that some values are beyond.
pub(crate) fn fixed_scales(graph: &Graph) -> Weights {
    let names = graph.params().iter().map(|p| p.name.clone());
    Weights::Int8(Activations::Static(names.map(|n| (n, 2.5)).collect()))
}

fn variants(name: &str, graph: &Graph) -> Vec<(&'static str, DirOptions)> {
    let plain = ExportOptions {
        max_seq_len: 4096,
        ..ExportOptions::default()
    };
    let mut all = vec![("", plain.clone())];
    let mut add = |suffix, change: &dyn Fn(&mut ExportOptions)| {
        let mut options = plain.clone();
        change(&mut options);
        all.push((suffix, options));
    };
    add(" with lengths and resets", &|o| {
        (o.lengths, o.reset) = (true, true)
    });
    add(" stacked", &|o| o.state_layout = StateLayout::Stacked);
    add(" fixed", &|o| (o.batch, o.seq_len) = (Some(3), Some(37)));
    let many = ["gru_features", "values"];
    if many.iter().any(|n| name.starts_with(n)) || name == "lstm_tokens" {
        for (suffix, weights) in [
            (" f16", Weights::F16),
            (" bf16", Weights::Bf16),
            (" int8", Weights::Int8(Activations::Row)),
            (" int8 by fixed scales", fixed_scales(graph)),
        ] {
            add(suffix, &|o| {
                (o.weights, o.target) = (weights.clone(), Target::OnnxRuntime)
            });
        }
        // Doubling graphs multiply the input by ones of their longest length, so as to be loud beyond it: those run in tract.
        for lowering in [Lowering::Blocked, Lowering::BlockedScan, Lowering::OddEven] {
            add(lowering.name(), &|o| {
                (o.lowering, o.target) = (lowering, lowering.target());
                o.max_seq_len = 128;
            });
        }
    }
    all.into_iter()
        .map(|(suffix, options)| {
            let options = DirOptions {
                options,
                ..DirOptions::default()
            };
            (suffix, options)
        })
        .collect()
}

/// The forms in a folder agree bit for bit.
pub(crate) fn hold_all(dir: &Path, name: &str) {
    check(dir, name);
}

/// The forms in a folder are what the referee finds.
pub(crate) fn refereed(dir: &Path, name: &str) {
    referee::hold(dir, name);
}

#[test]
fn all_forms_agree_bit_for_bit() {
    golden_variants(check);
}

/// Calls `f` with a folder of every variant of every golden model and every regression, and its name.
fn golden_variants(f: impl Fn(&Path, &str)) {
    let golden = read::files().into_iter().map(|(name, bytes)| {
        let golden = read::Golden::read(&bytes).unwrap();
        let model = Model::from_config(&golden.config).unwrap();
        let params = golden.params(&model);
        (name, model, params)
    });
    let regressions = regressions().into_iter();
    let regressions = regressions.map(|(name, model, params)| (name.to_owned(), model, params));
    for (name, model, params) in golden.chain(regressions) {
        for (suffix, options) in variants(&name, model.graph()) {
            let dir = tempfile::tempdir().unwrap();
            write_export(dir.path(), &model, &params, &options).unwrap();
            f(dir.path(), &format!("{name}{suffix}"));
        }
    }
}

/// A long stream in one session and in chunks of a sequence form: not one bit apart. A million steps are a row of `minrnn repro claims`.
#[test]
fn a_long_stream_equals_its_chunks() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/copy-min-gru/export");
    let parallel = minrnn_runtime::Model::open(dir.join("model.parallel.onnx")).unwrap();
    let step = minrnn_runtime::Model::open(dir.join("model.step.onnx")).unwrap();
    let total = 200_000;
    let case = drawn(step.info().input, (1, total), &mut Rng::named(5, "exact"));
    let mut session = Session::new(step.into(), 1).unwrap();
    let mut state = parallel.initial_state(1).unwrap();
    let mut from = 0;
    while from < total {
        let to = (from + 1 + from * 7 % 1777).min(total);
        let piece = case.cut(from, to, None);
        let (out, after) = run(&parallel, &piece, &state).unwrap();
        state = after;
        let width = out.shape[2];
        for (t, want) in out.values.chunks_exact(width).enumerate() {
            let got = next(&mut session, &piece.cut(t, t + 1, None));
            same("outputs", &got.values, want);
        }
        from = to;
    }
    same_states("states", session.state(), &state);
}
