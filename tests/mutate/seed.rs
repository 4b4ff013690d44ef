//! Good files to begin with: a small model in every form.

use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::export::{
    Activations, ExportOptions, Form, Lowering, StateLayout, Target, Weights, export_graph,
};

use super::wire::{self, Field, Kind};

/// A file that runs.
pub(crate) struct Seed {
    pub(crate) name: &'static str,
    pub(crate) tree: Vec<Field>,
}

const TOKENS: &str = "width = 2\nlayers = 1\nnorm = \"none\"\n[input]\nvocab = 3\n[cell]\nbias = false\n[head]\nwidth = 3";
const FEATURES: &str = "width = 2\nlayers = 1\nnorm = \"layer\"\n[input]\nfeatures = 2\n[cell]\nkind = \"min_lstm\"\ninitial_state = \"learned\"\n[conv]\nkernel = 2\npointwise = false\n[head]\nwidth = 2\nkind = \"values\"\nsteps = \"last\"";
const DEEP: &str = "width = 2\nlayers = 2\nnorm = \"none\"\n[input]\nvocab = 3\n[cell]\nbias = false\n[conv]\nkernel = 2\npointwise = false\n[head]\nwidth = 3";

/// One export.
fn seed(name: &'static str, config: &str, change: impl FnOnce(&mut ExportOptions)) -> Seed {
    let config: ModelConfig = toml::from_str(config).expect("a configuration");
    let model = Model::from_config(&config).expect("a model");
    let params = Params::init(model.graph(), 5);
    let mut options = ExportOptions {
        config: model.config().clone(),
        max_seq_len: 4,
        block: 2,
        ..ExportOptions::default()
    };
    change(&mut options);
    if options.weights != Weights::F32 {
        options.target = Target::OnnxRuntime;
    }
    let file = export_graph(model.graph(), &params, &options).expect("an export");
    let tree = wire::read(Kind::Model, &file.encode()).expect("protobuf");
    Seed { name, tree }
}

fn lowered(name: &'static str, lowering: Lowering) -> Seed {
    seed(name, TOKENS, |o| {
        o.lowering = lowering;
        o.target = lowering.target();
    })
}

/// All of them, in an order that stays.
pub(crate) fn all() -> Vec<Seed> {
    let int8 = || Weights::Int8(Activations::Row);
    vec![
        seed("step", TOKENS, |o| o.form = Form::Step),
        seed("scan", TOKENS, |o| o.form = Form::Scan),
        lowered("blocked", Lowering::Blocked),
        lowered("blocked-scan", Lowering::BlockedScan),
        lowered("kogge-stone", Lowering::KoggeStone),
        lowered("kogge-stone-concat", Lowering::KoggeStoneConcat),
        lowered("odd-even", Lowering::OddEven),
        seed("step features last", FEATURES, |o| o.form = Form::Step),
        seed("scan features last", FEATURES, |o| o.form = Form::Scan),
        seed("kogge-stone features last", FEATURES, |o| {
            o.lowering = Lowering::KoggeStone;
            o.target = o.lowering.target();
        }),
        seed("step f16", TOKENS, |o| {
            (o.form, o.weights) = (Form::Step, Weights::F16);
        }),
        seed("scan bf16", TOKENS, |o| {
            (o.form, o.weights) = (Form::Scan, Weights::Bf16);
        }),
        seed("step int8", TOKENS, |o| {
            (o.form, o.weights) = (Form::Step, int8());
        }),
        seed("scan int8", TOKENS, |o| {
            (o.form, o.weights) = (Form::Scan, int8());
        }),
        seed("scan lengths resets", TOKENS, |o| {
            (o.form, o.lengths, o.reset) = (Form::Scan, true, true);
        }),
        seed("step resets", TOKENS, |o| {
            (o.form, o.reset) = (Form::Step, true);
        }),
        seed("step stacked", DEEP, |o| {
            (o.form, o.state_layout) = (Form::Step, StateLayout::Stacked);
        }),
        seed("scan deep", DEEP, |o| o.form = Form::Scan),
        seed("scan fixed", TOKENS, |o| {
            (o.form, o.batch, o.seq_len) = (Form::Scan, Some(2), Some(3));
        }),
    ]
}
