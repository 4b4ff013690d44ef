//! Exported files in another engine against the oracle: every golden model, whole and in pieces with carried states.

use std::collections::BTreeMap;

use minrnn_model::compare::Comparison;
use minrnn_model::graph::{Graph, Input};
use minrnn_model::model::Model;
use minrnn_model::oracle::{Tensor, Trace};
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_model::ruler::{self, ACROSS};
use minrnn_model::trial::{Case as Inputs, How, Outcome, carried, join, spans};
use minrnn_onnx::export::{ExportOptions, Form, Port, Stored, Weights, export_graph, ports, read};

use crate::golden::read::{Golden, files};
use crate::regressions::regressions;
use crate::runs::streamed;

const BATCH: usize = 3;
/// A fixed sequence length: two whole blocks of the blocked scan and a part of one.
pub(crate) const FIXED: usize = 37;
/// Twice that, so that a file of a fixed length runs twice.
const TIME: usize = 2 * FIXED;
/// Half a step of f16, of a value.
const HALF_STEP_F16: f64 = 1.0 / 2048.0;

/// Values of an input.
#[derive(Debug, Clone)]
pub(crate) enum Values {
    F32(Vec<f32>),
    I64(Vec<i64>),
    Bool(Vec<bool>),
}

/// A tensor for an engine.
#[derive(Debug, Clone)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Values,
}

/// Inputs by name.
pub(crate) type Feed = BTreeMap<String, Array>;
/// Outputs by name: shape and values.
pub(crate) type Results = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A file in an engine; its words where it refuses.
pub(crate) trait Engine: Sized {
    fn open(file: &[u8]) -> Result<Self, String>;
    fn run(&self, feed: Feed) -> Result<Results, String>;
}

/// A golden model with random inputs.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) model: Model,
    pub(crate) params: Params,
    given: Inputs,
    /// How far the runtime's steps are from the oracle: the output, then the states.
    error: Vec<f64>,
}

/// All of them, and regressions.
pub(crate) fn cases() -> Vec<Case> {
    let read = |(name, bytes): (String, Vec<u8>)| {
        let golden = Golden::read(&bytes).unwrap();
        let model = Model::from_config(&golden.config).unwrap();
        let params = golden.params(&model);
        Case::new(name, model, params)
    };
    let golden = files().into_iter().map(read);
    let regressions = regressions()
        .into_iter()
        .map(|(name, model, params)| Case::new(name.into(), model, params));
    let all = golden.chain(regressions);
    all.chain([attention()]).collect()
}

/// nanoGPT's block with positions for all steps, and those before the states that are given.
fn attention() -> Case {
    let text = "width = 8\nlayers = 2\nnorm = 'layer'\npositions = 90\ninit = 'gpt2'\n[input]\nvocab = 5\n[head]\nwidth = 5\ntied = true\n\
                [cell]\nkind = 'attention'\nheads = 2\nbias = true\n[mlp]\n";
    let model = Model::from_config(&toml::from_str(text).unwrap()).unwrap();
    let params = Params::init(model.graph(), 29);
    Case::new("attention".into(), model, params)
}

/// Whether the states of a model can be stacked.
pub(crate) fn stacks(case: &Case) -> bool {
    let options = ExportOptions {
        state_layout: minrnn_onnx::export::StateLayout::Stacked,
        ..ExportOptions::default()
    };
    minrnn_onnx::export::ports(case.model.graph(), &options).is_ok()
}

impl Case {
    fn new(name: String, model: Model, params: Params) -> Self {
        let mut rng = Rng::named(5, "engines");
        let mut random = || {
            let mut given = Inputs::random(model.graph(), (BATCH, TIME), true, &mut rng);
            given.reset = Some((0..BATCH * TIME).map(|_| rng.below(8) == 0).collect());
            given
        };
        let mut given = random();
        // A few values alone may be right by luck.
        let measured: Vec<Inputs> = (0..MEASURED).map(|_| random()).collect();
        let error = error(model.graph(), &params, &measured);
        // Within a first block, at a block's end, all of it.
        given.lengths = Some(vec![5, 48, TIME]);
        Self {
            name,
            given,
            error,
            model,
            params,
        }
    }

    fn graph(&self) -> &Graph {
        self.model.graph()
    }

