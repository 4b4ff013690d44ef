//! Layers that the kernels run as a whole.

use candle_core::{Result, Tensor};
use minrnn_kernels as kernels;
use minrnn_model::graph::{Fused, Region};

use super::{Walk, ops};

impl Walk<'_> {
    /// Runs the region that begins at node `i`, if there is one with a kernel, and gives the node behind it.
    pub(super) fn fused_at(&mut self, i: usize) -> Result<Option<usize>> {
        if !self.run.fused {
            return Ok(None);
        }
        let graph = self.graph;
        let Some(region) = graph
            .regions()
            .iter()
            .find(|r| r.nodes.start == i && !r.nodes.is_empty() && !folds(r.fused))
        else {
            return Ok(None);
        };
        // A reset changes what the recurrence and the delays of the body do; the kernels know no resets.
        if self.resets.is_some() && !region.states.is_empty() {
            return Ok(None);
        }
        if matches!(region.fused, Fused::CausalConv { kernel: 1, .. }) {
            return Ok(None);
        }
        if let Fused::SelectiveScan { states, .. } = region.fused {
            if !self.scans(states) {
                return Ok(None);
            }
            let results = self.selective_scan(region, states)?;
            return Ok(Some(self.scanned(region, results)));
        }
        if let Fused::DiagonalScan { states } = region.fused {
            if !self.has_diagonal_scan(states) {
                return Ok(None);
            }
            let results = self.diagonal_scan(region, states)?;
            return Ok(Some(self.scanned(region, results)));
        }
        let y = self.fused(region)?;
        self.values[region.outputs[0].index()] = Some(y);
        Ok(Some(region.nodes.end))
    }

    /// Keeps a region's result and its last states, and gives the node behind it.
    fn scanned(&mut self, region: &Region, (y, last): (Tensor, Tensor)) -> usize {
        self.values[region.outputs[0].index()] = Some(y);
        self.next[region.states[0].index()] = Some(last);
        region.nodes.end
    }

    /// Whether there is a kernel for selective scans of so many states on the run's device.
    fn scans(&self, states: usize) -> bool {
        let on_cpu = self.run.input.device().is_cpu();
        on_cpu || states <= kernels::selective_scan::MOST_STATES_ON_GPU
    }

    /// The same of diagonal scans.
    fn has_diagonal_scan(&self, states: usize) -> bool {
        let on_cpu = self.run.input.device().is_cpu();
        on_cpu || states <= kernels::diagonal_scan::MOST_STATES_ON_GPU
    }

    /// As [`Self::selective_scan`].
    fn diagonal_scan(&self, region: &Region, states: usize) -> Result<(Tensor, Tensor)> {
        let p = |i: usize| self.weights.get(region.params[i].index());
        let inputs = kernels::diagonal_scan::Inputs {
            x: self.value(region.inputs[0]),
            log_step: p(0),
            log_rates: p(1),
            frequencies: p(2),
            readout: p(3),
            skip: p(4),
            h0: &self.first[region.states[0].index()],
        };
        kernels::diagonal_scan(&inputs, states, self.run.lens)
    }

    /// The result, and the last states: those of all steps are never there.
    fn selective_scan(&self, region: &Region, states: usize) -> Result<(Tensor, Tensor)> {
        let x = |i: usize| self.value(region.inputs[i]);
        let p = |i: usize| self.weights.get(region.params[i].index());
        let inputs = kernels::selective_scan::Inputs {
            step: x(0),
            x: x(1),
            b: x(2),
            c: x(3),
            log_rates: p(0),
            skip: p(1),
            h0: &self.first[region.states[0].index()],
        };
        kernels::selective_scan(&inputs, states, self.run.lens)
    }

    fn fused(&self, region: &Region) -> Result<Tensor> {
        let x = self.value(region.inputs[0]);
        let p = |i: usize| self.weights.get(region.params[i].index());
        let first = |i: usize| &self.first[region.states[i].index()];
        match region.fused {
            Fused::Linear { bias } => {
                let y = ops::matmul(x, p(0))?;
                if bias {
                    kernels::bias_add(&y, p(1))
                } else {
                    Ok(y)
                }
            }
            Fused::MinGru { candidate } => kernels::min_gru(x, first(0), candidate),
            Fused::MinLstm {
                candidate,
                normalize,
            } => kernels::min_lstm(x, first(0), candidate, normalize),
            Fused::CausalConv { bias, .. } => {
                kernels::causal_conv(x, first(0), p(0), bias.then(|| p(1)))
            }
            Fused::RmsNorm { eps } => kernels::rms_norm(x, p(0), eps),
            Fused::LayerNorm { eps } => kernels::layer_norm(x, p(0), p(1), eps),
            Fused::GeluErf => kernels::gelu_erf(x),
            Fused::GeluTanh => kernels::gelu_tanh(x),
            Fused::Silu => kernels::silu(x),
            Fused::Softplus => kernels::softplus(x),
            Fused::SelectiveScan { .. } | Fused::DiagonalScan { .. } => {
                unreachable!("it has a state beside its result")
            }
            Fused::Gru { .. } | Fused::Lstm { .. } => unreachable!("it is run by its fold"),
        }
    }
}

/// Whether a region is a fold with what stands before it: there is no kernel of it.
fn folds(fused: Fused) -> bool {
    matches!(fused, Fused::Gru { .. } | Fused::Lstm { .. })
}
