//! What the tape does not know is refused by name.

use minrnn_kernels::Elem;
use minrnn_model::config::ModelConfig;
use minrnn_model::graph::{Graph, Input, OutputKind};
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_model::testing::test_each;

use super::{host, loss, options, wanted};
use crate::error::TrainError;
use crate::run::tests::Case;
use crate::tape::op::{KNOWN, Known};
use crate::tape::{Carry, NoScratch, Options, Plan};

#[test]
fn what_the_tape_does_not_know_is_refused_by_name() {
    let text = "width = 6\nlayers = 1\n[input]\nfeatures = 3\n[head]\nwidth = 3\n[conv]\nkernel = 1\n[cell]\nkind = 'min_gru'";
    let config: ModelConfig = toml::from_str(text).expect(text);
    let model = Model::from_config(&config).unwrap();
    let graph = model.graph();
    let case = Case::new(graph, 1, 2, 0, false);
    let w = wanted(graph, &case, false);
    let refused = |known: &Known| {
        let options = options(graph, &case, &w, Elem::F32);
        let error = Plan::with(graph, options, &NoScratch, known).unwrap_err();
        assert!(matches!(error, TrainError::Tape(_)), "{error:?}");
        error.to_string()
    };
    let layers_alone = Known {
        primitives: &[],
        with_parameters: &[],
        ..KNOWN
    };
    let nothing = Known {
        layers: &[],
        ..layers_alone
    };
    let mend = "train with train.engine = \"candle\", which runs every model";
    assert_eq!(
        refused(&layers_alone),
        format!(
            "the tape does not know the operation Mul on a parameter of node 14 in `layers.0.conv.depthwise`, part of the layer CausalConv; {mend}"
        )
    );
    assert_eq!(
        refused(&nothing),
        format!(
            "the tape does not know the operation MatMul on a parameter of node 2 in `input.projection`, part of the layer Linear; {mend}"
        )
    );
    Plan::knows(graph).unwrap();
}

#[test]
fn operations_and_states_without_a_kernel_are_refused_by_name() {
    use minrnn_model::graph::StateInit;
    use minrnn_model::params::{Init, Role};
    type Build = fn(
        &mut Graph,
        minrnn_model::graph::Value,
    ) -> minrnn_model::Result<minrnn_model::graph::Value>;
    let cases: [(&str, Build); 5] = [
        ("the operation Fold of node 1", |g, x| {
            let state = minrnn_model::graph::FoldState {
                name: "h",
                width: 4,
                init: StateInit::Zero,
            };
            let made = g.block(0, |g| g.fold(&[state], |g, h| Ok(vec![g.sub(x, h[0])?])));
            Ok(made?[0])
        }),
        ("the operation Sub on a parameter of node 2", |g, x| {
            let init = Init::Constant(1.0);
            let w = g.param("w", &[4], Role::Weight { init, decay: false })?;
            let w = g.read(w)?;
            g.scope("head", |g| g.sub(x, w))
        }),
        (
            "the operation Recur of the law complex of node 1",
            |g, x| {
                let law = minrnn_model::graph::Law::Complex;
                g.block(0, |g| g.recur("h", law, &[x, x], StateInit::Zero))
            },
        ),
        ("the operation Const of node 2", |g, x| {
            let init = Init::Constant(1.0);
            let taps = g.param("w", &[3, 4], Role::Weight { init, decay: false })?;
            let taps = g.read(taps)?;
            let two = g.constant(2.0)?;
            let half = g.div(taps, two)?;
            g.block(0, |g| g.convolution("conv", x, half))
        }),
        ("the learned beginning of the window", |g, x| {
            let init = Init::Constant(1.0);
            g.block(0, |g| {
                let begin = g.param("w", &[4], Role::Weight { init, decay: false })?;
                let holds = minrnn_model::graph::Holds::Window { lag: 2 };
                let state = g.state("h", 4, holds, StateInit::Learned(begin))?;
                g.op(minrnn_model::graph::Op::Delay { state, by: 1 }, &[x])
            })
        }),
    ];
    test_each(cases, |said, build| {
        let graph = Graph::trace(Input::Features { width: 4 }, OutputKind::Values, build).unwrap();
        let error = Plan::knows(&graph).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    });
}

/// A run from the begin on stays within the limit of a count; what is longer does not.
#[test]
fn runs_that_pass_the_limit_of_a_count_are_refused_by_name() {
    let text = "width = 6\nlayers = 1\n[input]\nfeatures = 3\n[head]\nwidth = 3\n[cell]\nkind = 'hyena'\nlongest = 9\nfilter_width = 3";
    let config: ModelConfig = toml::from_str(text).expect(text);
    let model = Model::from_config(&config).unwrap();
    let graph = model.graph();
    let plan = |time: usize, carry: Carry| {
        let case = Case::new(graph, 1, time, 0, false);
        let w = wanted(graph, &case, false);
        let options = Options {
            carry,
            ..options(graph, &case, &w, Elem::F32)
        };
        Plan::new(graph, options, &NoScratch).map(drop)
    };
    for carry in [Carry::None, Carry::Begin, Carry::On] {
        plan(9, carry).unwrap();
        let error = plan(10, carry).unwrap_err().to_string();
        assert!(error.contains("the operation Limit of node"), "{error}");
    }
    Plan::knows_carried(graph).unwrap();
}

/// What goes on from a state beyond its limit is no number: nothing is trained by it.
#[test]
fn a_count_that_goes_on_beyond_its_limit_is_no_number() {
    let text = "width = 6\nlayers = 1\n[input]\nfeatures = 3\n[head]\nwidth = 3\n[cell]\nkind = 'hyena'\nlongest = 9\nfilter_width = 3";
    let config: ModelConfig = toml::from_str(text).expect(text);
    let model = Model::from_config(&config).unwrap();
    let params = Params::init(model.graph(), 3);
    // The counts of these tests begin at 2.
    for (time, within) in [(7, true), (8, false)] {
        let case = Case::new(model.graph(), 1, time, 0, false);
        let w = wanted(model.graph(), &case, false);
        let options = Options {
            carry: Carry::On,
            ..options(model.graph(), &case, &w, Elem::F32)
        };
        let mut host = host(model.graph(), &params, &case, &w, options);
        host.run();
        assert_eq!(loss(&host).is_finite(), within, "{time}");
    }
}
