//! From the graph of an export to a program of row operations.
//!
//! Demand decides what is looked at: the lowering of a recurrence is never reached, because its `h` is taken from the
//! metadata. Nodes that the compiler does not know make the file run in tract; that is no error.

mod attend;
mod constants;
mod convolution;
mod fold;
mod layout;
mod pointwise;
mod products;
mod repeat;
mod scan;
mod shapes;
mod tidy;
mod time;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::proto::{AttributeProto, GraphProto, NodeProto};

use super::constant::Constant;
use super::instr::{Capture, Carry, Instr, Register};
use super::length::Length;
use super::value::{Elem, Flow, Phase, Value, View};
use super::{Port, Program};
use crate::contract::{LENGTHS, RESET};
use crate::info::{Head, Info, InputSpec, Recurrence};
use crate::operator::{self, Meaning};
use crate::weights::Weights;

/// Values that one row may hold in all registers together.
const MAX_WIDTH: usize = 1 << 26;

/// Why a graph is not compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unsupported {
    pub(crate) place: String,
    pub(crate) what: String,
}

impl std::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// What a handler of a node says: its outputs, or why not.
type Outcome<'a> = Result<Vec<Value<'a>>, String>;

pub(super) struct Compiler<'a> {
    info: &'a Info,
    /// Graph with a time axis.
    timed: bool,
    values: BTreeMap<&'a str, Value<'a>>,
    /// Registers of the phase `Rows`.
    rows: Vec<Register>,
    /// Registers of the phases `Begin` and `End`.
    batch: Vec<Register>,
    begin: Vec<Instr>,
    body: Vec<Instr>,
    end: Vec<Instr>,
    carries: Vec<Carry>,
    captures: Vec<Capture>,
    weights: &'a Weights,
    /// Of registers with the last two axes exchanged: what they were made of.
    turned: BTreeMap<usize, Flow>,
    b: Length,
    t: Length,
    width: usize,
}

/// Compiles `graph`, which has passed the checks of structure and contract.
pub(super) fn compile(
    graph: &GraphProto,
    info: &Info,
    weights: &Weights,
) -> Result<Program, Unsupported> {
    let mut compiler = Compiler::new(info, weights);
    let at = |place: &str, what: String| Unsupported {
        place: place.into(),
        what,
    };
    let mut inputs = vec![];
    for input in &graph.input {
        let port = compiler.input(&input.name);
        inputs.push(port.map_err(|what| at(&input.name, what))?);
    }
    for tensor in &graph.initializer {
        if let Some(constant) = Constant::of(tensor) {
            compiler
                .values
                .insert(&tensor.name, Value::Const(Rc::new(constant)));
        }
    }
    let attentions = attend::find(graph);
    let (live, lowered) = live(graph, info, &attentions);
    for (at_node, node) in graph.node.iter().enumerate() {
        if !live.contains(&at_node) {
            continue;
        }
        let place = node.output.first().map_or("", String::as_str);
        let done = match (lowered.get(&at_node), attentions.get(&at_node)) {
            (Some(recurrence), _) => compiler.recurrence(node, recurrence),
            (None, Some(attention)) => compiler.attention(node, attention),
            (None, None) => compiler.node(node),
        };
        done.map_err(|what| at(place, what))?;
    }
    let mut outputs = vec![];
    for output in &graph.output {
        let port = compiler.output(&output.name);
        outputs.push(port.map_err(|what| at(&output.name, what))?);
    }
    compiler.finish(inputs, outputs)
}

/// Nodes that outputs need, and those of them that stand for a recurrence.
fn live<'a>(
    graph: &'a GraphProto,
    info: &'a Info,
    attentions: &BTreeMap<usize, attend::Attention<'a>>,
) -> (BTreeSet<usize>, BTreeMap<usize, &'a Recurrence>) {
    let mut wanted: BTreeSet<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
    let (mut live, mut lowered) = (BTreeSet::new(), BTreeMap::new());
    for (at, node) in graph.node.iter().enumerate().rev() {
        let asked = |o: &&String| !o.is_empty() && wanted.contains(o.as_str());
        if !node.output.iter().any(|o| asked(&o)) {
            continue;
        }
        live.insert(at);
        let replaced = info
            .recurrences
            .iter()
            .filter(|_| info.form.is_sequence())
            .find(|r| node.output.contains(&r.h));
        if let Some(r) = replaced {
            lowered.insert(at, r);
            wanted.extend(r.parts().map(|(_, name)| name.as_str()));
        } else if let Some(attention) = attentions.get(&at) {
            wanted.extend(attention.reads());
        } else {
            wanted.extend(node.input.iter().map(String::as_str));
            wanted.extend(fold::read_around(node));
        }
    }
    (live, lowered)
}

