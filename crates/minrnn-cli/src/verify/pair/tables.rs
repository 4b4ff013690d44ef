//! Tables that integers choose rows of: which integers they have rows for.

use minrnn_onnx::ir::{self, Graph, Node};

use super::file::GraphFile;

/// Operators through which integers stay what they are, or become others that are not followed by number.
const MOVES: [&str; 18] = [
    "Abs",
    "Cast",
    "Ceil",
    "Concat",
    "Expand",
    "Flatten",
    "Floor",
    "Identity",
    "Max",
    "Mul",
    "Pad",
    "Reshape",
    "Round",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// Those through which numbers stay the same, but for being cut to integers.
const SAME: [&str; 12] = [
    "Cast",
    "Concat",
    "Expand",
    "Flatten",
    "Gather",
    "Identity",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// Operators that bring integers within a table.
const GUARDS: [&str; 4] = ["Clip", "Min", "Mod", "Where"];

/// How many integers past a table are tried where a file brings them within it.
const PAST: i64 = 3;

/// Integers far beyond any table: what a narrower type, or a float, on the way to the table makes others of.
const LARGE: [i64; 5] = [
    (1 << 30) + 3,
    (1 << 31) + 5,
    (1 << 33) + 7,
    10_000_000_000,
    (1 << 53) + 1,
];

/// A table that an input chooses rows of.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// So many integers, from 0 on, have a row.
    pub(super) rows: usize,
    /// The rows that were chosen.
    pub(super) result: String,
    /// Whether integers are brought within it before.
    pub(super) guarded: bool,
    /// Whether a part of the input alone chooses them: a column of features.
    pub(super) part: bool,
    /// Whether numbers are rounded to integers, or are others, on the way.
    pub(super) changed: bool,
}

/// What integers come of: an input, changed by steps.
#[derive(Debug, Clone, Default)]
struct Way {
    steps: Vec<Step>,
    guarded: bool,
    part: bool,
    changed: bool,
}

/// Arithmetic with one number.
#[derive(Debug, Clone, Copy)]
enum Step {
    Times(f64),
    Plus(f64),
    Over(f64),
}

impl Way {
    /// How many integers from 0 on come to less than `rows`.
    fn below(&self, rows: usize) -> usize {
        let back = |below: f64, step: &Step| match *step {
            Step::Times(n) => (below / n).ceil(),
            Step::Plus(n) => below - n,
            Step::Over(n) => below * n,
        };
        let all = self.steps.iter().rev().fold(rows as f64, back);
        if all.is_finite() {
            all.max(0.0) as usize
        } else {
            0
        }
    }
}

/// Integers that are tried by themselves: all of a range, or a few of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Aside {
    pub(crate) kind: Beyond,
    pub(crate) low: i64,
    pub(crate) high: i64,
    /// Empty: all.
    pub(crate) only: Vec<i64>,
}

/// What integers are beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beyond {
    /// The smaller of two tables.
    Table,
    /// Nothing: they count rows from the end of a table.
    Zero,
    /// What a narrow type holds.
    Types,
}

impl GraphFile {
    /// The table that says which integers an input takes: the smallest one that nothing brings them within, else the largest one.
    pub(super) fn table(&self, input: &str) -> Option<Table> {
        let all = self.tables(input);
        let free = all.iter().filter(|t| !t.guarded).min_by_key(|t| t.rows);
        free.or(all.iter().max_by_key(|t| t.rows)).cloned()
    }

    /// The tables that integers of this input choose from, following them through nodes that only move values, and through arithmetic
    /// with one number.
    pub(super) fn tables(&self, input: &str) -> Vec<Table> {
        let graph = &self.model.graph;
        let mut ways = vec![(input, Way::default())];
        let mut tables = vec![];
        for node in &graph.nodes {
            let read = |i: usize| {
                let name = node.inputs.get(i).filter(|n| !n.is_empty())?;
                let known = ways.iter().find(|(m, _)| m == name);
                known.map(|(_, way)| way.clone())
            };
            let op = node.op_type.as_str();
            if op == "Gather"
                && node.int("axis").unwrap_or(0) == 0
                && let Some(way) = read(1)
            {
                let rows = rows(graph, &node.inputs[0]).filter(|n| way.below(*n) > 0);
                tables.extend(rows.map(|rows| Table {
                    rows: way.below(rows),
                    result: node.outputs[0].clone(),
                    guarded: way.guarded,
                    part: way.part,
                    changed: way.changed,
                }));
                continue;
            }
            // Of `Where(n < 0, n + rows, n)`: the plain ones.
            let all = (0..node.inputs.len()).filter_map(|i| Some((i, read(i)?)));
            let any = all.min_by_key(|(_, way)| way.steps.len());
            if let Some(way) = any.and_then(|(at, way)| through(graph, node, at, way)) {
                let outputs = node.outputs.iter();
                ways.extend(outputs.map(|o| (o.as_str(), way.clone())));
            }
        }
        tables
    }
}

