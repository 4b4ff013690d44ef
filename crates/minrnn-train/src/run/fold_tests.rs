//! Folds by candle beyond what all models are held to: long sequences, and resets to learned states.

use candle_core::{DType, Device, Tensor};
use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;

use super::{Run, Weights, run};

const GRU: &str = "width = 3\nlayers = 2\n[input]\nfeatures = 2\n[head]\nwidth = 2\n[cell]\nkind = 'gru'\ninitial_state = 'learned'\n";

/// As one chain of operations 4096 steps would be a recursion of some 60,000 calls, which no thread of a test has the stack for.
#[test]
fn a_long_sequence_overflows_no_stack_backwards() {
    let config: ModelConfig = toml::from_str(GRU).unwrap();
    let model = Model::from_config(&config).unwrap();
    let graph = model.graph();
    let params = Params::init(graph, 3);
    let weights = Weights::new(graph, &params, DType::F32, &Device::Cpu).unwrap();
    let x = Tensor::randn(0f32, 1f32, (1, 4096, 2), &Device::Cpu).unwrap();
    let outcome = run(graph, &weights, &Run::new(&x)).unwrap();
    let last = outcome.output.narrow(1, 4095, 1).unwrap();
    let grads = last.sum_all().unwrap().backward().unwrap();
    for (i, var) in weights.vars() {
        let grad = grads.get(var.as_tensor());
        let grad = grad.unwrap_or_else(|| panic!("{}", graph.params()[i].name));
        let sum = grad.abs().unwrap().sum_all().unwrap();
        assert!(sum.to_scalar::<f32>().unwrap().is_finite());
    }
}
