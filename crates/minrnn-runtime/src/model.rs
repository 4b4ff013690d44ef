//! An exported file, checked and ready to run.

use std::path::Path;
use std::sync::Arc;

use tract_onnx::pb::{GraphProto, ModelProto};
use tract_onnx::prelude::*;

use crate::engine::{Fault, Program};
use crate::error::{Breach, Error, Result};
use crate::exact::{Batch, Exact, output_shape};
use crate::info::{Head, Info};
use crate::input::{Extras, Input, Output, check_batch, check_finite};
use crate::kernels::{Cpu, Kernels};
use crate::plan::{Engine, Key, Plan, words};
use crate::state::{Layout, State};
use crate::structure::{self, Shapes};
use crate::weights::Weights;
use crate::{contract, external, metadata};

/// Who computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// The executor of this crate: the recurrence and every product in one fixed order, so that `parallel`, `scan` and `step`
    /// agree bit for bit, in any chunks and any batch, on any CPU. A graph that it does not know runs portably:
    /// [`Model::execution`] says so.
    Exact,
    /// tract, and the graph untouched: what another engine would make of the file.
    Portable,
    /// The measure of [`Execution::Exact`], which must equal it bit for bit (-0 equals +0): tract runs the graph node by
    /// node, without its rewrites, with the recurrence, the products, the sums and the exponentials as plain loops in
    /// the order that the crate's documentation defines. Slow: for proofs.
    Referee,
}

/// How a file is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Who computes. Default: [`Execution::Exact`].
    pub execution: Execution,
    /// Threads of one call, at least 1. Sequences use them by chunks of time and rows, steps by rows, where there are enough.
    /// Default: as many as the machine has. Results do not depend on it. Exact execution only.
    pub threads: usize,
    /// Portable execution, and the referee's: how many plans are kept, one for each batch and length in use, each with its own packed copy of
    /// the weights. Default 8, at least 1; the plan not used for longest goes first.
    pub plans: usize,
    /// Bytes that the tensors of a short call (8 rows times steps) may take at once beyond 8 for each byte of the file;
    /// longer calls in proportion. A file that asks for more is refused before anything is run. Default 32 MiB, more
    /// than any export of the lowerings without padding to a longest length needs.
    pub memory: u64,
    /// Where packed weights are held, to share them between models. Default: of this model alone. Exact execution only.
    pub weights: Weights,
    /// The instructions to use. Default: the best that the machine has. Results do not depend on it. Exact execution only.
    pub kernels: Kernels,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            execution: Execution::Exact,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            plans: 8,
            memory: 32 << 20,
            weights: Weights::default(),
            kernels: Kernels::Best,
        }
    }
}

impl Options {
    /// Portable execution with room for `plans` plans.
    pub fn with_plans(plans: usize) -> Self {
        Self {
            execution: Execution::Portable,
            plans,
            ..Self::default()
        }
    }

    /// The referee.
    pub fn referee() -> Self {
        Self {
            execution: Execution::Referee,
            ..Self::default()
        }
    }

    /// Exact execution on `threads` threads.
    pub fn with_threads(threads: usize) -> Self {
        Self {
            threads,
            ..Self::default()
        }
    }
}

/// One exported file. Immutable for its users: any number of threads may run it at once.
pub struct Model {
    info: Info,
    /// What makes the shapes: held against each new batch and length before the engine sees them.
    shapes: Shapes,
    layout: Arc<Layout>,
    file: String,
    runner: Runner,
    /// What the graph's inputs are, in its order.
    inputs: Vec<Port>,
    /// What the graph's outputs are, in its order.
    outputs: Vec<Port>,
}

/// Who runs the file.
enum Runner {
    Exact(Exact),
    Portable {
        engine: Engine,
        /// Why not exactly, where that was asked for.
        why: Option<String>,
        /// With the referee's operations.
        referee: bool,
    },
}

