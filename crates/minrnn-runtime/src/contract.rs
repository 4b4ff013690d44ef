//! Holds the graph's inputs and outputs against the metadata. Names bind, never positions.

use std::collections::{BTreeMap, BTreeSet};

use crate::proto::{DataType, Dimension, GraphProto, ValueInfoProto};

use crate::error::Breach;
use crate::info::{Info, InputSpec, OutputSpec, StateSpec};
use crate::metadata::{Metadata, short};

pub(crate) mod formula;
mod recurrence;

/// Values of states that a file of any size may have for each row.
const SMALL_STATES: u64 = 1 << 16;

/// Symbol of the batch dimension.
pub(crate) const BATCH: &str = "batch";
/// Symbol of the time dimension.
pub(crate) const SEQ_LEN: &str = "seq_len";

/// Name of the input with the rows' lengths.
pub(crate) const LENGTHS: &str = "lengths";
/// Name of the input with the steps at which states begin anew.
pub(crate) const RESET: &str = "reset";

/// Checks `graph` against its metadata and says what the file is. `size`: bytes of the file and of those beside it.
pub(crate) fn check(graph: &GraphProto, meta: Metadata, size: u64) -> Result<Info, Breach> {
    let inputs = Ports::of(&graph.input, "input")?;
    let outputs = Ports::of(&graph.output, "output")?;
    let data = data_input(&inputs)?;
    let output = data_output(&outputs)?;
    let extras = extras(&inputs, &meta);
    let states = meta.states.iter().map(|s| s.input.as_str());
    inputs.exactly(data, states.chain(extras.iter().copied()))?;
    outputs.exactly(output, meta.states.iter().map(|s| s.output.as_str()))?;
    let mut dims = Dims::default();
    let input = input_spec(inputs.get(data)?, &meta, &mut dims)?;
    let output = output_spec(outputs.get(output)?, &meta, &mut dims)?;
    for name in &extras {
        extra_port(inputs.get(name)?, &meta, &mut dims)?;
    }
    for state in &meta.states {
        state_port(inputs.get(&state.input)?, state, &mut dims)?;
        state_port(outputs.get(&state.output)?, state, &mut dims)?;
    }
    states_of_size(&meta, size)?;
    recurrence::check(graph, &meta)?;
    let (batch, seq_len) = (fixed(dims.batch), fixed(dims.time));
    lengths(&meta, seq_len)?;
    Ok(Info {
        form: meta.form,
        lowering: meta.lowering,
        head: meta.head,
        input,
        output,
        states: meta.states,
        batch,
        seq_len,
        max_seq_len: meta.max_seq_len,
        recurrences: meta.recurrences,
        padded: meta.padded,
        lengths: extras.contains(&LENGTHS),
        reset: extras.contains(&RESET),
        weights_sha256: meta.weights_sha256,
        dtype: meta.dtype,
        config: meta.config,
    })
}

/// One dimension as the file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Dim {
    Fixed(usize),
    Symbol(String),
    Unnamed,
}

impl std::fmt::Display for Dim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(n) => write!(f, "{n}"),
            Self::Symbol(name) => write!(f, "`{}`", short(name)),
            Self::Unnamed => f.write_str("not stated"),
        }
    }
}

/// A graph input or output with its declared type.
struct Port<'a> {
    place: String,
    elem: i32,
    dims: Vec<Dim>,
    info: &'a ValueInfoProto,
}

/// The inputs or the outputs of a graph by name.
struct Ports<'a> {
    side: &'static str,
    by_name: BTreeMap<&'a str, Port<'a>>,
}

impl<'a> Ports<'a> {
    fn of(
        infos: impl IntoIterator<Item = &'a ValueInfoProto>,
        side: &'static str,
    ) -> Result<Self, Breach> {
        let mut by_name = BTreeMap::new();
        for info in infos {
            let port = Port::read(info, side)?;
            let place = port.place.clone();
            if by_name.insert(info.name.as_str(), port).is_some() {
                return Err(Breach::new(place, "stands there twice"));
            }
        }
        Ok(Self { side, by_name })
    }

