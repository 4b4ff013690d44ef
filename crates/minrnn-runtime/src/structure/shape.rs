//! The shape of every tensor of a graph, for one batch and one length, before anything is run: a shape that no model has is
//! refused here, where it is a few numbers, and not in the engine, where it is an allocation that ends the process.
//!
//! Shapes of exports depend on the sizes of the inputs alone, never on their values, so all of them are known numbers.

mod element;
mod layout;
mod make;
mod part;
mod product;
mod scan;

use crate::proto::{DataType, Dimension, GraphProto, NodeProto, TensorProto, ValueInfoProto};

use super::operator;
use super::tensor;
use crate::contract::{BATCH, SEQ_LEN};
use crate::error::Breach;
use crate::info::{Form, Info, Recurrence};
use crate::metadata::short;
use crate::names::ByName;

/// Dimensions of a tensor.
const MAX_RANK: usize = 8;
/// Size of one dimension: far above any, and far below where sums and signs go wrong. Holds for every fact.
const MAX_DIM: usize = 1 << 40;
/// Numbers of a constant that are followed; longer ones are no shapes.
const MAX_CONTENT: usize = 64;
/// Bytes more for each byte of the file: weights are made wider, transposed, cut.
const BYTES_PER_BYTE: u64 = 8;
/// Operations for each byte of memory that a graph may ask for.
const WORK_PER_MEMORY: u64 = 16;
/// Operations more for each byte of the file: a weight is used once for each row of a block.
const WORK_PER_BYTE: u64 = 64;
/// Rows times steps from which on the limits grow in proportion.
const FEW: u64 = 8;
/// How much more than in proportion a longer call may use.
const GROWTH: u64 = 4;
/// Of so few bytes or operations no call makes much.
const SMALL: u64 = 1 << 16;
/// What a value costs that is more than a multiplication.
const FUNCTION: u64 = 4;

/// How an operator makes its shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Unary,
    Same,
    Arithmetic,
    Compare,
    Logic,
    Where,
    Clip,
    Cast,
    Softmax,
    LayerNorm,
    Reduce,
    Shape,
    Constant,
    Fill,
    Expand,
    Reshape,
    Squeeze,
    Unsqueeze,
    Transpose,
    Pad,
    Concat,
    Slice,
    Split,
    Gather,
    GatherElements,
    MatMul,
    MatMulInteger,
    Gemm,
    Scan,
}

/// What is known of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    elem: DataType,
    dims: Vec<usize>,
    /// The numbers of a short integer tensor that is a number or a vector.
    ints: Option<Vec<i64>>,
}

type Found = Result<Vec<Fact>, String>;
type Facts<'a> = ByName<&'a str, Fact>;

/// A node and what it gets.
struct Call<'a> {
    node: &'a NodeProto,
    inputs: Vec<Option<&'a Fact>>,
    opset: i64,
}

/// What a graph asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Use {
    /// Bytes of the tensors that exist now, if each is given back after its last reader.
    now: u64,
    /// Most that existed at once.
    pub(crate) bytes: u64,
    /// Multiplications and what costs as much.
    pub(crate) work: u64,
}

/// What a short call makes of the graph.
pub(crate) struct Probe<'a> {
    pub(crate) batch: usize,
    pub(crate) time: usize,
    pub(crate) sizes: Sizes<'a>,
    used: Use,
}

impl Probe<'_> {
    /// What it used, and how many rows times steps that were.
    pub(crate) fn short(&self) -> (Use, u64) {
        (self.used, cells(self.batch, self.time))
    }
}

/// The shapes of all tensors of the main graph, and the numbers that shapes are made of.
pub(crate) struct Sizes<'a>(Facts<'a>);

impl Sizes<'_> {
    pub(crate) fn dims(&self, name: &str) -> Option<&[usize]> {
        self.0.get(name).map(|f| f.dims.as_slice())
    }

    pub(crate) fn ints(&self, name: &str) -> Option<&[i64]> {
        self.0.get(name).and_then(|f| f.ints.as_deref())
    }
}

