//! An engine with one file opened for one case, timed and held to what must come out.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::{Result, anyhow};
use minrnn_model::compare::Comparison;

use super::call::Call;
use super::rounds::{Fault, Runner};
use crate::verify::contender::{Array, Failure, Io, Lap, Opened};

/// Which engine, which file, which way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) engine: String,
    pub(super) form: String,
    pub(super) io: Io,
}

impl Label {
    pub(super) fn words(&self) -> String {
        format!("{} ({}, {})", self.engine, self.form, self.io.name())
    }
}

/// A file in an engine; the ways to call it share it.
pub(super) type Held = Rc<RefCell<Box<dyn Opened>>>;

/// What the exact engine gives after so many calls.
pub(super) struct Truth {
    opened: Held,
    call: Rc<Call>,
    io: Io,
    tolerance: f64,
    known: RefCell<BTreeMap<usize, Vec<Array>>>,
}

impl Truth {
    pub(super) fn new(opened: Held, call: Rc<Call>, io: Io, tolerance: f64) -> Self {
        Self {
            opened,
            call,
            io,
            tolerance,
            known: RefCell::default(),
        }
    }

    /// Where results of so many calls are off; `None`: nowhere.
    fn off(&self, calls: usize, got: &[Array]) -> Result<Option<String>> {
        // Calls that hand nothing on are all alike.
        let calls = match self.call.feedback.is_empty() {
            true => 1,
            false => calls,
        };
        let mut known = self.known.borrow_mut();
        if let Some(want) = known.get(&calls) {
            return Ok(difference(&self.call.wanted, got, want, self.tolerance));
        }
        let lap = lap(&self.opened, &self.call, self.io, calls);
        let want = lap.map_err(|e| anyhow!("minrnn: {e}"))?.last;
        let off = difference(&self.call.wanted, got, &want, self.tolerance);
        known.insert(calls, want);
        Ok(off)
    }
}

/// An engine, a file, a way.
pub(super) struct Entry {
    pub(super) label: Label,
    pub(super) opened: Held,
    pub(super) call: Rc<Call>,
    pub(super) truth: Rc<Truth>,
}

impl Runner for Entry {
    /// What comes out of each lap is held to what the exact engine gives after as many calls.
    fn run(&mut self, calls: usize) -> Result<f64, Fault> {
        let lap = lap(&self.opened, &self.call, self.label.io, calls).map_err(|e| match e {
            Failure::Refused(why) => Fault::Refused(why),
            Failure::Wrong(why) | Failure::Stopped(why) => Fault::Wrong(why),
        })?;
        match self.truth.off(calls, &lap.last).map_err(Fault::Ours)? {
            None => Ok(lap.seconds),
            Some(what) => Err(Fault::Wrong(format!("after {calls} calls, {what}"))),
        }
    }
}

pub(super) fn lap(opened: &Held, call: &Call, io: Io, calls: usize) -> Result<Lap, Failure> {
    call.timing(io, calls, |timing| opened.borrow_mut().time(timing))
}

/// Where two results are further apart than `tolerance` times the tensor's largest magnitude (1 at least), or integers are not the
/// same; `None`: nowhere.
pub(super) fn difference(
    names: &[String],
    got: &[Array],
    want: &[Array],
    tolerance: f64,
) -> Option<String> {
    if got.len() != want.len() || got.len() != names.len() {
        return Some(format!("{} tensors against {}", got.len(), want.len()));
    }
    let mut all = names.iter().zip(got.iter().zip(want));
    all.find_map(|(name, (a, b))| {
        if a.dims() != b.dims() || a.dtype() != b.dtype() {
            let (a, b) = ((a.dtype(), a.dims()), (b.dtype(), b.dims()));
            return Some(format!(
                "`{name}` is {} {:?} against {} {:?}",
                a.0, a.1, b.0, b.1
            ));
        }
        let mut c = Comparison::default();
        let mut allowed = "nothing".to_owned();
        if let (Some(a), Some(b)) = (a.ints(), b.ints()) {
            a.iter().zip(b).for_each(|(x, y)| c.push_int(*x, *y, false));
        }
        if let (Some(a), Some(b)) = (a.floats(), b.floats()) {
            let scale = b.iter().fold(1f64, |m, x| m.max(x.abs()));
            let pairs = a.iter().zip(b);
            pairs.for_each(|(x, y)| c.push(*x, *y, tolerance * scale));
            allowed = format!("{tolerance} of {scale}");
        }
        let worst = c.worst.filter(|_| c.failing > 0)?;
        Some(format!(
            "`{name}` at {} is {} against {}, where {allowed} is allowed",
            worst.index, worst.got, worst.want
        ))
    })
}

#[cfg(test)]
mod tests {
    use minrnn_onnx::ir::DType;

    use super::*;

    #[test]
    fn what_is_far_apart_is_named() {
        let array = |v: &[f64]| Array::from_floats(DType::F32, &[v.len()], v).unwrap();
        let names = ["y", "h"].map(str::to_owned);
        let ours = [array(&[1.0, -20.0, 3.0]), array(&[0.5])];
        let off = |got: &[Array], tolerance| difference(&names, got, &ours, tolerance);
        assert_eq!(off(&ours, 0.0), None);
        let mut theirs = ours.clone();
        theirs[0] = array(&[1.0, -20.0, 3.15]);
        assert_eq!(off(&theirs, 0.01), None);
        let said = off(&theirs, 0.001).unwrap();
        assert!(said.starts_with("`y` at 2 is 3.15"), "{said}");
        theirs = ours.clone();
        theirs[1] = array(&[f64::NAN]);
        assert!(off(&theirs, 0.1).unwrap().starts_with("`h`"));
        assert!(off(&ours[..1], 0.1).is_some());
        assert!(off(&[array(&[1.0]), array(&[0.5])], 0.1).is_some());
        let whole = |n| Array::from_ints(DType::I64, &[1], &[n]).unwrap();
        assert!(off(&[ours[0].clone(), whole(0)], 0.1).is_some());
        // Integers have no tolerance.
        let ints = |n| difference(&names[..1], &[whole(n)], &[whole(7)], 1e3);
        assert_eq!(ints(7), None);
        assert_eq!(
            ints(8).unwrap(),
            "`y` at 0 is 8 against 7, where nothing is allowed"
        );
    }
}
