//! Finds attention over a window among the nodes of a file, as minrnn's exporter writes it, and makes one instruction of it. Every node and
//! every number between its arguments and its result is looked at: what is anything else stays what it is.

use std::collections::BTreeMap;

use crate::engine::constant::Constant;
use crate::engine::instr::{Carry, Instr, Past, Start};
use crate::engine::length::Length;
use crate::engine::value::{Elem, Flow, Phase, Value};
use crate::proto::{DataType, GraphProto, NodeProto, TensorProto};

use super::{Compiler, attribute, int};

/// What makes the weight of a row 0.
const HIDDEN: f32 = -1e30;

/// Names of what an attention reads.
#[derive(Debug, Clone)]
pub(super) struct Attention<'a> {
    /// With the factor of scores.
    q: &'a str,
    kv: &'a str,
    n: &'a str,
    past: &'a str,
    heads: usize,
    lag: usize,
    /// Where tables of places are cut: at T and at lag + T.
    ends: Option<[&'a str; 2]>,
    /// Places in these tables, where they are not cut.
    fixed: Option<usize>,
}

impl<'a> Attention<'a> {
    /// All that it reads.
    pub(super) fn reads(&self) -> impl Iterator<Item = &'a str> {
        let ends = self.ends.into_iter().flatten();
        [self.q, self.kv, self.n, self.past].into_iter().chain(ends)
    }
}

/// The attentions of a graph, by the node that gives the result.
pub(super) fn find(graph: &GraphProto) -> BTreeMap<usize, Attention<'_>> {
    let makers = graph.node.iter().enumerate();
    let made = makers.flat_map(|(at, n)| n.output.iter().map(move |o| (o.as_str(), at)));
    let constants = graph.initializer.iter().map(|t| (t.name.as_str(), t));
    let nodes = Nodes {
        all: &graph.node,
        made: made.collect(),
        constants: constants.collect(),
    };
    // There is none without the operator.
    if !graph.node.iter().any(|n| n.op_type == "Softmax") {
        return BTreeMap::new();
    }
    let found = (0..graph.node.len()).map(|at| (at, nodes.attention(at)));
    found.filter_map(|(at, a)| Some((at, a?))).collect()
}

struct Nodes<'a> {
    all: &'a [NodeProto],
    made: BTreeMap<&'a str, usize>,
    constants: BTreeMap<&'a str, &'a TensorProto>,
}