/// The part of a graph that makes its shapes: everything but the weights' values.
#[derive(Debug, Clone)]
pub(crate) struct Shapes {
    graph: GraphProto,
    readers: Readers,
    opset: i64,
    /// Bytes of the file and of those beside it.
    size: u64,
    /// Bytes that the tensors of a short call may take at once, beyond what comes with the size.
    memory: u64,
    /// What a short call uses, and how many rows times steps that were.
    short: Option<(Use, u64)>,
}

impl Shapes {
    pub(crate) fn of(graph: &GraphProto, opset: i64, size: u64, memory: u64) -> Self {
        let bare = |t: &TensorProto| TensorProto {
            name: t.name.clone(),
            dims: t.dims.clone(),
            data_type: t.data_type,
            int64_data: known(t).unwrap_or_default(),
            ..TensorProto::default()
        };
        let graph = GraphProto {
            node: graph.node.clone(),
            initializer: graph.initializer.iter().map(bare).collect(),
            input: graph.input.clone(),
            output: graph.output.clone(),
            ..GraphProto::default()
        };
        Self {
            readers: Readers::of(&graph),
            graph,
            opset,
            size,
            memory,
            short: None,
        }
    }

    /// Goes through the graph for that many rows and steps.
    ///
    /// # Errors
    /// The first node whose inputs do not fit it, whose shape depends on values, or with which the graph asks for more
    /// than a model of its size needs.
    pub(crate) fn check(&self, batch: usize, time: usize) -> Result<Use, Breach> {
        self.walk(self.short, batch, time).map(|(used, _)| used)
    }

    fn walk(
        &self,
        few: Option<(Use, u64)>,
        batch: usize,
        time: usize,
    ) -> Result<(Use, Facts<'_>), Breach> {
        let (bytes, work) = self.limits(few, cells(batch, time));
        let mut walk = Walk {
            opset: self.opset,
            bytes,
            work,
            used: Use::default(),
        };
        let mut facts = Facts::default();
        for input in &self.graph.input {
            let fact = port(input, batch, time)?;
            let place = format!("input `{}`", short(&input.name));
            walk.count(std::slice::from_ref(&fact), 0)
                .map_err(|what| Breach::new(place, what).mend(RAISE))?;
            facts.insert(&input.name, fact);
        }
        walk.graph(&self.graph, &self.readers, &mut facts, "")?;
        Ok((walk.used, facts))
    }

    /// For a short call by the size of the file. For others in proportion to it: a model computes step by step and row by
    /// row, so what grows with the square of either is none.
    fn limits(&self, short: Option<(Use, u64)>, cells: u64) -> (u64, u64) {
        if let Some((short, few)) = short {
            let times = cells.div_ceil(few).saturating_mul(GROWTH);
            return (
                short.bytes.max(SMALL).saturating_mul(times),
                short.work.max(SMALL).saturating_mul(times),
            );
        }
        let times = cells.div_ceil(FEW).max(1);
        let work = self.memory.saturating_mul(WORK_PER_MEMORY);
        (
            limit(self.memory, BYTES_PER_BYTE, self.size, times),
            limit(work, WORK_PER_BYTE, self.size, times),
        )
    }

    /// Goes through the graph once as for a short call, and holds its outputs and its recurrences to what the file says
    /// about them.
    ///
    /// # Errors
    /// As [`Shapes::check`]; an output or a tensor of a recurrence of another shape or type.
    pub(crate) fn probe(&self, info: &Info) -> Result<Probe<'_>, Breach> {
        let batch = info.batch.unwrap_or(2);
        let time = match info.form {
            Form::Step => 1,
            _ => info.seq_len.unwrap_or(info.max_seq_len.unwrap_or(3).min(3)),
        };
        let (used, facts) = self.walk(None, batch, time)?;
        for output in &self.graph.output {
            let declared = port(output, batch, time)?;
            let found = facts.get(output.name.as_str());
            let found = found.map(|f| (f.elem, &f.dims));
            if found != Some((declared.elem, &declared.dims)) {
                let place = format!("output `{}`", short(&output.name));
                let what = format!(
                    "is declared as {}, the graph makes {}",
                    declared.words(),
                    facts
                        .get(output.name.as_str())
                        .map_or("nothing".into(), Fact::words)
                );
                return Err(Breach::new(place, what));
            }
        }
        for (at, names) in info.recurrences.iter().enumerate() {
            recurrence(at, names, &facts, info, batch, time)?;
        }
        Ok(Probe {
            batch,
            time,
            sizes: Sizes(facts),
            used,
        })
    }

    /// The sizes at another length. What grows faster than in proportion to the probe is refused.
    pub(crate) fn sizes(&self, probe: &Probe, time: usize) -> Result<Sizes<'_>, Breach> {
        let walked = self.walk(Some(probe.short()), probe.batch, time)?;
        Ok(Sizes(walked.1))
    }

    /// Holds longer calls to what the probe used.
    pub(crate) fn settle(&mut self, (used, cells): (Use, u64)) {
        self.short = Some((used, cells));
    }
}

