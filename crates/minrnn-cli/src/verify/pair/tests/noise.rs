//! Values that are all rounding: an engine that rounds them otherwise is right, one that computes another thing is not.

use std::cell::RefCell;

use minrnn_onnx::eval::Array;
use minrnn_onnx::ir::{Attr, DType, Graph, Tensor as Constant};

use super::graphs::{Folder, floats, node, noted, same};
use super::*;
use crate::verify::contender::{Failure, Opened};

/// `y = (r - mean r) / sqrt(var r + epsilon)`, written in operations, over rows of seven: `r` the first entry of `x [B, T, 2]` seven times,
/// and beside it, as rows of their own, seven values that vary.
fn written(epsilon: f32) -> Graph {
    let axes = |n: i64| ("axes", Attr::Ints(vec![n]));
    let row = |name: &str, v: &[f32]| Constant::f32(name, vec![1, 1, v.len() as i64], v);
    Graph {
        inputs: vec![floats("x", "B,T,1")],
        outputs: vec![floats("y", "B,T,7"), floats("z", "B,T,7")],
        nodes: vec![
            node("Mul", &["x", "ones"], &["r"], &[]),
            node("ReduceMean", &["r"], &["mean"], &[axes(2)]),
            node("Sub", &["r", "mean"], &["d"], &[]),
            node("Mul", &["d", "d"], &["square"], &[]),
            node("ReduceMean", &["square"], &["var"], &[axes(2)]),
            node("Add", &["var", "epsilon"], &["more"], &[]),
            node("Sqrt", &["more"], &["root"], &[]),
            node("Div", &["d", "root"], &["y"], &[]),
            node("Mul", &["x", "ramp"], &["z"], &[]),
        ],
        initializers: vec![
            row("ones", &[1.0; 7]),
            row("ramp", &[0.3, 1.0, -0.7, 2.0, 0.1, 0.9, -1.3]),
            Constant::f32("epsilon", vec![], &[epsilon]),
        ],
        ..Graph::default()
    }
}

/// The same with the operator of the standard.
fn operator(epsilon: f32) -> Graph {
    let mut graph = written(epsilon);
    let normal = node(
        "LayerNormalization",
        &["r", "gain"],
        &["y"],
        &[("epsilon", Attr::Float(epsilon))],
    );
    graph
        .nodes
        .retain(|n| ["r", "z"].contains(&n.outputs[0].as_str()));
    graph.nodes.insert(1, normal);
    graph.initializers.retain(|t| t.name != "epsilon");
    let gain = Constant::f32("gain", vec![7], &[1.0; 7]);
    graph.initializers.push(gain);
    graph
}

/// An engine that takes means by adding up in f32, and is off by `more` in its second output.
struct Adds(f32);

impl Opened for Adds {
    fn run(
        &mut self,
        feeds: &[(&str, &Array)],
        wanted: &[&str],
    ) -> std::result::Result<Vec<Array>, Failure> {
        let x = feeds[0].1;
        let (dims, values) = (x.dims(), x.floats().unwrap_or_default());
        let mut all: [Vec<f64>; 2] = [vec![], vec![]];
        for v in values.iter().map(|v| *v as f32) {
            let mean = [v; 7].iter().sum::<f32>() * (1.0 / 7.0);
            let d = v - mean;
            let y = d / (d * d + 1e-9).sqrt();
            all[0].extend([f64::from(y); 7]);
            let ramp = [0.3f32, 1.0, -0.7, 2.0, 0.1, 0.9, -1.3];
            all[1].extend(ramp.map(|r| f64::from(v * r + self.0)));
        }
        let wide = [dims[0], dims[1], 7];
        let one =
            |name: &&str| Array::from_floats(DType::F32, &wide, &all[usize::from(*name == "z")]);
        let all: std::result::Result<Vec<Array>, _> = wanted.iter().map(one).collect();
        all.map_err(|e| Failure::Refused(e.to_string()))
    }
}

/// Rows of which nothing varies: what is left of them is rounding, whatever the judge comes to.
#[test]
fn what_is_all_rounding_accuses_no_engine() {
    for graph in [written(1e-9), operator(1e-9)] {
        is_all_rounding(graph);
    }
}

fn is_all_rounding(graph: Graph) {
    let folder = Folder::new();
    let path = folder.write("a.onnx", graph);
    let two = Two::open(&path, &path, Kind::Same, &Request::default()).unwrap();
    let mut costs = Rounding::new(None, two.times());
    two.calibrate(17, &mut Rng::named(3, "noise"), &mut costs, &[0, 1])
        .unwrap();
    let case = Case::random(&two, (3, 17), &mut Rng::named(0, "noise")).unwrap();
    let judged = two.judged(0, &case, &mut costs).unwrap();
    let noise = two.noise(0, &case).unwrap();
    for (more, right) in [(0.0, true), (1e-3, false)] {
        let engine: RefCell<Box<dyn Opened>> = RefCell::new(Box::new(Adds(more)));
        let ran = two.whole(0, By::Engine(&engine), &case).unwrap();
        let who = crate::verify::who::Who::judge();
        let check = || Check::new("engine", &who, Held::Engine(0), &two);
        assert!(
            !check().add_within(&case, (&ran, &judged), &costs, None),
            "{more}"
        );
        let mut within = check();
        let held = within.add_within(&case, (&ran, &judged), &costs, Some(&noise));
        assert_eq!(held, right, "{more}");
        assert!(within.noisy().any(|(tensor, n)| tensor == "y" && n > 0));
        assert!(within.noisy().all(|(tensor, _)| tensor == "y"));
    }
}

/// The whole way, by an engine in this process: written out, and as the operator, whose mean rounds inside.
#[test]
fn engines_hold_where_nothing_varies() {
    for graph in [written, operator] {
        let folder = Folder::new();
        let path = folder.write("a.onnx", graph(1e-9));
        let request = Request {
            longest: Some(17),
            ..Request::default()
        };
        let pair = same(&path, &path, &request);
        assert!(
            pair.rows.iter().all(|r| r.holds),
            "{:#?}\n{:#?}",
            pair.rows,
            pair.notes
        );
        noted(&pair, "of the order of what rounding leaves of them");
        // Of `y` alone nothing is shown: it is 0 whatever is given.
        let other = folder.write("b.onnx", graph(1e-3));
        let pair = same(&other, &other, &request);
        assert!(pair.rows.iter().all(|r| r.holds), "{:#?}", pair.rows);
        noted(&pair, "`y`: the same values in all runs");
    }
}
