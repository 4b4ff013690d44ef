//! Shared tensors side by side, step after step, in the order of the second file.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::shared::{Shared, between, makers, reads, recurrences, shared};
use super::{Culprit, InputNote, label};
use crate::verify::pair::{By, Case, Kind, Reading, Tensor, Two};

/// How two tensors differ.
pub(super) struct Difference {
    pub(super) max_abs: f64,
    pub(super) largest: f64,
    pub(super) at: usize,
}

impl Difference {
    /// Of tensors of one shape. What is no number differs from every number, and infinities from all but their equals.
    /// Positions that hang on an edge in either do not count.
    pub(super) fn of((a, of_a): (&Tensor, Reading), (b, of_b): (&Tensor, Reading)) -> Self {
        let apart = Tensor::apart((a, of_a), (b, of_b));
        let values = [(a, of_a), (b, of_b)].map(|(t, of)| t.values(of));
        let finite = values.iter().flatten().filter(|v| v.is_finite());
        Self {
            max_abs: apart.max_abs,
            largest: finite.fold(0.0, |m, v| m.max(v.abs())),
            at: apart.worst.map_or(0, |w| w.index),
        }
    }

    /// Two tensors in float64.
    pub(super) fn meant(a: &Tensor, b: &Tensor) -> Self {
        Self::of((a, Reading::Exact), (b, Reading::Exact))
    }

    /// Half of the digits: rounding over a run is far below it, another weight or operation above.
    pub(super) fn counts(&self, reading: Reading) -> bool {
        let eps = match reading {
            Reading::Exact => f64::EPSILON,
            Reading::Rounded => f64::from(f32::EPSILON),
        };
        self.max_abs > eps.sqrt() * self.largest
    }
}

/// The first difference, if there is one.
pub(super) fn search(two: &Two, case: &Case) -> Result<Option<Culprit>> {
    let list = shared(two);
    let names = |side: usize| -> Vec<&str> {
        list.iter()
            .map(|s| {
                if side == 0 {
                    s.first.as_str()
                } else {
                    s.second.as_str()
                }
            })
            .collect()
    };
    let whole = two.tensors(0, By::Judge, case, &names(0))?;
    if two.kind == Kind::Same {
        let other = two.tensors(1, By::Judge, case, &names(1))?;
        let pairs = list
            .iter()
            .zip(whole.into_iter().zip(other))
            .filter(|(_, (a, b))| a.shape() == b.shape());
        let at = Step {
            two,
            case,
            t: None,
            elsewhere: everything(two, case)?,
            agreeing: BTreeMap::new(),
        };
        return Ok(at.first(pairs, &[]));
    }
    let mut states = two.start(case)?;
    let outputs = two.face.outputs.len();
    let wanted: Vec<&str> = two.wanted(1).into_iter().chain(names(1)).collect();
    let mut inner: Vec<&str> = recurrences_inner(two);
    inner.retain(|n| !wanted.contains(n));
    let all: Vec<&str> = wanted.iter().copied().chain(inner).collect();
    let frames = two.face.frames[1].unwrap_or(1);
    for t in (0..case.time).step_by(frames) {
        let step = two.step(By::Judge, case, t, &states, &all)?;
        let named: BTreeMap<&str, &Tensor> = all.iter().copied().zip(&step).collect();
        let pairs = list.iter().zip(&whole).filter_map(|(s, x)| {
            let y = named.get(s.second.as_str())?;
            Some((
                s,
                (align(two, s, x, y, (t, frames, case.time))?, (*y).clone()),
            ))
        });
        let at = Step {
            two,
            case,
            t: Some(t),
            elsewhere: vec![],
            agreeing: BTreeMap::new(),
        };
        let feeds: Vec<(&str, &Tensor)> = two
            .face
            .states
            .iter()
            .zip(&states)
            .map(|(s, v)| (s.second.0.as_str(), v))
            .collect();
        let inner = inner_checks(two, &named, &feeds);
        if let Some(found) = at.first(pairs, &inner) {
            return Ok(Some(found));
        }
        states = step[outputs..outputs + states.len()].to_vec();
    }
    Ok(None)
}

