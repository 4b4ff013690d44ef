//! From a file to a model: read, held against itself, compiled.

use std::path::Path;
use std::sync::Arc;

use super::{Model, Runner};
use crate::engine::Program;
use crate::error::{Breach, Error, Result};
use crate::exact::{Exact, words};
use crate::info::Info;
use crate::kernels::Cpu;
use crate::limits::Limits;
use crate::options::{Execution, Options};
use crate::proto::{self, GraphProto, ModelProto};
use crate::state::Layout;
use crate::structure::{self, Shapes};
use crate::{cells, contract, external, metadata};

impl Model {
    /// Reads and checks the file at `path`. No plan is made yet: see [`Model::prepare`].
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Load`] (no ONNX, or not for this engine), [`Error::Foreign`] (no minrnn metadata),
    /// [`Error::Contract`] (the graph and its metadata disagree).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, &Options::default())
    }

    /// [`Model::open`] with options.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open_with(path: impl AsRef<Path>, options: &Options) -> Result<Self> {
        let path = path.as_ref();
        let bytes = external::plain(path).map_err(|source| Error::Read {
            file: path.to_path_buf(),
            source,
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::load(&path.display().to_string(), &bytes, Some(folder), options)
    }

    /// Checks a file that is already in memory.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::from_bytes_with(bytes, &Options::default())
    }

    /// [`Model::from_bytes`] with options.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes_with(bytes: &[u8], options: &Options) -> Result<Self> {
        Self::load("<bytes>", bytes, None, options)
    }

    /// [`Model::from_bytes_with`] for a graph whose weights may lie beside it in `folder`.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes_in(
        folder: impl AsRef<Path>,
        bytes: &[u8],
        options: &Options,
    ) -> Result<Self> {
        Self::load("<bytes>", bytes, Some(folder.as_ref()), options)
    }

    /// The same for the bytes of a file, perhaps changed since it was read: errors have its name, and weights lie in its folder.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes_of(file: impl AsRef<Path>, bytes: &[u8], options: &Options) -> Result<Self> {
        let file = file.as_ref();
        let folder = file.parent().unwrap_or(Path::new(""));
        Self::load(&file.display().to_string(), bytes, Some(folder), options)
    }

    /// Nothing is half made where this fails, by an error or by a panic of any of the readers.
    fn load(file: &str, bytes: &[u8], folder: Option<&Path>, options: &Options) -> Result<Self> {
        let read = || Self::read(file, bytes, folder, options);
        let done = crate::panics::catch(read);
        done.unwrap_or_else(|payload| {
            Err(Error::Load {
                file: file.into(),
                what: "made a reader panic".into(),
                source: words(&*payload).into(),
            })
        })
    }

    fn read(file: &str, bytes: &[u8], folder: Option<&Path>, options: &Options) -> Result<Self> {
        let cpu = Cpu::of(options.kernels).ok_or_else(|| {
            let what = format!("{} is not what this machine has", options.kernels.as_str());
            Error::input("kernels", what, "use `Kernels::Best`")
        })?;
        available(options.execution)?;
        let size = bytes.len() as u64;
        let mut proto = proto::read(bytes).map_err(|refused| refused.of(file, |breach| breach))?;
        let beside = external::read(&mut proto, folder).map_err(|breach| breach.of(file))?;
        let checked =
            check(&proto, size + beside, options.memory).map_err(|breach| breach.of(file))?;
        let Some((info, graph, shapes)) = checked else {
            return Err(Error::Foreign { file: file.into() });
        };
        let limits = Limits::of(graph, &info);
        let why = match options.execution {
            Execution::Exact => {
                let written_out = cells::written_out(graph);
                let graph = written_out.as_ref().unwrap_or(graph);
                match Program::compile(graph, &info, &options.weights) {
                    Ok(program) => {
                        let exact = Exact::new(program, &info, options.threads, cpu);
                        let runner = Runner::Exact(Box::new(exact));
                        return Ok(Self::of(file, info, limits, runner));
                    }
                    Err(unsupported) => Some(unsupported.to_string()),
                }
            }
            Execution::Portable | Execution::Referee => None,
        };
        let runner = otherwise(file, proto, options, &info, shapes, why)?;
        Ok(Self::of(file, info, limits, runner))
    }

    fn of(file: &str, info: Info, limits: Limits, runner: Runner) -> Self {
        Self {
            layout: Arc::new(Layout::of(&info)),
            info,
            file: file.into(),
            limits,
            runner,
        }
    }
}

/// Who runs what is not run exactly.
#[cfg(feature = "tract")]
fn otherwise(
    file: &str,
    proto: ModelProto,
    options: &Options,
    info: &Info,
    shapes: Shapes,
    why: Option<String>,
) -> Result<Runner> {
    let portable = super::Portable::new(file, proto, options, info, shapes, why)?;
    Ok(Runner::Portable(Box::new(portable)))
}

/// Nobody.
#[cfg(not(feature = "tract"))]
fn otherwise(
    file: &str,
    _: ModelProto,
    _: &Options,
    _: &Info,
    _: Shapes,
    why: Option<String>,
) -> Result<Runner> {
    let what =
        "cannot be run exactly, and minrnn-runtime has no other way without its feature `tract`";
    Err(Error::Load {
        file: file.into(),
        what: what.into(),
        source: why.unwrap_or_default().into(),
    })
}

/// Refuses what this build of the crate does not have.
fn available(execution: Execution) -> Result<()> {
    if cfg!(feature = "tract") || execution == Execution::Exact {
        return Ok(());
    }
    let what = "is not in this build of minrnn-runtime, which lacks the feature `tract`";
    let mend = "use `Execution::Exact`, or depend on minrnn-runtime with its default features";
    Err(Error::input("execution", what, mend))
}

/// Everything that can be known before anything runs or compiles the graph.
fn check(
    proto: &ModelProto,
    size: u64,
    memory: u64,
) -> std::result::Result<Option<(Info, &GraphProto, Shapes)>, Breach> {
    let Some(meta) = metadata::read(proto)? else {
        return Ok(None);
    };
    let graph = structure::check(proto, size)?;
    let mut info = contract::check(graph, meta, size, memory)?;
    let mut shapes = Shapes::of(graph, structure::opset_of(proto), size, memory);
    let probe = shapes.probe(&info)?;
    contract::formula::check(graph, &info, &shapes, &probe)?;
    let short = probe.short();
    drop(probe);
    shapes.settle(short);
    info.range = crate::narrow::features(graph, &info);
    Ok(Some((info, graph, shapes)))
}
