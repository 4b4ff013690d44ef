//! Holds the graph's inputs and outputs against the metadata. Names bind, never positions.

use self::port::{Dim, Dims, Port, Ports, fixed};
use crate::error::Breach;
use crate::info::{Info, InputSpec, OutputSpec, StateSpec};
use crate::metadata::Metadata;
use crate::proto::{DataType, GraphProto};

pub(crate) mod formula;
mod port;
mod read;
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

/// Checks `graph` against its metadata and says what the file is. `size`: bytes of the file and of those beside it; `memory`: what
/// the states of a row may take.
pub(crate) fn check(
    graph: &GraphProto,
    meta: Metadata,
    size: u64,
    memory: u64,
) -> Result<Info, Breach> {
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
    states_of_size(&meta, size, memory)?;
    read::check(graph, &meta)?;
    recurrence::check(graph, &meta)?;
    let (batch, seq_len) = (fixed(dims.batch), fixed(dims.time));
    lengths(&meta, seq_len)?;
    Ok(Info {
        form: meta.form,
        lowering: meta.lowering,
        head: meta.head,
        input,
        range: None,
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
        vocabulary: meta.vocabulary,
        end_of_stream: meta.end_of_stream,
    })
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

/// A window has as many steps as its model says, whatever its weights are; without a limit a file of a few lines could ask for any
/// amount of memory in each of its states.
fn states_of_size(meta: &Metadata, size: u64, memory: u64) -> Result<(), Breach> {
    let all = meta
        .states
        .iter()
        .fold(0u64, |n, s| n.saturating_add(s.len() as u64));
    if all <= size.saturating_add(SMALL_STATES) || all.saturating_mul(4) <= memory {
        return Ok(());
    }
    let what = format!(
        "has states of {all} values for each row, in a file of {size} bytes: more than {memory} bytes"
    );
    Err(Breach::new("metadata `minrnn.states`", what).mend(crate::structure::RAISE))
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