/// Every value of the first file, where it is another program's: names are numbers there, and the value that one file calls
/// `val_7` may be called `val_9` in the other.
fn everything(two: &Two, case: &Case) -> Result<Vec<Tensor>> {
    if two
        .files
        .iter()
        .all(|f| f.metadata("minrnn.form").is_some())
    {
        return Ok(vec![]);
    }
    let nodes = &two.files[0].model.graph.nodes;
    let names = nodes.iter().flat_map(|n| &n.outputs);
    let names: Vec<&str> = names
        .map(String::as_str)
        .filter(|n| !n.is_empty())
        .collect();
    two.tensors(0, By::Judge, case, &names)
}

/// Step `t` of a tensor of the whole sequence, in the shape that the step file has it in; `None` if they have no such shape in
/// common.
fn align(
    two: &Two,
    s: &Shared,
    x: &Tensor,
    y: &Tensor,
    (t, frames, time): (usize, usize, usize),
) -> Option<Tensor> {
    if x.shape() == y.shape() {
        // What has no time is a constant, or the end of the sequence.
        let now = if s.fed { time - 1 } else { 0 };
        return (t <= now && now < t + frames).then(|| x.clone());
    }
    let usual = two.face.links.iter().find_map(|l| l.time()).unwrap_or(1);
    let axes = std::iter::once(usual).chain(0..x.shape().len());
    for axis in axes.filter(|a| x.shape().get(*a).is_some_and(|n| *n >= time)) {
        let one = x.cut(axis, t, t + frames).ok()?;
        if one.shape() == y.shape() {
            return Some(one);
        }
        if frames > 1 {
            continue;
        }
        let without = one.squeeze(axis).ok()?;
        if without.shape() == y.shape() {
            return Some(without);
        }
    }
    None
}

/// A value that a node inside of a recurrence must have, by what the metadata says it computes.
struct Inner {
    node: usize,
    tensor: String,
    want: Tensor,
    got: Tensor,
}

/// The product in `h * a + b`, where the step file computes it in these two nodes.
fn product(two: &Two) -> Vec<(super::shared::Recurrence, usize)> {
    let graph = &two.files[1].model.graph;
    let one = |r: super::shared::Recurrence| {
        let stop = BTreeSet::from([r.a.as_str(), r.b.as_str(), r.h0.as_str()]);
        let nodes: Vec<usize> = between(graph, &r.h, &stop).into_iter().collect();
        let [mul, _] = nodes.as_slice() else {
            return None;
        };
        let read: BTreeSet<&str> = reads(&graph.nodes[*mul]).into_iter().collect();
        let fits = read == BTreeSet::from([r.h0.as_str(), r.a.as_str()]);
        let mul = *mul;
        fits.then_some((r, mul))
    };
    recurrences(&two.files[1])
        .into_iter()
        .filter(|r| r.linear)
        .filter_map(one)
        .collect()
}

fn recurrences_inner(two: &Two) -> Vec<&str> {
    let graph = &two.files[1].model.graph;
    let names = product(two)
        .into_iter()
        .filter_map(|(_, mul)| graph.nodes[mul].outputs.first());
    names.map(String::as_str).collect()
}

fn inner_checks(
    two: &Two,
    named: &BTreeMap<&str, &Tensor>,
    feeds: &[(&str, &Tensor)],
) -> Vec<Inner> {
    let graph = &two.files[1].model.graph;
    let one = |(r, mul): (super::shared::Recurrence, usize)| {
        let tensor = graph.nodes[mul].outputs.first()?;
        let got = *named.get(tensor.as_str())?;
        let a = named.get(r.a.as_str())?;
        let (_, h0) = feeds.iter().find(|(n, _)| *n == r.h0)?;
        let [a, h0] = [*a, *h0].map(|t| t.values(Reading::Exact));
        let product: Vec<f64> = a.iter().zip(&h0).map(|(a, h)| a * h).collect();
        // In float64: rounding to f32 would show as a difference.
        let want = Tensor::floats(minrnn_onnx::ir::DType::F64, got.shape(), &product).ok()?;
        Some(Inner {
            node: mul,
            tensor: tensor.clone(),
            want,
            got: got.clone(),
        })
    };
    product(two).into_iter().filter_map(one).collect()
}

