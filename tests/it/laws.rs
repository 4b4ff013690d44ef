//! Recurrences of other laws than the linear one, in files: every form is exact, verified, and refused where a node of it is another.

use std::collections::BTreeSet;

use minrnn_cli::verify::{Export, Options, verify};
use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::export::{
    DirOptions, ExportError, ExportOptions, Form, Lowering, export_graph, write_export,
};
use minrnn_onnx::ir;
use minrnn_runtime::Execution;

use crate::forged::Forged;

/// Kind, law, configuration.
const MODELS: [(&str, &str, &str); 3] = [
    (
        "aaren",
        "max",
        "width = 4\nlayers = 2\n[input]\nvocab = 5\n[cell]\nkind = 'aaren'\nhead_channels = 2\n[head]\nwidth = 3\n",
    ),
    (
        "s4d",
        "complex",
        "width = 4\nlayers = 2\n[input]\nfeatures = 2\n[cell]\nkind = 's4d'\nstates = 4\n[head]\nwidth = 3\nkind = 'values'\n",
    ),
    (
        "h3",
        "complex",
        "width = 4\nlayers = 1\n[input]\nvocab = 5\n[cell]\nkind = 'h3'\nstates = 2\ntaps = 3\n[head]\nwidth = 3\nsteps = 'last'\n",
    ),
];

fn model(text: &str) -> (Model, Params) {
    let config: ModelConfig = toml::from_str(text).unwrap();
    let model = Model::from_config(&config).unwrap();
    let params = Params::init(model.graph(), 3);
    (model, params)
}

/// Every form, with T free and fixed, plain and with lengths and resets.
fn exports(text: &str) -> Vec<(String, ir::Model)> {
    let (model, params) = model(text);
    let mut all = vec![];
    let mut add = |what: String, options: &ExportOptions| {
        all.push((what, export_graph(model.graph(), &params, options).unwrap()));
    };
    for (block, max_seq_len, seq_len) in [
        (4, 1, None),
        (4, 300, None),
        (3, 50, Some(37)),
        (4, 9, Some(1)),
    ] {
        for more in [false, true] {
            for lowering in [Lowering::Blocked, Lowering::BlockedScan] {
                let options = ExportOptions {
                    lowering,
                    target: lowering.target(),
                    block,
                    max_seq_len,
                    seq_len,
                    lengths: more && seq_len.is_none(),
                    reset: more,
                    ..ExportOptions::default()
                };
                let what = format!(
                    "{} {block} {max_seq_len} {seq_len:?} {more}",
                    lowering.name()
                );
                add(what, &options);
            }
        }
    }
    for form in [Form::Scan, Form::Step] {
        for reset in [false, true] {
            let options = ExportOptions {
                form,
                reset,
                lengths: reset && form == Form::Scan,
                ..ExportOptions::default()
            };
            add(format!("{form:?} {reset}"), &options);
        }
    }
    all
}

fn opened(file: &ir::Model) -> Result<minrnn_runtime::Model, minrnn_runtime::Error> {
    minrnn_runtime::Model::from_bytes(&file.encode())
}

fn entry<'a>(file: &'a mut ir::Model, key: &str) -> &'a mut String {
    let found = file.metadata.iter_mut().find(|(k, _)| k == key);
    &mut found.expect("is there").1
}

#[test]
fn every_form_is_known_and_exact() {
    for (kind, law, text) in MODELS {
        for (what, mut file) in exports(text) {
            let model = opened(&file).unwrap_or_else(|e| panic!("{kind} {what}: {e}"));
            if kind == "h3" && what.contains("Some(1)") {
                // A window of a file whose T is fixed to less than it holds runs in tract.
                continue;
            }
            let why = model.not_exact_because();
            assert_eq!(
                model.execution(),
                Execution::Exact,
                "{kind} {what}: {why:?}"
            );
            let laws = model.info().recurrences.iter().map(|r| r.law.as_str());
            assert!(laws.collect::<BTreeSet<_>>().contains(law), "{kind} {what}");
            assert_eq!(entry(&mut file, "minrnn.contract"), "2", "{kind} {what}");
        }
    }
}

/// Of the recurrence with a law: nodes from `h` down to a, b and h0.
fn inside(file: &ir::Model) -> BTreeSet<usize> {
    let (_, text) = file
        .metadata
        .iter()
        .find(|(k, _)| k == "minrnn.recurrences")
        .unwrap();
    let all: serde_json::Value = serde_json::from_str(text).unwrap();
    let with_law = |r: &&serde_json::Value| r.get("law").is_some();
    let one = all.as_array().unwrap().iter().find(with_law).unwrap();
    let stop = ["a", "b", "h0"].map(|key| one[key].as_str());
    let mut found = BTreeSet::new();
    let mut open = vec![one["h"].as_str().unwrap().to_owned()];
    while let Some(name) = open.pop() {
        if stop.contains(&Some(name.as_str())) {
            continue;
        }
        let maker = file
            .graph
            .nodes
            .iter()
            .position(|n| n.outputs.contains(&name));
        if let Some(at) = maker.filter(|at| found.insert(*at)) {
            open.extend(file.graph.nodes[at].inputs.iter().cloned());
        }
    }
    found
}

