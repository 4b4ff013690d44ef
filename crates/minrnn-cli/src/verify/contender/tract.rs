//! tract, by way of the runtime's `AnyModel`.

use std::path::Path;
use std::time::Instant;

use minrnn_onnx::ir::{Attr, DType, Graph, Model, Tensor};
use minrnn_runtime as runtime;
use minrnn_runtime::{AnyModel, Values};

use super::{Array, Contender, Failure, Io, Lap, Opened, Refusal, Timing};

/// The engine.
#[derive(Debug, Default)]
pub(crate) struct Tract;

/// A file in tract.
struct File {
    model: AnyModel,
    graph: Graph,
    notes: Vec<String>,
}

impl Contender for Tract {
    fn name(&self) -> &str {
        "tract"
    }

    fn version(&self) -> &str {
        "0.23.9"
    }

    /// It runs on one thread.
    fn open(
        &mut self,
        file: &Path,
        bytes: &[u8],
        _threads: usize,
    ) -> Result<Box<dyn Opened>, Refusal> {
        let refuse = |why: String| Refusal { why };
        let mut model = Model::decode(bytes).map_err(|e| refuse(e.to_string()))?;
        let notes = scalar_axes(&mut model.graph);
        let opened = match notes.is_empty() {
            true => AnyModel::from_bytes_of(file, bytes),
            false => AnyModel::from_bytes_of(file, &model.encode()),
        };
        let opened = opened.map_err(|e| refuse(plain(&e, &model.graph)))?;
        Ok(Box::new(File {
            model: opened,
            graph: model.graph,
            notes,
        }))
    }
}

impl Opened for File {
    fn run(&mut self, feeds: &[(&str, &Array)], wanted: &[&str]) -> Result<Vec<Array>, Failure> {
        let given = given(feeds)?;
        let results = self.results(&given, wanted)?;
        let all = wanted.iter().zip(&results);
        all.map(|(name, array)| self.back(name, array)).collect()
    }

    fn ways(&self) -> Vec<Io> {
        vec![Io::Plain]
    }

    fn time(&mut self, timing: &Timing) -> Result<Lap, Failure> {
        let mut given = given(timing.feeds)?;
        // What is fed back, and then what is wanted beside it.
        let fed = timing.feedback.iter().map(|(output, _)| *output);
        let mut names: Vec<&str> = fed.collect();
        let rest = timing.wanted.iter().filter(|w| !names.contains(w));
        let rest: Vec<&str> = rest.copied().collect();
        names.extend(&rest);
        let place = |into: &str| {
            let at = given.iter().position(|(name, _)| *name == into);
            at.ok_or_else(|| Failure::Refused(format!("`{into}` is no input that was given")))
        };
        let places = timing.feedback.iter().map(|(_, into)| place(into));
        let places: Vec<usize> = places.collect::<Result<_, _>>()?;
        let mut beside = vec![];
        let begin = Instant::now();
        for _ in 0..timing.calls.max(1) {
            let mut results = self.results(&given, &names)?;
            beside = results.split_off(places.len());
            for (place, result) in places.iter().zip(results) {
                given[*place].1 = result;
            }
        }
        let seconds = begin.elapsed().as_secs_f64();
        let last = timing.wanted.iter().map(|name| {
            let fed = timing
                .feedback
                .iter()
                .position(|(output, _)| output == name);
            let beside = || &beside[rest.iter().position(|r| r == name).unwrap_or_default()];
            let array = fed.map_or_else(beside, |at| &given[places[at]].1);
            self.back(name, array)
        });
        let last = last.collect::<Result<_, _>>()?;
        Ok(Lap { seconds, last })
    }

    fn shows_inner(&self) -> bool {
        true
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl File {
    fn results(
        &self,
        given: &[(&str, runtime::Array)],
        wanted: &[&str],
    ) -> Result<Vec<runtime::Array>, Failure> {
        let results = self.model.run_for(given, wanted);
        results.map_err(|e| Failure::Refused(plain(&e, &self.graph)))
    }

    fn back(&self, name: &str, array: &runtime::Array) -> Result<Array, Failure> {
        let why = || format!("it gives `{name}` in a type that is not its own");
        from_engine(array, declared(&self.graph, name)).ok_or_else(|| Failure::Refused(why()))
    }
}

/// Inputs as the engine takes them.
fn given<'a>(feeds: &[(&'a str, &Array)]) -> Result<Vec<(&'a str, runtime::Array)>, Failure> {
    let one = |(name, array): &(&'a str, &Array)| {
        let why = || Failure::Refused(format!("it takes no values of type {}", array.dtype()));
        Ok((*name, to_engine(array).ok_or_else(why)?))
    };
    feeds.iter().map(one).collect()
}