/// `a`, `b`, `h` are f32 `[batch, T, D]` (`step`: `[batch, D]`), `h0` and `h_last` `[batch, D]`.
fn recurrence(
    at: usize,
    names: &Recurrence,
    facts: &Facts,
    info: &Info,
    batch: usize,
    time: usize,
) -> Result<(), Breach> {
    let get = |name: &str| facts.get(name).filter(|f| f.elem == DataType::Float);
    let dims = |name: &str| get(name).map(|f| f.dims.as_slice());
    let Some(&[rows, width]) = dims(&names.h0).filter(|d| d[..1] == [batch]) else {
        let what = format!("{at}.h0 `{}` is no f32 [batch, D]", short(&names.h0));
        return Err(Breach::new(RECURRENCES, what));
    };
    let steps = match (dims(&names.h), info.form) {
        (Some(&[_, steps, _]), Form::Parallel | Form::Scan) => Some(steps),
        _ => None,
    };
    let padded = steps.is_some_and(|n| if info.padded { n < time } else { n != time });
    let whole: Vec<usize> = [rows].into_iter().chain(steps).chain([width]).collect();
    let rest = [("a", &names.a), ("b", &names.b), ("h", &names.h)];
    let rest = rest.map(|(key, name)| (key, name, whole.as_slice()));
    let last = [("h_last", &names.h_last, &[rows, width][..])];
    for (key, name, wanted) in rest.into_iter().chain(last) {
        if padded || dims(name) != Some(wanted) {
            let found = facts
                .get(name.as_str())
                .map_or("nothing".into(), Fact::words);
            let what = format!(
                "{at}.{key} `{}` is {found}, not f32 {wanted:?}",
                short(name)
            );
            return Err(Breach::new(RECURRENCES, what));
        }
    }
    Ok(())
}

const RAISE: &str = "if the file is to be trusted, open it with a larger Options::memory";
const RECURRENCES: &str = "metadata `minrnn.recurrences`";

fn cells(batch: usize, time: usize) -> u64 {
    (batch as u64).saturating_mul(time as u64).max(1)
}

fn limit(base: u64, each: u64, size: u64, times: u64) -> u64 {
    let one = base.saturating_add(each.saturating_mul(size));
    one.saturating_mul(times)
}

/// The numbers of a short integer tensor.
fn known(tensor: &TensorProto) -> Option<Vec<i64>> {
    let few = |d: &i64| (0..=MAX_CONTENT as i64).contains(d);
    if tensor.dims.len() > 1 || !tensor.dims.iter().all(few) {
        return None;
    }
    tensor::int64s(tensor)
}

/// What the file declares for an input.
fn port(info: &ValueInfoProto, batch: usize, time: usize) -> Result<Fact, Breach> {
    let wrong = |what: &str| Breach::new(format!("input `{}`", short(&info.name)), what);
    let Some(found) = info.tensor_type() else {
        return Err(wrong("has no tensor type"));
    };
    let dims = found.shape.iter().flat_map(|s| &s.dim).map(|d| match d {
        Dimension::Value(n) => usize::try_from(*n).ok(),
        Dimension::Param(s) if s == BATCH => Some(batch),
        Dimension::Param(s) if s == SEQ_LEN => Some(time),
        _ => None,
    });
    let dims: Option<Vec<usize>> = dims.collect();
    let elem = DataType::try_from(found.elem_type).ok();
    let (Some(dims), Some(elem)) = (dims, elem) else {
        return Err(wrong("has a dimension or a type that is not known"));
    };
    Ok(Fact::new(elem, dims))
}