/// What a graph input or output carries.
#[derive(Debug, Clone, Copy)]
enum Port {
    Data,
    /// The input `lengths`.
    Lengths,
    /// The input `reset`.
    Reset,
    /// The state of that index in `Info::states`.
    State(usize),
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("file", &self.file)
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl Model {
    /// Reads and checks the file at `path`. No plan is made yet: see [`Model::prepare`].
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Load`] (no ONNX, or not for this engine), [`Error::Foreign`] (no minrnn metadata),
    /// [`Error::Contract`] (the graph and its metadata disagree).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, &Options::default())
    }

    /// [`Model::open`] with options.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open_with(path: impl AsRef<Path>, options: &Options) -> Result<Self> {
        let path = path.as_ref();
        let bytes = external::plain(path).map_err(|source| Error::Read {
            file: path.to_path_buf(),
            source,
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::load(&path.display().to_string(), &bytes, Some(folder), options)
    }

    /// Checks a file that is already in memory.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::from_bytes_with(bytes, &Options::default())
    }

    /// [`Model::from_bytes`] with options.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes_with(bytes: &[u8], options: &Options) -> Result<Self> {
        Self::load("<bytes>", bytes, None, options)
    }

    /// [`Model::from_bytes_with`] for a graph whose weights may lie beside it in `folder`.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes_in(
        folder: impl AsRef<Path>,
        bytes: &[u8],
        options: &Options,
    ) -> Result<Self> {
        Self::load("<bytes>", bytes, Some(folder.as_ref()), options)
    }

    /// The same for the bytes of a file, perhaps changed since it was read: errors have its name, and weights lie in its folder.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes_of(file: impl AsRef<Path>, bytes: &[u8], options: &Options) -> Result<Self> {
        let file = file.as_ref();
        let folder = file.parent().unwrap_or(Path::new(""));
        Self::load(&file.display().to_string(), bytes, Some(folder), options)
    }

    /// Nothing is half made where this fails, by an error or by a panic of any of the readers.
    fn load(file: &str, bytes: &[u8], folder: Option<&Path>, options: &Options) -> Result<Self> {
        let read = || Self::read(file, bytes, folder, options);
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
        done.unwrap_or_else(|payload| {
            Err(Error::Load {
                file: file.into(),
                what: "made a reader panic".into(),
                source: words(&*payload).into(),
            })
        })
    }

    fn read(
        file: &str,
        mut bytes: &[u8],
        folder: Option<&Path>,
        options: &Options,
    ) -> Result<Self> {
        let cpu = Cpu::of(options.kernels).ok_or_else(|| {
            let what = format!("{} is not what this machine has", options.kernels.as_str());
            Error::input("kernels", what, "use `Kernels::Best`")
        })?;
        structure::check_bytes(bytes).map_err(|breach| breach.of(file))?;
        let size = bytes.len() as u64;
        let decoded = tract_onnx::onnx().proto_model_for_read(&mut bytes);
        let mut proto = decoded.map_err(|e| Error::Load {
            file: file.into(),
            what: "is no ONNX file, or a cut one".into(),
            source: format!("{e:#}").into(),
        })?;
        let beside = external::read(&mut proto, folder).map_err(|breach| breach.of(file))?;
        let checked =
            check(&proto, size + beside, options.memory).map_err(|breach| breach.of(file))?;
        let Some((info, graph, shapes)) = checked else {
            return Err(Error::Foreign { file: file.into() });
        };
        let inputs = ports(graph.input.iter().map(|i| &i.name), &info, |s| &s.input);
        let outputs = ports(graph.output.iter().map(|o| &o.name), &info, |s| &s.output);
        let runner = match options.execution {
            Execution::Exact => match Program::compile(graph, &info, &options.weights) {
                Ok(program) => Ok(Exact::new(program, options.threads, cpu)),
                Err(unsupported) => Err(Some(unsupported.to_string())),
            },
            Execution::Portable | Execution::Referee => Err(None),
        };
        let referee = options.execution == Execution::Referee;
        let runner = match runner {
            Ok(exact) => Runner::Exact(exact),
            Err(why) => Runner::Portable {
                engine: match referee {
                    true => Engine::referee(file, &proto, options.plans, &info)?,
                    false => Engine::new(file, &proto, options.plans)?,
                },
                why,
                referee,
            },
        };
        Ok(Self {
            layout: Arc::new(Layout::of(&info)),
            info,
            shapes,
            file: file.into(),
            runner,
            inputs,
            outputs,
        })
    }

    /// What the file says about itself, checked.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The path given to [`Model::open`] or [`Model::from_bytes_of`], or `<bytes>`.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// How the file is run.
    pub fn execution(&self) -> Execution {
        match self.runner {
            Runner::Exact(_) => Execution::Exact,
            Runner::Portable { referee: true, .. } => Execution::Referee,
            Runner::Portable { .. } => Execution::Portable,
        }
    }

    /// Why the file is run portably although exact execution was asked for: the first tensor that the executor does not
    /// know, and what is unusual about it.
    pub fn not_exact_because(&self) -> Option<&str> {
        match &self.runner {
            Runner::Exact(_) => None,
            Runner::Portable { why, .. } => why.as_deref(),
        }
    }

    /// What computes: `"avx512"`, `"avx2"` or `"scalar"` of this crate's kernels, or `"tract"`.
    pub fn kernels(&self) -> &'static str {
        match &self.runner {
            Runner::Exact(exact) => exact.cpu().name(),
            Runner::Portable { .. } => "tract",
        }
    }

    /// How many plans are kept now; none in exact execution, which needs none.
    pub fn plans(&self) -> usize {
        match &self.runner {
            Runner::Exact(_) => 0,
            Runner::Portable { engine, .. } => engine.kept(),
        }
    }

    /// The state before the first step, for `batch` rows.
    ///
    /// # Errors
    /// [`Error::Input`] for a batch of 0, one the file does not take, or one that does not fit into memory.
    pub fn initial_state(&self, batch: usize) -> Result<State> {
        check_batch(batch, &self.info)?;
        State::initial(self.layout.clone(), &self.info, batch)
    }

    /// [`State::from_bytes`], its tensors in the model's order; refuses a state of another model.
    ///
    /// # Errors
    /// [`Error::Input`].
    pub fn state_from_bytes(&self, bytes: &[u8]) -> Result<State> {
        State::from_bytes(bytes)?.fitted(&self.layout)
    }

    /// Makes the plan for `batch` rows of `time` steps now, so that the first run does not pay for it.
    ///
    /// # Errors
    /// [`Error::Input`] for sizes the file does not take, [`Error::Load`] if the engine cannot run the graph.
    pub fn prepare(&self, batch: usize, time: usize) -> Result<()> {
        let nothing = match self.info.input {
            crate::info::InputSpec::Tokens { .. } => Input::Tokens {
                ids: &[],
                batch,
                time,
            },
            crate::info::InputSpec::Features { width } => Input::Features {
                values: &[],
                batch,
                time,
                width,
            },
        };
        nothing.check_lengths(&self.info)?;
        match &self.runner {
            Runner::Exact(_) => Ok(()),
            Runner::Portable { engine, .. } => {
                self.plan(engine, Key::Fixed { batch, time }).map(drop)
            }
        }
    }

    /// Runs `input` from `state`; returns the output and the state after the last step. `state` is left as it is.
    ///
    /// The first run of a batch and length makes a plan (milliseconds to seconds); later ones find it.
    ///
    /// # Errors
    /// [`Error::Input`] before anything is run; [`Error::Load`] if no plan can be made; [`Error::Run`] if the engine
    /// fails, returns another shape than the file declares, or leaves a state that is not finite.
    pub fn run(&self, input: Input<'_>, state: &State) -> Result<(Output, State)> {
        self.run_with(input, &Extras::default(), state)
    }

    /// [`Model::run`] with the inputs that some files take besides: lengths of rows, steps at which states begin anew.
    ///
    /// # Errors
    /// As [`Model::run`]; [`Error::Input`] for extras that the file does not take or that do not fit the input.
    pub fn run_with(
        &self,
        input: Input<'_>,
        extras: &Extras<'_>,
        state: &State,
    ) -> Result<(Output, State)> {
        self.run_on(None, input, extras, state)
    }

    /// [`Model::run_with`] with other instructions than those chosen at opening.
    pub(crate) fn run_on(
        &self,
        cpu: Option<Cpu>,
        input: Input<'_>,
        extras: &Extras<'_>,
        state: &State,
    ) -> Result<(Output, State)> {
        self.check(&input, state)?;
        extras.check(&self.info, &input)?;
        let key = Key::Fixed {
            batch: input.batch(),
            time: input.time(),
        };
        match &self.runner {
            Runner::Exact(exact) => {
                self.run_exact(exact, cpu.unwrap_or(exact.cpu()), &input, extras, state)
            }
            Runner::Portable { engine, .. } => self.run_plan(engine, key, &input, extras, state),
        }
    }

    /// [`Model::run`] on one plan for all batches and lengths: one compilation, each run 3 to 5 times slower. Some
    /// `parallel` graphs do not run so; they fail with an error, never with other values. Exact execution has no plans, and
    /// runs as always.
    ///
    /// # Errors
    /// As [`Model::run`].
    pub fn run_symbolic(&self, input: Input<'_>, state: &State) -> Result<(Output, State)> {
        self.check(&input, state)?;
        let extras = Extras::default();
        match &self.runner {
            Runner::Exact(exact) => self.run_exact(exact, exact.cpu(), &input, &extras, state),
            Runner::Portable { engine, .. } => {
                self.run_plan(engine, Key::Symbolic, &input, &extras, state)
            }
        }
    }

    pub(crate) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    pub(crate) fn check(&self, input: &Input<'_>, state: &State) -> Result<()> {
        input.check(&self.info)?;
        state.check(&self.layout, input.batch())
    }

    /// `input` and `state` have passed [`Model::check`].
    fn run_exact(
        &self,
        exact: &Exact,
        cpu: Cpu,
        input: &Input<'_>,
        extras: &Extras<'_>,
        state: &State,
    ) -> Result<(Output, State)> {
        let shape = output_shape(&self.info, input);
        let mut output = Output {
            values: vec![0.0; shape.iter().product()],
            shape,
        };
        let mut next = State {
            form: self.info.form,
            ..state.clone()
        };
        let out = &mut output.values;
        if self.info.form.is_sequence() {
            let done = exact.sequence(cpu, input, extras, &state.values, out, &mut next.values);
            done.map_err(|fault| self.failed(&fault))?;
        } else {
            let mut states = Batch {
                before: &state.values,
                after: &mut next.values,
            };
            let done = exact.step(cpu, input, extras.reset, &mut states, out, &mut vec![]);
            done.map_err(|fault| self.failed(&fault))?;
        }
        for (spec, values) in self.info.states.iter().zip(&next.values) {
            check_finite(&spec.output, values)
                .map_err(|e| self.broken(&spec.output, e.to_string()))?;
        }
        Ok((output, next))
    }

    /// The executor, if that runs the file.
    pub(crate) fn exact(&self) -> Option<&Exact> {
        match &self.runner {
            Runner::Exact(exact) => Some(exact),
            Runner::Portable { .. } => None,
        }
    }

    pub(crate) fn not_finite(&self, what: String) -> Error {
        Error::Run {
            file: self.file.clone(),
            what: "the step is refused".into(),
            source: what.into(),
        }
    }

    pub(crate) fn failed(&self, fault: &Fault) -> Error {
        Error::Run {
            file: self.file.clone(),
            what: "the run stopped".into(),
            source: fault.to_string().into(),
        }
    }

    /// tract's plan, once the shapes in it are known to be sane.
    fn plan(&self, engine: &Engine, key: Key) -> Result<Plan> {
        if let Key::Fixed { batch, time } = key {
            let shapes = self.shapes.check(batch, time);
            shapes.map_err(|breach| breach.of(&self.file))?;
        }
        engine.plan(key)
    }

    /// `input` and `state` have passed [`Model::check`].
    fn run_plan(
        &self,
        engine: &Engine,
        key: Key,
        input: &Input<'_>,
        extras: &Extras<'_>,
        state: &State,
    ) -> Result<(Output, State)> {
        let feeds = self.inputs.iter().map(|port| match port {
            Port::Data => self.data(input),
            Port::Lengths => {
                let whole = vec![input.time() as i64; input.batch()];
                tensor(input.batch(), &[], extras.lengths.unwrap_or(&whole))
            }
            Port::Reset => {
                let time = input.time();
                let never = vec![false; input.batch() * time];
                let shape: &[usize] = if self.info.form.is_sequence() {
                    &[time]
                } else {
                    &[]
                };
                tensor(input.batch(), shape, extras.reset.unwrap_or(&never))
            }
            Port::State(at) => {
                let slot = &self.layout.slots[*at];
                tensor(state.rows, &slot.shape, &state.values[*at])
            }
        });
        let feeds: TractResult<TVec<TValue>> = feeds.collect();
        let feeds = feeds.map_err(|e| self.broken("an input", format!("{e:#}")))?;
        let plan = self.plan(engine, key)?;
        let results = engine.run(&plan, key, feeds)?;
        if results.len() != self.outputs.len() {
            return Err(self.broken("the outputs", format!("{} came back", results.len())));
        }
        self.unpack(&results, input, state.rows)
    }

    fn data(&self, input: &Input<'_>) -> TractResult<TValue> {
        let sequence = self.info.form.is_sequence();
        match *input {
            Input::Tokens { ids, batch, time } if sequence => tensor(batch, &[time], ids),
            Input::Tokens { ids, batch, .. } => tensor(batch, &[], ids),
            Input::Features {
                values,
                batch,
                time,
                width,
            } if sequence => tensor(batch, &[time, width], values),
            Input::Features {
                values,
                batch,
                width,
                ..
            } => tensor(batch, &[width], values),
        }
    }

    fn unpack(
        &self,
        results: &[TValue],
        input: &Input<'_>,
        rows: usize,
    ) -> Result<(Output, State)> {
        let mut shape = vec![rows];
        if self.info.form.is_sequence() && self.info.head == Head::PerStep {
            shape.push(input.time());
        }
        shape.push(self.info.output.width);
        let mut output = Vec::new();
        let mut values = vec![Vec::new(); self.layout.slots.len()];
        for (port, result) in self.outputs.iter().zip(results) {
            match port {
                Port::Lengths | Port::Reset => {}
                Port::Data => output = self.values(&self.info.output.name, result, &shape)?,
                Port::State(at) => {
                    let (slot, name) = (&self.layout.slots[*at], &self.info.states[*at].output);
                    let wanted: Vec<usize> = [&[rows], slot.shape.as_slice()].concat();
                    values[*at] = self.values(name, result, &wanted)?;
                    check_finite(name, &values[*at])
                        .map_err(|e| self.broken(name, e.to_string()))?;
                }
            }
        }
        let state = State {
            layout: self.layout.clone(),
            form: self.info.form,
            rows,
            values,
        };
        Ok((
            Output {
                values: output,
                shape,
            },
            state,
        ))
    }

    fn values(&self, name: &str, tensor: &TValue, shape: &[usize]) -> Result<Vec<f32>> {
        if tensor.shape() != shape {
            let what = format!(
                "has shape {:?}, the file declares {shape:?}",
                tensor.shape()
            );
            return Err(self.broken(name, what));
        }
        let view = tensor.to_plain_array_view::<f32>();
        let view = view.map_err(|e| self.broken(name, format!("{e:#}")))?;
        Ok(view.iter().copied().collect())
    }

    fn broken(&self, name: &str, what: String) -> Error {
        Error::Run {
            file: self.file.clone(),
            what: format!("{name} is not what the file declares"),
            source: what.into(),
        }
    }
}

/// Everything that can be known before tract sees the graph.
fn check(
    proto: &ModelProto,
    size: u64,
    memory: u64,
) -> std::result::Result<Option<(Info, &GraphProto, Shapes)>, Breach> {
    let Some(meta) = metadata::read(proto)? else {
        return Ok(None);
    };
    let graph = structure::check(proto, size)?;
    let info = contract::check(graph, meta, size)?;
    let mut shapes = Shapes::of(graph, structure::opset_of(proto), size, memory);
    let probe = shapes.probe(&info)?;
    contract::formula::check(graph, &info, &shapes, &probe)?;
    let short = probe.short();
    drop(probe);
    shapes.settle(short);
    Ok(Some((info, graph, shapes)))
}

/// The contract check has found each name exactly once, so what is no state is the data.
fn ports<'a>(
    names: impl Iterator<Item = &'a String>,
    info: &Info,
    side: impl Fn(&crate::info::StateSpec) -> &String,
) -> Vec<Port> {
    let port = |name: &String| match info.states.iter().position(|s| side(s) == name) {
        Some(at) => Port::State(at),
        None if name == contract::LENGTHS => Port::Lengths,
        None if name == contract::RESET => Port::Reset,
        None => Port::Data,
    };
    names.map(port).collect()
}

fn tensor<T: Datum + Copy>(rows: usize, shape: &[usize], values: &[T]) -> TractResult<TValue> {
    let shape: TVec<usize> = std::iter::once(rows).chain(shape.iter().copied()).collect();
    Ok(Tensor::from_shape(&shape, values)?.into_tvalue())
}
