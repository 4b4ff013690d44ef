//! Values of earlier steps.

use minrnn_kernels::elementwise::cpu as elementwise;
#[cfg(feature = "cuda")]
use minrnn_kernels::elementwise::cuda as kernel;
use minrnn_kernels::{Elem, Size};
use minrnn_model::graph::{Node, Op, State};

use super::begin::first;
use super::zero::Zero;
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;
use crate::tape::planner::{Planner, SlotId};

/// `y[t] = x[t - by]`, before the begin the state `[B, lag, width]` or zeros.
#[derive(Debug)]
struct Delay {
    x: Place,
    state: Option<Place>,
    y: Place,
    size: Size,
    lag: usize,
    by: usize,
}

/// `dx[t] (+)= dy[t + by]`; `dstate += ` what reached the state.
#[derive(Debug)]
struct DelayGrad {
    dy: Place,
    dx: Place,
    dstate: Option<Place>,
    size: Size,
    lag: usize,
    by: usize,
    add: bool,
}

pub(super) fn node(p: &mut Planner<'_>, node: &Node, value: usize) -> Option<()> {
    let Op::Delay { state, by } = node.op else {
        return None;
    };
    // Only a window can be delayed: a recurrence remembers its last value alone.
    let lag = p.graph.state_spec(state).lag()?;
    let x = p.slot(node.inputs[0]);
    delay(p, x, state, (lag, by), value);
    Some(())
}

fn delay(p: &mut Planner<'_>, x: SlotId, state: State, (lag, by): (usize, usize), value: usize) {
    let y = p.like(x, value);
    let begin = first(p, state);
    let size = p.size(p.slots[y].width);
    let input = p.read(x);
    p.launch(Delay {
        x: input,
        state: begin.map(|b| b.0),
        y: p.slots[y].place,
        size,
        lag,
        by,
    });
    p.back(move |p| {
        let Some(dy) = p.grad_any(y) else { return };
        // All delays of one state add to one gradient, which becomes that of the parameter at the end.
        let dstate = begin
            .and_then(|b| b.1)
            .map(|_| match p.delay_states.get(&state.index()) {
                Some(known) => *known,
                None => {
                    let to = p.buffer(size.b * lag * size.d, Elem::F32);
                    p.launch(Zero { to });
                    p.delay_states.insert(state.index(), to);
                    to
                }
            });
        if !p.slots[x].wanted && dstate.is_none() {
            return;
        }
        let (dx, add) = p.target(x);
        p.launch(DelayGrad {
            dy,
            dx,
            dstate,
            size,
            lag,
            by,
            add,
        });
    });
}

/// For element `i` of `[B,T,W]`: the element that it was `by` steps before, or that of the state.
fn source(i: usize, size: Size, lag: usize, by: usize) -> std::result::Result<usize, usize> {
    let (b, t, c) = (i / size.d / size.t, i / size.d % size.t, i % size.d);
    match t.checked_sub(by) {
        Some(from) => Ok((b * size.t + from) * size.d + c),
        None => Err((b * lag + lag + t - by) * size.d + c),
    }
}

impl Kernel for Delay {
    fn places(&self) -> Places {
        places!(self.x, self.state => self.y)
    }
    fn host(&self, h: &mut Host) {
        let (x, state) = (h.read(self.x), h.opt(self.state));
        let at = |i: usize| match source(i, self.size, self.lag, self.by) {
            Ok(i) => x[i],
            Err(i) => state.as_ref().map_or(0.0, |s| s[i]),
        };
        let values: Vec<f64> = (0..self.y.len).map(at).collect();
        h.write(self.y, &values);
    }
    fn cpu(&self, m: &mut Cpu) {
        let Self { size, lag, by, .. } = *self;
        let ([x, state], [y]) = (m.memory).access([Some(self.x), self.state], [Some(self.y)]);
        let state = self.state.map(|_| state);
        elementwise::delay(x, state, y, elementwise::Delay { size, lag, by });
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let Self { size, lag, by, .. } = *self;
        let (x, state, y) = (m.view(self.x)?, m.opt(self.state)?, m.view(self.y)?);
        kernel::delay(&m.gpu, x, state, y, kernel::Delay { size, lag, by })
    }
}

impl Kernel for DelayGrad {
    fn places(&self) -> Places {
        places!(self.dy => self.dx, self.dstate)
    }
    fn host(&self, h: &mut Host) {
        let (dy, mut sums) = (h.read(self.dy), vec![0.0; self.dx.len]);
        let mut states = vec![0.0; self.size.b * self.lag * self.size.d];
        for (i, d) in dy.iter().enumerate() {
            match source(i, self.size, self.lag, self.by) {
                Ok(i) => sums[i] += d,
                Err(i) => states[i] += d,
            }
        }
        h.put(self.dx, &sums, self.add);
        if let Some(dstate) = self.dstate {
            h.put(dstate, &states, true);
        }
    }
    fn cpu(&self, m: &mut Cpu) {
        let Self { size, lag, by, .. } = *self;
        let writes = [Some(self.dx), self.dstate];
        let ([dy], [dx, dstate]) = m.memory.access([Some(self.dy)], writes);
        let delay = elementwise::Delay { size, lag, by };
        elementwise::delay_grad(dy, dx, dstate, delay, self.add);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let Self { size, lag, by, .. } = *self;
        let (dy, dx, dstate) = (m.view(self.dy)?, m.view(self.dx)?, m.opt(self.dstate)?);
        kernel::delay_grad(
            &m.gpu,
            dy,
            dx,
            dstate,
            self.add,
            kernel::Delay { size, lag, by },
        )
    }
}
