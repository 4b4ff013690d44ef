//! Tables that integers choose rows of: how many there are, what stands in them, and what lies past them.

use std::collections::BTreeSet;

use anyhow::Result;
use minrnn_model::rng::Rng;
use minrnn_onnx::eval::{Array, Limits, Session};
use minrnn_onnx::ir::{self, Graph, Node};

use super::case::{Case, Two, shape};
use super::checks::Checks;
use super::file::{BYTES, By, GraphFile};
use super::interface::Link;
use super::port::Elem;
use super::report::Row;
use super::rounding::Rounding;
use super::tensor::{Reading, Tensor};
use crate::verify::who::Who;

/// Operators through which integers stay what they are.
const MOVES: [&str; 12] = [
    "Cast",
    "Concat",
    "Expand",
    "Flatten",
    "Identity",
    "Mul",
    "Pad",
    "Reshape",
    "Slice",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// Operators that bring integers within a table.
const GUARDS: [&str; 4] = ["Clip", "Max", "Min", "Mod"];

/// How many integers past a table are tried where a file brings them within it.
const PAST: i64 = 3;

/// Values of tables that are compared at one time.
const AT_ONCE: usize = 1 << 22;

/// A table that an input chooses rows of.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) rows: usize,
    /// The rows that were chosen.
    result: String,
    /// Whether integers are brought within it before.
    guarded: bool,
}

impl GraphFile {
    /// The smallest table that integers of this input choose from, following them through nodes that only move values.
    pub(super) fn table(&self, input: &str) -> Option<Table> {
        let graph = &self.model.graph;
        let mut moved = vec![(input, false)];
        let mut tables = vec![];
        for node in &graph.nodes {
            let read = |i: usize| {
                let name = node.inputs.get(i)?;
                let known = moved.iter().find(|(m, _)| m == name);
                known.map(|(_, guarded)| *guarded)
            };
            let any = (0..node.inputs.len()).find_map(read);
            let op = node.op_type.as_str();
            let guards = GUARDS.contains(&op);
            if let ("Gather", 0, Some(guarded)) = (op, node.int("axis").unwrap_or(0), read(1)) {
                let rows = rows(graph, &node.inputs[0]);
                tables.extend(rows.map(|rows| Table {
                    rows,
                    result: node.outputs[0].clone(),
                    guarded,
                }));
            } else if let (true, Some(guarded)) = (guards || MOVES.contains(&op), any) {
                let outputs = node.outputs.iter();
                moved.extend(outputs.map(|o| (o.as_str(), guarded || guards)));
            }
        }
        tables.into_iter().min_by_key(|t| t.rows)
    }

    /// What reads rows of a table; `None`: they hang on more than the integers.
    fn reader(&self, input: &str, table: &Table) -> Option<Reader> {
        let graph = &self.model.graph;
        let mut result = table.result.as_str();
        let next = |from: &str| {
            let reads = |n: &&Node| n.inputs.first().is_some_and(|i| i == from);
            let node = graph.nodes.iter().find(reads)?;
            let same = ["Cast", "DequantizeLinear"].contains(&node.op_type.as_str());
            same.then(|| node.outputs[0].as_str())
        };
        while let Some(later) = next(result) {
            result = later;
        }
        let mut wanted: BTreeSet<&str> = [result].into();
        let mut nodes = vec![];
        for node in graph.nodes.iter().rev() {
            if node.outputs.iter().any(|o| wanted.contains(o.as_str())) {
                wanted.extend(node.inputs.iter().map(String::as_str));
                nodes.push(node.clone());
            }
        }
        nodes.reverse();
        let inputs = graph.inputs.iter().filter(|v| v.name == input);
        let output = ir::ValueInfo {
            name: result.to_owned(),
            ..ir::ValueInfo::default()
        };
        let initializers = graph.initializers.iter();
        let part = Graph {
            name: graph.name.clone(),
            inputs: inputs.cloned().collect(),
            outputs: vec![output],
            nodes,
            initializers: initializers
                .filter(|t| wanted.contains(t.name.as_str()))
                .cloned()
                .collect(),
            ..Graph::default()
        };
        let model = ir::Model {
            ir_version: self.model.ir_version,
            opsets: self.model.opsets.clone(),
            functions: self.model.functions.clone(),
            graph: part,
            ..ir::Model::default()
        };
        let elem = self.inputs().iter().find(|p| p.name == input)?.elem?;
        Some(Reader {
            session: Session::open(&model, self.path.parent()).ok()?,
            input: input.to_owned(),
            elem,
            result: result.to_owned(),
        })
    }
}

/// The part of a file that reads rows of a table.
struct Reader {
    session: Session,
    input: String,
    elem: Elem,
    result: String,
}

