//! The update of a plan, beside the optimizer.

use candle_core::{DType, Device, Tensor};
use minrnn_kernels::Elem;
use minrnn_model::compare::Comparison;

use super::{gradient, host, options, rule, wanted};
use crate::run::Weights;
use crate::run::tests::{Case, floats, variants};
use crate::tape::{Options, Place, Space};

#[test]
fn the_update_is_that_of_the_optimizer() {
    for time in [5, 6] {
        update_of(time);
    }
}

fn update_of(time: usize) {
    use crate::optim::{Optimizer, Parameter};
    let (_, model, params) = variants().remove(0);
    let graph = model.graph();
    assert!(graph.hidden_matrices().contains(&true));
    let case = Case::new(graph, 2, time, 0, false);
    let w = wanted(graph, &case, false);
    let options = Options {
        update: Some(rule(time).room()),
        ..options(graph, &case, &w, Elem::F32)
    };
    let mut host = host(graph, &params, &case, &w, options);
    host.rate = (0.01, 1);
    host.run();
    let weights = Weights::new(graph, &params, DType::F32, &Device::Cpu).unwrap();
    let layout = host.plan().layout.clone();
    let mut store = candle_core::backprop::GradStore::default();
    let mut parameters = vec![];
    for (i, var) in weights.vars() {
        let spec = &graph.params()[i];
        let grad: Vec<f32> = gradient(&host, i).iter().map(|g| *g as f32).collect();
        let grad = Tensor::from_vec(grad, spec.shape.as_slice(), &Device::Cpu).unwrap();
        store.insert(var.as_tensor(), grad);
        parameters.push(Parameter {
            name: spec.name.clone(),
            var: var.clone(),
            kind: layout.kinds[i],
        });
    }
    let mut optimizer = Optimizer::new(parameters, rule(case.time)).unwrap();
    optimizer.step(&store, 0.01).unwrap();
    let mut c = Comparison::default();
    for (i, var) in weights.vars() {
        let got = host.read(Place {
            space: Space::Params,
            offset: layout.offsets[i],
            len: layout.lens[i],
            elem: Elem::F32,
        });
        let want = floats(var.as_tensor());
        got.iter()
            .zip(&want)
            .for_each(|(g, w)| c.push(*g, *w, 2e-6));
    }
    assert!(c.holds(), "{c:?}");
}
