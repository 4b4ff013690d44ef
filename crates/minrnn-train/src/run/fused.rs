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
            .find(|r| r.nodes.start == i && !r.nodes.is_empty())
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
        let y = self.fused(region)?;
        self.values[region.outputs[0].index()] = Some(y);
        Ok(Some(region.nodes.end))
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
        }
    }
}
