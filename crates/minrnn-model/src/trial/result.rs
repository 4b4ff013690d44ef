//! What a run gives.

use crate::compare::Comparison;
use crate::graph::Graph;

/// Output `[B, T, C]` (or `[B, C]`) and states of a run, as an engine gives them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// The output.
    pub output: Vec<f32>,
    /// The last states, in the graph's order.
    pub states: Vec<Vec<f32>>,
}

/// The same in float64, with error bounds of the output where they were asked for.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    /// The output.
    pub output: Vec<f64>,
    /// How far a right engine may be from each value of it; else empty.
    pub bound: Vec<f64>,
    /// The last states, in the graph's order.
    pub states: Vec<Vec<f64>>,
}

impl Outcome {
    /// In float64, to stand in the oracle's place.
    pub fn widen(&self) -> Truth {
        let wide = |v: &Vec<f32>| v.iter().map(|x| f64::from(*x)).collect();
        Truth {
            output: wide(&self.output),
            bound: vec![],
            states: self.states.iter().map(wide).collect(),
        }
    }

    /// The output, then the states.
    pub fn tensors(&self) -> impl Iterator<Item = &Vec<f32>> {
        std::iter::once(&self.output).chain(&self.states)
    }

    /// Held to what is true, with a tolerance for each tensor.
    ///
    /// # Panics
    /// Tensors of other sizes: a comparison of parts would hide the rest.
    pub fn within(&self, want: &Truth, tolerances: &[f64]) -> Comparison {
        let mut c = Comparison::default();
        for ((got, want), tolerance) in self.tensors().zip(want.tensors()).zip(tolerances) {
            c.extend(got, want, |_| *tolerance);
        }
        c
    }

    /// Held to another run, value for value.
    ///
    /// # Panics
    /// As [`Outcome::within`].
    pub fn equals(&self, want: &Self) -> Comparison {
        let mut c = Comparison::default();
        let all = self.tensors().zip(want.tensors());
        all.for_each(|(got, want)| c.extend_exact(got, want));
        c
    }
}

impl Truth {
    /// The output, then the states.
    pub fn tensors(&self) -> impl Iterator<Item = &Vec<f64>> {
        std::iter::once(&self.output).chain(&self.states)
    }
}

/// Outputs of pieces `(T, values)` side by side in time; for a last-step head, the last piece's.
pub fn join<T: Copy>(graph: &Graph, batch: usize, mut parts: Vec<(usize, Vec<T>)>) -> Vec<T> {
    if graph.is_last_step() {
        return parts.pop().map(|(_, output)| output).unwrap_or_default();
    }
    let width = graph.width(graph.output().value);
    let row = |b: usize| {
        parts
            .iter()
            .flat_map(move |(t, part)| &part[b * t * width..(b + 1) * t * width])
    };
    (0..batch).flat_map(row).copied().collect()
}