    fn get(&self, name: &str) -> Result<&Port<'a>, Breach> {
        let missing = || {
            let place = format!("{} `{}`", self.side, short(name));
            Breach::new(place, "is named in the metadata and missing in the graph")
        };
        self.by_name.get(name).ok_or_else(missing)
    }

    /// Nothing but the data and the states.
    fn exactly<'s>(
        &self,
        data: &'s str,
        states: impl Iterator<Item = &'s str> + Clone,
    ) -> Result<(), Breach> {
        for name in states.clone() {
            self.get(name)?;
            if name == data {
                let place = format!("{} `{name}`", self.side);
                return Err(Breach::new(
                    place,
                    "is data, and `minrnn.states` calls it a state",
                ));
            }
        }
        let known: BTreeSet<&str> = states.chain([data]).collect();
        match self
            .by_name
            .values()
            .find(|p| !known.contains(p.info.name.as_str()))
        {
            Some(p) => Err(Breach::new(
                &p.place,
                "is neither the data nor one of `minrnn.states`",
            )),
            None => Ok(()),
        }
    }

    /// The one of two names that the graph has.
    fn one_of(&self, names: [&'static str; 2]) -> Result<&'static str, Breach> {
        let [a, b] = names.map(|n| self.by_name.contains_key(n));
        match (a, b) {
            (true, false) => Ok(names[0]),
            (false, true) => Ok(names[1]),
            _ => {
                let place = format!("graph {}s", self.side);
                let what = format!("need exactly one of `{}` and `{}`", names[0], names[1]);
                Err(Breach::new(place, what))
            }
        }
    }
}

impl<'a> Port<'a> {
    fn read(info: &'a ValueInfoProto, side: &str) -> Result<Self, Breach> {
        let place = format!("{side} `{}`", short(&info.name));
        let Some(tensor) = info.tensor_type() else {
            return Err(Breach::new(place, "has no tensor type"));
        };
        let Some(shape) = &tensor.shape else {
            return Err(Breach::new(place, "has no shape"));
        };
        let dims = shape.dim.iter().map(|d| match d {
            Dimension::Value(n) => match usize::try_from(*n) {
                Ok(n) if n > 0 => Ok(Dim::Fixed(n)),
                _ => Err(Breach::new(&place, format!("has a dimension of {n}"))),
            },
            Dimension::Param(s) if !s.is_empty() => Ok(Dim::Symbol(s.clone())),
            _ => Ok(Dim::Unnamed),
        });
        let dims = dims.collect::<Result<_, _>>()?;
        Ok(Self {
            place,
            elem: tensor.elem_type,
            dims,
            info,
        })
    }

    fn is(&self, wanted: DataType) -> Result<(), Breach> {
        if self.elem == wanted as i32 {
            return Ok(());
        }
        let found = DataType::try_from(self.elem).map_or("unknown", |t| t.as_str_name());
        let what = format!("is {found}, not {}", wanted.as_str_name());
        Err(Breach::new(&self.place, what))
    }

    fn rank(&self, rank: usize, wanted: &str) -> Result<(), Breach> {
        if self.dims.len() == rank {
            return Ok(());
        }
        let what = format!(
            "has {} dimensions; the contract wants {wanted}",
            self.dims.len()
        );
        Err(Breach::new(&self.place, what))
    }

    /// The last dimension, which must be a number.
    fn width(&self) -> Result<usize, Breach> {
        match self.dims.last() {
            Some(Dim::Fixed(n)) => Ok(*n),
            _ => Err(Breach::new(&self.place, "has no fixed last dimension")),
        }
    }
}

/// The batch and the time that all ports share: a symbol, or one fixed number.
#[derive(Default)]
struct Dims {
    batch: Option<Dim>,
    time: Option<Dim>,
}

impl Dims {
    fn batch(&mut self, port: &Port) -> Result<(), Breach> {
        agree(&mut self.batch, BATCH, port, 0)
    }

    fn time(&mut self, port: &Port) -> Result<(), Breach> {
        agree(&mut self.time, SEQ_LEN, port, 1)
    }
}

fn agree(seen: &mut Option<Dim>, symbol: &str, port: &Port, axis: usize) -> Result<(), Breach> {
    let Some(dim) = port.dims.get(axis) else {
        return Err(Breach::new(&port.place, format!("has no dimension {axis}")));
    };
    let known = match dim {
        Dim::Symbol(s) => s == symbol,
        Dim::Fixed(_) => true,
        Dim::Unnamed => false,
    };
    if !known {
        let what = format!("dimension {axis} is {dim}; it must be `{symbol}` or a number");
        return Err(Breach::new(&port.place, what));
    }
    match seen {
        None => *seen = Some(dim.clone()),
        Some(other) if other == dim => {}
        Some(other) => {
            let what = format!("dimension {axis} is {dim}, elsewhere {other}");
            return Err(Breach::new(&port.place, what));
        }
    }
    Ok(())
}

fn fixed(dim: Option<Dim>) -> Option<usize> {
    match dim {
        Some(Dim::Fixed(n)) => Some(n),
        _ => None,
    }
}

/// The inputs beside data and states. A step has no length.
fn extras(inputs: &Ports, meta: &Metadata) -> Vec<&'static str> {
    let has = |name: &&'static str| inputs.by_name.contains_key(*name);
    let is_state = |name: &str| meta.states.iter().any(|s| s.input == name);
    let all = [LENGTHS, RESET].into_iter();
    all.filter(|n| has(n) && !is_state(n) && (*n == RESET || meta.form.is_sequence()))
        .collect()
}