    /// What a file of these options takes of it.
    fn given(&self, options: &ExportOptions) -> Inputs {
        let mut given = self.given.clone();
        given.reset = given.reset.filter(|_| options.reset);
        given.lengths = given.lengths.filter(|_| options.lengths);
        given
    }

    /// What is true of a file, with how far an f32 engine may be off.
    fn oracle(&self, options: &ExportOptions, stored: &Stored) -> Trace {
        let given = self.given(options);
        let rounding = stored.weights.rounding(self.graph());
        let how = How {
            bounds: true,
            rounding: rounding.as_ref(),
            ..How::default()
        };
        let mut trace = given.trace(self.graph(), &stored.params, how).unwrap();
        let plain = (stored.weights != Weights::F32).then(|| {
            let rounding = None;
            let how = How { rounding, ..how };
            given.trace(self.graph(), &self.params, how).unwrap()
        });
        let plain = plain.as_ref();
        tolerate(&mut trace.output, plain.map(|p| &p.output), self.error[0]);
        for (i, state) in trace.states.iter_mut().enumerate() {
            tolerate(state, plain.map(|p| &p.states[i]), self.error[i + 1]);
        }
        trace
    }

    /// Runs a file of these options whole (where its form and length allow) and in pieces.
    ///
    /// # Errors
    /// The engine's word, where it refuses the file or a run.
    ///
    /// # Panics
    /// Numbers that are not the oracle's.
    pub(crate) fn check<E: Engine>(
        &self,
        options: &ExportOptions,
        what: &str,
    ) -> Result<(), String> {
        let file = export_graph(self.graph(), &self.params, options)
            .unwrap_or_else(|e| panic!("{}, {what}: {e}", self.name));
        let stored = read(&file, self.graph(), std::path::Path::new(".")).unwrap();
        let engine = E::open(&file.encode())?;
        let want = self.oracle(options, &stored);
        for pieces in pieces(options) {
            let got = self.pieces(&engine, options, &stored.ports, &pieces)?;
            let what = format!("{}, {what}, pieces {pieces:?}", self.name);
            self.compare(&what, options, &stored.ports, &got, &want);
        }
        Ok(())
    }

    /// The output, its pieces joined along time, and the last states by their inputs' names.
    fn pieces<E: Engine>(
        &self,
        engine: &E,
        options: &ExportOptions,
        ports: &[Port],
        pieces: &[usize],
    ) -> Result<(Vec<f32>, Results), String> {
        let graph = self.graph();
        let name = graph.output().kind.tensor_name();
        let given = self.given(options);
        let first: Results = ports
            .iter()
            .map(|p| (p.input.clone(), self.first(p)))
            .collect();
        let (parts, states) = carried(spans(pieces), first, |(from, to), states| {
            let mut feed = self.feed(options, &given.cut(from, to, None));
            feed.extend(states.into_iter().map(|(name, (shape, values))| {
                let values = Values::F32(values);
                (name, Array { shape, values })
            }));
            let mut results = engine.run(feed)?;
            let (shape, values) = results.remove(name).ok_or("no output")?;
            let width = graph.width(graph.output().value);
            let timed = options.form != Form::Step && !graph.is_last_step();
            let wanted: Vec<usize> = match timed {
                true => vec![BATCH, to - from, width],
                false => vec![BATCH, width],
            };
            assert_eq!(shape, wanted, "{}: shape of {name}", self.name);
            let states = ports
                .iter()
                .map(|p| (p.input.clone(), results.remove(&p.output).unwrap()));
            Ok::<_, String>(((to - from, values), states.collect()))
        })?;
        Ok((join(graph, BATCH, parts), states))
    }

    /// All but the states.
    fn feed(&self, options: &ExportOptions, piece: &Inputs) -> Feed {
        let step = options.form == Form::Step;
        let shape = match step {
            true => vec![BATCH],
            false => vec![BATCH, piece.time],
        };
        let mut feed = Feed::new();
        let (name, array) = match self.graph().input() {
            Input::Tokens { .. } => {
                let values = Values::I64(piece.ids.iter().map(|id| i64::from(*id)).collect());
                let shape = shape.clone();
                ("input_ids", Array { shape, values })
            }
            Input::Features { width } => {
                let values = Values::F32(piece.features.clone());
                let shape = [&shape[..], &[width]].concat();
                ("features", Array { shape, values })
            }
        };
        feed.insert(name.into(), array);
        if let Some(reset) = &piece.reset {
            let values = Values::Bool(reset.clone());
            feed.insert("reset".into(), Array { shape, values });
        }
        if let (Some(lengths), false) = (&piece.lengths, step) {
            let values = Values::I64(lengths.iter().map(|n| *n as i64).collect());
            let shape = vec![BATCH];
            feed.insert("lengths".into(), Array { shape, values });
        }
        feed
    }

