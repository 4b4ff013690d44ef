//! One ONNX file before its judge.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail};
use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_onnx::eval::{Carried, Limits, Session};
use minrnn_onnx::ir;
use minrnn_train::data::read_data;

use super::nudged::nudged;
use super::port::{self, Elem, Port};
use super::tensor::Tensor;
use crate::verify::contender::{Failure, Opened};

/// A file with its graph.
pub(crate) struct GraphFile {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    pub(crate) model: ir::Model,
    inputs: Vec<Port>,
    /// Inputs that have a value of their own.
    defaults: Vec<Port>,
    outputs: Vec<Port>,
    judge: Session,
    /// The last one of [`By::Nudged`].
    nudged: RefCell<Option<(u64, Rc<Session>)>>,
    short: bool,
    fuses: bool,
    /// Operations that the judge took so far.
    spent: Cell<u64>,
    /// Places where a shape, a condition or a count hung on rounding.
    undecided: RefCell<BTreeSet<String>>,
}

/// Who runs a graph.
#[derive(Clone, Copy)]
pub(crate) enum By<'a> {
    /// The evaluator of the standard, in float64.
    Judge,
    /// The same with f16 and bf16 held in float64: what it is off from the judge is what those types cost.
    Unrounded,
    /// Normalisations rounded inside, as engines fuse them.
    Fused,
    /// Results of sums, products and functions moved by some last places, others with another number.
    Moved(u64),
    /// Constants moved by a last place, others with another number.
    Nudged(u64),
    /// An engine that has the file open.
    Engine(&'a RefCell<Box<dyn Opened>>),
}

/// The most that values of one run may hold, bytes.
pub(super) const BYTES: u64 = 3_000_000_000;

impl std::fmt::Debug for GraphFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GraphFile")
            .field("path", &self.path)
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

impl GraphFile {
    /// The longest sequence that a file of ours says it takes, by itself or by its model.
    pub(crate) fn longest(&self) -> Option<usize> {
        let said = self.metadata("minrnn.max_seq_len");
        let said = said.and_then(|n| n.parse().ok());
        let of_model = || -> Option<usize> {
            let config = self.metadata("minrnn.config")?;
            let config: ModelConfig = minrnn_model::json::from_str(config).ok()?;
            Model::from_config(&config).ok()?.graph().longest()
        };
        said.into_iter().chain(of_model()).min()
    }

