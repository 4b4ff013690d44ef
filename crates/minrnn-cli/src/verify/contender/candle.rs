//! candle-onnx, which reads the graph again in each run. Only in builds with the feature: its own build needs protoc.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Instant;

use candle_core::{DType, Device, Tensor, WithDType};
use candle_onnx::onnx::ModelProto;
use minrnn_onnx::ir;

use super::{Array, Contender, Failure, Io, Lap, Opened, Refusal, Timing, inner};

/// The engine.
#[derive(Debug, Default)]
pub(crate) struct Candle;

/// A file in candle-onnx.
struct File {
    read: ModelProto,
    model: ir::Model,
    /// Whether every tensor is an output of it.
    is_inner: bool,
    /// Types of its outputs.
    declared: BTreeMap<String, ir::DType>,
}

/// Tensors by name.
type Tensors = HashMap<String, Tensor>;

impl Contender for Candle {
    fn name(&self) -> &str {
        "candle-onnx"
    }

    fn version(&self) -> &str {
        "0.11.1"
    }

    /// It takes one thread, or as many as the machine has: that is not said with a file.
    fn open(
        &mut self,
        file: &Path,
        bytes: &[u8],
        _threads: usize,
    ) -> Result<Box<dyn Opened>, Refusal> {
        let refuse = |why: String| Refusal { why };
        let known = ir::Model::decode(bytes).map_err(|e| refuse(e.to_string()))?;
        let external = |t: &ir::Tensor| matches!(t.data, ir::TensorData::External(_));
        if known.graph.initializers.iter().any(external) {
            // It would take the bytes that are missing for the tensor's.
            return Err(refuse(
                "it reads one file, and not the weights beside it".into(),
            ));
        }
        let read = caught(|| candle_onnx::read_file(file)).map_err(refuse)?;
        Ok(Box::new(File::new(read, known, false)))
    }
}

impl Opened for File {
    fn run(&mut self, feeds: &[(&str, &Array)], wanted: &[&str]) -> Result<Vec<Array>, Failure> {
        let results = self.results(&given(feeds)?)?;
        wanted
            .iter()
            .map(|name| self.back(name, &results))
            .collect()
    }

    fn shows_inner(&self) -> bool {
        self.is_inner
    }

    fn inner(&mut self) -> Option<Box<dyn Opened>> {
        let (model, copy) = inner::all_outputs(&self.model, None)?;
        let path = copy.path().join(inner::FILE);
        let read = caught(|| candle_onnx::read_file(path)).ok()?;
        Some(Box::new(Self::new(read, model, true)))
    }

    fn ways(&self) -> Vec<Io> {
        vec![Io::Plain]
    }

    fn time(&mut self, timing: &Timing) -> Result<Lap, Failure> {
        let mut given = given(timing.feeds)?;
        let mut results = Tensors::new();
        let begin = Instant::now();
        for _ in 0..timing.calls {
            results = self.results(&given)?;
            for (output, into) in timing.feedback {
                if let Some(value) = results.get(*output) {
                    given.insert((*into).to_owned(), value.clone());
                }
            }
        }
        let seconds = begin.elapsed().as_secs_f64();
        let last = timing.wanted.iter().map(|name| self.back(name, &results));
        let last = last.collect::<Result<_, _>>()?;
        Ok(Lap { seconds, last })
    }
}

impl File {
    fn new(read: ModelProto, model: ir::Model, is_inner: bool) -> Self {
        let outputs = model.graph.outputs.iter();
        Self {
            read,
            declared: outputs
                .filter_map(|o| Some((o.name.clone(), o.dtype?)))
                .collect(),
            model,
            is_inner,
        }
    }

    fn results(&self, given: &Tensors) -> Result<Tensors, Failure> {
        let run = || candle_onnx::simple_eval(&self.read, given.clone());
        caught(run).map_err(Failure::Refused)
    }

    fn back(&self, name: &str, results: &Tensors) -> Result<Array, Failure> {
        let leaves_out = || Failure::Wrong(format!("it leaves out `{name}`"));
        let tensor = results.get(name).ok_or_else(leaves_out)?;
        from_engine(tensor, self.declared.get(name).copied())
            .map_err(|e| Failure::Wrong(format!("`{name}`: {e}")))
    }
}

fn given(feeds: &[(&str, &Array)]) -> Result<Tensors, Failure> {
    let one = |(name, array): &(&str, &Array)| {
        let tensor = to_engine(array).ok_or_else(|| {
            Failure::Refused(format!("it takes no values of type {}", array.dtype()))
        })?;
        Ok(((*name).to_owned(), tensor))
    };
    feeds.iter().map(one).collect()
}

/// bool goes as u8: that is what it reads it as.
fn to_engine(array: &Array) -> Option<Tensor> {
    fn make<T: WithDType>(values: Option<Vec<T>>, shape: &[usize]) -> Option<Tensor> {
        Tensor::from_vec(values?, shape, &Device::Cpu).ok()
    }
    fn ints<T: TryFrom<i128>>(array: &Array) -> Option<Vec<T>> {
        array.ints()?.iter().map(|n| T::try_from(*n).ok()).collect()
    }
    let dims = array.dims();
    let floats = || Some(array.floats()?.to_vec());
    match array.dtype() {
        ir::DType::F64 => make(floats(), dims),
        ir::DType::F32 => make(floats(), dims)?.to_dtype(DType::F32).ok(),
        ir::DType::F16 => make(floats(), dims)?.to_dtype(DType::F16).ok(),
        ir::DType::I64 => make(ints::<i64>(array), dims),
        ir::DType::I32 => make(ints::<i32>(array), dims),
        ir::DType::U8 | ir::DType::Bool => make(ints::<u8>(array), dims),
        _ => None,
    }
}