impl<'a> Compiler<'a> {
    fn new(info: &'a Info, weights: &'a Weights) -> Self {
        let length = |fixed: Option<usize>, free: Length| match fixed {
            Some(n) => Length::of(n as i64),
            None => free,
        };
        Self {
            info,
            timed: info.form.is_sequence(),
            values: BTreeMap::new(),
            rows: vec![],
            batch: vec![],
            begin: vec![],
            body: vec![],
            end: vec![],
            carries: vec![],
            captures: vec![],
            weights,
            turned: BTreeMap::new(),
            b: length(info.batch, Length::batch()),
            t: length(info.seq_len, Length::time()),
            width: 0,
        }
    }

    /// A new register, and a view of all of it.
    fn register(&mut self, phase: Phase, elem: Elem, width: usize) -> Result<View, String> {
        self.width = self.width.saturating_add(width);
        if width == 0 || self.width > MAX_WIDTH {
            return Err(format!("{width} values a row are none, or too many"));
        }
        let file = if phase == Phase::Rows {
            &mut self.rows
        } else {
            &mut self.batch
        };
        file.push(Register { elem, width });
        Ok(View {
            reg: file.len() - 1,
            offset: 0,
            width,
        })
    }

    fn emit(&mut self, phase: Phase, instr: Instr) {
        match phase {
            Phase::Begin => self.begin.push(instr),
            Phase::Rows => self.body.push(instr),
            Phase::End => self.end.push(instr),
        }
    }

    /// A flow like `like` of other dimensions, in a register of its own.
    fn result(&mut self, like: &Flow, elem: Elem, dims: Vec<usize>) -> Result<Flow, String> {
        let width = volume(&dims).ok_or("too many values a row")?;
        Ok(Flow {
            at: self.register(like.phase, elem, width)?,
            elem,
            dims,
            ..like.clone()
        })
    }

    fn input(&mut self, name: &'a str) -> Result<Port, String> {
        let state = self.info.states.iter().position(|s| s.input == name);
        if let Some(at) = state {
            let dims = self.info.states[at].shape.clone();
            let phase = if self.timed {
                Phase::Begin
            } else {
                Phase::Rows
            };
            let flow = self.input_flow(name, phase, Elem::F32, dims)?;
            return Ok(Port::State(at, flow.at));
        }
        match name {
            LENGTHS => {
                let ends = Value::Ends {
                    offsets: vec![0],
                    dims: None,
                };
                self.values.insert(name, ends);
                Ok(Port::Lengths)
            }
            RESET => {
                let flow = self.input_flow(name, Phase::Rows, Elem::Bool, vec![])?;
                Ok(Port::Reset(flow.at))
            }
            _ => {
                let (elem, dims) = match self.info.input {
                    InputSpec::Tokens { .. } => (Elem::I64, vec![]),
                    InputSpec::Features { width } => (Elem::F32, vec![width]),
                };
                let flow = self.input_flow(name, Phase::Rows, elem, dims)?;
                Ok(Port::Data(flow.at))
            }
        }
    }

    fn input_flow(
        &mut self,
        name: &'a str,
        phase: Phase,
        elem: Elem,
        dims: Vec<usize>,
    ) -> Result<Flow, String> {
        let width = volume(&dims).ok_or("too many values a row")?;
        let flow = Flow {
            phase,
            elem,
            at: self.register(phase, elem, width)?,
            dims,
            extent: (self.timed && phase == Phase::Rows).then(|| self.t.clone()),
        };
        self.values.insert(name, Value::Flow(flow.clone()));
        Ok(flow)
    }

