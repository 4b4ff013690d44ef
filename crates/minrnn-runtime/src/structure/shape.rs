//! The shape of every tensor of a graph, for one batch and one length, before anything is run: a shape that no model has is
//! refused here, where it is a few numbers, and not in the engine, where it is an allocation that ends the process.
//!
//! Shapes of exports depend on the sizes of the inputs alone, never on their values, so all of them are known numbers.

mod call;
mod cell;
mod element;
mod fact;
mod layout;
mod limits;
mod make;
mod part;
mod product;
mod scan;
mod walk;

use self::call::{Call, axes};
use self::fact::{Fact, MAX_CONTENT, known, port, volume};
use self::limits::{Limits, Short, Use, cells};
use self::walk::{Readers, Walk};
use crate::error::Breach;
use crate::info::{Form, Info, Law, Recurrence};
use crate::metadata::short;
use crate::names::ByName;
use crate::proto::{DataType, GraphProto, TensorProto};

pub(crate) use call::{axis, broadcast};

type Found = Result<Vec<Fact>, String>;
type Facts<'a> = ByName<&'a str, Fact>;

/// What a short call makes of the graph.
pub(crate) struct Probe<'a> {
    pub(crate) batch: usize,
    pub(crate) time: usize,
    pub(crate) sizes: Sizes<'a>,
    used: Use,
}

impl Probe<'_> {
    /// What it used, and how many rows times steps that were.
    pub(crate) fn short(&self) -> Short {
        (self.used, cells(self.batch, self.time))
    }
}

/// The shapes of all tensors of the main graph, and the numbers that shapes are made of.
pub(crate) struct Sizes<'a>(Facts<'a>);

impl Sizes<'_> {
    pub(crate) fn dims(&self, name: &str) -> Option<&[usize]> {
        self.0.get(name).map(|f| f.dims.as_slice())
    }

    pub(crate) fn ints(&self, name: &str) -> Option<&[i64]> {
        self.0.get(name).and_then(|f| f.ints.as_deref())
    }
}

/// The part of a graph that makes its shapes: everything but the weights' values.
#[derive(Debug, Clone)]
pub(crate) struct Shapes {
    graph: GraphProto,
    readers: Readers,
    opset: i64,
    /// Bytes of the file and of those beside it.
    size: u64,
    /// Bytes that the tensors of a short call may take at once, beyond what comes with the size.
    memory: u64,
    /// What a short call uses, and how many rows times steps that were.
    short: Option<Short>,
}

impl Shapes {
    pub(crate) fn of(graph: &GraphProto, opset: i64, size: u64, memory: u64) -> Self {
        let bare = |t: &TensorProto| TensorProto {
            name: t.name.clone(),
            dims: t.dims.clone(),
            data_type: t.data_type,
            int64_data: known(t).unwrap_or_default(),
            ..TensorProto::default()
        };
        let graph = GraphProto {
            node: graph.node.clone(),
            initializer: graph.initializer.iter().map(bare).collect(),
            input: graph.input.clone(),
            output: graph.output.clone(),
            ..GraphProto::default()
        };
        Self {
            readers: Readers::of(&graph),
            graph,
            opset,
            size,
            memory,
            short: None,
        }
    }

    /// Goes through the graph for that many rows and steps.
    ///
    /// # Errors
    /// The first node whose inputs do not fit it, whose shape depends on values, or with which the graph asks for more
    /// than a model of its size needs.
    #[cfg(feature = "tract")]
    pub(crate) fn check(&self, batch: usize, time: usize) -> Result<Use, Breach> {
        self.walk(self.short, batch, time).map(|(used, _)| used)
    }

    fn walk(
        &self,
        few: Option<Short>,
        batch: usize,
        time: usize,
    ) -> Result<(Use, Facts<'_>), Breach> {
        let cells = cells(batch, time);
        let mut walk = Walk {
            opset: self.opset,
            limits: match few {
                Some(short) => Limits::of_short(short, cells),
                None => Limits::of_file(self.size, self.memory, cells),
            },
            used: Use::default(),
        };
        let mut facts = Facts::default();
        for input in &self.graph.input {
            let fact = port(input, batch, time)?;
            let place = format!("input `{}`", short(&input.name));
            walk.count(std::slice::from_ref(&fact), 0)
                .map_err(|what| Breach::new(place, what).mend(RAISE))?;
            facts.insert(&input.name, fact);
        }
        walk.graph(&self.graph, &self.readers, &mut facts, "")?;
        Ok((walk.used, facts))
    }

