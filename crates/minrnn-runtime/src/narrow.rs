//! Which features a file can tell apart: those that are still numbers where it makes them float16.
//!
//! A graph with products in float16 casts what goes into them, and a number beyond 65504 becomes infinite there: gates then saturate, and the
//! answer is a wrong number without a word. Features on their way to the first such cast pass nothing but arithmetic with constants (their
//! normalisation) and padding, so that the least and the largest that fit are known when a file is opened.

use std::collections::BTreeMap;

use crate::info::{Info, InputSpec};
use crate::proto::{DataType, GraphProto, NodeProto, TensorProto};
use crate::range::FeatureRange;
use crate::structure::int64s;

/// Most operations on the way of a feature: a normalisation has two, and a padding one. A file with more is not followed.
const MOST: usize = 16;

/// The least number that float16 rounds to infinity.
const INFINITE: f32 = 65_520.0;

/// Of a checked graph; `None`: it makes no features float16 before it computes with them.
pub(crate) fn features(graph: &GraphProto, info: &Info) -> Option<FeatureRange> {
    let InputSpec::Features { width } = info.input else {
        return None;
    };
    let walk = Walk::of(graph, width, info.form.is_sequence());
    let chains = walk.casts(info.input.name());
    let all = |channel: usize| {
        let each = chains.iter().map(|c| c.range(channel));
        each.fold((f32::MIN, f32::MAX), |a, b| (a.0.max(b.0), a.1.min(b.1)))
    };
    (!chains.is_empty()).then(|| FeatureRange {
        each: (0..width).map(all).collect(),
    })
}

/// Arithmetic with a constant.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Op {
    Add,
    Mul,
    Sub,
    /// The constant minus x.
    SubFrom,
    Div,
}

/// What is done to a feature before it is float16; constants are one for all channels or one for each.
#[derive(Debug, Clone, Default)]
struct Chain(Vec<(Op, Vec<f32>)>);

impl Chain {
    fn value(&self, channel: usize, x: f32) -> f32 {
        self.0.iter().fold(x, |x, (op, by)| {
            let by = by[channel % by.len()];
            match op {
                Op::Add => x + by,
                Op::Mul => x * by,
                Op::Sub => x - by,
                Op::SubFrom => by - x,
                Op::Div => x / by,
            }
        })
    }

    /// Where the value is 0, about; all of it is one line.
    fn root(&self, channel: usize) -> Option<f32> {
        let line = self
            .0
            .iter()
            .fold((1.0, 0.0), |(a, b): (f64, f64), (op, by)| {
                let by = f64::from(by[channel % by.len()]);
                match op {
                    Op::Add => (a, b + by),
                    Op::Mul => (a * by, b * by),
                    Op::Sub => (a, b - by),
                    Op::SubFrom => (-a, by - b),
                    Op::Div => (a / by, b / by),
                }
            });
        let root = (-line.1 / line.0) as f32;
        root.is_finite().then_some(root)
    }

    /// The least and the largest feature that fit. Rounded arithmetic with constants never turns around, so that all between them do.
    fn range(&self, channel: usize) -> (f32, f32) {
        let fits = |x: f32| self.value(channel, x).abs() < INFINITE;
        let root = self.root(channel).filter(|root| fits(*root));
        let Some(root) = root else {
            return (f32::MIN, f32::MAX);
        };
        let end = |limit: f32| {
            if fits(limit) {
                return limit;
            }
            let (mut inside, mut outside) = (place(root), place(limit));
            while inside.abs_diff(outside) > 1 {
                let middle = inside + (outside - inside) / 2;
                match fits(at(middle)) {
                    true => inside = middle,
                    false => outside = middle,
                }
            }
            at(inside)
        };
        (end(f32::MIN), end(f32::MAX))
    }
}

/// The place of a number among all of f32, in their order; 0 and -0 have one.
fn place(x: f32) -> i64 {
    let size = i64::from(x.abs().to_bits());
    if x < 0.0 { -size } else { size }
}

/// The number at a place.
fn at(place: i64) -> f32 {
    let size = u32::try_from(place.unsigned_abs()).map_or(f32::NAN, f32::from_bits);
    if place < 0 { -size } else { size }
}