    pub(crate) fn open(path: &Path) -> Result<Self> {
        // A pipe that nobody writes to would be waited for.
        if std::fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir()) {
            bail!(
                "{} is no file (a pipe, a socket or a device); write the model into a file",
                path.display()
            );
        }
        let bytes = read_data(path).with_context(|| format!("cannot read {}", path.display()))?;
        let model = ir::Model::decode(&bytes).map_err(|e| anyhow!("{}: {e}", path.display()))?;
        let judge = Session::open(&model, path.parent())
            .map_err(|e| anyhow!("{}: cannot be judged: {e}", path.display()))?;
        Ok(Self {
            path: path.to_path_buf(),
            inputs: port::inputs(&model.graph),
            defaults: port::defaults(&model),
            outputs: port::outputs(&model.graph),
            bytes,
            short: is_short(&model.graph),
            fuses: fuses(&model),
            model,
            judge,
            nudged: RefCell::default(),
            spent: Cell::new(0),
            undecided: RefCell::default(),
        })
    }

    pub(crate) fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// Inputs that need not be given.
    pub(super) fn defaults(&self) -> &[Port] {
        &self.defaults
    }

    pub(super) fn has_default(&self, input: &str) -> bool {
        self.defaults.iter().any(|p| p.name == input)
    }

    /// The default of an input, where it is of floats in that shape and in the file.
    pub(super) fn default_of(&self, input: &str, dims: &[usize]) -> Option<Vec<f32>> {
        let mut all = self.model.graph.initializers.iter();
        let t = all.find(|t| t.name == input)?;
        let same = t.dims.iter().map(|d| usize::try_from(*d).ok());
        let same = same.eq(dims.iter().map(|d| Some(*d)));
        same.then(|| t.to_f32()).flatten()
    }

    /// The default of an input, where it is of floats and in the file.
    pub(super) fn default_values(&self, input: &str) -> Option<Vec<f32>> {
        let mut all = self.model.graph.initializers.iter();
        all.find(|t| t.name == input)?.to_f32()
    }

    /// Makes inputs of these defaults: they are given from now on.
    pub(super) fn adopt(&mut self, names: &std::collections::BTreeSet<String>) {
        let all = self.defaults.iter();
        self.inputs
            .extend(all.filter(|p| names.contains(&p.name)).cloned());
    }

    pub(crate) fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.model.metadata(key)
    }

    /// Whether anything in it is of type f16 or bf16.
    pub(super) fn is_short(&self) -> bool {
        self.short
    }

    /// Whether it has operators that engines round inside.
    pub(super) fn fuses(&self) -> bool {
        self.fuses
    }

    /// The name in messages.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Operations that the judge took since this was asked last.
    pub(super) fn took(&self) -> u64 {
        self.spent.replace(0)
    }

    /// Places where a shape, a condition or a count hung on rounding: there the judge went one way only.
    pub(super) fn undecided(&self) -> Vec<String> {
        self.undecided.borrow().iter().cloned().collect()
    }

    /// Runs it for the tensors named.
    pub(crate) fn run(
        &self,
        by: By,
        feeds: &[(&str, &Tensor)],
        wanted: &[&str],
    ) -> Result<Vec<Tensor>> {
        let mut given = vec![];
        for (name, t) in feeds {
            let elem = self.elem(name).unwrap_or(t.value.dtype());
            let value = t.value.to_type(elem);
            given.push((*name, value.with_context(|| format!("input `{name}`"))?));
        }
        match by {
            By::Judge | By::Unrounded | By::Fused | By::Moved(_) | By::Nudged(_) => {
                let given = given.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
                self.judged(given, wanted, by)
            }
            By::Engine(opened) => {
                let arrays: Vec<_> = given.iter().map(|(n, v)| (*n, v.rounded())).collect();
                let feeds: Vec<_> = arrays.iter().map(|(n, a)| (*n, a)).collect();
                let got = opened.borrow_mut().run(&feeds, wanted)?;
                if got.len() != wanted.len() {
                    let what = format!("{} of {} tensors came back", got.len(), wanted.len());
                    return Err(Failure::Refused(what).into());
                }
                Ok(got.into_iter().map(Tensor::known).collect())
            }
        }
    }

    /// The judge of the file with its constants moved. Kept: a step file is called again and again.
    fn nudged(&self, seed: u64) -> Result<Rc<Session>> {
        if let Some((number, judge)) = &*self.nudged.borrow()
            && *number == seed
        {
            return Ok(judge.clone());
        }
        let judge = Rc::new(Session::open(
            &nudged(&self.model, seed),
            self.path.parent(),
        )?);
        *self.nudged.borrow_mut() = Some((seed, judge.clone()));
        Ok(judge)
    }

    fn judged(&self, given: Carried, wanted: &[&str], by: By) -> Result<Vec<Tensor>> {
        let limits = Limits {
            bytes: BYTES,
            ..Limits::default()
        };
        let is_output = |name: &&str| self.outputs.iter().any(|o| o.name == *name);
        let nudged;
        let ran = match (by, wanted.iter().all(is_output)) {
            (By::Unrounded, _) => self.judge.unrounded(&given, &limits),
            (By::Fused, _) => self.judge.fused(&given, &limits),
            (By::Moved(seed), _) => self.judge.moved(&given, &limits, seed),
            (By::Nudged(seed), _) => {
                nudged = self.nudged(seed)?;
                nudged.run_on(&given, &limits)
            }
            (_, true) => self.judge.run_on(&given, &limits),
            (_, false) => self.judge.trace_on(&given, &limits),
        };
        let ran = ran.with_context(|| self.name())?;
        self.spent.set(self.spent.get() + ran.operations);
        self.undecided
            .borrow_mut()
            .extend(ran.undecided.iter().cloned());
        let mut all = vec![];
        for name in wanted {
            let Some(value) = ran.get(name).cloned() else {
                bail!("{}: `{name}` is no tensor of the graph", self.name());
            };
            all.push(Tensor { value });
        }
        Ok(all)
    }

    /// The type that an input is declared with.
    fn elem(&self, input: &str) -> Option<Elem> {
        self.inputs.iter().find(|p| p.name == input)?.elem
    }
}

/// Whether a graph has constants, inputs or results of short floats.
fn is_short(graph: &ir::Graph) -> bool {
    let short = |d: ir::DType| matches!(d, ir::DType::F16 | ir::DType::BF16);
    let infos = graph.inputs.iter().chain(&graph.outputs);
    let cast = |code: &i64| i32::try_from(*code).ok().and_then(ir::DType::from_code);
    infos.filter_map(|v| v.dtype).any(short)
        || graph.initializers.iter().any(|t| short(t.dtype))
        || graph.nodes.iter().any(|n| {
            let makes = n.attributes.iter().any(|(_, a)| match a {
                ir::Attr::Int(code) => n.op_type == "Cast" && cast(code).is_some_and(short),
                ir::Attr::Tensor(t) => short(t.dtype),
                _ => false,
            });
            makes || n.subgraphs().any(|(_, g)| is_short(g))
        })
}

/// Whether a file has normalisations that subtract a mean.
fn fuses(model: &ir::Model) -> bool {
    const ALL: [&str; 5] = [
        "BatchNormalization",
        "GroupNormalization",
        "InstanceNormalization",
        "LayerNormalization",
        "MeanVarianceNormalization",
    ];
    fn any(nodes: &[ir::Node]) -> bool {
        nodes.iter().any(|n| {
            let mut inner = n.subgraphs();
            ALL.contains(&n.op_type.as_str()) || inner.any(|(_, g)| any(&g.nodes))
        })
    }
    any(&model.graph.nodes) || model.functions.iter().any(|f| any(&f.nodes))
}