#[test]
fn a_recurrence_of_which_one_node_is_another_is_refused() {
    for (kind, _, text) in MODELS {
        for (what, file) in exports(text) {
            // Where T is short or fixed, some nodes are of padding alone; what is lowered at a reset is so by far, or not at all.
            let long = what.contains(" 300 ") && what.ends_with("false");
            if !long && !what.starts_with("Step") {
                continue;
            }
            let mut seen = 0;
            for at in inside(&file) {
                let other = match file.graph.nodes[at].op_type.as_str() {
                    "Min" => "Max",
                    "Sub" => "Add",
                    "Add" => "Sub",
                    _ => continue,
                };
                let mut changed = file.clone();
                changed.graph.nodes[at].op_type = other.into();
                // Numbers of lengths are there too; they give other shapes.
                assert!(opened(&changed).is_err(), "{kind} {what}: node {at}");
                seen += 1;
                if seen == 12 {
                    break;
                }
            }
            assert!(seen > 0 || what.starts_with("Scan"), "{kind} {what}");
        }
    }
}

#[test]
fn laws_are_held_to_the_contract() {
    for (kind, law, text) in MODELS {
        let (what, file) = exports(text).swap_remove(0);
        let with = |key: &str, from: &str, to: &str| {
            let mut changed = file.clone();
            let text = entry(&mut changed, key);
            assert!(text.contains(from), "{kind} {what}: {text}");
            *text = text.replace(from, to);
            opened(&changed).map(drop).unwrap_err().to_string()
        };
        let says = with("minrnn.contract", "2", "1");
        assert!(says.contains("the contract 1 has no laws"), "{says}");
        let named = format!("\"law\":\"{law}\"");
        let says = with("minrnn.recurrences", &named, "\"law\":\"least\"");
        assert!(says.contains("not max or complex"), "{says}");
        let other = if law == "max" { "complex" } else { "max" };
        let says = with(
            "minrnn.recurrences",
            &named,
            &format!("\"law\":\"{other}\""),
        );
        let why = if law == "max" {
            "a is missing"
        } else {
            "step by step"
        };
        assert!(says.contains(why), "{kind}: {says}");
    }
}

#[test]
fn lowerings_of_the_linear_law_alone_refuse_the_others_by_name() {
    let (model, params) = model(MODELS[0].2);
    for lowering in Lowering::ALL {
        let options = ExportOptions {
            lowering,
            target: lowering.target(),
            opset: lowering.opset().max(17),
            max_seq_len: 64,
            ..ExportOptions::default()
        };
        let made = export_graph(model.graph(), &params, &options);
        if matches!(lowering, Lowering::Blocked | Lowering::BlockedScan) {
            made.unwrap();
            continue;
        }
        let error = made.unwrap_err();
        assert!(
            matches!(
                error,
                ExportError::Option {
                    option: "lowering",
                    ..
                }
            ),
            "{error}"
        );
        let text = error.to_string();
        for part in [
            lowering.name(),
            "layers.0.mixer.attend",
            "law max",
            "blocked-scan",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

#[test]
fn exports_hold_in_every_engine() {
    for (kind, _, text) in MODELS {
        let report = Forged::new(text, |_| {}).report(true).unwrap();
        let table = report.table();
        assert!(report.holds, "{kind}\n{table}\n{:#?}", report.remarks());
    }
}

/// Where a model sums weights over all steps, the largest difference is that sum's, and the report says so; the output's is rounding at
/// every length. Sums are drawn as the model reaches them: at random some would lie near 0, which it divides by.
#[test]
fn a_large_difference_is_said_to_be_of_the_sum_of_weights() {
    let (model, params) = model(MODELS[0].2);
    let dir = tempfile::tempdir().unwrap();
    write_export(dir.path(), &model, &params, &DirOptions::default()).unwrap();
    let export = Export::open(dir.path()).unwrap();
    let options = Options {
        longest: Some(2000),
        probe_steps: 1,
        ..Options::quick()
    };
    let report = verify(&export, &model, &params, &options, &mut |_, _, _| ()).unwrap();
    assert!(report.holds, "{}", report.table());
    let rows = report.rows.iter();
    let long: Vec<_> = rows
        .filter(|r| r.against == "oracle" && r.max_abs > 1e-4)
        .collect();
    assert!(!long.is_empty(), "{}", report.table());
    for row in long {
        let note = row.note.as_deref().unwrap();
        let output = note.rsplit_once("; the output's is ").expect(note).1;
        assert!(output.parse::<f64>().unwrap() < 1e-5, "{note}");
    }
}