/// The type that a file declares for a tensor, if it does.
fn declared(graph: &Graph, name: &str) -> Option<DType> {
    let infos = graph.outputs.iter().chain(&graph.value_info);
    infos.filter(|v| v.name == name).find_map(|v| v.dtype)
}

/// f16 goes as f32, which has all its values; the engine casts it back.
fn to_engine(array: &Array) -> Option<runtime::Array> {
    let floats = || array.floats();
    let ints = || array.ints();
    fn of<T: TryFrom<i128>>(v: &[i128]) -> Option<Vec<T>> {
        v.iter().map(|n| T::try_from(*n).ok()).collect()
    }
    let values = match array.dtype() {
        DType::F16 | DType::F32 => Values::F32(floats()?.iter().map(|x| *x as f32).collect()),
        DType::F64 => Values::F64(floats()?.to_vec()),
        DType::I8 => Values::I8(of(ints()?)?),
        DType::I32 => Values::I32(of(ints()?)?),
        DType::I64 => Values::I64(of(ints()?)?),
        DType::U8 => Values::U8(of(ints()?)?),
        DType::Bool => Values::Bool(ints()?.iter().map(|n| *n != 0).collect()),
        _ => return None,
    };
    Some(runtime::Array {
        shape: array.dims().to_vec(),
        values,
    })
}

fn from_engine(array: &runtime::Array, declared: Option<DType>) -> Option<Array> {
    fn wide<T: Copy + Into<i128>>(v: &[T]) -> Vec<i128> {
        v.iter().map(|n| (*n).into()).collect()
    }
    let (dtype, ints) = match &array.values {
        Values::F32(v) => {
            let dtype = declared.filter(|d| *d == DType::F16).unwrap_or(DType::F32);
            let floats: Vec<f64> = v.iter().map(|x| f64::from(*x)).collect();
            return Array::from_floats(dtype, &array.shape, &floats).ok();
        }
        Values::F64(v) => return Array::from_floats(DType::F64, &array.shape, v).ok(),
        Values::I8(v) => (DType::I8, wide(v)),
        Values::I32(v) => (DType::I32, wide(v)),
        Values::I64(v) => (DType::I64, wide(v)),
        Values::U8(v) => (DType::U8, wide(v)),
        Values::Bool(v) => (DType::Bool, wide(v)),
        _ => return None,
    };
    Array::from_ints(dtype, &array.shape, &ints).ok()
}

/// What the engine says, without its internals: which node it stops at, where it names one.
fn plain(error: &runtime::Error, graph: &Graph) -> String {
    match error {
        runtime::Error::Contract {
            place, what, mend, ..
        } => format!("{place}: {what}; {mend}"),
        runtime::Error::Input { place, what, mend } => format!("{place}: {what}; {mend}"),
        runtime::Error::Load { what, source, .. } | runtime::Error::Run { what, source, .. } => {
            let words = source.to_string();
            let named = graph
                .nodes
                .iter()
                .filter(|n| !n.name.is_empty() && words.contains(&format!("\"{}\"", n.name)))
                .max_by_key(|n| n.name.len());
            match named {
                Some(n) => format!("{what}; it stops at node `{}` ({})", n.name, n.op_type),
                None => what.clone(),
            }
        }
        other => other.to_string(),
    }
}

/// `CumSum` takes its axis as a tensor of one value; the standard has it 0-D or 1-D, the engine only 0-D. Says what was
/// rewritten.
fn scalar_axes(graph: &mut Graph) -> Vec<String> {
    let mut notes = vec![];
    for i in 0..graph.nodes.len() {
        for (_, attr) in &mut graph.nodes[i].attributes {
            match attr {
                Attr::Graph(body) => notes.extend(scalar_axes(body)),
                Attr::Graphs(bodies) => {
                    bodies.iter_mut().for_each(|b| notes.extend(scalar_axes(b)))
                }
                _ => {}
            }
        }
        let node = &graph.nodes[i];
        if node.op_type != "CumSum" {
            continue;
        }
        let axis = node.inputs.get(1);
        let Some(axis) = axis.and_then(|name| constant(graph, name)) else {
            continue;
        };
        if axis.dims != [1] {
            continue;
        }
        let name = format!("{}/as_scalar", axis.name);
        let scalar = Tensor {
            name: name.clone(),
            dims: vec![],
            ..axis
        };
        let node = &mut graph.nodes[i];
        notes.push(format!(
            "CumSum `{}`: its axis `{}` is taken as 0-D, as the engine wants it",
            node.name, node.inputs[1]
        ));
        node.inputs[1].clone_from(&name);
        if graph.initializers.iter().all(|t| t.name != name) {
            graph.initializers.push(scalar);
        }
    }
    notes
}

