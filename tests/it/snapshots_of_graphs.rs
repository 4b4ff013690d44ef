//! `assert_graph_snapshot!` in a crate with an insta of its own.

use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::assert_graph_snapshot;
use minrnn_onnx::export::{ExportOptions, Form, export_graph};

fn graph(form: Form) -> minrnn_onnx::ir::Model {
    let text = "width = 4\nlayers = 1\nnorm = 'none'\nresidual = false\n[input]\nfeatures = 3\n[head]\nwidth = 2\nkind = 'values'\n[cell]\nkind = 'min_gru'\n";
    let config: ModelConfig = toml::from_str(text).unwrap();
    let model = Model::from_config(&config).unwrap();
    let params = Params::init(model.graph(), 1);
    let config = model.config().clone();
    let options = ExportOptions {
        form,
        config,
        ..ExportOptions::default()
    };
    export_graph(model.graph(), &params, &options).unwrap()
}

#[test]
fn a_step_in_canonical_text() {
    assert_graph_snapshot!(graph(Form::Step));
}

#[test]
fn a_scan_under_a_name() {
    let graph = graph(Form::Scan);
    assert_graph_snapshot!("a_scan", &graph);
}

#[test]
#[should_panic(expected = "snapshot assertion")]
fn another_graph_is_another_snapshot() {
    let mut graph = graph(Form::Scan);
    graph.graph.nodes[0].op_type = "Other".into();
    // What is written beside the snapshot would be taken for news.
    let mut settings = insta::Settings::clone_current();
    let dir = tempfile::tempdir().unwrap();
    settings.set_snapshot_path(dir.path());
    let _bound = settings.bind_to_scope();
    assert_graph_snapshot!("a_scan", &graph);
}
