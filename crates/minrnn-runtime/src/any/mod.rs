//! Any ONNX file, run by named tensors: for comparisons of files that minrnn did not write.
//!
//! A graph is planned for the shapes of each call, and every call runs from its inputs alone: nothing is kept from one to
//! the next. Names of dimensions are promises among inputs, and are held to; the engine gets numbers.

mod array;
mod ours;
mod port;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tract_onnx::prelude::tract_itertools::Itertools;
use tract_onnx::prelude::*;

use crate::error::{Breach, EXPORT_AGAIN, Error, Result};
use crate::external;
use crate::plan::{Plan, caught};
use crate::proto::{self, ModelProto};
use crate::structure::{self, Rules};

pub use array::{Array, Elem, Values};
pub use port::{Dim, Port};

/// Plans kept: one for each set of shapes and wanted tensors in use.
const PLANS: usize = 64;

/// A file of any program, checked as far as the engine needs, and ready to run.
///
/// ```no_run
/// use minrnn_runtime::{AnyModel, Array, Values};
/// # fn main() -> minrnn_runtime::Result<()> {
/// let model = AnyModel::open("model.onnx")?;
/// let x = Array { shape: vec![1, 3], values: Values::F32(vec![1.0, 2.0, 3.0]) };
/// let outputs = model.run(&[("x", x)])?;
/// assert_eq!(outputs.len(), model.outputs().len());
/// # Ok(())
/// # }
/// ```
pub struct AnyModel {
    file: String,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    metadata: BTreeMap<String, String>,
    graph: InferenceModel,
    outlets: HashMap<String, OutletId>,
    optimised: bool,
    /// At most [`PLANS`], the one used last at the end.
    plans: Mutex<Vec<(Key, Plan)>>,
}

/// What a plan is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    shapes: Vec<Vec<usize>>,
    /// Names of the tensors wanted.
    wanted: Vec<String>,
}

impl std::fmt::Debug for AnyModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnyModel")
            .field("file", &self.file)
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

