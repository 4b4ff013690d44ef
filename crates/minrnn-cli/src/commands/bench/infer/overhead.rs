//! A graph that has next to nothing to compute: what a call of it takes is the way there and back.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use minrnn_onnx::ir::{DType, Dim, Graph, Model, Node, ValueInfo};

use super::call::Call;
use super::rounds::{least, pause};
use crate::verify::contender::{Array, Io, Opened, Roster};

/// A way to call an engine, and the least seconds that a call takes.
pub(super) type Overhead = (String, Io, f64);

/// Laps, and calls of each.
const LAPS: usize = 9;
const CALLS: usize = 500;

/// Of every engine that takes such a file.
pub(super) fn measure(roster: &Roster, folder: &Path) -> Result<Vec<Overhead>> {
    let path = write(folder)?;
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let x = Array::from_floats(DType::F32, &[1], &[0.0]).map_err(|e| anyhow!("{e}"))?;
    let call = Call {
        feeds: vec![("x".into(), x)],
        feedback: vec![],
        wanted: vec!["y".into()],
    };
    let all = roster.every(|engine, _| -> Result<Vec<Overhead>> {
        let name = engine.name().to_owned();
        // One that does not take it, or does not time its calls, has no figure.
        let Ok(mut opened) = engine.open(&path, &bytes, 1) else {
            return Ok(vec![]);
        };
        let mut found = vec![];
        for io in opened.ways() {
            pause()?;
            let laps = laps(opened.as_mut(), &call, io);
            found.extend(laps.map(|seconds| (name.clone(), io, seconds)));
        }
        Ok(found)
    });
    Ok(all.into_iter().collect::<Result<Vec<_>>>()?.concat())
}

fn laps(opened: &mut dyn Opened, call: &Call, io: Io) -> Option<f64> {
    let mut one = |_| call.timing(io, CALLS, |timing| opened.time(timing));
    let laps: Result<Vec<_>, _> = (0..LAPS).map(&mut one).collect();
    let seconds: Vec<f64> = laps
        .ok()?
        .iter()
        .map(|l| l.seconds / CALLS as f64)
        .collect();
    Some(least(&seconds))
}

/// `y = Neg(x)`, one number.
fn write(folder: &Path) -> Result<PathBuf> {
    let port = |name: &str| ValueInfo::new(name, DType::F32, vec![Dim::Fixed(1)]);
    let graph = Graph {
        name: "overhead".into(),
        inputs: vec![port("x")],
        outputs: vec![port("y")],
        nodes: vec![Node {
            op_type: "Neg".into(),
            inputs: vec!["x".into()],
            outputs: vec!["y".into()],
            ..Node::default()
        }],
        ..Graph::default()
    };
    let model = Model {
        ir_version: 8,
        opsets: vec![(String::new(), 17)],
        graph,
        ..Model::default()
    };
    let path = folder.join("overhead.onnx");
    std::fs::write(&path, model.encode())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
