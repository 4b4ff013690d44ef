use super::*;
use crate::error::{ModelError, Result};
use crate::layers::{CausalConv, Linear, Norm};
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
        let weight = g.read(weight)?;
        g.matmul(a, weight)
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
        g.block(0, |g| g.state("h", 6, Holds::Value, StateInit::Zero))?;
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

fn weight(g: &mut Graph, name: &str, shape: &[usize]) -> Result<Value> {
    let role = Role::Weight {
        init: Init::linear(6),
        decay: true,
    };
    let param = g.param(name, shape, role)?;
    g.read(param)
}

#[test]
fn what_is_computed_from_parameters_alone_is_held_apart() {
    refused("depends on no input", |g, _| weight(g, "w", &[6]));
    refused(
        "takes one row of what is computed from parameters alone, got 2",
        |g, x| {
            let w = weight(g, "w", &[2, 6])?;
            g.add(x, w)
        },
    );
    refused("this one depends on the input", |g, x| g.matmul(x, x));
    refused("takes 5 channels, got 6", |g, x| {
        let w = weight(g, "w", &[2, 5])?;
        g.matmul_transposed(x, w)
    });
    refused("takes row 2 of 2", |g, x| {
        let w = weight(g, "w", &[2, 6])?;
        let row = g.op(Op::Row { row: 2 }, &[w])?;
        g.add(x, row)
    });
    refused("this depends on the input", |g, x| {
        g.op(Op::Row { row: 0 }, &[x])
    });
    refused("takes a vector or a matrix, `w` is [1, 2, 3]", |g, _| {
        weight(g, "w", &[1, 2, 3])
    });
    refused("its argument is computed from parameters alone", |g, _| {
        let w = weight(g, "w", &[6])?;
        g.op(Op::Last, &[w])
    });
    refused("mixes values of different rows", |g, x| {
        let w = weight(g, "w", &[6])?;
        g.op(Op::Concat, &[x, w])
    });
    refused("takes what depends on the input", |g, _| {
        let w = weight(g, "w", &[6])?;
        g.op(Op::Dropout { p: 0.5 }, &[w])
    });
    refused("takes finite numbers of float32, got 1e39", |g, _| {
        g.constant(1e39)
    });
    refused("groups of 4", |g, x| g.sum(x, 4));
    refused("groups of 0", |g, x| g.mean(x, 0));
    refused("by blocks of 4, 2 times", |g, x| g.repeat(x, 4, 2));
    refused("by blocks of 3, 0 times", |g, x| g.repeat(x, 3, 0));
    refused("are too many", |g, x| g.repeat(x, 1, usize::MAX));
    let g = trace(|g, x| {
        let [w, v] = [weight(g, "w", &[4, 6])?, weight(g, "v", &[6])?];
        let w = g.unary(Unary::Exp, w)?;
        assert_eq!(g.span(w), Span::Model { rows: 4 });
        let scaled = g.mul(v, x)?;
        assert_eq!(g.span(scaled), Span::Step);
        let y = g.matmul_transposed(scaled, w)?;
        let y = g.repeat(y, 2, 3)?;
        let y = g.sum(y, 4)?;
        assert_eq!(g.width(y), 3);
        let last = g.op(Op::Last, &[y])?;
        assert_eq!(g.span(last), Span::Row);
        let two = g.constant(2.0)?;
        g.max(last, two)
    });
    assert!(g.unwrap().is_last_step());
}

#[test]
fn the_first_state_of_a_name_keeps_it_and_the_next_takes_its_layers() {
    let conv = CausalConv {
        kernel: 2,
        bias: false,
    };
    let g = trace(|g, x| {
        g.block(1, |g| {
            let x = g.scope("a", |g| g.apply(&conv, x))?;
            let x = g.scope("b", |g| g.apply(&conv, x))?;
            let x = g.scope("c", |g| g.apply(&conv, x))?;
            g.scope("d", |g| g.recurrence("h", x, x, StateInit::Constant(0.5)))
        })
    });
    let names: Vec<String> = g.unwrap().states().iter().map(|s| s.name.clone()).collect();
    assert_eq!(
        names,
        ["1.conv", "1.depthwise.conv", "1.c.depthwise.conv", "1.h"]
    );
    refused("is defined twice in its layer", |g, x| {
        g.block(0, |g| {
            let h = g.recurrence("h", x, x, StateInit::Zero)?;
            g.recurrence("h", h, h, StateInit::Zero)
        })
    });
    refused("no finite number", |g, x| {
        g.block(0, |g| {
            g.recurrence("h", x, x, StateInit::Constant(f32::NEG_INFINITY))
        })
    });
}

