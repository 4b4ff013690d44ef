//! Axes followed through operators, bodies and functions; the end of the way where nothing is known.

use minrnn_onnx::builder::Builder;
use minrnn_onnx::ir::{Attr, DType, Dim, Function, Graph, Model, Node, Tensor, ValueInfo};

use super::{Flow, Meaning, Weight, flow};

fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: Vec<(&str, Attr)>) -> Node {
    let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect();
    Node {
        op_type: op.into(),
        inputs: names(inputs),
        outputs: names(outputs),
        attributes: attributes
            .into_iter()
            .map(|(n, a)| (n.to_owned(), a))
            .collect(),
        ..Node::default()
    }
}

fn value(name: &str, dims: &[i64]) -> ValueInfo {
    let dim = |n: &i64| if *n < 0 { Dim::Unknown } else { Dim::Fixed(*n) };
    ValueInfo::new(name, DType::F32, dims.iter().map(dim).collect())
}

fn model(graph: Graph) -> Model {
    Model {
        opsets: vec![(String::new(), 17)],
        graph,
        ..Model::default()
    }
}

/// Axes of `x` that are time, and those that are rows.
fn axes(found: &Flow) -> [Vec<usize>; 2] {
    [Meaning::Time, Meaning::Rows].map(|meaning| {
        let is = |c: &&super::Clue| c.input == "x" && c.meaning == meaning;
        found.clues.iter().filter(is).map(|c| c.axis).collect()
    })
}

/// `x [?, ?, 4]`, these nodes, and a GRU of `end`.
fn before_gru(mut nodes: Vec<Node>, initializers: Vec<Tensor>) -> [Vec<usize>; 2] {
    nodes.push(node("GRU", &["end", "w", "r"], &["y"], vec![]));
    let graph = Graph {
        inputs: vec![value("x", &[-1, -1, 4])],
        nodes,
        initializers,
        ..Graph::default()
    };
    axes(&flow(&model(graph)))
}

#[test]
fn axes_go_through_what_moves_them() {
    let ints = |name: &str, v: &[i64]| Tensor::i64(name, vec![v.len() as i64], v);
    let turn = |from: &str, to: &str| {
        node(
            "Transpose",
            &[from],
            &[to],
            vec![("perm", Attr::Ints(vec![1, 0, 2]))],
        )
    };
    let straight = [vec![0], vec![1]];
    let turned = [vec![1], vec![0]];
    assert_eq!(
        before_gru(vec![node("Tanh", &["x"], &["end"], vec![])], vec![]),
        straight
    );
    assert_eq!(before_gru(vec![turn("x", "end")], vec![]), turned);
    assert_eq!(
        before_gru(vec![turn("x", "a"), turn("a", "end")], vec![]),
        straight
    );
    // The shape is computed, as exporters write it.
    let computed = vec![
        node("Shape", &["x"], &["s"], vec![]),
        node("Gather", &["s", "one"], &["n"], vec![]),
        node("Unsqueeze", &["n", "zero"], &["n1"], vec![]),
        node("Gather", &["s", "nil"], &["m"], vec![]),
        node("Unsqueeze", &["m", "zero"], &["m1"], vec![]),
        node(
            "Concat",
            &["m1", "n1", "four"],
            &["shape"],
            vec![("axis", Attr::Int(0))],
        ),
        node("Reshape", &["x", "shape"], &["end"], vec![]),
    ];
    let tensors = vec![
        Tensor::i64("one", vec![], &[1]),
        Tensor::i64("nil", vec![], &[0]),
        ints("zero", &[0]),
        ints("four", &[4]),
    ];
    assert_eq!(before_gru(computed, tensors), straight);
    let picked = vec![
        node("Unsqueeze", &["x", "two"], &["a"], vec![]),
        node(
            "Gather",
            &["a", "nil"],
            &["end"],
            vec![("axis", Attr::Int(2))],
        ),
    ];
    assert_eq!(
        before_gru(
            picked,
            vec![ints("two", &[2]), Tensor::i64("nil", vec![], &[0])]
        ),
        straight
    );
    // Nothing is known behind an operator of somebody else.
    let foreign = Node {
        domain: "their.own".into(),
        ..node("Tanh", &["x"], &["end"], vec![])
    };
    assert_eq!(
        before_gru(vec![foreign], vec![]),
        [(); 2].map(|()| Vec::<usize>::new())
    );
}