/// What integers are behind a node that reads them as its input `at`; `None`: something else.
fn through(graph: &Graph, node: &Node, at: usize, mut way: Way) -> Option<Way> {
    let op = node.op_type.as_str();
    let other = node
        .inputs
        .get(1 - at.min(1))
        .and_then(|n| number(graph, n));
    let other = other.filter(|_| at < 2);
    match (op, other) {
        ("Mul", Some(n)) if n > 0.0 => way.steps.push(Step::Times(n)),
        ("Div", Some(n)) if n > 0.0 && at == 0 => way.steps.push(Step::Over(n)),
        ("Add", Some(n)) => way.steps.push(Step::Plus(n)),
        ("Sub", Some(n)) if at == 0 => way.steps.push(Step::Plus(-n)),
        // A part of the input.
        ("Gather", _) if at == 0 => way.part = true,
        ("Clip", _) => {
            let most = node.inputs.get(2).is_some_and(|n| !n.is_empty());
            way.guarded |= most || node.attr("max").is_some();
        }
        _ if GUARDS.contains(&op) => way.guarded = true,
        _ if MOVES.contains(&op) => {}
        _ => return None,
    }
    way.part |= ["Slice", "Split"].contains(&op);
    way.changed |= !SAME.contains(&op);
    Some(way)
}

/// A constant of one number.
fn number(graph: &Graph, name: &str) -> Option<f64> {
    let constant = graph.initializers.iter().find(|t| t.name == name);
    let made = || {
        let makes = |n: &&Node| n.op_type == "Constant" && n.outputs.iter().any(|o| o == name);
        match graph.nodes.iter().find(makes)?.attr("value")? {
            ir::Attr::Tensor(t) => Some(t),
            _ => None,
        }
    };
    let constant = constant.or_else(made)?;
    let floats = || Some(constant.to_f32()?.into_iter().map(f64::from).collect());
    let ints = || Some(constant.to_i64()?.into_iter().map(|n| n as f64).collect());
    let all: Vec<f64> = ints().or_else(floats)?;
    match all[..] {
        [one] if one.is_finite() => Some(one),
        _ => None,
    }
}

/// Rows of a constant of the graph.
fn rows(graph: &Graph, name: &str) -> Option<usize> {
    let rows = |dims: &[i64]| usize::try_from(*dims.first()?).ok();
    if let Some(t) = graph.initializers.iter().find(|t| t.name == name) {
        return rows(&t.dims);
    }
    let makes = |n: &&Node| n.outputs.iter().any(|o| o == name);
    let node = graph.nodes.iter().find(makes)?;
    match (node.op_type.as_str(), node.attr("value")) {
        ("Constant", Some(ir::Attr::Tensor(t))) => rows(&t.dims),
        // A table of narrow numbers.
        ("DequantizeLinear" | "Cast" | "Identity", _) => self::rows(graph, node.inputs.first()?),
        _ => None,
    }
}

/// Integers to be tried by themselves: past the smaller table, where a file has something for them (what stands in the larger one, and what
/// is brought within); those below 0, which count rows from the end; and very large ones, where both files bring all within their tables.
pub(super) fn aside(tables: [&[Table]; 2], table: [Option<&Table>; 2]) -> Vec<Aside> {
    let [Some(a), Some(b)] = table else {
        return vec![];
    };
    let (least, most) = (a.rows.min(b.rows) as i64, a.rows.max(b.rows) as i64);
    let all = || tables.into_iter().flatten();
    let of = |kind, low, high, only: &[i64]| Aside {
        kind,
        low,
        high,
        only: only.to_vec(),
    };
    let mut found = vec![];
    if least < most {
        found.push(of(Beyond::Table, least, most - 1, &[]));
    }
    if a.guarded || b.guarded {
        found.push(of(Beyond::Table, most, most + PAST - 1, &[]));
    }
    // Of tables of unequal size, one is filled up with rows that nothing means: its end is another.
    if least == most && least > 0 {
        // One that a file refuses hides no other: each has a run of its own.
        for n in [-1, (-2).max(-least), -least, -least - 1] {
            if !found.iter().any(|a| a.low == n) {
                found.push(of(Beyond::Zero, n, n, &[]));
            }
        }
    }
    if all().next().is_some() && all().all(|t| t.guarded) {
        found.push(of(Beyond::Types, LARGE[0], LARGE[LARGE.len() - 1], &LARGE));
    }
    found
}