impl<'a> Nodes<'a> {
    /// The node that makes a value, if it is such an operator.
    fn by(&self, name: &str, op: &str) -> Option<&'a NodeProto> {
        let node = &self.all[*self.made.get(name)?];
        (node.op_type == op).then_some(node)
    }

    /// Its two arguments.
    fn two(&self, name: &str, op: &str) -> Option<[&'a str; 2]> {
        match &self.by(name, op)?.input[..] {
            [a, b] => Some([a, b]),
            _ => None,
        }
    }

    /// What is laid out in that order of axes.
    fn turned(&self, name: &str, order: &[i64]) -> Option<&'a str> {
        let node = self.by(name, "Transpose")?;
        let perm = &attribute(node, "perm")?.ints;
        (perm == order).then(|| node.input[0].as_str())
    }

    fn ints(&self, name: &str) -> Option<Vec<i64>> {
        Constant::of(self.constants.get(name)?)?.i64s()
    }

    fn floats(&self, name: &str) -> Option<(Vec<usize>, Vec<f32>)> {
        let constant = Constant::of(self.constants.get(name)?)?;
        let values = constant.f32s().filter(|_| constant.elem == Elem::F32)?;
        Some((constant.dims.clone(), values.into_owned()))
    }

    fn is(&self, name: &str, number: f32) -> bool {
        self.floats(name).is_some_and(|(_, v)| v == [number])
    }

    /// What is cut into such dimensions, of a node whose numbers are constants.
    fn cut(&self, name: &str) -> Option<(&'a str, Vec<i64>)> {
        let [x, dims] = self.two(name, "Reshape")?;
        Some((x, self.ints(dims)?))
    }

    /// With a new axis at `axis`.
    fn widened(&self, name: &str, axis: i64) -> Option<&'a str> {
        let [x, axes] = self.two(name, "Unsqueeze")?;
        (self.ints(axes)? == [axis]).then_some(x)
    }

    fn attention(&self, at: usize) -> Option<Attention<'a>> {
        let result = self.all[at].output.first()?;
        let (y, dims) = self.cut(result)?;
        let (timed, y, d) = match dims[..] {
            [0, 0, d] => (true, self.turned(y, &[0, 2, 1, 3])?, d),
            [0, d] => (false, y, d),
            _ => return None,
        };
        let [weights, v] = self.two(y, "MatMul")?;
        let softmax = self.by(weights, "Softmax")?;
        let last = int(softmax, "axis").unwrap_or(-1) == -1;
        let [scores, hidden] = self.two(&softmax.input[0], "Add")?;
        let [q, k] = self.two(scores, "MatMul")?;
        let (k, shape) = self.cut(self.turned(k, &[0, 2, 3, 1])?)?;
        let (v, same) = self.cut(self.turned(v, &[0, 2, 1, 3])?)?;
        let [0, 0, h, p] = shape[..] else { return None };
        let (q, of_q) = match timed {
            true => self.cut(self.turned(q, &[0, 2, 1, 3])?)?,
            false => self.cut(q)?,
        };
        let wanted = if timed { [0, 0, h, p] } else { [0, h, 1, p] };
        if !last || same != shape || of_q != wanted || h < 1 || h.checked_mul(p) != Some(d) {
            return None;
        }
        let [past, kv] = self.window(k, v, timed)?;
        let hidden = self.two(self.widened(hidden, 1)?, "Mul")?;
        let cast = self.by(hidden[0], "Cast")?;
        if !self.is(hidden[1], HIDDEN) || int(cast, "to") != Some(DataType::Float as i64) {
            return None;
        }
        let mut found = Attention {
            q,
            kv,
            n: "",
            past,
            heads: usize::try_from(h).ok()?,
            lag: 0,
            ends: None,
            fixed: None,
        };
        match timed {
            true => self.steps(&cast.input[0], &mut found)?,
            false => self.step(&cast.input[0], &mut found)?,
        }
        Some(found)
    }

    /// The past and the present rows of which k and v are the halves.
    fn window(&self, k: &str, v: &str, timed: bool) -> Option<[&'a str; 2]> {
        let split = self.by(k, "Split")?;
        let halves = split.output.len() == 2 && split.output[0] == k && split.output[1] == v;
        if !halves || int(split, "axis") != Some(2) || attribute(split, "split").is_some() {
            return None;
        }
        if split.input.len() > 1 {
            return None;
        }
        let concat = self.by(&split.input[0], "Concat")?;
        let ([past, kv], Some(1)) = (&concat.input[..], int(concat, "axis")) else {
            return None;
        };
        match timed {
            true => Some([past, kv]),
            false => Some([past, self.widened(kv, 1)?]),
        }
    }

    /// `n - 1`
    fn before(&self, name: &str) -> Option<&'a str> {
        let [n, one] = self.two(name, "Add")?;
        self.is(one, -1.0).then_some(n)
    }

    /// Of a step: rows older than n - 1 are hidden.
    fn step(&self, hidden: &str, found: &mut Attention<'a>) -> Option<()> {
        let [before, ages] = self.two(hidden, "Less")?;
        found.n = self.before(self.widened(before, 2)?)?;
        let (dims, ages) = self.floats(ages)?;
        found.lag = ages.len().checked_sub(1)?;
        let down = ages.iter().rev().enumerate();
        let right = dims == [1, 1, ages.len()] && down.clone().all(|(i, a)| *a == i as f32);
        right.then_some(())
    }

    /// Of a sequence: those after the step too, and those beyond the window.
    fn steps(&self, hidden: &str, found: &mut Attention<'a>) -> Option<()> {
        let [late, early] = self.two(hidden, "Or")?;
        let [ages, zero] = self.two(late, "Less")?;
        let [before, same] = self.two(early, "Less")?;
        let [n, most] = self.two(before, "Min")?;
        let [rows, columns] = self.two(ages, "Sub")?;
        if ages != same || !self.is(zero, 0.0) {
            return None;
        }
        found.n = self.before(n)?;
        let (_, most) = self.floats(most)?;
        let ([most], [rows, columns]) = (&most[..], [(rows, 1), (columns, 2)]) else {
            return None;
        };
        found.lag = *most as usize;
        let (rows, columns) = (self.places(rows, 0.0)?, self.places(columns, -most)?);
        if rows.1 + found.lag != columns.1 || found.lag as f32 != *most {
            return None;
        }
        match (rows.0, columns.0) {
            (Some(rows), Some(columns)) => found.ends = Some([rows, columns]),
            (None, None) => found.fixed = Some(rows.1),
            _ => return None,
        }
        Some(())
    }

    /// A table of places from `first` on along an axis: where it is cut, and how many it has.
    fn places(
        &self,
        (name, axis): (&'a str, usize),
        first: f32,
    ) -> Option<(Option<&'a str>, usize)> {
        let (table, end) = match self.by(name, "Slice") {
            None => (name, None),
            Some(slice) => {
                let [x, start, end, axes] = &slice.input[..] else {
                    return None;
                };
                if self.ints(start)? != [0] || self.ints(axes)? != [axis as i64] {
                    return None;
                }
                (x.as_str(), Some(end.as_str()))
            }
        };
        let (dims, values) = self.floats(table)?;
        let mut wanted = [1; 3];
        wanted[axis] = values.len();
        let up = values
            .iter()
            .enumerate()
            .all(|(i, v)| *v == first + i as f32);
        (up && dims == wanted).then_some((end, values.len()))
    }
}

