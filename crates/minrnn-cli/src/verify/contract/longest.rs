//! The longest sequence that a file says it takes. What lies beyond goes untested, so a file must refuse it, whatever engine
//! runs it.

use minrnn_model::graph::{Graph, Input, OutputKind};
use minrnn_onnx::check;
use minrnn_onnx::ir::{Dim, Model, ValueInfo};
use minrnn_runtime as runtime;

use super::form::FormFile;
use super::{Export, Result, broken};
use crate::verify::Check;

impl Export {
    /// Tries one step more than each form says it takes. `affordable`: the longest sequence that is run for it.
    ///
    /// # Errors
    /// A file that takes it.
    pub(in crate::verify) fn ends_where_it_says(
        &self,
        graph: &Graph,
        affordable: usize,
    ) -> Result<()> {
        if self.off.has(Check::End) {
            return Ok(());
        }
        for (name, form) in &self.forms {
            let Some(longest) = form.longest.filter(|n| name != "step" && *n < affordable) else {
                continue;
            };
            if self.fixed().1.is_some() || form.refuses(self, graph, longest + 1) {
                continue;
            }
            let what = format!(
                "takes T = {}, and metadata `minrnn.max_seq_len` says {longest}: nothing beyond would be verified; export again",
                longest + 1
            );
            return Err(broken(&form.path, what));
        }
        Ok(())
    }
}

impl FormFile {
    /// Whether a sequence of `time` steps is an error: by the shapes already, or in tract.
    fn refuses(&self, export: &Export, graph: &Graph, time: usize) -> bool {
        let fixed = self.fixed_to(time);
        if check::check(&fixed).is_err() {
            return true;
        }
        let options = export.within(runtime::Options::with_plans(1));
        let Ok(model) = runtime::Model::from_bytes_of(&self.path, &fixed.encode(), &options) else {
            return true;
        };
        let batch = export.fixed().0.unwrap_or(1);
        let (ids, values);
        let input = match graph.input() {
            Input::Tokens { .. } => {
                ids = vec![0i64; batch * time];
                runtime::Input::Tokens {
                    ids: &ids,
                    batch,
                    time,
                }
            }
            Input::Features { width } => {
                values = vec![0.0f32; batch * time * width];
                runtime::Input::Features {
                    values: &values,
                    batch,
                    time,
                    width,
                }
            }
        };
        let lengths = vec![time as i64; batch];
        let reset = vec![false; batch * time];
        let info = model.info();
        let extras = runtime::Extras {
            lengths: info.lengths.then_some(lengths.as_slice()),
            reset: info.reset.then_some(reset.as_slice()),
        };
        let state = model.initial_state(batch);
        state
            .and_then(|state| model.run_with(input, &extras, &state))
            .is_err()
    }

    /// The file for sequences of that length alone.
    fn fixed_to(&self, time: usize) -> Model {
        let mut model = self.model.clone();
        for (key, value) in &mut model.metadata {
            if key == "minrnn.max_seq_len" {
                *value = time.to_string();
            }
        }
        let ports = model
            .graph
            .inputs
            .iter_mut()
            .chain(&mut model.graph.outputs);
        ports.for_each(|port| fix(port, time));
        // Shapes that were written down for any length would contradict.
        model.graph.value_info.clear();
        model
    }
}

fn fix(port: &mut ValueInfo, time: usize) {
    let outputs = [OutputKind::Logits, OutputKind::Values].map(OutputKind::tensor_name);
    let timed = ["input_ids", "features", "reset"];
    if !outputs.iter().chain(&timed).any(|name| *name == port.name) {
        return;
    }
    let dims = port.dims.iter_mut().flatten();
    for dim in dims.filter(|d| matches!(d, Dim::Symbol(s) if s == "seq_len")) {
        *dim = Dim::Fixed(time as i64);
    }
}