/// The way of the features through a graph.
struct Walk<'a> {
    width: usize,
    /// Whether axis 1 has steps, not channels.
    timed: bool,
    readers: BTreeMap<&'a str, Vec<&'a NodeProto>>,
    makers: BTreeMap<&'a str, &'a NodeProto>,
    constants: BTreeMap<&'a str, &'a TensorProto>,
}

impl<'a> Walk<'a> {
    fn of(graph: &'a GraphProto, width: usize, timed: bool) -> Self {
        let (mut readers, mut makers) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::new());
        for node in &graph.node {
            for input in &node.input {
                readers.entry(input.as_str()).or_default().push(node);
            }
            makers.extend(node.output.iter().map(|o| (o.as_str(), node)));
        }
        let constants = graph.initializer.iter();
        Self {
            width,
            timed,
            readers,
            makers,
            constants: constants.map(|t| (t.name.as_str(), t)).collect(),
        }
    }

    /// What is done to the features before each of the casts to float16 that they come to.
    fn casts(&self, features: &str) -> Vec<Chain> {
        let (mut open, mut found) = (vec![(features.to_owned(), Chain::default())], vec![]);
        // A sound graph has no cycles, and each of its values is come to once.
        while let Some((name, chain)) = open.pop() {
            let readers = self.readers.get(name.as_str());
            for node in readers.into_iter().flatten() {
                let half = DataType::Float16 as i64;
                let to = node.attribute.iter().find(|a| a.name == "to");
                if node.op_type == "Cast" {
                    found.extend(to.filter(|to| to.i == half).map(|_| chain.clone()));
                    continue;
                }
                let (Some(chain), [output]) = (self.through(node, &name, &chain), &node.output[..])
                else {
                    continue;
                };
                open.push((output.clone(), chain));
            }
        }
        found
    }

    /// The features behind a node, if it leaves each where it is and computes with constants alone.
    fn through(&self, node: &NodeProto, name: &str, chain: &Chain) -> Option<Chain> {
        let first = node.input.first().is_some_and(|i| i == name);
        let op = match (node.op_type.as_str(), first) {
            ("Identity", true) => return Some(chain.clone()),
            ("Slice" | "Concat", true) if self.timed && self.along_time(node) => {
                return Some(chain.clone());
            }
            ("Add", _) => Op::Add,
            ("Mul", _) => Op::Mul,
            ("Sub", true) => Op::Sub,
            ("Sub", false) => Op::SubFrom,
            ("Div", true) => Op::Div,
            _ => return None,
        };
        let other = node.input.get(usize::from(first))?;
        let by = self.constant(other)?;
        if chain.0.len() == MOST {
            return None;
        }
        let mut chain = chain.clone();
        chain.0.push((op, by));
        Some(chain)
    }

    /// Whether a Slice or a Concat is of steps.
    fn along_time(&self, node: &NodeProto) -> bool {
        let axis = node.attribute.iter().find(|a| a.name == "axis");
        if let Some(axis) = axis {
            return axis.i == 1;
        }
        let axes = node
            .input
            .get(3)
            .and_then(|i| self.constants.get(i.as_str()));
        let axes = axes.and_then(|t| int64s(t));
        axes.is_some_and(|axes| axes == [1])
    }

    /// One value, or one for each channel.
    fn constant(&self, name: &str) -> Option<Vec<f32>> {
        if let Some(node) = self.makers.get(name) {
            // Ones of as many steps as a sequence has, which refuse a longer one.
            let repeated = matches!(node.op_type.as_str(), "Slice" | "Expand");
            let of = node.input.first().filter(|_| repeated)?;
            return self.constant(of).filter(|values| values.len() == 1);
        }
        let tensor = self.constants.get(name)?;
        let values = crate::engine::floats(tensor)?;
        let last = tensor.dims.last().and_then(|d| usize::try_from(*d).ok());
        let by_channel = values.len() == self.width && last == Some(self.width);
        (values.len() == 1 || by_channel).then_some(values)
    }
}