    /// Goes through the graph once as for a short call, and holds its outputs and its recurrences to what the file says
    /// about them.
    ///
    /// # Errors
    /// As [`Shapes::check`]; an output or a tensor of a recurrence of another shape or type.
    pub(crate) fn probe(&self, info: &Info) -> Result<Probe<'_>, Breach> {
        let batch = info.batch.unwrap_or(2);
        let time = match info.form {
            Form::Step => 1,
            _ => info.seq_len.unwrap_or(info.max_seq_len.unwrap_or(3).min(3)),
        };
        let (used, facts) = self.walk(None, batch, time)?;
        for output in &self.graph.output {
            let declared = port(output, batch, time)?;
            let found = facts.get(output.name.as_str());
            let found = found.map(|f| (f.elem, &f.dims));
            if found != Some((declared.elem, &declared.dims)) {
                let place = format!("output `{}`", short(&output.name));
                let what = format!(
                    "is declared as {}, the graph makes {}",
                    declared.words(),
                    facts
                        .get(output.name.as_str())
                        .map_or("nothing".into(), Fact::words)
                );
                return Err(Breach::new(place, what));
            }
        }
        for (at, names) in info.recurrences.iter().enumerate() {
            recurrence(at, names, &facts, info, batch, time)?;
        }
        Ok(Probe {
            batch,
            time,
            sizes: Sizes(facts),
            used,
        })
    }

    /// The sizes at another length. What grows faster than in proportion to the probe is refused.
    pub(crate) fn sizes(&self, probe: &Probe, time: usize) -> Result<Sizes<'_>, Breach> {
        let walked = self.walk(Some(probe.short()), probe.batch, time)?;
        Ok(Sizes(walked.1))
    }

    /// Holds longer calls to what the probe used.
    pub(crate) fn settle(&mut self, short: Short) {
        self.short = Some(short);
    }
}

/// `a`, `b`, `h` are f32 `[batch, T, D]` (`step`: `[batch, D]`), `h0` and `h_last` `[batch, D]`.
fn recurrence(
    at: usize,
    names: &Recurrence,
    facts: &Facts,
    info: &Info,
    batch: usize,
    time: usize,
) -> Result<(), Breach> {
    let get = |name: &str| facts.get(name).filter(|f| f.elem == DataType::Float);
    let dims = |name: &str| get(name).map(|f| f.dims.as_slice());
    let Some(&[rows, width]) = dims(&names.h0).filter(|d| d[..1] == [batch]) else {
        let what = format!("{at}.h0 `{}` is no f32 [batch, D]", short(&names.h0));
        return Err(Breach::new(RECURRENCES, what));
    };
    let steps = match (dims(&names.h), info.form) {
        (Some(&[_, steps, _]), Form::Parallel | Form::Scan) => Some(steps),
        _ => None,
    };
    let padded = steps.is_some_and(|n| if info.padded { n < time } else { n != time });
    let whole: Vec<usize> = [rows].into_iter().chain(steps).chain([width]).collect();
    if names.law == Law::Complex && !width.is_multiple_of(2) {
        let what = format!(
            "{at}.h0 `{}` has {width} channels, and complex numbers two each",
            short(&names.h0)
        );
        return Err(Breach::new(RECURRENCES, what));
    }
    let rest = names.parts().filter(|(key, _)| *key != "h0");
    let rest = rest.chain([("h", &names.h)]);
    let rest = rest.map(|(key, name)| (key, name, whole.as_slice()));
    let last = [("h_last", &names.h_last, &[rows, width][..])];
    for (key, name, wanted) in rest.chain(last) {
        if padded || dims(name) != Some(wanted) {
            let found = facts
                .get(name.as_str())
                .map_or("nothing".into(), Fact::words);
            let what = format!(
                "{at}.{key} `{}` is {found}, not f32 {wanted:?}",
                short(name)
            );
            return Err(Breach::new(RECURRENCES, what));
        }
    }
    Ok(())
}

/// What mends a refusal for the memory that a file asks for.
pub(crate) const RAISE: &str = "if the file is to be trusted, give it more: --memory BYTES of the command, Options::memory of the library";
const RECURRENCES: &str = "metadata `minrnn.recurrences`";