impl AnyModel {
    /// Reads the file at `path`; tensors that it keeps in files beside are found there.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Load`] (no ONNX, or not for this engine); [`Error::Contract`] (something in the graph that
    /// the engine would abort on or read otherwise than ONNX says).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = external::plain(path).map_err(|source| Error::Read {
            file: path.to_path_buf(),
            source,
        })?;
        Self::load(&path.display().to_string(), &bytes, path.parent())
    }

    /// Takes a file that is already in memory; it must not keep tensors elsewhere.
    ///
    /// # Errors
    /// As [`AnyModel::open`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::load("<bytes>", bytes, None)
    }

    /// Takes the bytes of a file, perhaps changed since it was read, with the name it goes by in errors and the folder in
    /// which it keeps tensors.
    ///
    /// # Errors
    /// As [`AnyModel::open`].
    pub fn from_bytes_of(file: &Path, bytes: &[u8]) -> Result<Self> {
        Self::load(&file.display().to_string(), bytes, file.parent())
    }

    fn load(file: &str, bytes: &[u8], folder: Option<&Path>) -> Result<Self> {
        let mut proto = proto::read(bytes).map_err(|refused| refused.of(file, foreign))?;
        external::read(&mut proto, folder).map_err(|breach| foreign(breach).of(file))?;
        let (inputs, outputs) = checked(&proto).map_err(|breach| foreign(breach).of(file))?;
        proto.graph.iter_mut().for_each(port::unname);
        let metadata = proto.metadata_props.iter();
        let metadata = metadata.map(|e| (e.key.clone(), e.value.clone())).collect();
        let proto = proto::for_tract(proto);
        let parse = || {
            let onnx = tract_onnx::onnx()
                .with_ignore_value_info(true)
                .with_ignore_output_shapes(true)
                .with_ignore_output_types(true);
            let parsed = onnx.parse(&proto, None)?;
            if parsed.unresolved_inputs.is_empty() {
                return Ok(parsed);
            }
            let names = parsed.unresolved_inputs.iter().join(", ");
            Err(TractError::msg(format!("nothing produces {names}")))
        };
        let parsed = caught(parse).map_err(|source| Error::Load {
            file: file.into(),
            what: "the engine does not take the graph".into(),
            source,
        })?;
        Ok(Self {
            file: file.into(),
            inputs,
            outputs,
            metadata,
            graph: parsed.model,
            outlets: parsed.outlets_by_name,
            optimised: true,
            plans: Mutex::default(),
        })
    }

    /// Leaves out the engine's rewriting of the graph: plans are made many times faster and run slower. For graphs in float64,
    /// for which the engine has no fast kernels anyway, and to see a graph run node by node as it stands in the file.
    #[must_use]
    pub fn unoptimised(self) -> Self {
        Self {
            optimised: false,
            ..self
        }
    }

    /// What must be given, in the graph's order.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// What comes out, in the graph's order.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// A value of the file's metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// The path given to [`AnyModel::open`], or `<bytes>`.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Whether the main graph has a tensor of that name.
    pub fn has_tensor(&self, name: &str) -> bool {
        self.outlets.contains_key(name)
    }

    /// Runs the graph on inputs by name; gives the outputs in the graph's order.
    ///
    /// # Errors
    /// [`Error::Input`] for a missing, unknown or misshapen input, or one of 0 values, before anything runs; in a file whose
    /// metadata say that minrnn exported it, also for a token id outside the vocabulary and for a length of a row that is not
    /// from 1 to T; [`Error::Load`] if the engine cannot plan the graph for these shapes; [`Error::Run`] if it fails.
    pub fn run(&self, feeds: &[(&str, Array)]) -> Result<Vec<Array>> {
        let wanted: Vec<&str> = self.outputs.iter().map(|o| o.name.as_str()).collect();
        self.run_for(feeds, &wanted)
    }

    /// Runs the graph for chosen tensors of its main graph, outputs or not; gives them in the order asked for. Tensors that
    /// are asked for cannot be fused away, so the values are those of the nodes as the file has them.
    ///
    /// # Errors
    /// As [`AnyModel::run`]; [`Error::Input`] for a name that the main graph does not have.
    pub fn run_for(&self, feeds: &[(&str, Array)], wanted: &[&str]) -> Result<Vec<Array>> {
        let given = self.ordered(feeds)?;
        let mut outlets: Vec<OutletId> = vec![];
        let mut places = vec![];
        for name in wanted {
            let Some(outlet) = self.outlets.get(*name) else {
                let mend = "ask for a tensor of the main graph";
                return Err(Error::input(*name, "is no tensor of the graph", mend));
            };
            places.push(outlets.iter().position(|o| o == outlet).unwrap_or_else(|| {
                outlets.push(*outlet);
                outlets.len() - 1
            }));
        }
        let key = Key {
            shapes: given.iter().map(|a| a.shape.clone()).collect(),
            wanted: wanted.iter().map(|n| (*n).to_owned()).collect(),
        };
        let plan = self.plan(&key, &outlets)?;
        let failed = |source| Error::Run {
            file: self.file.clone(),
            what: format!("the engine failed on {}", self.words(&key)),
            source,
        };
        // A new state of the engine each time: a kept one carries the hidden state of a Scan along.
        let run = || -> TractResult<Vec<Array>> {
            let feeds = given
                .iter()
                .zip(&self.inputs)
                .map(|(array, port)| array.to_engine(port.elem.unwrap_or(array.values.elem())));
            let results = plan.run(feeds.collect::<TractResult<_>>()?)?;
            results.iter().map(|t| Array::from_engine(t)).collect()
        };
        let results = caught(run).map_err(failed)?;
        if results.len() != outlets.len() {
            return Err(failed(
                format!("{} tensors came back", results.len()).into(),
            ));
        }
        Ok(places.into_iter().map(|at| results[at].clone()).collect())
    }

    /// The feeds in the graph's order, each held against what the file declares.
    fn ordered<'a>(&self, feeds: &'a [(&str, Array)]) -> Result<Vec<&'a Array>> {
        let known = |name: &str| self.inputs.iter().any(|p| p.name == name);
        let refuse = |name: &str, what: String, mend: &str| Err(Error::input(name, what, mend));
        for (i, (name, _)) in feeds.iter().enumerate() {
            if !known(name) || feeds[..i].iter().any(|(n, _)| n == name) {
                let names = self.inputs.iter().map(|p| &p.name).join(", ");
                let what = format!("is no input, or given twice; the inputs are {names}");
                return refuse(name, what, "give each input once");
            }
        }
        let mut symbols = BTreeMap::new();
        let mut given = vec![];
        for port in &self.inputs {
            let Some((_, array)) = feeds.iter().find(|(n, _)| *n == port.name) else {
                return refuse(&port.name, "is missing".into(), "give every input");
            };
            fits(port, array, &mut symbols)?;
            given.push(array);
        }
        ours::check(self, &given)?;
        Ok(given)
    }

    fn plan(&self, key: &Key, outlets: &[OutletId]) -> Result<Plan> {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = plans.iter().position(|(k, _)| k == key) {
            let hit = plans.remove(at);
            let plan = hit.1.clone();
            plans.push(hit);
            return Ok(plan);
        }
        drop(plans);
        let make = || self.make(key, outlets);
        let plan = caught(make).map_err(|source| Error::Load {
            file: self.file.clone(),
            what: format!("the engine cannot make a plan for {}", self.words(key)),
            source,
        })?;
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        while plans.len() >= PLANS {
            plans.remove(0);
        }
        plans.push((key.clone(), plan.clone()));
        Ok(plan)
    }

    fn make(&self, key: &Key, outlets: &[OutletId]) -> TractResult<Plan> {
        let mut graph = self.graph.clone();
        let sources = graph.input_outlets()?.to_vec();
        for (port, shape) in self.inputs.iter().zip(&key.shapes) {
            let outlet = self.outlets.get(&port.name);
            let at = sources.iter().position(|o| Some(o) == outlet);
            let (Some(at), Some(elem)) = (at, port.elem) else {
                return Err(TractError::msg(format!("{} is no source", port.name)));
            };
            graph.set_input_fact(at, elem.datum().fact(shape.as_slice()).into())?;
        }
        // Feeds come in the order of `inputs`.
        let order: Option<Vec<OutletId>> = self
            .inputs
            .iter()
            .map(|p| self.outlets.get(&p.name).copied())
            .collect();
        graph.set_input_outlets(&order.unwrap_or(sources))?;
        graph.select_output_outlets(outlets)?;
        if self.optimised {
            graph.into_optimized()?.into_runnable()
        } else {
            graph.into_typed()?.into_runnable()
        }
    }

    fn words(&self, key: &Key) -> String {
        let one = |(port, shape): (&Port, &Vec<usize>)| format!("{} {shape:?}", port.name);
        self.inputs.iter().zip(&key.shapes).map(one).join(", ")
    }
}

