//! A new export of the model and weights of a file, by the options that the file tells of: what the file must be able to do, and
//! must compute, whatever was done to it since.

use std::path::PathBuf;

use anyhow::Result;
use minrnn_model::graph::Graph;
use minrnn_onnx::export::{
    ExportOptions, Form, StateLayout, StateNames, Stored, deviation, export_graph,
    is_of_this_version, ports,
};
use minrnn_onnx::ir;
use minrnn_runtime as runtime;
use serde_json::Value as Json;

use super::contract::{ContractError, Export};
use super::engine::Tract;
use super::report::{Grade, Row, Tally};

/// A file that was just made.
pub(super) struct Fresh {
    dir: PathBuf,
    bytes: Vec<u8>,
    /// What it may ask for, as the export's files.
    memory: u64,
}

/// The form of `export` anew; none where it has none, or where one file cannot hold the weights.
pub(super) fn fresh(
    export: &Export,
    graph: &Graph,
    stored: &Stored,
    form: &str,
) -> Result<Option<Fresh>> {
    let Some((file, told)) = export.told(form)? else {
        return Ok(None);
    };
    let options = ExportOptions {
        config: config(file)?,
        ..told
    };
    Ok(made(export, file, graph, stored, &options))
}

/// The step form of the export's weights anew, in tract: what measures how far steps are from the oracle where the folder has no
/// step file. None where one file cannot hold the weights.
pub(super) fn steps<'a>(
    export: &Export,
    graph: &'a Graph,
    stored: &Stored,
) -> Result<Option<Tract<'a>>> {
    let Some(form) = export.forms().next() else {
        return Ok(None);
    };
    let Some((file, told)) = export.told(form)? else {
        return Ok(None);
    };
    let options = ExportOptions {
        form: Form::Step,
        seq_len: None,
        lengths: false,
        reset: false,
        // Not every choice of names and layout has a step form, and nobody reads these.
        state_names: StateNames::Minrnn,
        state_layout: StateLayout::Separate,
        config: config(file)?,
        ..told
    };
    let ports = ports(graph, &options)?;
    let new = made(export, file, graph, stored, &options);
    let model = new.and_then(|new| new.portable());
    Ok(model.map(|model| Tract::new(graph, &ports, model)))
}

/// What the model was made from.
fn config(file: &ir::Model) -> Result<Json> {
    Ok(minrnn_model::json::from_str(
        file.metadata("minrnn.config").unwrap_or("{}"),
    )?)
}

/// A new export with the weights as `file` stores them: rounded ones, rounded once more, need not be the same.
fn made(
    export: &Export,
    file: &ir::Model,
    graph: &Graph,
    stored: &Stored,
    options: &ExportOptions,
) -> Option<Fresh> {
    let mut new = export_graph(graph, &stored.params, options).ok()?;
    for spec in graph.params() {
        for name in [spec.name.clone(), format!("{}.scale", spec.name)] {
            let own = file.graph.initializers.iter().find(|t| t.name == name);
            let made = new.graph.initializers.iter_mut().find(|t| t.name == name);
            if let (Some(own), Some(made)) = (own, made) {
                *made = own.clone();
            }
        }
    }
    Some(Fresh {
        dir: export.dir().to_path_buf(),
        bytes: new.encode(),
        memory: export.within(runtime::Options::default()).memory,
    })
}

/// Every form's graph, operation by operation, against a new export of the same weights and options: an operation that no value
/// reaches shows in nothing else. Files of other versions, and those that say that another program wrote them, may be other graphs
/// of the same model; of such, a remark says that what values do not reach is not known.
pub(super) fn graphs(
    export: &Export,
    graph: &Graph,
    stored: &Stored,
) -> Result<(Vec<Row>, Vec<String>)> {
    let (mut rows, mut remarks) = (vec![], vec![]);
    for (form, path) in export.files() {
        let Some((file, told)) = export.told(form)? else {
            continue;
        };
        let found = deviation(file, graph, &stored.params, &told).map_err(|e| ContractError {
            file: path.to_path_buf(),
            what: format!("cannot be made anew: {e}; export again"),
        })?;
        let tally = Tally::new("files", form, "new export", Grade::Exact);
        let ours = is_of_this_version(file);
        let who = match (file.producer.as_str(), file.producer_version.as_str()) {
            ("", _) => "no program in particular".to_owned(),
            (name, version) => format!("{name} {version}").trim_end().to_owned(),
        };
        match found {
            None => rows.push(tally.agreeing()),
            Some(what) if ours => rows.push(tally.missing(format!(
                "its graph is not the one that {who}, which it names as its writer, writes: it {what}; export again"
            ))),
            Some(what) => remarks.push(format!(
                "{form}: not the graph that this version writes ({who} wrote it), so that what values do not reach is not known: it {what}"
            )),
        }
    }
    Ok((rows, remarks))
}

impl Fresh {
    /// In the runtime's executor; none where that does not know it.
    pub(super) fn exact(&self) -> Option<runtime::Model> {
        let model = self.open(runtime::Options::default())?;
        model.not_exact_because().is_none().then_some(model)
    }

    /// In tract; none where that does not run it.
    fn portable(&self) -> Option<runtime::Model> {
        self.open(runtime::Options::with_plans(64))
    }

    fn open(&self, mut options: runtime::Options) -> Option<runtime::Model> {
        options.memory = self.memory;
        runtime::Model::from_bytes_in(&self.dir, &self.bytes, &options).ok()
    }

    /// Whether the referee has all of its operators.
    pub(super) fn has_referee(&self) -> bool {
        self.open(runtime::Options::referee()).is_some()
    }
}
