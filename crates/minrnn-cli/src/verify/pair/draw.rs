//! How the floats of a case are drawn: as usual, or in one of the ways in which files may take another path.
//!
//! Normal numbers alone are of one size, and no frame of them is silent: a gate for speech, an epsilon in a norm, a threshold or a clip
//! far out are never reached. So the shorter cases run again with other numbers, from the initial states.

use anyhow::Result;
use minrnn_model::rng::Rng;

use super::case::{Case, Two};
use super::interface::Link;
use super::port::Elem;
use super::spec::Role;
use super::tensor::{Reading, Tensor};
use super::way::Draw;

/// How many times as large inputs are in some cases.
const LARGE: f64 = 100.0;

/// And how small, by row in turn: in each, some values are their only peers.
const SMALL: [f64; 2] = [1e-3, 1e-6];

/// The longest case with large or small inputs, but of files of one length.
const FAR: usize = 17;

/// T of cases with frames of zeros, and of small inputs: within a block, and past one.
const SILENT: [usize; 3] = [3, 17, 64];

impl Case {
    /// The same drawn in another way, from the initial states; `None`: it has no floats for that.
    pub(crate) fn redrawn(&self, two: &Two, draw: Draw, rng: &mut Rng) -> Result<Option<Self>> {
        match draw {
            Draw::Usual => Ok(Some(self.clone())),
            Draw::Marked => two.marked(self, rng),
            Draw::Large => self.changed(two, draw, |_, t| scaled(t, |_| LARGE)),
            Draw::Small => self.changed(two, draw, small),
            Draw::Centred => self.changed(two, draw, |link, t| two.centred(link, t)),
            Draw::Silent => self.changed(two, draw, silent),
        }
    }

    /// The ways besides the usual one in which a case is run, `limit` the longest of all.
    pub(super) fn otherwise(&self, two: &Two, limit: usize) -> Vec<Draw> {
        let only = two.face.length.is_some();
        let mut all = vec![];
        if self.time <= FAR || only {
            all.extend([Draw::Large, Draw::Centred]);
        }
        let near = |t: &usize| two.face.steps(*t).min(limit) == self.time;
        if SILENT.iter().any(near) || only {
            all.push(Draw::Silent);
            if self.time <= FAR || only {
                all.push(Draw::Small);
            }
        }
        all
    }

    /// With other values for the floats that are drawn.
    fn changed(
        &self,
        two: &Two,
        draw: Draw,
        of: impl Fn(&Link, &Tensor) -> Option<Vec<f64>>,
    ) -> Result<Option<Self>> {
        let mut case = Self {
            draw,
            states: None,
            ..self.clone()
        };
        let mut any = false;
        for (i, t) in case.data.iter_mut().enumerate() {
            let link = &two.face.links[i];
            if !link.is_free() || two.keeps(i) {
                continue;
            }
            if let Some(values) = of(link, t) {
                any = true;
                *t = Tensor::floats(link.elem, t.shape(), &values)?;
            }
        }
        Ok(any.then_some(case))
    }
}

fn scaled(t: &Tensor, by: impl Fn(usize) -> f64) -> Option<Vec<f64>> {
    let values = t.values(Reading::Exact);
    let each = values.iter().enumerate().map(|(i, v)| v * by(i));
    Some(each.collect())
}

/// Where a flat position lies along the axis of a role.
fn along<'t>(link: &Link, t: &'t Tensor, role: Role) -> Option<impl Fn(usize) -> usize + use<'t>> {
    let axis = link.roles.iter().position(|r| *r == role)?;
    let size = *t.shape().get(axis)?;
    let inner: usize = t.shape()[axis + 1..].iter().product();
    Some(move |i: usize| i / inner.max(1) % size.max(1))
}

fn small(link: &Link, t: &Tensor) -> Option<Vec<f64>> {
    // Of a million times as small, short floats have no digits.
    let sizes = match link.elem {
        Elem::F16 | Elem::BF16 => 1,
        _ => SMALL.len(),
    };
    match along(link, t, Role::Batch) {
        Some(row) => scaled(t, |i| SMALL[row(i) % sizes]),
        None => scaled(t, |_| SMALL[0]),
    }
}

/// Frames of zeros: by row in turn two of three steps behind the first, all, and the later half. What has no width may be a mask: no row
/// of it is 0 wholly.
fn silent(link: &Link, t: &Tensor) -> Option<Vec<f64>> {
    let wide = |r: &Role| matches!(r, Role::Fixed(n) if *n > 1);
    let wide = link.roles.iter().any(wide);
    let row = along(link, t, Role::Batch);
    let row = |i: usize| row.as_ref().map_or(0, |row| row(i));
    let Some(step) = along(link, t, Role::Time) else {
        return wide.then(|| scaled(t, |i| f64::from(u8::from(row(i) % 3 != 1))))?;
    };
    let steps = link.time().map_or(1, |axis| t.shape()[axis]);
    scaled(t, |i| {
        let step = step(i);
        let silent = match row(i) % 3 {
            1 if wide => true,
            2 => step > 0 && 2 * step >= steps,
            _ => !step.is_multiple_of(3),
        };
        f64::from(u8::from(!silent))
    })
}
