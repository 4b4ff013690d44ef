//! Lists of states: a file that the caller writes, and the metadata of a file of ours.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value as Json;

use super::file::GraphFile;
use super::port::Dim;
use super::spec::{Init, StateSpec};

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
    axis: Option<usize>,
    initial: Option<toml::Value>,
    /// `IN=OUT` in the first file.
    first: Option<String>,
    #[serde(default)]
    counts: bool,
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
            axis: entry.axis,
            init,
            first: first.transpose()?,
            counts: entry.counts,
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
            Init::from_npy(&folder.join(s))?
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
    // Of other laws than the linear one, a state may be a sum that the model divides by: numbers at random would lie near its pole.
    let any_value = file.metadata("minrnn.contract") == Some("1");
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
        spec.counts = match state.get("counts") {
            None => false,
            Some(counts) => counts.as_bool()?,
        };
        Some(StateSpec {
            init,
            any_value,
            ..spec
        })
    };
    list.iter().map(|s| one(s).with_context(broken)).collect()
}

/// The axis that a declared input has beyond the shape of one row; a free one if there is a choice.
fn batch_axis(file: &GraphFile, input: &str, row: &[u64]) -> Option<usize> {
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