fn from_engine(tensor: &Tensor, declared: Option<ir::DType>) -> Result<Array, String> {
    let flat = tensor.flatten_all().map_err(|e| e.to_string())?;
    let own = match tensor.dtype() {
        DType::F16 => ir::DType::F16,
        DType::F32 => ir::DType::F32,
        DType::F64 => ir::DType::F64,
        DType::I64 => ir::DType::I64,
        DType::I32 => ir::DType::I32,
        DType::U8 if declared == Some(ir::DType::Bool) => ir::DType::Bool,
        DType::U8 => ir::DType::U8,
        other => return Err(format!("it gives the type {}", other.as_str())),
    };
    if declared.is_some_and(|d| d != own) {
        return Err(format!("it gives {own}, the file declares another type"));
    }
    let array = if own.is_float() {
        let wide = flat.to_dtype(DType::F64).and_then(|t| t.to_vec1::<f64>());
        let wide = wide.map_err(|e| e.to_string())?;
        Array::from_floats(own, tensor.dims(), &wide)
    } else {
        let wide = flat.to_dtype(DType::I64).and_then(|t| t.to_vec1::<i64>());
        let wide = wide.map_err(|e| e.to_string())?;
        let wide: Vec<i128> = wide.into_iter().map(i128::from).collect();
        Array::from_ints(own, tensor.dims(), &wide)
    };
    array.map_err(|e| e.to_string())
}

/// What the engine says in one line, a panic included: it keeps nothing from call to call.
fn caught<T>(run: impl FnOnce() -> candle_core::Result<T>) -> Result<T, String> {
    let said = match minrnn_runtime::panics::catch(run) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it panics".into(),
    };
    let line = said.lines().next().unwrap_or_default();
    // The node behind it is all of its fields.
    let what = line.split(" for op NodeProto").next();
    Err(what.unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use minrnn_onnx::builder::Builder;
    use minrnn_onnx::ir::Dim;

    use super::*;

    #[test]
    fn the_version_is_the_one_that_is_built_in() {
        let lock = include_str!("../../../../../Cargo.lock");
        let at = lock.find("name = \"candle-onnx\"\nversion = \"").unwrap();
        let version = lock[at..].split('"').nth(3).unwrap();
        assert_eq!(Candle.version(), version);
    }

    /// `y = op(x)` in a file.
    fn one(op: &'static str, folder: &Path) -> (std::path::PathBuf, Vec<u8>) {
        let mut b = Builder::new("one");
        let x = b.input("x", ir::DType::F32, vec![Dim::Fixed(2)]);
        let y = match op {
            "Add" => b.add(x, x),
            _ => b.node(op, &[x], vec![]),
        };
        b.output("y", y, ir::DType::F32, vec![Dim::Fixed(2)]);
        let model = ir::Model {
            ir_version: 8,
            opsets: vec![(String::new(), 17)],
            graph: b.finish().unwrap(),
            ..ir::Model::default()
        };
        let path = folder.join("one.onnx");
        std::fs::write(&path, model.encode()).unwrap();
        (path, model.encode())
    }

    #[test]
    fn it_runs_and_times_what_it_is_given() {
        let dir = tempfile::tempdir().unwrap();
        let (path, bytes) = one("Add", dir.path());
        let mut file = Candle.open(&path, &bytes, 1).unwrap();
        let x = Array::from_floats(ir::DType::F32, &[2], &[1.5, -2.0]).unwrap();
        let got = file.run(&[("x", &x)], &["y"]).unwrap();
        assert_eq!(got[0].floats().unwrap(), [3.0, -4.0]);
        let timing = Timing {
            io: Io::Plain,
            calls: 3,
            feeds: &[("x", &x)],
            feedback: &[("y", "x")],
            wanted: &["y"],
        };
        let lap = file.time(&timing).unwrap();
        assert_eq!(lap.last[0].floats().unwrap(), [12.0, -16.0]);
        assert!(lap.seconds > 0.0);
    }

    #[test]
    fn what_it_does_not_take_is_said_in_a_few_words() {
        let dir = tempfile::tempdir().unwrap();
        let (path, bytes) = one("Softplus", dir.path());
        let mut file = Candle.open(&path, &bytes, 1).unwrap();
        let x = Array::from_floats(ir::DType::F32, &[2], &[1.5, -2.0]).unwrap();
        let refused = file.run(&[("x", &x)], &["y"]).unwrap_err();
        assert_eq!(
            refused,
            Failure::Refused("unsupported op_type Softplus".into())
        );
    }

    #[test]
    fn types_that_it_has_not_are_refused() {
        let x = Array::from_ints(ir::DType::I8, &[1], &[1]).unwrap();
        assert!(given(&[("x", &x)]).is_err());
        let yes = Array::from_ints(ir::DType::Bool, &[1], &[1]).unwrap();
        let back = from_engine(&to_engine(&yes).unwrap(), Some(ir::DType::Bool));
        assert_eq!(back.unwrap(), yes);
    }
}