impl<'a> Compiler<'a> {
    /// The attention in the place of `node`.
    pub(super) fn attention(
        &mut self,
        node: &'a NodeProto,
        found: &Attention<'a>,
    ) -> Result<(), String> {
        let known = |name: &str| match self.values.get(name) {
            Some(Value::Flow(flow)) if flow.elem == Elem::F32 => Ok(flow.clone()),
            _ => Err(format!("`{name}` is no tensor of the batch")),
        };
        let (q, kv) = (known(found.q)?, known(found.kv)?);
        let (n, past) = (known(found.n)?, known(found.past)?);
        let d = q.width();
        let rows = |f: &Flow, dims: &[usize]| {
            f.phase == Phase::Rows && f.dims == dims && f.extent == q.extent
        };
        let window = [found.lag, 2 * d];
        let held = match self.timed {
            true => past.phase == Phase::Begin && past.dims == window,
            false => rows(&past, &window),
        };
        if !rows(&q, &[d]) || !rows(&kv, &window[1..]) || !rows(&n, &[1]) || !held {
            return Err("an attention over other shapes".into());
        }
        self.seen_to_the_end(&q, found)?;
        let scores = self.register(Phase::Rows, Elem::F32, found.lag + 1)?;
        let past = if self.timed {
            self.carries.push(Carry {
                steps: found.lag,
                start: Start::View(past.at),
            });
            Past::Carry(self.carries.len() - 1)
        } else {
            Past::View(past.at)
        };
        let y = self.result(&q, Elem::F32, vec![d])?;
        let instr = Instr::Attend {
            q: q.at,
            kv: kv.at,
            n: n.at,
            past,
            heads: found.heads,
            scores: scores.reg,
            out: y.at.reg,
        };
        self.emit(Phase::Rows, instr);
        self.values.insert(&node.output[0], Value::Flow(y));
        Ok(())
    }

    /// That places are those of all steps.
    fn seen_to_the_end(&self, q: &Flow, found: &Attention<'a>) -> Result<(), String> {
        let Some(extent) = &q.extent else {
            return Ok(());
        };
        let long = extent.plus(&Length::of(found.lag as i64))?;
        let is = |name: &str, wanted: &Length| match self.values.get(name) {
            Some(Value::Ints(ints)) => ints[..] == [wanted.clone()],
            _ => false,
        };
        let right = match (found.ends, found.fixed) {
            (Some([rows, columns]), _) => is(rows, extent) && is(columns, &long),
            (None, Some(count)) => extent.number() == Some(count as i64),
            (None, None) => false,
        };
        match right {
            true => Ok(()),
            false => Err("an attention over other steps than the sequence's".into()),
        }
    }
}
