//! States at the end of a run, for the next one to go on from.

use minrnn_kernels::elementwise::cpu as elementwise;
#[cfg(feature = "cuda")]
use minrnn_kernels::elementwise::cuda as kernel;
use minrnn_kernels::{Elem, Size};
use minrnn_model::graph::{Holds, State, StateInit};

use super::Unknown;
use super::zero::Zero;
use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::options::Carry;
use crate::tape::place::{Place, Space};
use crate::tape::planner::Planner;

/// The last `lag` rows of each sequence of `[before | x]`; `before` absent: zeros.
#[derive(Debug)]
struct Keep {
    x: Place,
    before: Option<Place>,
    y: Place,
    size: Size,
    lag: usize,
}

/// All rows of a state in a space where the states lie behind each other.
pub(super) fn rows(p: &Planner<'_>, space: Space, state: State) -> Place {
    let len = |s: usize| p.options.batch * p.graph.states()[s].len();
    let at = state.index();
    Place {
        space,
        offset: (0..at).map(len).sum(),
        len: len(at),
        elem: Elem::F32,
    }
}

/// Where an operation writes the last values of its state itself, if they are kept.
pub(super) fn keep_by_itself(p: &mut Planner<'_>, state: State) -> Option<Place> {
    if p.options.carry == Carry::None {
        return None;
    }
    p.kept[state.index()] = true;
    Some(rows(p, Space::Next, state))
}

/// Keeps the last values of the states whose sources have been made by now, where they are kept at all.
pub(in crate::tape) fn keep_states(p: &mut Planner<'_>) {
    if p.options.carry == Carry::None {
        return;
    }
    let graph = p.graph;
    for state in (0..p.kept.len()).map(State::at) {
        let source = p.made(graph.state_source(state));
        let Some(slot) = source.filter(|_| !p.kept[state.index()]) else {
            continue;
        };
        p.kept[state.index()] = true;
        let spec = graph.state_spec(state);
        let before = match (spec.holds, p.options.carry) {
            (Holds::Window { .. }, Carry::On) => Some(rows(p, Space::Carried, state)),
            _ => None,
        };
        // No reader that a gradient comes from: what the backward pass does in place stays as it is.
        p.launch(Keep {
            x: p.slots[slot].place,
            before,
            y: rows(p, Space::Next, state),
            size: p.size(spec.width),
            lag: spec.lag().unwrap_or(1),
        });
    }
}

/// # Errors
/// The first state whose last values are nowhere.
pub(in crate::tape) fn kept_or_unknown(p: &Planner<'_>) -> std::result::Result<(), Unknown> {
    let lost = p.kept.iter().position(|kept| !kept);
    match lost.filter(|_| p.options.carry != Carry::None) {
        None => Ok(()),
        Some(state) => Err(Unknown {
            what: "the last values".to_owned(),
            place: format!("the state `{}`", p.graph.states()[state].name),
            layers: vec![],
        }),
    }
}

/// States that are carried on do not begin with what is learned, whose gradient then is 0.
pub(in crate::tape) fn without_gradient(p: &mut Planner<'_>) {
    if p.options.carry != Carry::On {
        return;
    }
    let graph = p.graph;
    for spec in graph.states() {
        if let StateInit::Learned(param) = spec.init
            && p.trained(param)
            && !p.write_grad(param)
        {
            let to = p.param_grad(param);
            p.launch(Zero { to });
        }
    }
}

impl Kernel for Keep {
    fn places(&self) -> Places {
        places!(self.x, self.before => self.y)
    }
    fn host(&self, h: &mut Host) {
        let Size { b, t, d } = self.size;
        let (x, before) = (h.read(self.x), h.opt(self.before));
        let before = before.unwrap_or_else(|| vec![0.0; self.y.len]);
        let line = |sequence: usize| {
            let old = &before[sequence * self.lag * d..][..self.lag * d];
            let all = [old, &x[sequence * t * d..][..t * d]].concat();
            all[t * d..].to_vec()
        };
        let values: Vec<f64> = (0..b).flat_map(line).collect();
        h.write(self.y, &values);
    }
    fn cpu(&self, m: &mut Cpu) {
        let ([x, before], [y]) = (m.memory).access([Some(self.x), self.before], [Some(self.y)]);
        let before = self.before.map(|_| before);
        elementwise::keep(x, before, y, self.size, self.lag);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        let (x, before, y) = (m.view(self.x)?, m.opt(self.before)?, m.view(self.y)?);
        kernel::keep(&m.gpu, x, before, y, self.size, self.lag)
    }
}