/// `lengths` int64 `[batch]`, `reset` bool `[batch, seq_len]` (`step`: `[batch]`).
fn extra_port(port: &Port, meta: &Metadata, dims: &mut Dims) -> Result<(), Breach> {
    let reset = port.info.name == RESET;
    port.is(if reset {
        DataType::Bool
    } else {
        DataType::Int64
    })?;
    let timed = reset && meta.form.is_sequence();
    port.rank(
        if timed { 2 } else { 1 },
        if timed { "[batch, seq_len]" } else { "[batch]" },
    )?;
    dims.batch(port)?;
    if timed {
        dims.time(port)?;
    }
    Ok(())
}

fn data_input(inputs: &Ports) -> Result<&'static str, Breach> {
    inputs.one_of(["input_ids", "features"])
}

fn data_output(outputs: &Ports) -> Result<&'static str, Breach> {
    outputs.one_of(["logits", "values"])
}

fn input_spec(port: &Port, meta: &Metadata, dims: &mut Dims) -> Result<InputSpec, Breach> {
    let sequence = meta.form.is_sequence();
    let tokens = port.info.name == "input_ids";
    let (wanted, rank, elem) = match (tokens, sequence) {
        (true, true) => ("[batch, seq_len]", 2, DataType::Int64),
        (true, false) => ("[batch]", 1, DataType::Int64),
        (false, true) => ("[batch, seq_len, F]", 3, DataType::Float),
        (false, false) => ("[batch, F]", 2, DataType::Float),
    };
    port.is(elem)?;
    port.rank(rank, wanted)?;
    dims.batch(port)?;
    if sequence {
        dims.time(port)?;
    }
    if tokens {
        return Ok(InputSpec::Tokens {
            vocab: vocab(meta)?,
        });
    }
    Ok(InputSpec::Features {
        width: port.width()?,
    })
}

fn vocab(meta: &Metadata) -> Result<Option<usize>, Breach> {
    use serde_json::Value;
    match meta.config.pointer("/input/vocab") {
        None | Some(Value::Null) => Ok(None),
        Some(v) => match v.as_u64().and_then(|n| usize::try_from(n).ok()) {
            Some(n) if n > 0 => Ok(Some(n)),
            _ => {
                let what = "holds something other than a number above 0 at /input/vocab";
                Err(Breach::new("metadata `minrnn.config`", what))
            }
        },
    }
}

fn output_spec(port: &Port, meta: &Metadata, dims: &mut Dims) -> Result<OutputSpec, Breach> {
    use crate::info::Head;
    let steps = meta.form.is_sequence() && meta.head == Head::PerStep;
    let (wanted, rank) = if steps {
        ("[batch, seq_len, C]", 3)
    } else {
        ("[batch, C]", 2)
    };
    port.is(DataType::Float)?;
    port.rank(rank, wanted)?;
    dims.batch(port)?;
    if steps {
        dims.time(port)?;
    }
    Ok(OutputSpec {
        name: port.info.name.clone(),
        width: port.width()?,
    })
}

fn state_port(port: &Port, state: &StateSpec, dims: &mut Dims) -> Result<(), Breach> {
    port.is(DataType::Float)?;
    port.rank(
        state.shape.len() + 1,
        "[batch] and the shape in `minrnn.states`",
    )?;
    dims.batch(port)?;
    let same = port.dims[1..]
        .iter()
        .zip(&state.shape)
        .all(|(d, n)| *d == Dim::Fixed(*n));
    if same {
        return Ok(());
    }
    let words: Vec<String> = port.dims[1..].iter().map(Dim::to_string).collect();
    let what = format!(
        "has shape [{}], and `minrnn.states` says {:?}",
        words.join(", "),
        state.shape
    );
    Err(Breach::new(&port.place, what))
}

/// A state has weights that make it, so it is never larger than they are. Without this a file of a few lines could ask for
/// any amount of memory in each of its states.
fn states_of_size(meta: &Metadata, size: u64) -> Result<(), Breach> {
    let all = meta
        .states
        .iter()
        .fold(0u64, |n, s| n.saturating_add(s.len() as u64));
    if all <= size.saturating_add(SMALL_STATES) {
        return Ok(());
    }
    let what = format!("has states of {all} values for each row, in a file of {size} bytes");
    Err(Breach::new("metadata `minrnn.states`", what))
}

/// A doubling graph is silently wrong beyond the length it was made for, so it must say that length.
fn lengths(meta: &Metadata, seq_len: Option<usize>) -> Result<(), Breach> {
    use crate::info::Lowering;
    let place = "metadata `minrnn.max_seq_len`";
    match (seq_len, meta.max_seq_len) {
        (Some(t), Some(max)) if t > max => Err(Breach::new(
            place,
            format!("is {max}, and the graph is fixed to T = {t}"),
        )),
        (None, None)
            if matches!(
                meta.lowering,
                Lowering::KoggeStone | Lowering::KoggeStoneConcat
            ) =>
        {
            Err(Breach::new(
                place,
                "is missing; a kogge-stone graph has a longest length",
            ))
        }
        _ => Ok(()),
    }
}
