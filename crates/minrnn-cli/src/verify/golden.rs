//! The golden trace of an export against the oracle: its values, and the bounds that others hold their engines to.

use std::path::Path;

use anyhow::Result;
use minrnn_model::compare::Comparison;
use minrnn_model::graph::{Graph, Input};
use minrnn_model::params::Params;
use minrnn_model::ruler::ACROSS;
use minrnn_model::trial::{Case, Draw, How};
use minrnn_onnx::export::{Port, Stored, Weights, golden_bounds, widen_golden_bounds};
use safetensors::{Dtype, SafeTensors};

use super::contract::{ContractError, Export};
use super::engine::Numbers;
use super::report::Tally;
use super::{Grade, Row};

/// `golden.safetensors` must be, bit for bit, what the oracle computes from the model's description and the files' weights: values, and
/// how far an engine may be from them. `originals`: the parameters before they were rounded, where they are known. The remark says what
/// of the bounds cannot be told.
pub(super) fn row(
    export: &Export,
    graph: &Graph,
    stored: &Stored,
    numbers: Numbers,
    originals: Option<&Params>,
) -> Result<(Row, Option<String>)> {
    let (path, bytes) = export.golden()?;
    let fail = broken(&path);
    let file = read(&bytes, &fail)?;
    let mut trace = Trace {
        file,
        fail: &fail,
        plain: match (&stored.weights, originals) {
            (Weights::F32, _) => Plain::Same,
            (_, Some(params)) => Plain::Of(params),
            (_, None) => Plain::Unknown,
        },
        ours: export.is_of_this_version(),
        other_bounds: false,
    };
    trace.unlisted(graph, &stored.ports)?;
    let mut tally = Tally::new("oracle", "golden trace", "golden file", Grade::Exact);
    for prefix in ["initial", "given"] {
        trace.compare(graph, &stored.ports, numbers, prefix, &mut tally)?;
    }
    let remark = match (trace.other_bounds, &trace.plain) {
        (true, _) => Some(
            "golden trace: its bounds are not those that this version writes, and it is of another one; what an engine is held to by them is not known",
        ),
        (false, Plain::Unknown) => Some(
            "golden trace: how much the narrow weights add to its bounds is known with the checkpoint alone (--checkpoint)",
        ),
        _ => None,
    };
    Ok((tally.row(), remark.map(str::to_owned)))
}

/// What is wrong with the trace that lies there.
fn broken(path: &Path) -> impl Fn(String) -> ContractError + '_ {
    move |what| ContractError {
        file: path.to_path_buf(),
        what,
    }
}

fn read<'a>(
    bytes: &'a [u8],
    fail: &dyn Fn(String) -> ContractError,
) -> Result<SafeTensors<'a>, ContractError> {
    SafeTensors::deserialize(bytes).map_err(|e| fail(format!("is no safetensors file: {e}")))
}

/// A run of the trace: what goes in, what comes out, and how far an engine may be from it.
pub(super) struct Known {
    pub(super) case: Case,
    /// The output, then the states, in the graph's order.
    pub(super) tensors: Vec<Within>,
}

/// Values, and how far from each an engine may be.
pub(super) struct Within {
    pub(super) values: Vec<f32>,
    pub(super) bounds: Vec<f32>,
}

/// The runs of the trace with the bounds that it states, which [`row`] holds to the oracle. None of a trace with resets, without bounds,
/// or of a batch or length that the files do not take. `narrow`: products round their arguments, which may go either way; the bounds
/// have what that moved once, and an engine gets [`ACROSS`] times as much.
pub(super) fn known(
    export: &Export,
    graph: &Graph,
    (ports, narrow): (&[Port], bool),
) -> Result<Vec<Known>> {
    let (path, bytes) = export.golden()?;
    let fail = broken(&path);
    let file = read(&bytes, &fail)?;
    let trace = Trace {
        file,
        fail: &fail,
        plain: Plain::Unknown,
        ours: true,
        other_bounds: false,
    };
    let mut all: Vec<Known> = vec![];
    for prefix in ["initial", "given"] {
        all.extend(trace.known(graph, ports, prefix)?);
    }
    let (batch, time) = export.fixed();
    let longest = export.longest().unwrap_or(usize::MAX);
    if narrow {
        let tensors = all.iter_mut().flat_map(|known| &mut known.tensors);
        let bounds = tensors.flat_map(|t: &mut Within| &mut t.bounds);
        bounds.for_each(|b| *b *= ACROSS as f32);
    }
    all.retain(|known: &Known| {
        let case = &known.case;
        let fits = |fixed: Option<usize>, here| fixed.is_none_or(|n| n == here);
        fits(batch, case.batch) && fits(time, case.time) && case.time <= longest
    });
    Ok(all)
}