/// One step of the search.
struct Step<'a> {
    two: &'a Two,
    case: &'a Case,
    t: Option<usize>,
    /// Values of the first file that may be the same thing under another name.
    elsewhere: Vec<Tensor>,
    /// Tensors of the second file that agree, and how well.
    agreeing: BTreeMap<String, f64>,
}

impl Step<'_> {
    fn first<'s>(
        mut self,
        pairs: impl Iterator<Item = (&'s Shared, (Tensor, Tensor))>,
        inner: &[Inner],
    ) -> Option<Culprit> {
        for (s, (x, y)) in pairs {
            for check in inner.iter().filter(|i| i.node < s.node) {
                if self.agreeing.contains_key(&check.tensor) {
                    continue;
                }
                let d = Difference::meant(&check.want, &check.got);
                if d.counts(Reading::Exact) && self.known_inputs(check.node) {
                    return Some(self.culprit(
                        check.node,
                        &check.tensor,
                        &d,
                        (&check.want, &check.got),
                    ));
                }
                self.agreeing.insert(check.tensor.clone(), d.max_abs);
            }
            let d = Difference::meant(&x, &y);
            if d.counts(Reading::Exact) {
                let same = |t: &&Tensor| {
                    t.shape() == y.shape() && !Difference::meant(t, &y).counts(Reading::Exact)
                };
                if let (false, Some(twin)) = (s.end, self.elsewhere.iter().find(same)) {
                    let d = Difference::meant(twin, &y);
                    self.agreeing.insert(s.second.clone(), d.max_abs);
                    continue;
                }
                return Some(self.culprit(s.node, &s.second, &d, (&x, &y)));
            }
            self.agreeing.insert(s.second.clone(), d.max_abs);
        }
        None
    }

    /// Whether all that a node reads was compared, or is given.
    fn known_inputs(&self, node: usize) -> bool {
        let graph = &self.two.files[1].model.graph;
        let made = makers(graph);
        reads(&graph.nodes[node])
            .iter()
            .all(|n| !made.contains_key(n) || self.agreeing.contains_key(*n))
    }

    fn culprit(
        &self,
        node: usize,
        tensor: &str,
        d: &Difference,
        (x, y): (&Tensor, &Tensor),
    ) -> Culprit {
        let file = &self.two.files[1];
        let graph = &file.model.graph;
        let made = makers(graph);
        let inputs = reads(&graph.nodes[node]).into_iter().map(|name| {
            let max_abs = self.agreeing.get(name).copied();
            let state = match max_abs {
                Some(_) => "agrees",
                None if graph.inputs.iter().any(|i| i.name == name) => "input",
                None if !made.contains_key(name) => "constant",
                None => "not compared",
            };
            InputNote {
                tensor: name.into(),
                state,
                max_abs,
            }
        });
        let stop: BTreeSet<&str> = self.agreeing.keys().map(String::as_str).collect();
        let suspects: Vec<String> = between(graph, tensor, &stop)
            .into_iter()
            .filter(|i| graph.nodes[*i].op_type != "Constant")
            .map(|i| label(&graph.nodes[i]))
            .collect();
        let found = &graph.nodes[node];
        Culprit {
            kind: "meaning",
            arithmetic: "float64",
            certain: suspects.len() == 1,
            file: file.name(),
            node: label(found),
            operator: found.op_type.clone(),
            tensor: tensor.into(),
            case: self.case.name(),
            step: self.t,
            index: x.index(d.at),
            values: [x, y].map(|t| {
                t.values(Reading::Exact)
                    .get(d.at)
                    .copied()
                    .unwrap_or(f64::NAN)
            }),
            max_abs: d.max_abs,
            largest: d.largest,
            inputs: inputs.collect(),
            suspects,
            agreeing: self.agreeing.len(),
            bodied: found.subgraphs().next().is_some(),
        }
    }
}
