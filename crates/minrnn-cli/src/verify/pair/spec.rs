//! What the caller says about files: states, sizes, ranges, names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use minrnn_train::data::{Values, read_npy};
use serde::Deserialize;
use serde_json::Value as Json;

use super::file::GraphFile;
use crate::verify::contender::Roster;

/// How to compare two files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    /// `(name in the first file, name in the second)`.
    pub(crate) names: Vec<(String, String)>,
    pub(crate) states: Vec<StateSpec>,
    /// Sizes of named dimensions.
    pub(crate) dims: BTreeMap<String, usize>,
    pub(crate) inputs: BTreeMap<String, InputSpec>,
    /// Inputs that one value fills.
    pub(crate) values: BTreeMap<String, Fill>,
    pub(crate) seed: u64,
    pub(crate) longest: Option<usize>,
    /// An absolute tolerance in the place of the measured one.
    pub(crate) tolerance: Option<f64>,
    /// Look for the first operation that differs.
    pub(crate) bisect: bool,
    /// Who is asked beside the judge.
    pub(crate) engines: Roster,
}

/// A state of the step file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StateSpec {
    pub(crate) input: String,
    pub(crate) output: String,
    /// The axis of the rows; `None`: found from the file.
    pub(crate) batch: Option<usize>,
    pub(crate) init: Init,
    /// Whether random values may be put there; else random states are such that the model reaches.
    pub(crate) any_value: bool,
    /// Names in the first file, input and output; `None`: the same ones.
    pub(crate) first: Option<(String, String)>,
}

/// Values of a state before the first step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Init {
    Fill(f64),
    /// For one row.
    Values(Vec<f64>),
}

/// Shape and range of an input.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct InputSpec {
    pub(crate) dims: Option<Vec<Role>>,
    pub(crate) range: Option<(i64, i64)>,
}

/// What a dimension of an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Batch,
    Time,
    Fixed(usize),
}

/// What fills an input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fill {
    Number(f64),
    /// The number of steps of the run.
    Time,
    /// The length of each row.
    Lengths,
}

/// `IN=OUT[:batch=AXIS,init=zero|NUMBER|FILE.npy,first=IN=OUT]`, where `A+B` stands for two tensors that are one in the other file
impl FromStr for StateSpec {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (names, options) = split_options(text, &["batch", "init", "first"]);
        let (input, output) = names
            .split_once('=')
            .filter(|(i, o)| !i.is_empty() && !o.is_empty())
            .ok_or("expected IN=OUT, perhaps with :batch=AXIS,init=VALUE behind it")?;
        let mut state = Self::new(input, output);
        for option in options.split(',').filter(|o| !o.is_empty()) {
            match option.split_once('=') {
                Some(("batch", axis)) => {
                    let axis = axis
                        .parse()
                        .map_err(|_| format!("batch={axis} is no axis"))?;
                    state.batch = Some(axis);
                }
                Some(("init", value)) => state.init = init(value)?,
                Some(("first", names)) => {
                    let pair = names
                        .split_once('=')
                        .filter(|(i, o)| !i.is_empty() && !o.is_empty());
                    let pair = pair
                        .ok_or_else(|| format!("first={names} is no IN=OUT of the first file"))?;
                    state.first = Some((pair.0.into(), pair.1.into()));
                }
                _ => {
                    return Err(format!(
                        "`{option}` is neither batch=AXIS, init=VALUE nor first=IN=OUT"
                    ));
                }
            }
        }
        Ok(state)
    }
}

impl StateSpec {
    fn new(input: &str, output: &str) -> Self {
        Self {
            input: input.into(),
            output: output.into(),
            batch: None,
            init: Init::Fill(0.0),
            any_value: false,
            first: None,
        }
    }
}

/// Names may hold colons, so options begin at the last colon that one of their keys follows.
fn split_options<'a>(text: &'a str, keys: &[&str]) -> (&'a str, &'a str) {
    let begins = |at: usize| {
        keys.iter()
            .any(|k| text[at + 1..].starts_with(&format!("{k}=")))
    };
    match text
        .match_indices(':')
        .map(|(at, _)| at)
        .find(|at| begins(*at))
    {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    }
}

fn init(value: &str) -> std::result::Result<Init, String> {
    if value == "zero" {
        return Ok(Init::Fill(0.0));
    }
    if let Ok(number) = value.parse() {
        return Ok(Init::Fill(number));
    }
    if !value.ends_with(".npy") {
        return Err(format!(
            "init={value} is neither zero, a number nor a .npy file"
        ));
    }
    npy(Path::new(value))
        .map(Init::Values)
        .map_err(|e| format!("{e:#}"))
}

