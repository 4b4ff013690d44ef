use super::*;
use crate::error::{ModelError, Result};
use crate::layers::{CausalConv, Layer, Linear, Norm};
use crate::params::{Init, Role};

const FEATURES: Input = Input::Features { width: 6 };

fn trace(body: impl FnOnce(&mut Graph, Value) -> Result<Value>) -> Result<Graph> {
    Graph::trace(FEATURES, OutputKind::Values, body)
}

#[track_caller]
fn refused(wanted: &str, body: impl FnOnce(&mut Graph, Value) -> Result<Value>) {
    let message = trace(body).expect_err("must be refused").to_string();
    assert!(message.contains(wanted), "{message}");
}

#[test]
fn names_follow_scopes() {
    let g = trace(|g, x| {
        g.block(3, |g| {
            g.apply(
                &CausalConv {
                    kernel: 4,
                    bias: true,
                },
                x,
            )
        })
    })
    .unwrap();
    let names: Vec<_> = g.params().iter().map(|p| p.name.as_str()).collect();
    assert_eq!(
        names,
        ["layers.3.depthwise.weight", "layers.3.depthwise.bias"]
    );
    assert_eq!(g.states()[0].input_name(), "state.3.conv");
    assert_eq!(g.states()[0].shape(), [3, 6]);
    assert_eq!(g.regions()[0].nodes, 1..g.nodes().len());
}

#[test]
fn what_does_not_fit_is_refused() {
    refused("takes channels 4..8 of 6", |g, x| {
        g.op(Op::Narrow { start: 4, len: 4 }, &[x])
    });
    refused("cannot cut 6 channels into 4", |g, x| {
        g.split::<4>(x).map(|p| p[0])
    });
    refused("equal widths, got 6 and 3", |g, x| {
        let [a, _] = g.split::<2>(x)?;
        g.add(x, a)
    });
    refused("takes 6 channels, got 3", |g, x| {
        let [a, _] = g.split::<2>(x)?;
        let weight = g.param(
            "w",
            &[6, 2],
            Role::Weight {
                init: Init::linear(6),
                decay: true,
            },
        )?;
        g.op(Op::MatMul { weight }, &[a])
    });
    refused("defined twice", |g, x| {
        let x = g.apply(&Norm::Rms { eps: Norm::EPS }, x)?;
        g.apply(&Norm::Rms { eps: Norm::EPS }, x)
    });
    refused("outside of a block", |g, x| {
        g.recurrence("h", x, x, StateInit::Zero)
    });
    refused("needs a time axis", |g, x| {
        let last = g.op(Op::Last, &[x])?;
        g.block(0, |g| g.recurrence("h", last, last, StateInit::Zero))
    });
    refused("mixes values with and without time", |g, x| {
        let last = g.op(Op::Last, &[x])?;
        g.add(x, last)
    });
    refused("used by no operation", |g, x| {
        g.block(0, |g| g.state("h", 6, None, StateInit::Zero))?;
        g.affine(x, 2.0, 0.0)
    });
    refused("takes p in [0, 1)", |g, x| {
        g.op(Op::Dropout { p: 1.0 }, &[x])
    });
    refused("is the input itself", |_, x| Ok(x));
    refused("begins with [5], wanted [6]", |g, x| {
        let p = g.param(
            "h0",
            &[5],
            Role::Weight {
                init: Init::Constant(0.0),
                decay: false,
            },
        )?;
        g.block(0, |g| g.recurrence("h", x, x, StateInit::Learned(p)))
    });
}

#[test]
fn token_ids_are_embedded_first() {
    let input = Input::Tokens { vocab: 5 };
    let e = Graph::trace(input, OutputKind::Logits, |g, x| g.affine(x, 1.0, 1.0))
        .expect_err("ids are no numbers");
    assert!(e.to_string().contains("embed them first"), "{e}");
    assert!(matches!(
        Graph::trace(Input::Tokens { vocab: 0 }, OutputKind::Logits, |_, x| Ok(x)),
        Err(ModelError::Config { .. })
    ));
}

#[test]
fn a_region_keeps_its_inner_values() {
    struct Leaky(std::cell::Cell<Option<Value>>);
    impl Layer for Leaky {
        fn name(&self) -> &str {
            "leaky"
        }
        fn fused(&self) -> Option<Fused> {
            Some(Fused::Silu)
        }
        fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
            let inner = g.unary(Unary::Tanh, x[0])?;
            self.0.set(Some(inner));
            Ok(vec![g.unary(Unary::Abs, inner)?])
        }
    }
    refused("leaks an inner value", |g, x| {
        let leaky = Leaky(std::cell::Cell::new(None));
        let y = g.apply(&leaky, x)?;
        g.add(y, leaky.0.get().expect("set by the body"))
    });
}

#[test]
fn a_failing_layer_leaves_the_scope_as_it_was() {
    let g = trace(|g, x| {
        let _ = g.scope("inner", |g| g.op(Op::Narrow { start: 0, len: 9 }, &[x]));
        g.apply(&Linear::new("fc", 2, false), x)
    });
    assert_eq!(g.unwrap().params()[0].name, "fc.weight");
}