/// The run without any rounding, whose distance from the trace is a part of the bounds.
enum Plain<'a> {
    /// The trace itself.
    Same,
    /// With these parameters.
    Of(&'a Params),
    /// With parameters that are in none of the files.
    Unknown,
}

struct Trace<'a> {
    file: SafeTensors<'a>,
    fail: &'a dyn Fn(String) -> ContractError,
    plain: Plain<'a>,
    /// Whether this version wrote it.
    ours: bool,
    /// Whether bounds were found that this version does not write, in a trace of another one.
    other_bounds: bool,
}

impl Trace<'_> {
    /// # Errors
    /// A tensor that belongs to neither run: nothing holds it to anything, and readers may take it for what it is not.
    fn unlisted(&self, graph: &Graph, ports: &[Port]) -> Result<()> {
        let output = graph.output().kind.tensor_name();
        let known = |name: &str| {
            let run = |prefix: &str| name.strip_prefix(prefix)?.strip_prefix('.');
            let Some(rest) = ["initial", "given"].into_iter().find_map(run) else {
                return ["input_ids", "features", "lengths", "reset"].contains(&name);
            };
            let made = rest.strip_suffix(".bound").unwrap_or(rest);
            ports.iter().any(|p| p.input == rest || p.output == made) || made == output
        };
        let mut names = self.file.names();
        names.sort_unstable();
        match names.into_iter().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => Err((self.fail)(format!(
                "`{name}` is no tensor of a golden trace, and nothing holds it to anything; take it out, or export again"
            ))
            .into()),
        }
    }

    fn compare(
        &mut self,
        graph: &Graph,
        ports: &[Port],
        numbers: Numbers,
        prefix: &str,
        tally: &mut Tally,
    ) -> Result<()> {
        let mut case = self.case(graph, ports, prefix)?;
        let (batch, time) = (case.batch, case.time);
        self.lengths(batch, time)?;
        case.reset = self.resets(batch * time)?;
        let how = How {
            rounding: numbers.rounding,
            bounds: true,
            ..How::default()
        };
        let fail = |e: minrnn_model::ModelError| (self.fail)(e.to_string());
        let mut trace = case.trace(graph, numbers.params, how).map_err(fail)?;
        if let Plain::Of(params) = self.plain {
            let how = How {
                rounding: None,
                ..how
            };
            let plain = case.trace(graph, params, how).map_err(fail)?;
            let states = trace.states.iter_mut().zip(&plain.states);
            for (own, wide) in states.chain([(&mut trace.output, &plain.output)]) {
                widen_golden_bounds(own, wide);
            }
        }
        let mut c = Comparison::default();
        let mut bounds = Comparison::default();
        let out = (&trace.output.data[..], &trace.output.bound[..]);
        let outputs = [(
            graph.output().kind.tensor_name().to_owned(),
            out.0.to_vec(),
            out.1.to_vec(),
        )];
        let nexts = ports.iter().map(|port| {
            let data = port.gather(graph, batch, |i| trace.states[i].data.as_slice());
            let bound = port.gather(graph, batch, |i| trace.states[i].bound.as_slice());
            (port.output.clone(), data, bound)
        });
        for (name, data, bound) in outputs.into_iter().chain(nexts) {
            let name = format!("{prefix}.{name}");
            let got: Vec<f32> = data.iter().map(|v| *v as f32).collect();
            c.extend_exact(&got, &self.as_many(&name, got.len())?);
            let name = format!("{name}.bound");
            let allowed = golden_bounds(&data, &bound);
            let found = match self.as_many(&name, allowed.len()) {
                Err(_) if !self.ours => {
                    self.other_bounds = true;
                    continue;
                }
                found => found?,
            };
            match self.plain {
                Plain::Unknown => unknown_part(&found, &allowed, &mut bounds),
                Plain::Same | Plain::Of(_) => bounds.extend_exact(&found, &allowed),
            }
        }
        tally.add(&format!("{prefix} states"), &c);
        match self.ours || bounds.holds() {
            true => tally.add(&format!("{prefix} states, bounds"), &bounds),
            false => self.other_bounds = true,
        }
        Ok(())
    }

    fn known(&self, graph: &Graph, ports: &[Port], prefix: &str) -> Result<Option<Known>> {
        let output = format!("{prefix}.{}", graph.output().kind.tensor_name());
        if self.file.tensor("reset").is_ok()
            || self.file.tensor(&format!("{output}.bound")).is_err()
        {
            return Ok(None);
        }
        let case = self.case(graph, ports, prefix)?;
        let scattered =
            |name: &dyn Fn(&Port) -> String| self.scattered((graph, ports), case.batch, name);
        let next = scattered(&|p: &Port| format!("{prefix}.{}", p.output))?;
        let apart = scattered(&|p: &Port| format!("{prefix}.{}.bound", p.output))?;
        let states = next.into_iter().zip(apart);
        let first = (
            self.floats(&output)?.0,
            self.floats(&format!("{output}.bound"))?.0,
        );
        let tensors = std::iter::once(first).chain(states);
        Ok(Some(Known {
            case,
            tensors: tensors
                .map(|(values, bounds)| Within { values, bounds })
                .collect(),
        }))
    }

    /// What goes into a run.
    fn case(&self, graph: &Graph, ports: &[Port], prefix: &str) -> Result<Case> {
        let (ids, features, [batch, time]) = match graph.input() {
            Input::Tokens { .. } => {
                let (ids, shape) = self.ids("input_ids")?;
                (ids, vec![], shape)
            }
            Input::Features { .. } => match self.floats("features")? {
                (values, shape) if shape.len() == 3 => (vec![], values, [shape[0], shape[1]]),
                _ => return Err((self.fail)("`features` is not [B, T, F]".into()).into()),
            },
        };
        let name = |p: &Port| format!("{prefix}.{}", p.input);
        Ok(Case {
            batch,
            time,
            draw: Draw::Usual,
            ids,
            features,
            states: Some(self.scattered((graph, ports), batch, &name)?),
            lengths: None,
            reset: None,
            pieces: vec![time],
        })
    }

    /// The model's states, or what belongs to them, from the tensors of ports.
    fn scattered(
        &self,
        (graph, ports): (&Graph, &[Port]),
        batch: usize,
        name: &dyn Fn(&Port) -> String,
    ) -> Result<Vec<Vec<f32>>> {
        let mut states = vec![vec![]; graph.states().len()];
        for port in ports {
            let name = name(port);
            let values = self.floats(&name)?.0;
            if values.len() != batch * port.shape.iter().product::<usize>() {
                return Err((self.fail)(format!("`{name}` has another shape")).into());
            }
            for (at, values) in port.scatter(graph, batch, &values) {
                states[at] = values;
            }
        }
        Ok(states)
    }

    /// So many values of a tensor.
    fn as_many(&self, name: &str, count: usize) -> Result<Vec<f32>> {
        let (values, _) = self.floats(name)?;
        if values.len() == count {
            return Ok(values);
        }
        Err((self.fail)(format!(
            "`{name}` has {} values, the model gives {count}",
            values.len()
        ))
        .into())
    }

    /// Rows are as long as the input, if the trace says how long they are.
    fn lengths(&self, batch: usize, time: usize) -> Result<()> {
        let Ok(view) = self.file.tensor("lengths") else {
            return Ok(());
        };
        let wanted = (time as i64).to_le_bytes().repeat(batch);
        if view.dtype() == Dtype::I64 && view.shape() == [batch] && view.data() == wanted {
            return Ok(());
        }
        Err((self.fail)(format!("`lengths` is not I64 [{batch}], each {time}")).into())
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

/// Bounds of narrow weights, whose part by what they were rounded from is the same for all values of a tensor: no bound may be
/// below what is known, nor be wider than its neighbours by more.
fn unknown_part(found: &[f32], known: &[f32], c: &mut Comparison) {
    let pairs = || found.iter().zip(known);
    let more = |(f, k): (&f32, &f32)| f64::from(*f) - f64::from(*k);
    let top = found
        .iter()
        .fold(0.0, |m: f64, f| m.max(f64::from(f.abs())));
    let least = pairs().map(more).fold(f64::INFINITY, f64::min).max(0.0);
    for (f, k) in pairs() {
        let wanted = f64::from(*k) + least;
        c.push(f64::from(*f), wanted, 4.0 * f64::from(f32::EPSILON) * top);
    }
}