/// The way through a graph.
struct Walk {
    opset: i64,
    bytes: u64,
    work: u64,
    used: Use,
}

impl Walk {
    fn graph<'a>(
        &mut self,
        graph: &'a GraphProto,
        readers: &Readers,
        facts: &mut Facts<'a>,
        path: &str,
    ) -> Result<(), Breach> {
        for data in &graph.initializer {
            let place = || format!("{path}initializer `{}`", short(&data.name));
            let fact = Fact::of(data).filter(|f| f.dims.iter().all(|d| *d <= MAX_DIM));
            let fact = fact.ok_or_else(|| Breach::new(place(), "has no known shape"))?;
            facts.insert(&data.name, fact);
        }
        for (at, node) in graph.node.iter().enumerate() {
            let place = || place(node, path);
            let found = self.node(node, facts, &place)?;
            if found.len() != node.output.len() {
                return Err(Breach::new(place(), "has another number of outputs"));
            }
            for (name, fact) in node.output.iter().zip(found) {
                facts.insert(name, fact);
            }
            for (maker, output) in readers.0.get(at).into_iter().flatten() {
                let name = graph.node[*maker].output[*output].as_str();
                let freed = facts.get(name).map_or(0, Fact::bytes);
                self.used.now = self.used.now.saturating_sub(freed);
            }
        }
        Ok(())
    }

    fn node(
        &mut self,
        node: &NodeProto,
        facts: &Facts,
        place: &dyn Fn() -> String,
    ) -> Result<Vec<Fact>, Breach> {
        let breach =
            |what: String| Breach::new(place(), format!("{}: {what}", short(&node.op_type)));
        let call = Call {
            node,
            inputs: node.input.iter().map(|i| facts.get(i.as_str())).collect(),
            opset: self.opset,
        };
        let Some(operator) = operator::find(&node.op_type) else {
            return Err(breach("is not known".into()));
        };
        let found = match operator.rule {
            Rule::Scan => scan::infer(self, &call, &place())?,
            rule => call.infer(rule).map_err(breach)?,
        };
        let work = call.work(operator.rule, &found);
        self.count(&found, work)
            .map_err(|what| breach(what).mend(RAISE))?;
        Ok(found)
    }

    /// Adds what a node asks for.
    fn count(&mut self, found: &[Fact], work: u64) -> Result<(), String> {
        let wide = |f: &&Fact| f.dims.len() > MAX_RANK || f.dims.iter().any(|d| *d > MAX_DIM);
        if let Some(fact) = found.iter().find(wide) {
            return Err(format!("makes a tensor of shape {:?}", fact.dims));
        }
        let bytes = found.iter().fold(0u64, |n, f| n.saturating_add(f.bytes()));
        self.used.now = self.used.now.saturating_add(bytes);
        self.used.bytes = self.used.bytes.max(self.used.now);
        self.used.work = self.used.work.saturating_add(work);
        if self.used.bytes > self.bytes {
            let shapes: Vec<_> = found.iter().map(|f| &f.dims).collect();
            return Err(format!(
                "with its shape {shapes:?} the graph asks for more than {} bytes at once",
                self.bytes
            ));
        }
        if self.used.work > self.work {
            let limit = self.work;
            return Err(format!(
                "with it the graph asks for more than {limit} operations"
            ));
        }
        Ok(())
    }
}

/// A node, for messages.
fn place(node: &NodeProto, path: &str) -> String {
    let label = node.output.first().map_or("", String::as_str);
    let name = if node.name.is_empty() {
        label
    } else {
        &node.name
    };
    format!("{path}node `{}`", short(name))
}

/// For each node, the results of nodes of which it is the last reader: the node that makes each, and which of its results it is.
#[derive(Debug, Clone)]
struct Readers(Vec<Vec<(usize, usize)>>);