impl Reader {
    /// The rows of integers in a shape; `None`: they are no floats.
    fn read(&self, dims: &[usize], ids: &[i128]) -> Option<Vec<f64>> {
        let ids = Array::from_ints(self.elem, dims, ids).ok()?;
        let limits = Limits {
            bytes: BYTES,
            ..Limits::default()
        };
        let given = [(self.input.clone(), ids)].into();
        let ran = self.session.run(&given, &limits).ok()?;
        ran.get(&self.result)?.exact().floats().map(<[f64]>::to_vec)
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

/// Integers past the smaller table, where a file has something for them: what stands in the larger one, and what is brought within.
pub(super) fn past(tables: [Option<&Table>; 2]) -> Vec<(i64, i64)> {
    let [Some(a), Some(b)] = tables else {
        return vec![];
    };
    let (least, most) = (a.rows.min(b.rows) as i64, a.rows.max(b.rows) as i64);
    let guarded = a.guarded || b.guarded;
    let larger = (least < most).then_some((least, most - 1));
    let within = guarded.then_some((most, most + PAST - 1));
    larger.into_iter().chain(within).collect()
}

impl Two {
    fn tables(&self, link: &Link) -> [Option<Table>; 2] {
        [0, 1].map(|side| self.files[side].table(&link.names[side]))
    }

    /// By integer of an input, how far apart the rows are that the two files' tables have for it, of the largest value; `None`: they
    /// are no tables of one width.
    pub(super) fn rows_apart_by(&self, link: &Link) -> Option<Vec<f64>> {
        let [first, second] = self.tables(link);
        let tables = [first?, second?];
        let count = usize::try_from(link.range.1 + 1).ok()?;
        if link.range.0 != 0 || count > tables.iter().map(|t| t.rows).min()? {
            return None;
        }
        let reader = |side: usize| self.files[side].reader(&link.names[side], &tables[side]);
        let readers = [reader(0)?, reader(1)?];
        let mut apart = vec![];
        let mut largest = 0.0f64;
        let mut at_once = 1;
        while apart.len() < count {
            let (from, to) = (apart.len(), (apart.len() + at_once).min(count));
            let (batch, time) = self.holding(link, to - from);
            let dims = shape(&link.roles, batch, time, &self.face.usual(time));
            let size: usize = dims.iter().product();
            let ids: Vec<i128> = (from..from + size).map(|n| n.min(to - 1) as i128).collect();
            let read = |side: usize| {
                let mut dims = dims.clone();
                // One step a call: as many rows.
                if let (true, Some(axis)) = (link.lacks[side], link.time()) {
                    let steps = dims.remove(axis);
                    *dims.first_mut()? *= steps;
                }
                readers[side].read(&dims, &ids)
            };
            let both = [read(0)?, read(1)?];
            let width = both[0].len() / size.max(1);
            if width == 0 || both[0].len() != both[1].len() {
                return None;
            }
            let rows = both[0].chunks(width).zip(both[1].chunks(width));
            for (x, y) in rows.take(to - from) {
                let far = x.iter().zip(y).map(|(x, y)| (x - y).abs());
                let far = far.map(|d| if d.is_nan() { f64::INFINITY } else { d });
                apart.push(far.fold(0.0, f64::max));
                largest = x.iter().chain(y).fold(largest, |m, v| m.max(v.abs()));
            }
            at_once = (AT_ONCE / width).max(1);
        }
        let largest = if largest > 0.0 { largest } else { 1.0 };
        Some(apart.into_iter().map(|d| d / largest).collect())
    }

    /// B and T by which an input holds so many integers.
    fn holding(&self, link: &Link, count: usize) -> (usize, usize) {
        let one = shape(&link.roles, 1, 1, &self.face.usual(1));
        let each: usize = one.iter().product::<usize>().max(1);
        let fits = |per: usize| count.div_ceil(per.max(1)).max(1);
        match (self.face.batch, self.face.length, link.time()) {
            (Some(batch), Some(length), _) => (batch, length),
            (Some(batch), None, Some(_)) => (batch, fits(batch * each)),
            (None, Some(length), Some(_)) => (fits(length * each), length),
            (None, None, Some(_)) => (1, fits(each)),
            (batch, length, None) => (batch.unwrap_or(fits(each)), length.unwrap_or(1)),
        }
    }

    /// Runs with integers past the smaller of two tables. What both files have something for is compared; a row tells of what one of them
    /// alone has.
    ///
    /// # Errors
    /// Inputs that take more memory than there is.
    pub(super) fn past_tables(
        &self,
        limit: usize,
        checks: &mut Checks,
        costs: &mut Rounding,
    ) -> Result<Vec<Row>> {
        let mut rows = vec![];
        let links = self.face.links.iter().enumerate();
        let links = links.filter(|(i, _)| !self.keeps(*i));
        for (i, link, (low, high)) in
            links.flat_map(|(i, link)| link.past.iter().map(move |range| (i, link, *range)))
        {
            let mut rng = Rng::named(i as u64, "past tables");
            let batch = self.face.batch.unwrap_or(1);
            let time = self.face.length.unwrap_or(self.face.steps(limit.min(17)));
            let mut case = Case::random(self, (batch, time), &mut rng)?;
            case.lengths = None;
            let drawn = case.data[i].values(Reading::Exact);
            let span = (high - low + 1) as usize;
            let values = drawn.iter().enumerate().map(|(at, v)| match at % 3 {
                0 => i128::from(low) + rng.below(span) as i128,
                _ => *v as i128,
            });
            let values: Vec<i128> = values.collect();
            case.data[i] = Tensor::ints(link.elem, case.data[i].shape(), &values)?;
            let ran = [0, 1].map(|side| self.whole(side, By::Judge, &case));
            match ran {
                [Ok(first), Ok(second)] => {
                    costs.learn(0, &case, &first);
                    costs.learn(1, &case, &second);
                    self.hold(&mut checks.whole, &case, (&first, &second), costs);
                }
                [Err(_), Err(_)] => {}
                [first, _] => {
                    let refuses = usize::from(first.is_ok());
                    let [refuses, takes] = [refuses, 1 - refuses].map(|k| self.files[k].name());
                    let name = &link.names[0];
                    let said = format!(
                        "`{name}`: {takes} takes {low} to {high} and {refuses} refuses some of them: what stands there cannot be compared; \
                         --input {name}=:int=0..{} says that they are not meant",
                        link.range.1
                    );
                    rows.push(Row {
                        tensor: name.clone(),
                        holds: true,
                        untold: span,
                        ..Row::without_values("integers past a table", &Who::judge(), said)
                    });
                }
            }
        }
        Ok(rows)
    }
}
