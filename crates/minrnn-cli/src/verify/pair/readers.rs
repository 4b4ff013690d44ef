//! What stands in the tables of two files for the same integers, read by the parts of the graphs that read them.

use std::collections::BTreeSet;

use minrnn_onnx::eval::{Array, Limits, Session};
use minrnn_onnx::ir::{self, Graph, Node};

use super::case::{Two, shape};
use super::file::{BYTES, GraphFile};
use super::interface::Link;
use super::port::Elem;
use super::tables::Table;

/// Values of tables that are compared at one time.
const AT_ONCE: usize = 1 << 22;

impl GraphFile {
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
    /// The rows of integers in a shape; `None`: they are no numbers.
    fn read(&self, dims: &[usize], ids: &[i128]) -> Option<Vec<f64>> {
        let ids = Array::from_ints(self.elem, dims, ids).ok()?;
        let limits = Limits {
            bytes: BYTES,
            ..Limits::default()
        };
        let given = [(self.input.clone(), ids)].into();
        let ran = self.session.run(&given, &limits).ok()?;
        let rows = ran.get(&self.result)?.exact();
        let whole = || Some(rows.ints()?.iter().map(|n| *n as f64).collect());
        rows.floats().map(<[f64]>::to_vec).or_else(whole)
    }
}

impl Two {
    /// By integer of an input, how far apart the rows are that the two files' tables have for it, of the largest value; `None`: they
    /// have not as many tables, or such of other widths.
    pub(super) fn rows_apart_by(&self, link: &Link) -> Option<Vec<f64>> {
        let tables = [0, 1].map(|side| self.files[side].tables(&link.names[side]));
        let free = |t: &&Table| !t.guarded;
        let least = tables.iter().flatten().filter(free).map(|t| t.rows).min();
        let count = usize::try_from(link.range.1.checked_add(1)?).ok()?;
        let many = tables[0].len();
        if link.range.0 != 0 || least.is_some_and(|n| count > n) || many != tables[1].len() {
            return None;
        }
        let pairs = tables[0].iter().zip(&tables[1]);
        let all = pairs.map(|(a, b)| self.table_apart(link, [a, b], count));
        let all: Vec<Vec<f64>> = all.collect::<Option<_>>()?;
        let most = |at: usize| all.iter().map(|apart| apart[at]).fold(0.0, f64::max);
        (!all.is_empty()).then(|| (0..count).map(most).collect())
    }

    /// The same of one table in each file.
    fn table_apart(&self, link: &Link, tables: [&Table; 2], count: usize) -> Option<Vec<f64>> {
        let reader = |side: usize| self.files[side].reader(&link.names[side], tables[side]);
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
}