impl Readers {
    fn of(graph: &GraphProto) -> Self {
        let mut last: ByName<&str, usize> = ByName::default();
        for (at, node) in graph.node.iter().enumerate() {
            for name in node.output.iter().chain(&node.input) {
                last.insert(name, at);
            }
        }
        let outside = graph.initializer.iter().map(|t| &t.name);
        let outside = outside.chain(graph.input.iter().map(|i| &i.name));
        for name in outside.chain(graph.output.iter().map(|o| &o.name)) {
            last.remove(name.as_str());
        }
        let mut by_node = vec![vec![]; graph.node.len()];
        for (maker, node) in graph.node.iter().enumerate() {
            for (output, name) in node.output.iter().enumerate() {
                if let Some(at) = last.get(name.as_str()) {
                    by_node[*at].push((maker, output));
                }
            }
        }
        Self(by_node)
    }
}

impl Fact {
    fn new(elem: DataType, dims: Vec<usize>) -> Self {
        Self {
            elem,
            dims,
            ints: None,
        }
    }

    /// A vector of numbers.
    fn vector(ints: Vec<i64>) -> Self {
        Self {
            elem: DataType::Int64,
            dims: vec![ints.len()],
            ints: Some(ints).filter(|i| i.len() <= MAX_CONTENT),
        }
    }

    fn of(data: &TensorProto) -> Option<Self> {
        let dims = data.dims.iter().map(|d| usize::try_from(*d).ok());
        let ints = known(data).filter(|i| i.len() as i64 == data.dims.iter().product::<i64>());
        Some(Self {
            elem: DataType::try_from(data.data_type).ok()?,
            dims: dims.collect::<Option<_>>()?,
            ints,
        })
    }

    /// For messages.
    fn words(&self) -> String {
        let elem = match self.elem {
            DataType::Float => "f32".into(),
            DataType::Double => "f64".into(),
            DataType::Float16 => "f16".into(),
            other => other.as_str_name().to_ascii_lowercase(),
        };
        format!("{elem} {:?}", self.dims)
    }

    fn with(mut self, ints: Option<Vec<i64>>) -> Self {
        let count = self.volume();
        self.ints = ints.filter(|i| i.len() as u64 == count && i.len() <= MAX_CONTENT);
        self
    }

    fn volume(&self) -> u64 {
        volume(&self.dims)
    }

    fn bytes(&self) -> u64 {
        let size = match self.elem {
            DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
            DataType::Float16 | DataType::Int16 | DataType::Uint16 => 2,
            DataType::Bool | DataType::Int8 | DataType::Uint8 => 1,
            _ => 4,
        };
        self.volume().saturating_mul(size)
    }

    fn is_float(&self) -> bool {
        matches!(
            self.elem,
            DataType::Float | DataType::Float16 | DataType::Double
        )
    }

    fn is_index(&self) -> bool {
        matches!(self.elem, DataType::Int64 | DataType::Int32)
    }
}

fn volume(dims: &[usize]) -> u64 {
    dims.iter().fold(1u64, |n, d| n.saturating_mul(*d as u64))
}

impl<'a> Call<'a> {
    fn infer(&self, rule: Rule) -> Found {
        match rule {
            Rule::Unary => element::unary(self),
            Rule::Same => element::same(self),
            Rule::Arithmetic => element::arithmetic(self),
            Rule::Compare => element::compare(self),
            Rule::Logic => element::logic(self),
            Rule::Where => element::choose(self),
            Rule::Clip => element::clip(self),
            Rule::Cast => element::cast(self),
            Rule::Softmax => product::softmax(self),
            Rule::LayerNorm => product::layer_norm(self),
            Rule::Reduce => product::reduce(self),
            Rule::Shape => make::shape(self),
            Rule::Constant => make::constant(self),
            Rule::Fill => make::fill(self),
            Rule::Expand => make::expand(self),
            Rule::Reshape => layout::reshape(self),
            Rule::Squeeze => layout::squeeze(self),
            Rule::Unsqueeze => layout::unsqueeze(self),
            Rule::Transpose => layout::transpose(self),
            Rule::Pad => layout::pad(self),
            Rule::Concat => part::concat(self),
            Rule::Slice => part::slice(self),
            Rule::Split => part::split(self),
            Rule::Gather => part::gather(self),
            Rule::GatherElements => part::gather_elements(self),
            Rule::MatMul => product::matmul(self),
            Rule::MatMulInteger => product::matmul_integer(self),
            Rule::Gemm => product::gemm(self),
            Rule::Scan => Err("is no single operation".into()),
        }
    }

