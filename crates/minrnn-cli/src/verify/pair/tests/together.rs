//! States that one file holds apart, with an axis of one entry, and the other in one tensor.

use minrnn_onnx::ir::{Attr, Graph, Tensor as Constant};

use super::graphs::{Folder, floats, node, recurrent, request};
use super::*;
use crate::verify::pair::Pair;

/// How a file holds `h` and `c`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// Two of `[1, B, 4]`, as an LSTM has them.
    Apart,
    /// Two of `[B, 4]`.
    Bare,
    /// `[B, 8]`
    Flat,
    /// `[2, 1, B, 4]`
    Stacked,
    /// `[1, B, 8]`
    Wide,
}

impl Form {
    /// Names of the states before and after, the axis of rows, and the shape.
    fn face(self) -> (&'static str, &'static str, usize, &'static str) {
        match self {
            Self::Apart => ("h0+c0", "hn+cn", 1, "1,B,4"),
            Self::Bare => ("h0+c0", "hn+cn", 0, "B,4"),
            Self::Flat => ("s", "sn", 0, "B,8"),
            Self::Stacked => ("s", "sn", 2, "2,1,B,4"),
            Self::Wide => ("s", "sn", 1, "1,B,8"),
        }
    }
}

/// An LSTM with its states in that form; `swapped`: its cell is taken for its output.
fn lstm(x: &str, form: Form, swapped: bool) -> Graph {
    let mut g = recurrent("LSTM", &[]);
    let (before, after, _, shape) = form.face();
    let axis = |n: i64| ("axis", Attr::Int(n));
    let (h, c) = if swapped { ("c1", "h1") } else { ("h1", "c1") };
    let inputs = ["x", "W", "R", "B", "", h, c];
    let run = node(
        "LSTM",
        &inputs,
        &["Y", "h2", "c2"],
        &[("hidden_size", Attr::Int(4))],
    );
    let (cut, joined) = match form {
        Form::Apart => (
            vec![
                node("Identity", &["h0"], &["h1"], &[]),
                node("Identity", &["c0"], &["c1"], &[]),
            ],
            vec![
                node("Identity", &["h2"], &["hn"], &[]),
                node("Identity", &["c2"], &["cn"], &[]),
            ],
        ),
        Form::Bare => (
            vec![
                node("Unsqueeze", &["h0", "zero"], &["h1"], &[]),
                node("Unsqueeze", &["c0", "zero"], &["c1"], &[]),
            ],
            vec![
                node("Squeeze", &["h2", "zero"], &["hn"], &[]),
                node("Squeeze", &["c2", "zero"], &["cn"], &[]),
            ],
        ),
        Form::Flat => (
            vec![
                node("Unsqueeze", &["s", "zero"], &["wide"], &[]),
                node("Split", &["wide"], &["h1", "c1"], &[axis(2)]),
            ],
            vec![
                node("Concat", &["h2", "c2"], &["both"], &[axis(2)]),
                node("Squeeze", &["both", "zero"], &["sn"], &[]),
            ],
        ),
        Form::Wide => (
            vec![node("Split", &["s"], &["h1", "c1"], &[axis(2)])],
            vec![node("Concat", &["h2", "c2"], &["sn"], &[axis(2)])],
        ),
        Form::Stacked => (
            vec![
                node("Split", &["s"], &["h3", "c3"], &[axis(0)]),
                node("Squeeze", &["h3", "zero"], &["h1"], &[]),
                node("Squeeze", &["c3", "zero"], &["c1"], &[]),
            ],
            vec![
                node("Unsqueeze", &["h2", "zero"], &["h4"], &[]),
                node("Unsqueeze", &["c2", "zero"], &["c4"], &[]),
                node("Concat", &["h4", "c4"], &["sn"], &[axis(0)]),
            ],
        ),
    };
    g.nodes = cut;
    g.nodes.push(run);
    g.nodes.extend(joined);
    g.initializers.push(Constant::i64("zero", vec![1], &[0]));
    let t = x.split(',').next().unwrap();
    g.inputs = vec![floats("x", x)];
    g.inputs.extend(before.split('+').map(|n| floats(n, shape)));
    g.outputs = vec![floats("Y", &format!("{t},1,B,4"))];
    g.outputs.extend(after.split('+').map(|n| floats(n, shape)));
    g
}

fn run(kind: Kind, forms: [Form; 2], swapped: bool) -> Result<Pair> {
    let [(i, o, ..), (input, output, rows, _)] = forms.map(Form::face);
    let state = format!("{input}={output}:batch={rows},first={i}={o}");
    let mut request = request();
    request.states.push(state.parse().unwrap());
    let x = if kind == Kind::Step { "1,B,3" } else { "T,B,3" };
    let graphs = [lstm("T,B,3", forms[0], false), lstm(x, forms[1], swapped)];
    Folder::new().pair(kind, graphs, &request)
}

/// `[1, B, 4]` twice against one flat or stacked state, whichever file has which.
#[test]
fn an_axis_of_one_entry_does_not_keep_states_apart() {
    for one in [Form::Flat, Form::Stacked, Form::Wide] {
        for many in [Form::Apart, Form::Bare] {
            for forms in [[one, many], [many, one]] {
                for kind in [Kind::Step, Kind::Same] {
                    let right = run(kind, forms, false).unwrap();
                    assert!(right.holds, "{forms:?}: {:?}", right.notes);
                    let wrong = run(kind, forms, true).unwrap();
                    assert!(!wrong.holds, "{forms:?}: {:?}", wrong.notes);
                }
            }
        }
    }
}

/// One tensor against one of another shape is refused with both shapes.
#[test]
fn one_state_is_no_other_shape() {
    let error = run(Kind::Step, [Form::Wide, Form::Stacked], false).unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("[1, B, 8]") && error.contains("[2, 1, B, 4]"),
        "{error}"
    );
}

/// Two states of two entries in `[B, 2, 2]` may lie along either axis: that is asked for, and what is asked for is taken.
#[test]
fn the_axis_of_joined_states_is_asked_for() {
    let folder = Folder::new();

    let whole = |joined: bool| {
        let states = match joined {
            true => vec![floats("s", "B,2,2")],
            false => vec![floats("h", "B,2"), floats("c", "B,2")],
        };
        let mut outputs = vec![floats("y", "B,T,2")];
        let mut nodes = vec![node("Tanh", &["x"], &["y"], &[])];
        for s in &states {
            let next = format!("{}_next", s.name);
            nodes.push(node("Identity", &[&s.name], &[&next], &[]));
            outputs.push(minrnn_onnx::ir::ValueInfo {
                name: next,
                ..s.clone()
            });
        }
        Graph {
            inputs: [vec![floats("x", "B,T,2")], states].concat(),
            outputs,
            nodes,
            ..Graph::default()
        }
    };
    let a = folder.write("a.onnx", whole(true));
    let b = folder.write("b.onnx", whole(false));
    let ask = |state: &str| {
        let request = Request {
            longest: Some(3),
            states: vec![state.parse().unwrap()],
            ..Request::default()
        };
        compare(&a, &b, Kind::Same, &request, &mut |_, _, _| ())
    };
    let line = "h+c=h_next+c_next:first=s=s_next";
    let error = format!("{:#}", ask(line).unwrap_err());
    assert!(
        error.contains("axis 1 or 2; say which by axis=1"),
        "{error}"
    );
    for axis in [1, 2] {
        assert!(ask(&format!("{line},axis={axis}")).unwrap().holds);
    }
    let error = format!("{:#}", ask(&format!("{line},axis=0")).unwrap_err());
    assert!(error.contains("but along axis 1 or 2"), "{error}");
}