fn npy(path: &Path) -> Result<Vec<f64>> {
    let array = read_npy(path)?;
    Ok(match array.values {
        Values::Floats(v) => v.iter().map(|x| f64::from(*x)).collect(),
        Values::Ints(v) => v.iter().map(|x| *x as f64).collect(),
        Values::Texts(_) => bail!("{}: texts, expected numbers", path.display()),
    })
}

/// `NAME=DIMS[:int=LOW..HIGH]`, dimensions separated by commas: `B`, `T` or a number.
pub(crate) fn input_spec(text: &str) -> std::result::Result<(String, InputSpec), String> {
    let (named, range) = split_options(text, &["int"]);
    let (name, dims) = named
        .split_once('=')
        .ok_or("expected NAME=DIMS, e.g. x=B,T,64")?;
    let role = |d: &str| match d {
        "B" => Ok(Role::Batch),
        "T" => Ok(Role::Time),
        n => n
            .parse()
            .ok()
            .map(Role::Fixed)
            .ok_or(format!("`{n}` is neither B, T nor a number")),
    };
    let dims = match dims {
        "" => None,
        list => Some(
            list.split([',', 'x'])
                .map(role)
                .collect::<std::result::Result<_, _>>()?,
        ),
    };
    let range = match range.strip_prefix("int=") {
        None => None,
        Some(range) => {
            let ends = range
                .split_once("..")
                .and_then(|(l, h)| Some((l.parse().ok()?, h.parse().ok()?)));
            Some(
                ends.filter(|(l, h): &(i64, i64)| l <= h)
                    .ok_or(format!("int={range} is no range LOW..HIGH"))?,
            )
        }
    };
    if dims.is_none() && range.is_none() {
        return Err("expected NAME=DIMS, NAME=:int=LOW..HIGH or both".into());
    }
    Ok((name.into(), InputSpec { dims, range }))
}

/// `NAME=N|T|lengths`
pub(crate) fn value_spec(text: &str) -> std::result::Result<(String, Fill), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("expected NAME=NUMBER, NAME=T or NAME=lengths")?;
    let fill = match value {
        "T" => Fill::Time,
        "lengths" => Fill::Lengths,
        n => Fill::Number(
            n.parse()
                .map_err(|_| format!("`{n}` is no number, nor T, nor lengths"))?,
        ),
    };
    Ok((name.into(), fill))
}

/// `A=B`
pub(crate) fn map_spec(text: &str) -> std::result::Result<(String, String), String> {
    let (a, b) = text
        .split_once('=')
        .filter(|(a, b)| !a.is_empty() && !b.is_empty())
        .ok_or("expected A=B, a name of the first file and one of the second")?;
    Ok((a.into(), b.into()))
}