/// A constant of the graph, by the name of its value.
fn constant(graph: &Graph, name: &str) -> Option<Tensor> {
    if let Some(found) = graph.initializers.iter().find(|t| t.name == name) {
        return Some(found.clone());
    }
    let makes = |n: &&minrnn_onnx::ir::Node| n.outputs.iter().any(|o| o == name);
    let node = graph.nodes.iter().find(makes)?;
    match (node.op_type.as_str(), node.attr("value")) {
        ("Constant", Some(Attr::Tensor(t))) => Some(Tensor {
            name: name.into(),
            ..t.clone()
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use minrnn_onnx::builder::Builder;
    use minrnn_onnx::ir::Dim;

    use super::*;

    #[test]
    fn the_version_is_the_one_that_is_built_in() {
        let lock = include_str!("../../../../../Cargo.lock");
        let at = lock.find("name = \"tract-onnx\"\nversion = \"").unwrap();
        let version = lock[at..].split('"').nth(3).unwrap();
        assert_eq!(Tract.version(), version);
    }

    fn sums(dtype: DType, axis: Vec<i64>) -> Vec<u8> {
        let mut b = Builder::new("sum");
        let axis = b.param(Tensor::i64("axis", axis, &[1]));
        let shape = vec![Dim::symbol("b"), Dim::symbol("t"), Dim::Fixed(2)];
        let x = b.input("x", dtype, shape.clone());
        let y = b.node("CumSum", &[x, axis], vec![]);
        b.output("y", y, dtype, shape);
        Model {
            ir_version: 8,
            opsets: vec![(String::new(), 17)],
            graph: b.finish().unwrap(),
            ..Model::default()
        }
        .encode()
    }

    /// The axis of a running sum is a tensor of one value; only its rank is changed.
    #[test]
    fn a_running_sum_is_the_same_with_either_rank_of_its_axis() {
        let x = Array::from_floats(DType::F32, &[1, 3, 2], &[1.0, 10.0, 2.0, 20.0, 3.0, 30.0]);
        for (dims, notes) in [(vec![], 0), (vec![1], 1)] {
            let mut file = Tract
                .open(Path::new("sum.onnx"), &sums(DType::F32, dims), 1)
                .unwrap();
            assert_eq!(file.notes().len(), notes);
            let got = file.run(&[("x", x.as_ref().unwrap())], &["y"]).unwrap();
            assert_eq!(got[0].floats().unwrap(), [1.0, 10.0, 3.0, 30.0, 6.0, 60.0]);
        }
    }

    #[test]
    fn integers_go_in_and_come_out_exactly() {
        let big = (1i128 << 53) + 1;
        let x = Array::from_ints(DType::I64, &[1, 1, 2], &[big, -big]).unwrap();
        let mut file = Tract
            .open(Path::new("sum.onnx"), &sums(DType::I64, vec![]), 1)
            .unwrap();
        let got = file.run(&[("x", &x)], &["y"]).unwrap();
        assert_eq!(got[0], x);
    }

    #[test]
    fn what_it_does_not_take_is_said_without_its_internals() {
        let x = Array::from_floats(DType::F32, &[1, 0, 2], &[]).unwrap();
        let mut file = Tract
            .open(Path::new("sum.onnx"), &sums(DType::F32, vec![]), 1)
            .unwrap();
        let refused = file.run(&[("x", &x)], &["y"]).unwrap_err().to_string();
        assert!(
            refused.contains('x') && !refused.contains("sum.onnx"),
            "{refused}"
        );
        let error = Tract.open(Path::new("sum.onnx"), b"no", 1).err().unwrap();
        assert!(!error.why.is_empty());
    }
}