    /// Multiplications of a product; one for each value elsewhere.
    fn work(&self, rule: Rule, found: &[Fact]) -> u64 {
        let values = found.iter().fold(0u64, |n, f| n.saturating_add(f.volume()));
        let inner = match (rule, self.inputs.first()) {
            (Rule::MatMul | Rule::MatMulInteger, Some(Some(x))) => x.dims.last().copied(),
            (Rule::Gemm, Some(Some(x))) => x.dims.iter().max().copied(),
            _ => None,
        };
        let read = self.inputs.iter().flatten().map(|f| f.volume());
        let read = read.fold(0u64, u64::saturating_add);
        let each = match rule {
            Rule::Unary | Rule::Softmax => FUNCTION,
            _ => inner.unwrap_or(1) as u64,
        };
        values.saturating_mul(each).saturating_add(read)
    }

    fn get(&self, at: usize) -> Result<&'a Fact, String> {
        let found = self.inputs.get(at).copied().flatten();
        found.ok_or_else(|| format!("input {at} is missing"))
    }

    /// The input at `at`, if it is there.
    fn option(&self, at: usize) -> Option<&'a Fact> {
        self.inputs.get(at).copied().flatten()
    }

    /// The numbers of the vector at `at`.
    fn ints(&self, at: usize) -> Result<&'a [i64], String> {
        let fact = self.get(at)?;
        if fact.dims.len() != 1 || !fact.is_index() {
            return Err(format!("input {at} is no vector of integers"));
        }
        let what = || format!("input {at} depends on values, which no shape may");
        fact.ints.as_deref().ok_or_else(what)
    }

    fn int(&self, name: &str) -> Option<i64> {
        let mut all = self.node.attribute.iter();
        all.find(|a| a.name == name).map(|a| a.i)
    }

    fn flag(&self, name: &str, default: bool) -> Result<bool, String> {
        match self.int(name).unwrap_or(i64::from(default)) {
            0 => Ok(false),
            1 => Ok(true),
            n => Err(format!("{name} is {n}, not 0 or 1")),
        }
    }

    fn list(&self, name: &str) -> Option<&'a [i64]> {
        let mut all = self.node.attribute.iter();
        all.find(|a| a.name == name).map(|a| a.ints.as_slice())
    }

    fn axis(&self, default: i64, rank: usize) -> Result<usize, String> {
        axis(self.int("axis").unwrap_or(default), rank)
    }

    fn one(&self, elem: DataType, dims: Vec<usize>) -> Found {
        Ok(vec![Fact::new(elem, dims)])
    }
}

/// An axis of a tensor of that rank; negative ones count from the end.
pub(crate) fn axis(at: i64, rank: usize) -> Result<usize, String> {
    let found = if at < 0 {
        at.checked_add(rank as i64)
    } else {
        Some(at)
    };
    let found = found
        .and_then(|a| usize::try_from(a).ok())
        .filter(|a| *a < rank);
    found.ok_or_else(|| format!("there is no axis {at} in {rank} dimensions"))
}

/// Some axes, each once.
fn axes(at: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    if at.len() > rank {
        return Err(format!("{} axes of {rank} dimensions", at.len()));
    }
    let mut found: Vec<usize> = at
        .iter()
        .map(|a| axis(*a, rank))
        .collect::<Result<_, _>>()?;
    found.sort_unstable();
    if found.windows(2).any(|w| w[0] == w[1]) {
        return Err(format!("axes {at:?} name one twice"));
    }
    Ok(found)
}

/// The shape that both are repeated to.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], i: usize| match (i + dims.len()).checked_sub(rank) {
        Some(i) => dims[i],
        None => 1,
    };
    let dims = (0..rank).map(|i| match (at(a, i), at(b, i)) {
        (x, y) if x == y => Ok(x),
        (1, y) => Ok(y),
        (x, 1) => Ok(x),
        _ => Err(format!("shapes {a:?} and {b:?} do not fit")),
    });
    dims.collect()
}
