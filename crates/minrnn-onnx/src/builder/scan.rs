//! The Scan operator and its body.

use super::{Builder, Frame, Val};
use crate::ir::{Attr, DType, Dim};

/// What the body of a Scan gives.
#[derive(Debug, Clone)]
pub struct ScanBody {
    /// States after the step, as many as there are states.
    pub states: Vec<Val>,
    /// Outputs of the step, gathered over time.
    pub outputs: Vec<(Val, Vec<Dim>)>,
}

impl Builder {
    /// ONNX Scan over axis `axis` of `inputs`; everything is f32. `states` and `inputs` come with the shapes that the body sees
    /// (inputs without the scanned axis). `body` gets states, then inputs. Gives the last states, then the gathered outputs.
    ///
    /// # Panics
    /// If the body does not give as many states as there are.
    pub fn scan(
        &mut self,
        states: &[(Val, Vec<Dim>)],
        inputs: &[(Val, Vec<Dim>)],
        axis: i64,
        body: impl FnOnce(&mut Self, &[Val], &[Val]) -> ScanBody,
    ) -> Vec<Val> {
        self.frames.push(Frame::default());
        self.scope.push("body".to_owned());
        let made = |b: &mut Self, prefix: &str, (_, dims): &(Val, Vec<Dim>)| {
            let wanted = b
                .scope
                .iter()
                .fold(String::new(), |path, part| path + "/" + part)
                + "/"
                + prefix;
            let name = b.names.unique_value(&wanted);
            let val = b.push_value(name, None);
            b.frame().inputs.push((val, DType::F32, dims.clone()));
            val
        };
        let state_in: Vec<Val> = states.iter().map(|s| made(self, "state", s)).collect();
        let input_in: Vec<Val> = inputs.iter().map(|i| made(self, "input", i)).collect();
        let result = body(self, &state_in, &input_in);
        assert_eq!(
            result.states.len(),
            states.len(),
            "the body of a Scan gives back every state"
        );
        let count = result.states.len() + result.outputs.len();
        let state_out = result
            .states
            .into_iter()
            .zip(states)
            .map(|(v, (_, dims))| (v, dims.clone()));
        let ends: Vec<_> = state_out.chain(result.outputs).collect();
        for (i, (value, dims)) in ends.into_iter().enumerate() {
            let mut fresh = self.values[value.0].renamable_at == Some(self.frames.len());
            // An engine gives what is gathered its new axis for all of its readers, those in the body too.
            let gathered = i >= states.len();
            fresh &= !(gathered && self.frame().nodes.iter().any(|n| n.inputs.contains(&value)));
            let value = if fresh { value } else { self.identity(value) };
            self.values[value.0].renamable_at = None;
            self.frame().outputs.push((value, DType::F32, dims));
        }
        let frame = self.frames.pop().unwrap_or_default();
        self.scope.pop();
        let graph = self.close(frame, "body".to_owned());
        let scanned = inputs.len();
        let outputs = count - states.len();
        let attributes = vec![
            ("body", Attr::Graph(Box::new(graph))),
            ("num_scan_inputs", Attr::Int(scanned as i64)),
            ("scan_input_axes", Attr::Ints(vec![axis; scanned])),
            ("scan_output_axes", Attr::Ints(vec![axis; outputs])),
        ];
        let all: Vec<Val> = states.iter().chain(inputs).map(|(v, _)| *v).collect();
        self.node_n("Scan", &all, count, attributes)
    }
}