    fn output(&mut self, name: &str) -> Result<Port, String> {
        let Some(Value::Flow(flow)) = self.values.get(name).cloned() else {
            return Err("is no tensor of the batch".into());
        };
        let state = self.info.states.iter().position(|s| s.output == name);
        let dims = match state {
            Some(at) => self.info.states[at].shape.clone(),
            None => vec![self.info.output.width],
        };
        let each = state.is_none() && self.info.head == Head::PerStep;
        let phase = if !self.timed || each {
            Phase::Rows
        } else {
            Phase::End
        };
        let extent = (self.timed && each).then(|| self.t.clone());
        if flow.elem != Elem::F32
            || flow.dims != dims
            || flow.phase != phase
            || flow.extent != extent
        {
            let (have, at, phase) = (&flow.dims, flow.phase.words(), phase.words());
            return Err(format!("is {have:?} {at}, not {dims:?} {phase}"));
        }
        Ok(match state {
            Some(at) => Port::State(at, flow.at),
            None => Port::Data(flow.at),
        })
    }

    fn node(&mut self, node: &'a NodeProto) -> Result<(), String> {
        if let Some(constant) = self.folded(node)? {
            self.values.insert(&node.output[0], constant);
            return Ok(());
        }
        let results = match operator::meaning(&node.op_type) {
            Meaning::Unary(op) => self.unary(node, op),
            Meaning::Binary(op) => self.arithmetic(node, op),
            Meaning::Reduce(op) => self.reduce(node, op),
            Meaning::Identity => self.identity(node),
            Meaning::Shape => self.shape(node),
            Meaning::MatMul => self.matmul(node),
            Meaning::MatMulInteger => self.matmul_integer(node),
            Meaning::Conv => self.conv(node),
            Meaning::Gather => self.gather(node),
            Meaning::GatherElements => self.gather_elements(node),
            Meaning::Cast => self.cast(node),
            Meaning::Split => self.split(node),
            Meaning::Slice => self.slice(node),
            Meaning::Concat => self.concat(node),
            Meaning::Squeeze => self.squeeze(node),
            Meaning::Expand => self.expand(node),
            Meaning::Tile => self.tile(node),
            Meaning::Reshape => self.reshape(node),
            Meaning::Transpose => self.transpose(node),
            Meaning::CumSum => self.sums(node),
            Meaning::Scan => self.fold(node),
            Meaning::Unknown => Err(format!("operator `{}`", node.op_type)),
        }?;
        let names = node.output.iter().filter(|o| !o.is_empty());
        if results.len() != names.clone().count() {
            return Err(format!("{} has other outputs", node.op_type));
        }
        for (name, value) in names.zip(results) {
            self.values.insert(name, value);
        }
        Ok(())
    }

    fn identity(&mut self, node: &'a NodeProto) -> Outcome<'a> {
        Ok(vec![self.operand(node, 0)?])
    }

    /// The value of the node's input `at`.
    fn operand(&self, node: &NodeProto, at: usize) -> Result<Value<'a>, String> {
        let name = node.input.get(at).map_or("", String::as_str);
        let value = self.values.get(name);
        value
            .cloned()
            .ok_or_else(|| format!("{} of nothing known", node.op_type))
    }

    fn flow(&self, node: &NodeProto, at: usize) -> Result<Flow, String> {
        match self.operand(node, at)? {
            Value::Flow(flow) => Ok(flow),
            other => Err(format!("{} of {}", node.op_type, other.kind())),
        }
    }

    fn constant(&self, node: &NodeProto, at: usize) -> Result<Rc<Constant<'a>>, String> {
        match self.operand(node, at)? {
            Value::Const(constant) => Ok(constant),
            other => Err(format!(
                "{} by {}, not by a constant",
                node.op_type,
                other.kind()
            )),
        }
    }
}

/// An attribute that holds one integer.
fn int(node: &NodeProto, name: &str) -> Option<i64> {
    attribute(node, name).map(|a| a.i)
}

fn attribute<'p>(node: &'p NodeProto, name: &str) -> Option<&'p AttributeProto> {
    node.attribute.iter().find(|a| a.name == name)
}

/// `axis` of a tensor of that rank, counted from the front.
fn axis_of(axis: i64, rank: usize) -> Result<usize, String> {
    let from_front = if axis < 0 { axis + rank as i64 } else { axis };
    match usize::try_from(from_front) {
        Ok(at) if at < rank => Ok(at),
        _ => Err(format!("axis {axis} of a tensor of rank {rank}")),
    }
}

fn volume(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d))
}