/// `NAME=N`
pub(crate) fn dim_spec(text: &str) -> std::result::Result<(String, usize), String> {
    let parsed = text
        .split_once('=')
        .and_then(|(name, n)| Some((name.to_owned(), n.parse().ok()?)));
    parsed.ok_or_else(|| "expected NAME=N, N a whole number".into())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatesFile {
    state: Vec<StateEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateEntry {
    input: String,
    output: String,
    batch: Option<usize>,
    initial: Option<toml::Value>,
    /// `IN=OUT` in the first file.
    first: Option<String>,
}

/// No list of states is longer, bytes.
const MOST_STATES: u64 = 16 << 20;

/// States from a TOML file, `[[state]]` tables with `input`, `output`, `batch` and `initial`. Files named in it lie beside it.
pub(crate) fn states_file(path: &Path) -> Result<Vec<StateSpec>> {
    let place = || path.display().to_string();
    let text = crate::files::read_text(path, MOST_STATES)?;
    let file: StatesFile = toml::from_str(&text).with_context(place)?;
    if file.state.is_empty() {
        bail!(
            "{}: names no state; leave --states out, or write [[state]]",
            place()
        );
    }
    let one = |entry: StateEntry| -> Result<StateSpec> {
        let init = match &entry.initial {
            None => Init::Fill(0.0),
            Some(value) => initial(value, path)
                .with_context(|| format!("{}: state `{}`", place(), entry.input))?,
        };
        let first = entry.first.as_deref().map(|text| {
            let pair = text.split_once('=').with_context(|| {
                format!(
                    "{}: state `{}`: first = \"{text}\" is no IN=OUT",
                    place(),
                    entry.input
                )
            });
            pair.map(|(i, o)| (i.to_owned(), o.to_owned()))
        });
        Ok(StateSpec {
            batch: entry.batch,
            init,
            first: first.transpose()?,
            ..StateSpec::new(&entry.input, &entry.output)
        })
    };
    file.state.into_iter().map(one).collect()
}

fn initial(value: &toml::Value, beside: &Path) -> Result<Init> {
    let number = |v: &toml::Value| v.as_float().or_else(|| v.as_integer().map(|i| i as f64));
    Ok(match value {
        toml::Value::String(s) if s == "zero" => Init::Fill(0.0),
        toml::Value::String(s) if s.ends_with(".npy") => {
            let folder = beside.parent().map_or_else(PathBuf::new, Path::to_path_buf);
            Init::Values(npy(&folder.join(s))?)
        }
        toml::Value::Array(list) => Init::Values(
            list.iter()
                .map(number)
                .collect::<Option<_>>()
                .context("initial: a list of numbers has something else in it")?,
        ),
        other => match number(other) {
            Some(n) => Init::Fill(n),
            None => bail!(
                "initial is {other}; give \"zero\", a number, a list of numbers, or a .npy file"
            ),
        },
    })
}

/// The states that a file of ours lists in its metadata; none in a file of another program.
pub(crate) fn listed(file: &GraphFile) -> Result<Vec<StateSpec>> {
    let Some(text) = file.metadata("minrnn.states") else {
        return Ok(vec![]);
    };
    let broken = || {
        format!(
            "{}: metadata `minrnn.states` is not what the contract says",
            file.name()
        )
    };
    let list: Vec<Json> = minrnn_model::json::from_str(text).with_context(broken)?;
    let one = |state: &Json| -> Option<StateSpec> {
        let init = match &state["init"] {
            Json::String(s) if s == "zero" => Init::Fill(0.0),
            Json::Array(list) => {
                Init::Values(list.iter().map(Json::as_f64).collect::<Option<_>>()?)
            }
            _ => return None,
        };
        let mut spec = StateSpec::new(state["input"].as_str()?, state["output"].as_str()?);
        let shape = state["shape"]
            .as_array()?
            .iter()
            .map(Json::as_u64)
            .collect::<Option<Vec<_>>>()?;
        spec.batch = batch_axis(file, &spec.input, &shape);
        Some(StateSpec {
            init,
            any_value: true,
            ..spec
        })
    };
    list.iter().map(|s| one(s).with_context(broken)).collect()
}

/// The axis that a declared input has beyond the shape of one row; a free one if there is a choice.
fn batch_axis(file: &GraphFile, input: &str, row: &[u64]) -> Option<usize> {
    use super::port::Dim;
    let dims = file
        .inputs()
        .iter()
        .find(|p| p.name == input)?
        .dims
        .as_ref()?;
    let fits = |axis: &usize| {
        let rest = dims
            .iter()
            .enumerate()
            .filter(|(i, _)| i != axis)
            .map(|(_, d)| d);
        dims.len() == row.len() + 1 && rest.zip(row).all(|(d, n)| *d == Dim::Fixed(*n as usize))
    };
    let axes: Vec<usize> = (0..dims.len()).filter(fits).collect();
    let free = axes.iter().find(|a| !matches!(dims[**a], Dim::Fixed(_)));
    free.or(axes.first()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_from_an_argument() {
        let state: StateSpec = "past.0:h=present.0:h:batch=1,init=-0.5".parse().unwrap();
        assert_eq!(
            (state.input.as_str(), state.output.as_str()),
            ("past.0:h", "present.0:h")
        );
        assert_eq!((state.batch, state.init), (Some(1), Init::Fill(-0.5)));
        for bad in [
            "h",
            "=h",
            "h=",
            "h=g:batch=x",
            "h=g:init=one",
            "h=g:init=none.npy",
        ] {
            assert!(bad.parse::<StateSpec>().is_err(), "{bad}");
        }
    }

    #[test]
    fn inputs_are_read_from_an_argument() {
        let (name, spec) = input_spec("ids=B,T:int=0..63").unwrap();
        assert_eq!((name.as_str(), spec.range), ("ids", Some((0, 63))));
        assert_eq!(spec.dims, Some(vec![Role::Batch, Role::Time]));
        assert_eq!(
            input_spec("x=2x7x64").unwrap().1.dims,
            Some([2, 7, 64].map(Role::Fixed).to_vec())
        );
        for bad in ["x", "x=B,T,-1", "x=A", "x=B:int=3..1", "x=B:int=a..b"] {
            assert!(input_spec(bad).is_err(), "{bad}");
        }
    }
}
