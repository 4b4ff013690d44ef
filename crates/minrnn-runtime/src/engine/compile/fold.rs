//! A Scan whose body is no law that the metadata name: the body's nodes as row operations, run once a step.

use std::sync::Arc;

use super::{Compiler, Outcome, attribute, int};
use crate::engine::constant::Constant;
use crate::engine::instr::{Carry, Folded, Instr, Start};
use crate::engine::value::{Elem, Flow, Phase, Value, View};
use crate::proto::{GraphProto, NodeProto};

/// The names that the body of a Scan reads: those of its own, too.
pub(super) fn read_around(node: &NodeProto) -> impl Iterator<Item = &str> {
    let body = attribute(node, "body").and_then(|a| a.g.as_ref());
    let nodes = body.into_iter().flat_map(|b| &b.node);
    nodes.flat_map(|n| n.input.iter().map(String::as_str))
}

impl<'a> Compiler<'a> {
    /// Along the time, batch first: the last states, then what each step gives.
    pub(super) fn fold(&mut self, node: &'a NodeProto) -> Outcome<'a> {
        let body = attribute(node, "body").and_then(|a| a.g.as_ref());
        let body = body.ok_or("Scan without a body")?;
        let scanned = int(node, "num_scan_inputs").and_then(|n| usize::try_from(n).ok());
        let states = scanned.and_then(|n| node.input.len().checked_sub(n));
        let states = states.ok_or("Scan of fewer inputs than it says")?;
        along_the_time(node)?;
        let mut before = vec![];
        for at in 0..states {
            let h = self.flow(node, at)?;
            if h.phase != Phase::Begin || h.elem != Elem::F32 || h.dims.len() != 1 {
                return Err("a Scan that begins with no state [B, D]".into());
            }
            before.push(h);
        }
        let mut x = vec![];
        for at in states..node.input.len() {
            let steps = self.flow(node, at)?;
            let shaped = steps.phase == Phase::Rows && steps.dims.len() == 1;
            if !shaped || steps.extent.is_none() || steps.elem != Elem::F32 {
                return Err("a Scan of something other than f32 [B, T, D]".into());
            }
            x.push(steps);
        }
        let Some(like) = x.first().cloned() else {
            return Err("a Scan of no sequence".into());
        };
        if x.iter().any(|x| x.extent != like.extent) {
            return Err("a Scan of sequences of different lengths".into());
        }
        let (program, widths) = self.body(body, &before, &x)?;
        let first = self.carries.len();
        for (h, width) in before.iter().zip(&widths) {
            if h.width() != *width {
                return Err("a Scan whose state changes its width".into());
            }
            let start = Start::View(h.at);
            self.carries.push(Carry { steps: 1, start });
        }
        let mut results = vec![];
        for width in &widths {
            results.push(self.result(&like, Elem::F32, vec![*width])?);
        }
        let fold = Folded {
            program,
            carries: (first..self.carries.len()).collect(),
        };
        let instr = Instr::Fold {
            fold: Arc::new(fold),
            x: x.iter().map(|x| x.at).collect(),
            out: results.iter().map(|y| y.at.reg).collect(),
        };
        self.emit(Phase::Rows, instr);
        let mut all = vec![];
        for (at, y) in results.into_iter().enumerate() {
            all.push(Value::Flow(match at < states {
                true => {
                    let mut last = self.capture(&y, None, &[-1], false)?;
                    last.dims.remove(0);
                    last
                }
                false => y,
            }));
        }
        Ok(all)
    }

    /// The body as a program of its own, as if it were a file of the form step; and the widths of its outputs.
    fn body(
        &self,
        body: &'a GraphProto,
        before: &[Flow],
        x: &[Flow],
    ) -> Result<(super::super::Program, Vec<usize>), String> {
        let mut inner = Compiler::new(self.info, self.weights);
        inner.timed = false;
        for name in body.node.iter().flat_map(|n| &n.input) {
            // Constants of the file; values of steps come in as inputs.
            if let Some(Value::Const(constant)) = self.values.get(name.as_str()) {
                inner.values.insert(name, Value::Const(constant.clone()));
            }
        }
        let mut inputs: Vec<View> = vec![];
        for (input, like) in body.input.iter().zip(before.iter().chain(x)) {
            let dims = like.dims.clone();
            let flow = inner.input_flow(&input.name, Phase::Rows, Elem::F32, dims)?;
            inputs.push(flow.at);
        }
        for tensor in &body.initializer {
            let constant = Constant::of(tensor).ok_or("a constant of another type")?;
            inner
                .values
                .insert(&tensor.name, Value::Const(constant.into()));
        }
        for node in &body.node {
            inner
                .node(node)
                .map_err(|what| format!("in a Scan's body: {what}"))?;
        }
        let mut outputs = vec![];
        for output in &body.output {
            match inner.values.get(output.name.as_str()) {
                Some(Value::Flow(y))
                    if y.phase == Phase::Rows && y.elem == Elem::F32 && y.dims.len() == 1 =>
                {
                    outputs.push(y.at);
                }
                _ => return Err("a Scan whose body gives no f32 [B, D]".into()),
            }
        }
        let widths = outputs.iter().map(|y| y.width).collect();
        Ok((inner.finish_body(inputs, outputs)?, widths))
    }
}

fn along_the_time(node: &NodeProto) -> Result<(), String> {
    let all = |name: &str, wanted: i64, absent: bool| match attribute(node, name) {
        Some(list) => list.ints.iter().all(|i| *i == wanted),
        None => absent,
    };
    let outputs = attribute(node, "scan_output_axes").is_some_and(|a| a.ints.is_empty());
    let axes = all("scan_input_axes", 1, false) && (outputs || all("scan_output_axes", 1, false));
    let forwards = ["scan_input_directions", "scan_output_directions"];
    match axes && forwards.iter().all(|name| all(name, 0, true)) {
        true => Ok(()),
        false => Err("a Scan along another axis than the time, or backwards".into()),
    }
}
