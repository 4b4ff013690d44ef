//! Snapshots of every cell in every form, as canonical text: what changes in an exported graph is seen in a review.

use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::export::{ExportOptions, Form, Lowering, Target, export_graph};
use minrnn_onnx::text;

const CELLS: [(&str, &str); 4] = [
    ("min_gru", "kind = 'min_gru'"),
    (
        "min_gru_linear",
        "kind = 'min_gru'\ncandidate = 'linear'\ninitial_state = 'learned'",
    ),
    ("min_lstm", "kind = 'min_lstm'"),
    (
        "min_lstm_unnormalised",
        "kind = 'min_lstm'\nnormalize_gates = false\ncandidate = 'linear'",
    ),
];

/// The cell, and as little as possible around it.
fn model(cell: &str) -> Model {
    let text = format!(
        "width = 4\nlayers = 1\nnorm = 'none'\nresidual = false\n[input]\nfeatures = 3\n[head]\nwidth = 2\nkind = 'values'\n[cell]\n{cell}\n"
    );
    let config: ModelConfig = toml::from_str(&text).unwrap();
    Model::from_config(&config).unwrap()
}

fn snapshot(name: &str, model: &Model, form: Form, lowering: Lowering) {
    let params = Params::init(model.graph(), 1);
    let config = model.config().clone();
    let options = ExportOptions {
        form,
        lowering,
        max_seq_len: 256,
        config,
        target: lowering.target(),
        ..ExportOptions::default()
    };
    let onnx = export_graph(model.graph(), &params, &options).unwrap();
    insta::assert_snapshot!(
        format!("{name}.{}", options.lowering_name(model.graph())),
        text::text(&onnx)
    );
}

#[test]
fn every_cell_in_every_form() {
    for (name, cell) in CELLS {
        let model = model(cell);
        for form in Form::ALL {
            snapshot(name, &model, form, Lowering::Blocked);
        }
        snapshot(name, &model, Form::Parallel, Lowering::KoggeStone);
    }
}

#[test]
fn a_whole_block_of_the_language_model_step_by_step() {
    let text = "width = 4\nlayers = 1\n[input]\nvocab = 5\n[head]\nwidth = 5\n[conv]\nkernel = 3\n[mlp]\ngated = true\nexpansion = 2\n[cell]\nexpansion = 2\n";
    let config: ModelConfig = toml::from_str(text).unwrap();
    snapshot(
        "block",
        &Model::from_config(&config).unwrap(),
        Form::Step,
        Lowering::Blocked,
    );
}

/// A window and positions.
#[test]
fn attention_in_every_form() {
    let text = "width = 4\nlayers = 1\nnorm = 'none'\nresidual = false\npositions = 6\n[input]\nvocab = 5\n[head]\nwidth = 5\n\
                [cell]\nkind = 'attention'\nheads = 2\n";
    let config: ModelConfig = toml::from_str(text).unwrap();
    let model = Model::from_config(&config).unwrap();
    for form in Form::ALL {
        snapshot("attention", &model, form, Lowering::Blocked);
    }
}

/// Every lowering for every target: targets whose graphs are the same share a snapshot, and the list says who shares it.
#[test]
fn every_lowering_for_every_target() {
    let text = "width = 4\nlayers = 1\nnorm = 'layer'\n[input]\nvocab = 5\n[head]\nwidth = 5\n[conv]\nkernel = 3\n";
    let config: ModelConfig = toml::from_str(text).unwrap();
    let model = Model::from_config(&config).unwrap();
    let params = Params::init(model.graph(), 1);
    let (mut list, mut seen) = (vec![], vec![]);
    for lowering in Lowering::ALL {
        for target in Target::ALL {
            let choices = target.choices();
            let options = ExportOptions {
                lowering,
                block: 4,
                max_seq_len: 16,
                opset: choices.opset.max(lowering.opset()),
                fused_norms: choices.fused_norms,
                fused_cells: choices.fused_cells,
                config: model.config().clone(),
                target,
                ..ExportOptions::default()
            };
            let line = format!("{:20} {:12}", lowering.name(), target.name());
            let Ok(mut onnx) = export_graph(model.graph(), &params, &options) else {
                list.push(format!("{line} refused"));
                continue;
            };
            onnx.metadata.retain(|(key, _)| key != "minrnn.target");
            let text = text::text(&onnx);
            let known = seen
                .iter()
                .find(|(_, t)| *t == text)
                .map(|(n, _): &(String, _)| n.clone());
            let name = known.unwrap_or_else(|| {
                let name = format!("{}.{}", lowering.name(), target.name());
                insta::assert_snapshot!(format!("target.{name}"), text);
                seen.push((name.clone(), text));
                name
            });
            list.push(format!("{line} as {name}"));
        }
    }
    insta::assert_snapshot!("targets", list.join("\n"));
}