fn checked(proto: &ModelProto) -> std::result::Result<(Vec<Port>, Vec<Port>), Breach> {
    let graph = structure::check_with(proto, Rules::Any)?;
    Ok((port::inputs(graph)?, port::outputs(graph)?))
}

/// A file of another program is not mended by exporting it with minrnn.
fn foreign(breach: Breach) -> Breach {
    if breach.mend == EXPORT_AGAIN {
        return breach.mend("mend the file where it is made, or run it in another engine");
    }
    breach
}

fn fits<'a>(port: &'a Port, array: &Array, symbols: &mut BTreeMap<&'a str, usize>) -> Result<()> {
    let refuse = |what: String, mend: &str| Err(Error::input(&*port.name, what, mend));
    let held = port.elem.map(Elem::held);
    if held != Some(array.values.elem()) {
        let want = held.map_or("another type", Elem::name);
        let what = format!("has values of {}", array.values.elem().name());
        return refuse(what, &format!("give {want}"));
    }
    let count = array
        .shape
        .iter()
        .try_fold(1usize, |n, d| n.checked_mul(*d));
    if count != Some(array.values.len()) || count == Some(0) {
        let what = format!("has {} values for {:?}", array.values.len(), array.shape);
        return refuse(what, "give as many values as the shape says, at least one");
    }
    let Some(dims) = &port.dims else {
        return Ok(());
    };
    let declared = dims.iter().join(", ");
    let misfit = |why: String| {
        let what = format!(
            "has shape {:?}, the file declares [{declared}]{why}",
            array.shape
        );
        refuse(what, "give that shape")
    };
    if dims.len() != array.shape.len() {
        return misfit(String::new());
    }
    for (dim, n) in dims.iter().zip(&array.shape) {
        match dim {
            Dim::Fixed(want) if want != n => return misfit(String::new()),
            Dim::Symbol(name) => match symbols.insert(name, *n) {
                Some(before) if before != *n => {
                    return misfit(format!(", and `{name}` is {before} in another input"));
                }
                _ => {}
            },
            _ => {}
        }
    }
    Ok(())
}
