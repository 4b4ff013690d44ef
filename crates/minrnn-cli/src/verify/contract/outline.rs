//! A file against the model that it is of: its interface and all that it says of itself follow from the configuration and the
//! weights, so that nothing is left out of a verification because a file does not mention it.

use minrnn_model::graph::Graph;
use minrnn_model::model::Model;
use minrnn_model::params::{Params, Role};
use minrnn_onnx::export::{ExportOptions, Outline, Stored, is_of_this_version, options, outline};
use serde_json::Value as Json;

use super::form::{FormFile, signature};
use super::json::same;
use super::{Export, Result, broken, chain};
use crate::verify::Check;

/// What was not always said, and is not missed in files of other versions.
const YOUNG: [&str; 5] = [
    "minrnn.dtype",
    "minrnn.activations",
    "minrnn.target",
    "minrnn.state_names",
    "minrnn.state_layout",
];

/// Keys of what the folder has beside the graph, and of the longest length, that are held to these.
const ELSEWHERE: [&str; 4] = [
    "minrnn.average",
    "minrnn.vocabulary",
    "minrnn.end_of_stream",
    "minrnn.max_seq_len",
];

impl Export {
    /// Holds every form to `model`; `stored` are the files' own parameters.
    ///
    /// # Errors
    /// The first file that is not as an export of the model would be.
    pub(in crate::verify) fn agrees(&self, model: &Model, stored: &Stored) -> Result<()> {
        let graph = model.graph();
        for form in self.forms.values() {
            let check = || {
                self.off
                    .hold(Check::Statistics, || buffers(graph, &stored.params))?;
                self.off
                    .hold(Check::Outline, || form.agrees(graph, &stored.params))
            };
            check().map_err(|what| broken(&form.path, what))?;
        }
        self.off.hold(Check::Interface, || self.one_interface())
    }

    /// All forms take and give the same: what only some of them take would not be compared.
    fn one_interface(&self) -> Result<()> {
        let mut first: Option<(&String, ExportOptions)> = None;
        for (name, form) in &self.forms {
            let told = options(&form.model).map_err(|e| broken(&form.path, chain(&e)))?;
            let Some((other, expected)) = &first else {
                first = Some((name, told));
                continue;
            };
            let differ = |what: &str| {
                let what =
                    format!("differs from the {other} file in {what}; export all forms again");
                Err(broken(&form.path, what))
            };
            if told.weights != expected.weights {
                return differ("the type of its weights, or the scales of their activations");
            }
            if (told.state_names, told.state_layout)
                != (expected.state_names, expected.state_layout)
            {
                return differ("its states");
            }
            if (told.batch, told.reset) != (expected.batch, expected.reset) {
                return differ("its batch, or whether it takes `reset`");
            }
            let sequences = name != "step" && *other != "step";
            if sequences && (told.seq_len, told.lengths) != (expected.seq_len, expected.lengths) {
                return differ("its length, or whether it takes `lengths`");
            }
        }
        Ok(())
    }
}

/// Statistics of the data are parameters that the configuration has too.
fn buffers(graph: &Graph, params: &Params) -> std::result::Result<(), String> {
    for (i, spec) in graph.params().iter().enumerate() {
        let Role::Buffer { values } = &spec.role else {
            continue;
        };
        if !super::weights::same(values, params.get(i)) {
            return Err(format!(
                "`{}` is not what the statistics in the configuration give; export again",
                spec.name
            ));
        }
    }
    Ok(())
}

impl FormFile {
    fn agrees(&self, graph: &Graph, params: &Params) -> std::result::Result<(), String> {
        let told = ExportOptions {
            config: json(self.model.metadata("minrnn.config").unwrap_or("{}")),
            ..options(&self.model).map_err(|e| chain(&e))?
        };
        let wanted = outline(graph, params, &told)
            .map_err(|e| format!("is no export of its configuration: {}", chain(&e)))?;
        self.keys(&wanted)?;
        self.names(&wanted)?;
        self.unknown(&wanted)?;
        self.padding(&wanted, &told)?;
        self.length(&wanted, &told)?;
        for (what, found, wanted) in [
            ("inputs", &self.model.graph.inputs, &wanted.inputs),
            ("outputs", &self.model.graph.outputs, &wanted.outputs),
        ] {
            let (found, wanted) = (signature(found), signature(wanted));
            if found != wanted {
                return Err(format!(
                    "its {what} are {found}, and by the configuration {wanted}"
                ));
            }
        }
        Ok(())
    }

