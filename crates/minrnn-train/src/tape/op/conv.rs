//! The depthwise causal convolution.

use minrnn_kernels::{Elem, Size, causal_conv};
use minrnn_model::graph::{Fused, Region};

use super::Layer;
use super::begin::{back_first, first};
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::{Planner, scratch};

/// Taps up to which a convolution costs about as much as to read and write its values.
const FEW_TAPS: usize = 8;

/// y from x and the steps before it.
#[derive(Debug)]
struct Conv {
    x: Place,
    state: Option<Place>,
    weight: Place,
    bias: Option<Place>,
    y: Place,
    size: Size,
    kernel: usize,
}

/// Its gradients.
#[derive(Debug)]
struct ConvGrad {
    x: Place,
    state: Option<Place>,
    weight: Place,
    dy: Place,
    dx: Place,
    dweight: Place,
    dbias: Option<Place>,
    dstate: Option<Place>,
    scratch: Place,
    size: Size,
    kernel: usize,
}

/// One tap has no state, and no kernel: it is a product with a row.
pub(super) fn layer(fused: Fused) -> Option<Layer> {
    match fused {
        Fused::CausalConv { kernel, .. } if kernel > 1 => Some(conv),
        _ => None,
    }
}

fn conv(p: &mut Planner<'_>, region: &Region) {
    let Fused::CausalConv { kernel, bias } = region.fused else {
        return;
    };
    let compute = p.compute();
    let x = p.computed(region.inputs[0]);
    let begin = first(p, region.states[0]);
    let state = begin.map(|b| b.0);
    let y = p.make(region.outputs[0].index(), compute, compute, true);
    let size = p.size(p.slots[y].width);
    let (weight, bias) = (region.params[0], bias.then(|| region.params[1]));
    let value = p.read(x);
    p.launch(Conv {
        x: value,
        state,
        weight: p.param(weight),
        bias: bias.map(|b| p.param(b)),
        y: p.slots[y].place,
        size,
        kernel,
    });
    p.back(move |p| {
        let Some(dy) = p.grad(y, compute) else { return };
        let dx = p.buffer(value.len, compute);
        let dstate = state.map(|s| p.buffer(s.len, Elem::F32));
        let scratch = scratch!(p, |gpu| causal_conv::cuda::scratch_len(
            gpu, size.b, size.t, size.d, kernel
        ));
        let dweight = p.whole(weight);
        let dbias = bias.map(|b| p.whole(b));
        p.launch(ConvGrad {
            x: value,
            state,
            weight: p.param(weight),
            dy,
            dx,
            dweight: dweight.to,
            dbias: dbias.map(|d| d.to),
            dstate,
            scratch,
            size,
            kernel,
        });
        dbias.into_iter().for_each(|d| p.add_rest(d));
        p.add_rest(dweight);
        back_first(p, begin, dstate);
        p.give(x, dx, false);
    });
}

/// The state, or zeros.
fn before(h: &Host, state: Option<Place>, size: Size, kernel: usize) -> Vec<f64> {
    h.opt(state)
        .unwrap_or_else(|| vec![0.0; size.b * (kernel - 1) * size.d])
}

fn sized(size: Size, kernel: usize) -> causal_conv::Size {
    causal_conv::Size {
        b: size.b,
        t: size.t,
        m: size.d,
        k: kernel,
    }
}

impl Kernel for Conv {
    fn places(&self) -> Places {
        places!(self.x, self.state, self.weight, self.bias => self.y)
    }
    fn again(&self) -> bool {
        self.kernel <= FEW_TAPS
    }
    fn host(&self, h: &mut Host) {
        let state = before(h, self.state, self.size, self.kernel);
        let (x, weight, bias) = (h.read(self.x), h.read(self.weight), h.opt(self.bias));
        let dims = self.size.dims();
        let y = causal_conv::slow::causal_conv(&x, &state, &weight, bias.as_deref(), dims);
        h.write(self.y, &y);
    }
    fn cpu(&self, m: &mut Cpu) {
        let reads = [Some(self.x), self.state, Some(self.weight), self.bias];
        let ([x, state, weight, bias], [y]) = m.memory.access(reads, [Some(self.y)]);
        let given = causal_conv::cpu::Given {
            x,
            state: self.state.map(|_| state),
            weight,
            size: sized(self.size, self.kernel),
        };
        causal_conv::cpu::forward(given, self.bias.map(|_| bias), y);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        causal_conv::cuda::forward(
            &m.gpu,
            m.view(self.x)?,
            m.opt(self.state)?,
            m.view(self.weight)?,
            m.opt(self.bias)?,
            m.view(self.y)?,
            sized(self.size, self.kernel),
        )
    }
}

impl Kernel for ConvGrad {
    fn places(&self) -> Places {
        places!(self.x, self.state, self.weight, self.dy
            => self.dx, self.dweight, self.dbias, self.dstate; self.scratch)
    }
    fn host(&self, h: &mut Host) {
        let state = before(h, self.state, self.size, self.kernel);
        let (x, weight, dy) = (h.read(self.x), h.read(self.weight), h.read(self.dy));
        let dims = self.size.dims();
        let grads = causal_conv::slow::causal_conv_grad(&x, &state, &weight, &dy, dims);
        h.write(self.dx, &grads.x);
        h.write(self.dweight, &grads.weight);
        h.write_opt(self.dbias, &grads.bias);
        h.write_opt(self.dstate, &grads.state);
    }
    fn cpu(&self, m: &mut Cpu) {
        let reads = [Some(self.x), self.state, Some(self.weight), Some(self.dy)];
        let writes = [Some(self.dx), self.dstate, Some(self.dweight), self.dbias];
        let ([x, state, weight, dy], [dx, dstate, dweight, dbias]) = m.memory.access(reads, writes);
        let given = causal_conv::cpu::Given {
            x,
            state: self.state.map(|_| state),
            weight,
            size: sized(self.size, self.kernel),
        };
        let to = causal_conv::cpu::Gradients {
            x: dx,
            state: dstate,
            weight: dweight,
            bias: dbias,
        };
        causal_conv::cpu::backward(given, dy, to, &mut m.work);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let backward = causal_conv::cuda::Backward {
            x: m.view(self.x)?,
            state: m.opt(self.state)?,
            weight: m.view(self.weight)?,
            dy: m.view(self.dy)?,
            dx: m.view(self.dx)?,
            dweight: m.view(self.dweight)?,
            dbias: m.opt(self.dbias)?,
            dstate: m.opt(self.dstate)?,
            scratch: m.view(self.scratch)?,
            size: sized(self.size, self.kernel),
        };
        causal_conv::cuda::backward(&m.gpu, &backward)
    }
}
