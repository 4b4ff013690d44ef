//! The golden trace of an export against the oracle.

use anyhow::Result;
use minrnn_model::compare::Comparison;
use minrnn_model::graph::{Graph, Input};
use minrnn_model::oracle::{self, Data, Run};
use minrnn_onnx::export::Port;
use safetensors::{Dtype, SafeTensors};

use super::contract::{ContractError, Export};
use super::engine::Numbers;
use super::report::Tally;
use super::{Grade, Row};

/// `golden.safetensors` must be, bit for bit, what the oracle computes from the model's description and the files' weights.
pub(super) fn row(export: &Export, graph: &Graph, ports: &[Port], numbers: Numbers) -> Result<Row> {
    let (path, bytes) = export.golden()?;
    let fail = |what: String| ContractError {
        file: path.clone(),
        what,
    };
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|e| fail(format!("is no safetensors file: {e}")))?;
    let trace = Trace { file, fail: &fail };
    let mut tally = Tally::new("oracle", "golden trace", "golden file", Grade::Exact);
    for prefix in ["initial", "given"] {
        trace.compare(graph, ports, numbers, prefix, &mut tally)?;
    }
    Ok(tally.row())
}

struct Trace<'a> {
    file: SafeTensors<'a>,
    fail: &'a dyn Fn(String) -> ContractError,
}

impl Trace<'_> {
    fn compare(
        &self,
        graph: &Graph,
        ports: &[Port],
        numbers: Numbers,
        prefix: &str,
        tally: &mut Tally,
    ) -> Result<()> {
        let (ids, features, batch, time);
        let data = match graph.input() {
            Input::Tokens { .. } => {
                (ids, [batch, time]) = self.ids("input_ids")?;
                Data::Tokens(&ids)
            }
            Input::Features { .. } => {
                let (values, shape) = self.floats("features")?;
                let [b, t, _] = shape[..] else {
                    return Err((self.fail)("`features` is not [B, T, F]".into()).into());
                };
                (features, batch, time) = (values, b, t);
                Data::Features(&features)
            }
        };
        let wide = |v: Vec<f32>| v.into_iter().map(f64::from).collect::<Vec<f64>>();
        let mut states = vec![vec![]; graph.states().len()];
        for port in ports {
            let values = wide(self.floats(&format!("{prefix}.{}", port.input))?.0);
            if values.len() != batch * port.shape.iter().product::<usize>() {
                return Err(
                    (self.fail)(format!("`{prefix}.{}` has another shape", port.input)).into(),
                );
            }
            for (at, values) in port.scatter(graph, batch, &values) {
                states[at] = values;
            }
        }
        let reset = self.resets(batch * time)?;
        let run = Run {
            states: Some(&states),
            reset: reset.as_deref(),
            rounding: numbers.rounding,
            ..Run::new(batch, time, data)
        };
        let trace =
            oracle::run(graph, numbers.params, &run).map_err(|e| (self.fail)(e.to_string()))?;
        let mut c = Comparison::default();
        let output = graph.output().kind.tensor_name();
        let outputs = std::iter::once((output.to_owned(), trace.output.to_f32()));
        let nexts = ports.iter().map(|port| {
            let values = port.gather(graph, batch, |i| trace.states[i].data.as_slice());
            let narrow = values.iter().map(|v| *v as f32).collect();
            (port.output.clone(), narrow)
        });
        for (name, got) in outputs.chain(nexts) {
            let name = format!("{prefix}.{name}");
            let (want, _) = self.floats(&name)?;
            if got.len() != want.len() {
                return Err((self.fail)(format!(
                    "`{name}` has {} values, the model gives {}",
                    want.len(),
                    got.len()
                ))
                .into());
            }
            c.extend_exact(&got, &want);
        }
        tally.add(&format!("{prefix} states"), &c);
        Ok(())
    }

    /// Steps at which states begin anew, if the trace has such.
    fn resets(&self, count: usize) -> Result<Option<Vec<bool>>> {
        let Ok(view) = self.file.tensor("reset") else {
            return Ok(None);
        };
        if view.dtype() != Dtype::BOOL || view.data().len() != count {
            return Err((self.fail)("`reset` is not BOOL [B, T]".into()).into());
        }
        Ok(Some(view.data().iter().map(|b| *b != 0).collect()))
    }

    fn floats(&self, name: &str) -> Result<(Vec<f32>, Vec<usize>)> {
        let view = self
            .file
            .tensor(name)
            .map_err(|_| (self.fail)(format!("has no tensor `{name}`")))?;
        if view.dtype() != Dtype::F32 {
            return Err((self.fail)(format!("`{name}` is {:?}, wanted F32", view.dtype())).into());
        }
        let (values, _) = view.data().as_chunks::<4>();
        Ok((
            values.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            view.shape().to_vec(),
        ))
    }

    fn ids(&self, name: &str) -> Result<(Vec<u32>, [usize; 2])> {
        let view = self
            .file
            .tensor(name)
            .map_err(|_| (self.fail)(format!("has no tensor `{name}`")))?;
        let (true, &[b, t]) = (view.dtype() == Dtype::I64, view.shape()) else {
            return Err((self.fail)(format!(
                "`{name}` is {:?} {:?}, wanted I64 [B, T]",
                view.dtype(),
                view.shape()
            ))
            .into());
        };
        let (values, _) = view.data().as_chunks::<8>();
        // An id that is no u32 becomes one that no vocabulary has; the oracle refuses it.
        Ok((
            values
                .iter()
                .map(|b| u32::try_from(i64::from_le_bytes(*b)).unwrap_or(u32::MAX))
                .collect(),
            [b, t],
        ))
    }
}