    fn first(&self, port: &Port) -> (Vec<usize>, Vec<f32>) {
        let values = port.gather(self.graph(), BATCH, |i| self.state(i));
        ([&[BATCH], &port.shape[..]].concat(), values)
    }

    fn state(&self, i: usize) -> &[f32] {
        &self.given.states.as_ref().unwrap()[i]
    }

    fn compare(
        &self,
        what: &str,
        options: &ExportOptions,
        ports: &[Port],
        (output, states): &(Vec<f32>, Results),
        want: &Trace,
    ) {
        let timed = !self.graph().is_last_step();
        let width = self.graph().width(self.graph().output().value);
        // What stands behind a row's end means nothing.
        let means = |i: usize| {
            let (row, t) = (i / width / TIME, i / width % TIME);
            let lengths = self
                .given
                .lengths
                .as_ref()
                .filter(|_| timed && options.lengths);
            lengths.is_none_or(|all| t < all[row])
        };
        close(&format!("{what}: output"), output, &want.output, means);
        for port in ports {
            let (shape, values) = &states[&port.input];
            assert_eq!(shape[..], [&[BATCH], &port.shape[..]].concat(), "{what}");
            for (i, got) in port.scatter(self.graph(), BATCH, values) {
                let what = format!("{what}: state {i}");
                close(&what, &got, &want.states[i], |_| true);
            }
        }
    }
}

/// In which pieces a file takes the whole sequence.
fn pieces(options: &ExportOptions) -> Vec<Vec<usize>> {
    if options.form == Form::Step {
        return vec![vec![1; TIME]];
    }
    match options.seq_len {
        Some(n) => vec![vec![n; TIME / n]],
        None if options.lengths => vec![vec![TIME]],
        None => vec![vec![TIME], vec![1, 16, 17, 3, 37]],
    }
}

/// Runs by which errors are measured.
const MEASURED: usize = 8;

/// How far the runtime's steps, all in f32, are from the oracle at most: the output, then the states. With resets and without.
fn error(graph: &Graph, params: &Params, all: &[Inputs]) -> Vec<f64> {
    let options = ExportOptions {
        form: Form::Step,
        reset: true,
        ..ExportOptions::default()
    };
    let file = export_graph(graph, params, &options).unwrap();
    let runtime = minrnn_runtime::Model::from_bytes(&file.encode()).unwrap();
    let ports = ports(graph, &options).unwrap();
    let mut most = vec![0.0; 1 + graph.states().len()];
    for (i, given) in all.iter().enumerate() {
        let mut given = given.clone();
        if i.is_multiple_of(2) {
            given.reset = Some(vec![false; given.batch * given.time]);
        }
        let got = stepped(graph, &runtime, &ports, &given);
        let want = given.trace(graph, params, How::default()).unwrap();
        let want = std::iter::once(&want.output).chain(&want.states);
        for ((most, got), want) in most.iter_mut().zip(got.tensors()).zip(want) {
            let mut c = Comparison::default();
            c.extend(got, &want.data, |_| f64::INFINITY);
            assert!(c.holds(), "{c:?}");
            *most = c.max_abs.max(*most);
        }
    }
    most
}

/// A case step by step in the runtime.
fn stepped(
    graph: &Graph,
    runtime: &minrnn_runtime::Model,
    ports: &[Port],
    given: &Inputs,
) -> Outcome {
    let mut state = runtime.initial_state(given.batch).unwrap();
    let first = given.states.as_ref().unwrap();
    for port in ports {
        let values = port.gather(graph, given.batch, |i| first[i].as_slice());
        state.set(&port.input, &values).unwrap();
    }
    let (outputs, last) = streamed(runtime, given, state);
    let parts = outputs.into_iter().map(|o| (1, o)).collect();
    let mut got = Outcome {
        output: join(graph, given.batch, parts),
        states: vec![vec![]; first.len()],
    };
    for port in ports {
        let values = last.get(&port.input).unwrap();
        for (i, values) in port.scatter(graph, given.batch, values) {
            got.states[i] = values;
        }
    }
    got
}