    /// All keys but those that are looked at on their own.
    fn keys(&self, wanted: &Outline) -> std::result::Result<(), String> {
        for (key, value) in &wanted.metadata {
            let found = self.model.metadata(key);
            let holds = match (key.as_str(), found) {
                (
                    "minrnn.weights" | "minrnn.config" | "minrnn.max_seq_len" | "minrnn.padded",
                    _,
                ) => true,
                (key, None) => YOUNG.contains(&key) && !is_of_this_version(&self.model),
                ("minrnn.recurrences", Some(found)) => entries(found) == entries(value),
                // Older files do not say which states count.
                ("minrnn.states", Some(found)) if !is_of_this_version(&self.model) => {
                    same(&uncounted(found), &uncounted(value))
                }
                (_, Some(found)) => found == value || same(&json(found), &json(value)),
            };
            if !holds {
                let (found, value) = (shown(found.unwrap_or("absent")), shown(value));
                return Err(match key.as_str() {
                    "minrnn.recurrences" => format!(
                        "metadata `{key}` has {} entries, and the model {}",
                        entries(self.model.metadata(key).unwrap_or_default()).unwrap_or(0),
                        entries(wanted.get(key).unwrap_or_default()).unwrap_or(0)
                    ),
                    _ => format!("metadata `{key}` is {found}, and by the model {value}"),
                });
            }
        }
        Ok(())
    }

    /// Names that the configuration does not have.
    fn names(&self, wanted: &Outline) -> std::result::Result<(), String> {
        let all = ["features", "classes", "targets"].map(|key| format!("minrnn.{key}"));
        let more = |key: &&String| self.model.metadata(key).is_some() && wanted.get(key).is_none();
        match all.iter().find(more) {
            None => Ok(()),
            Some(key) => Err(format!(
                "has metadata `{key}`, and the configuration no such names"
            )),
        }
    }

    /// Of this version's files every key is known: what another one says, nothing holds to anything. Older and newer ones may
    /// have others.
    fn unknown(&self, wanted: &Outline) -> std::result::Result<(), String> {
        if !is_of_this_version(&self.model) {
            return Ok(());
        }
        let known = |key: &str| wanted.get(key).is_some() || ELSEWHERE.contains(&key);
        let mut keys = self.model.metadata.iter().map(|(key, _)| key.as_str());
        match keys.find(|key| key.starts_with("minrnn.") && !known(key)) {
            None => Ok(()),
            Some(key) => Err(format!(
                "has metadata `{key}`, which this version, which it names as its writer, does not write for such an export; remove it, or export again"
            )),
        }
    }

    /// With a free length it follows from the lowering; with a fixed one it shows in the shapes.
    fn padding(&self, wanted: &Outline, told: &ExportOptions) -> std::result::Result<(), String> {
        let key = "minrnn.padded";
        let mut padded = wanted.get(key).map(str::to_owned);
        if let Some(t) = told.seq_len {
            let list: Vec<Json> = json(self.model.metadata("minrnn.recurrences").unwrap_or("[]"))
                .as_array()
                .cloned()
                .unwrap_or_default();
            let steps = |r: &Json| {
                let dims = self.types.get(r["a"].as_str()?)?.dims.clone()?;
                dims.get(1)?.as_ref()?.as_number()
            };
            if let Some(steps) = list.iter().find_map(steps) {
                padded = Some((steps != t as i64).to_string());
            }
        }
        let found = self.model.metadata(key);
        if found == padded.as_deref() {
            return Ok(());
        }
        Err(format!(
            "metadata `{key}` is {}, and by the graph {}",
            found.unwrap_or("absent"),
            padded.unwrap_or_default()
        ))
    }

    /// Whether there is a longest length follows from form and lowering; with a fixed length it is that one.
    fn length(&self, wanted: &Outline, told: &ExportOptions) -> std::result::Result<(), String> {
        let key = "minrnn.max_seq_len";
        let found = self.model.metadata(key);
        let wanted = wanted.get(key);
        let holds = match told.seq_len {
            Some(_) => found == wanted,
            None => found.is_some() == wanted.is_some(),
        };
        if holds {
            return Ok(());
        }
        Err(format!(
            "metadata `{key}` is {}, and by its form and lowering {}",
            found.unwrap_or("absent"),
            match (told.seq_len, wanted) {
                (Some(_), Some(n)) => n,
                (None, Some(_)) => "a number",
                (_, None) => "absent",
            }
        ))
    }
}

fn json(text: &str) -> Json {
    minrnn_model::json::from_str(text).unwrap_or(Json::Null)
}

/// A list of states without what says that one counts.
fn uncounted(list: &str) -> Json {
    let mut list = json(list);
    for state in list.as_array_mut().into_iter().flatten() {
        if let Some(entry) = state.as_object_mut() {
            entry.remove("counts");
        }
    }
    list
}

fn entries(list: &str) -> Option<usize> {
    Some(json(list).as_array()?.len())
}

/// Text of a file in a message.
fn shown(text: &str) -> String {
    match text.chars().count() {
        0..=120 => format!("`{text}`"),
        _ => format!("`{}...`", text.chars().take(120).collect::<String>()),
    }
}