fn parameter(g: &mut Graph, name: &str, shape: &[usize]) -> Result<Param> {
    let init = Init::Constant(1.0);
    g.param(name, shape, Role::Weight { init, decay: false })
}

#[test]
fn what_another_graph_has_is_refused() {
    refused("takes value 999, and the graph has 1", |g, _| {
        g.unary(Unary::Tanh, Value::at(999))
    });
    refused("takes parameter 3, and the graph has 0", |g, _| {
        g.read(Param::at(3))
    });
    refused("takes state 2, and the graph has 0", |g, x| {
        let state = State::at(2);
        g.op(Op::Delay { state, by: 1 }, &[x])
    });
    refused("begins with a parameter that the graph does not", |g, x| {
        let begin = StateInit::Learned(Param::at(0));
        g.block(0, |g| g.recurrence("h", x, x, begin))
    });
    refused("is no value of this graph", |_, _| Ok(Value::at(7)));
}

#[test]
fn what_no_memory_holds_is_refused() {
    refused("the most values are", |g, _| {
        let p = parameter(g, "w", &[usize::MAX / 2, 3])?;
        g.read_row(p, 0)
    });
    refused("the most is", |g, x| {
        let holds = Holds::Window { lag: 1 << 62 };
        let state = g.block(0, |g| g.state("conv", 6, holds, StateInit::Zero))?;
        g.op(Op::Delay { state, by: 1 }, &[x])
    });
    refused("the most is", |g, x| {
        let wide = g.repeat(x, 1, 1 << 40)?;
        g.sum(wide, 1 << 40)
    });
}

#[test]
fn numbers_that_float32_does_not_hold_are_refused() {
    refused("finite numbers of float32, got 1e39", |g, x| {
        g.affine(x, 1e39, 0.0)
    });
    refused("makes 0 of 1e-50", |g, x| {
        let tiny = g.constant(1e-50)?;
        g.div(x, tiny)
    });
    refused("finite numbers of float32, got NaN", |g, x| {
        g.affine(x, 1.0, f64::NAN)
    });
    refused("takes an eps above 0, got 0e0", |g, x| {
        g.apply(&Norm::Rms { eps: 0.0 }, x)
    });
    assert!(trace(|g, x| g.affine(x, 0.1, 0.0)).is_ok());
}

#[test]
fn parameters_have_names_that_files_have_not() {
    for name in [
        "features",
        "values",
        "lengths",
        "reset",
        "state.0.h",
        "next_state.0.h",
    ] {
        refused(
            &format!("parameter `{name}`: is the name of an input or output"),
            |g, x| {
                let p = parameter(g, name, &[6])?;
                let p = g.read(p)?;
                let x = g.mul(x, p)?;
                g.block(0, |g| g.recurrence("h", x, x, StateInit::Zero))
            },
        );
    }
    refused("has no name", |g, _| {
        let p = parameter(g, "", &[6])?;
        g.read(p)
    });
}

#[test]
fn a_parameter_that_nothing_reads_is_refused() {
    let model = |reads: bool| {
        let json = serde_json::json!({});
        crate::model::Model::trace(FEATURES, OutputKind::Values, json, |g, x| {
            let p = parameter(g, "idle", &[6])?;
            let begin = parameter(g, "begin", &[6])?;
            let x = if reads {
                let p = g.read(p)?;
                g.mul(x, p)?
            } else {
                x
            };
            g.block(0, |g| g.recurrence("h", x, x, StateInit::Learned(begin)))
        })
    };
    assert!(model(true).is_ok());
    let error = model(false).unwrap_err().to_string();
    assert_eq!(
        error,
        "parameter `idle`: is read by no operation; read it, or leave it out"
    );
}