/// Puts into the bounds what is allowed: of f32 the running bound, and no more than the ruler says of what was measured, since
/// through several layers the bound, which assumes that no errors cancel, grows to the size of the values themselves.
/// With narrow weights, an argument near the middle of two steps may go either way: several
/// times what the narrow type moved the tensor. Engines round sums on their way too (candle those of two terms, to f16), which
/// shows where the type itself moved the tensor by little: half a step of the tensor's largest value in f16.
fn tolerate(own: &mut Tensor, plain: Option<&Tensor>, error: f64) {
    let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    let size = largest(&mut own.data.iter().map(|v| v.abs()));
    let allowed = ACROSS * ruler::tolerance(error, f64::from(f32::EPSILON), size);
    match plain {
        None => own.bound.iter_mut().for_each(|b| *b = b.min(allowed)),
        Some(plain) => {
            let pairs = own.data.iter().zip(&plain.data);
            let moved = largest(&mut pairs.map(|(a, b)| (a - b).abs()));
            let half_step = largest(&mut plain.data.iter().map(|v| v.abs())) * HALF_STEP_F16;
            own.bound
                .iter_mut()
                .for_each(|b| *b = allowed + 4.0 * moved + half_step);
        }
    }
}

fn close(what: &str, got: &[f32], want: &Tensor, means: impl Fn(usize) -> bool) {
    assert_eq!(got.len(), want.data.len(), "{what}");
    let mut c = Comparison::default();
    for (i, got) in got.iter().enumerate().filter(|(i, _)| means(*i)) {
        c.push(f64::from(*got), want.data[i], want.bound[i]);
    }
    assert!(c.count > 0 && c.holds(), "{what}: {c:?}");
}

/// The options of a target, and what can be added to them.
pub(crate) fn variants(case: &Case, target: minrnn_onnx::export::Target) -> Vec<ExportOptions> {
    use minrnn_onnx::export::{Lowering, StateLayout};
    let choices = target.choices();
    let own = ExportOptions {
        lowering: choices.lowering,
        block: choices.block,
        opset: choices.opset,
        fused_norms: choices.fused_norms,
        fused_cells: choices.fused_cells,
        max_seq_len: 256,
        target,
        ..ExportOptions::default()
    };
    let mut all = vec![];
    let fits = |lowering: &Lowering| {
        let options = ExportOptions {
            lowering: *lowering,
            opset: lowering.opset().max(own.opset),
            ..own.clone()
        };
        export_graph(case.model.graph(), &case.params, &options).is_ok()
    };
    for lowering in Lowering::ALL.into_iter().filter(fits) {
        for seq_len in [None, Some(FIXED)] {
            all.push(ExportOptions {
                lowering,
                seq_len,
                ..own.clone()
            });
        }
        for lengths in [false, true] {
            all.push(ExportOptions {
                lowering,
                lengths,
                reset: true,
                ..own.clone()
            });
        }
    }
    for weights in choices.weights {
        let weights = match *weights {
            "f16" => Weights::F16,
            "bf16" => Weights::Bf16,
            "int8" => Weights::Int8(minrnn_onnx::export::Activations::Row),
            _ => Weights::F32,
        };
        let forms = minrnn_onnx::export::Form::of(case.graph());
        for form in choices.forms.iter().filter(|f| forms.contains(f)) {
            for stacked in [false, true] {
                if stacked && !stacks(case) {
                    continue;
                }
                all.push(ExportOptions {
                    form: *form,
                    weights: weights.clone(),
                    reset: stacked,
                    state_layout: match stacked {
                        true => StateLayout::Stacked,
                        false => StateLayout::Separate,
                    },
                    ..own.clone()
                });
            }
        }
    }
    all
}

/// Of options, in a few words.
pub(crate) fn words(o: &ExportOptions) -> String {
    let form = match o.form {
        minrnn_onnx::export::Form::Parallel => o.lowering.name(),
        form => form.name(),
    };
    let mut words = vec![form.to_owned(), o.weights.name().to_owned()];
    words.extend(o.seq_len.map(|n| format!("T = {n}")));
    words.extend(o.lengths.then(|| "lengths".to_owned()));
    words.extend(o.reset.then(|| "reset".to_owned()));
    words.push(o.state_layout.name().to_owned());
    words.join(" ")
}