#[test]
fn bodies_and_functions_are_walked() {
    let body = |op: &str| Graph {
        outputs: vec![value("inner", &[])],
        nodes: vec![node(op, &["x"], &["inner"], vec![])],
        ..Graph::default()
    };
    let branches = vec![
        ("then_branch", Attr::Graph(Box::new(body("Tanh")))),
        ("else_branch", Attr::Graph(Box::new(body("Relu")))),
    ];
    let both = vec![node("If", &["c"], &["end"], branches)];
    assert_eq!(before_gru(both, vec![]), [vec![0], vec![1]]);
    let mut called = model(Graph {
        inputs: vec![value("x", &[-1, -1, 4])],
        nodes: vec![Node {
            domain: "local".into(),
            ..node("Cell", &["x"], &["y"], vec![])
        }],
        ..Graph::default()
    });
    called.functions.push(Function {
        domain: "local".into(),
        name: "Cell".into(),
        inputs: vec!["v".into()],
        outputs: vec!["out".into()],
        nodes: vec![node(
            "GRU",
            &["v", "w", "r"],
            &["out"],
            vec![("layout", Attr::Int(1))],
        )],
        ..Function::default()
    });
    assert_eq!(axes(&flow(&called)), [vec![1], vec![0]]);
}

/// A Scan says what time is, counts its axes from the end too, and knows its state.
#[test]
fn a_scan_names_time_and_its_state() {
    let step = Graph {
        inputs: vec![value("h", &[]), value("u", &[])],
        outputs: vec![value("g", &[]), value("o", &[])],
        nodes: vec![
            node("Add", &["h", "u"], &["g"], vec![]),
            node("Identity", &["g"], &["o"], vec![]),
        ],
        ..Graph::default()
    };
    let scan = vec![
        ("body", Attr::Graph(Box::new(step))),
        ("num_scan_inputs", Attr::Int(1)),
        ("scan_input_axes", Attr::Ints(vec![-2])),
        ("scan_output_axes", Attr::Ints(vec![-2])),
    ];
    let graph = Graph {
        inputs: vec![value("start", &[-1, 4]), value("x", &[-1, -1, 4])],
        outputs: vec![value("last", &[]), value("all", &[])],
        nodes: vec![
            node("Scan", &["start", "x"], &["last", "all"], scan),
            node("CumSum", &["all", "minus"], &["sum"], vec![]),
        ],
        initializers: vec![Tensor::i64("minus", vec![], &[-2])],
        ..Graph::default()
    };
    let found = flow(&model(graph));
    let of_x = |w: Weight| {
        found
            .clues
            .iter()
            .filter(|c| c.input == "x" && c.weight == w)
            .map(|c| c.axis)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (of_x(Weight::Strong), of_x(Weight::Sum)),
        (vec![1], vec![1]),
        "{found:?}"
    );
    assert_eq!(found.next["start"].iter().collect::<Vec<_>>(), ["last"]);
}

#[test]
fn lengths_are_known_by_the_operator_that_reads_them() {
    let mut b = Builder::new("lengths");
    let x = b.input(
        "x",
        DType::F32,
        vec![Dim::Unknown, Dim::Unknown, Dim::Fixed(3)],
    );
    let lens = b.input("n", DType::I64, vec![Dim::Unknown]);
    let lens = b.cast(lens, DType::I32);
    let y = b.node("ReverseSequence", &[x, lens], vec![]);
    b.output("y", y, DType::F32, vec![Dim::Unknown; 3]);
    let found = flow(&model(b.finish().unwrap()));
    assert_eq!(found.lengths.keys().collect::<Vec<_>>(), ["n"]);
    assert_eq!(axes(&found), [vec![0], vec![1]]);
}
