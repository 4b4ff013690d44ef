//! Our own engine, to which the others are held, held to the judge.

use std::path::Path;

use anyhow::{Result, anyhow};
use minrnn_model::trial::{carried, steps};
use minrnn_onnx::eval::{Array, Carried, EvalError, EvalErrorKind, Limits, Output, Session};
use minrnn_onnx::ir::Model;

use super::call::Call;

/// Operations that a call may take: some seconds.
const OPERATIONS: u64 = 4_000_000_000;

/// What the judge gives after so many calls; `None`: that would take too long.
///
/// # Errors
/// A file that is not judged.
pub(super) fn judged(path: &Path, call: &Call, calls: usize) -> Result<Option<Vec<Array>>> {
    within(OPERATIONS, path, call, calls)
}

fn within(operations: u64, path: &Path, call: &Call, calls: usize) -> Result<Option<Vec<Array>>> {
    let bytes = minrnn_train::data::read_data(path)?;
    let model = Model::decode(&bytes).map_err(|e| anyhow!("{}: {e}", path.display()))?;
    let session = Session::open(&model, path.parent())?;
    let limits = Limits {
        operations: operations / calls as u64,
        ..Limits::default()
    };
    let feeds = call.feeds.iter();
    let known = feeds.map(|(name, a)| (name.clone(), Output::known(a.clone())));
    let first: Carried = known.collect();
    let ran = carried(steps(calls, 1), first, |_, mut given| {
        let ran = session.run_on(&given, &limits)?;
        let get = |name: &String| {
            let value = ran.get(name).cloned();
            value.ok_or_else(|| anyhow!("{}: it gives no `{name}`", path.display()))
        };
        for (output, into) in &call.feedback {
            given.insert(into.clone(), get(output)?);
        }
        let wanted = call.wanted.iter().map(|n| Ok(get(n)?.rounded()));
        Ok((wanted.collect::<Result<Vec<Array>>>()?, given))
    });
    match ran {
        Err(error) if is_too_much(&error) => Ok(None),
        ran => Ok(ran?.0.pop()),
    }
}

/// Whether it would take longer or more memory than it may.
fn is_too_much(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<EvalError>().map(|e| &e.kind);
    matches!(
        kind,
        Some(
            EvalErrorKind::Budget { .. }
                | EvalErrorKind::Rounds { .. }
                | EvalErrorKind::Memory { .. }
        )
    )
}

#[cfg(test)]
mod tests {
    use minrnn_onnx::builder::Builder;
    use minrnn_onnx::ir::{DType, Dim};

    use super::*;

    /// `y = x h`, `h_next = h + x`: from call to call, h goes on and x stays.
    #[test]
    fn states_go_on_from_call_to_call() {
        let mut b = Builder::new("step");
        let dims = || vec![Dim::Fixed(2)];
        let [x, h] = ["x", "h"].map(|name| b.input(name, DType::F32, dims()));
        let (y, next) = (b.mul(x, h), b.add(h, x));
        b.output("y", y, DType::F32, dims());
        b.output("h_next", next, DType::F32, dims());
        let model = Model {
            ir_version: 8,
            opsets: vec![(String::new(), 17)],
            graph: b.finish().unwrap(),
            ..Model::default()
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("step.onnx");
        std::fs::write(&path, model.encode()).unwrap();
        let array = |v: [f64; 2]| Array::from_floats(DType::F32, &[2], &v).unwrap();
        let call = Call {
            feeds: vec![
                ("x".into(), array([2.0, 3.0])),
                ("h".into(), array([0.0, 1.0])),
            ],
            feedback: vec![("h_next".into(), "h".into())],
            wanted: vec!["y".into(), "h_next".into()],
        };
        let last = judged(&path, &call, 3).unwrap().unwrap();
        assert_eq!(last, [array([8.0, 21.0]), array([6.0, 10.0])]);
        assert_eq!(within(3, &path, &call, 3).unwrap(), None);
    }
}
