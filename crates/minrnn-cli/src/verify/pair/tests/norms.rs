//! Normalisations over what does not vary.

use minrnn_onnx::ir::{Attr, Graph, Tensor as Constant};

use super::graphs::{Folder, floats, node};
use super::*;

/// `y = normalised x [B, 3, T]`, over T: of one step the bias alone.
fn normal(op: &'static str, bias: f32) -> Graph {
    let groups = ("num_groups", Attr::Int(3));
    let attributes: &[_] = match op {
        "GroupNormalization" => &[groups],
        _ => &[],
    };
    Graph {
        inputs: vec![floats("x", "B,3,T")],
        outputs: vec![floats("y", "B,3,T")],
        nodes: vec![node(op, &["x", "scale", "bias"], &["y"], attributes)],
        initializers: vec![
            Constant::f32("scale", vec![3], &[3.0, -2.0, 0.7]),
            Constant::f32("bias", vec![3], &[0.3, bias, -0.1]),
        ],
        ..Graph::default()
    }
}

/// An engine that rounds there as it does elsewhere is not accused, at no T; another bias shows at every one.
#[test]
fn one_step_rounds_as_many() {
    for (op, opset) in [("InstanceNormalization", 17), ("GroupNormalization", 21)] {
        for longest in [1, 17] {
            let folder = Folder::new();
            let [a, b] = [0.2, 0.21].map(|bias| {
                let name = format!("{bias}.onnx");
                folder.write_with(&name, opset, normal(op, bias))
            });
            let mut request = Request {
                longest: Some(longest),
                ..Request::default()
            };
            request.inputs.extend([input_spec("x=B,3,T").unwrap()]);
            let pair = |b| compare(&a, b, Kind::Same, &request, &mut |_, _, _| ()).unwrap();
            let right = pair(&a);
            assert!(
                right.rows.iter().all(|r| r.holds),
                "{op}: {:#?}",
                right.rows
            );
            assert!(!pair(&b).holds, "{op}");
        }
    }
}

/// The same, written in operations that lose nothing at T = 1: what an engine may round is no difference of two files.
#[test]
fn what_engines_fuse_is_in_no_file() {
    let axes = ("axes", Attr::Ints(vec![2]));
    let written = |epsilon: f32| {
        let mut g = normal("InstanceNormalization", 0.2);
        g.nodes = vec![
            node("ReduceMean", &["x"], &["mean"], std::slice::from_ref(&axes)),
            node("Sub", &["x", "mean"], &["d"], &[]),
            node("Mul", &["d", "d"], &["square"], &[]),
            node(
                "ReduceMean",
                &["square"],
                &["var"],
                std::slice::from_ref(&axes),
            ),
            node("Add", &["var", "epsilon"], &["more"], &[]),
            node("Sqrt", &["more"], &["root"], &[]),
            node("Div", &["d", "root"], &["n"], &[]),
            node("Mul", &["n", "wide_scale"], &["scaled"], &[]),
            node("Add", &["scaled", "wide_bias"], &["y"], &[]),
        ];
        g.initializers.extend([
            Constant::f32("epsilon", vec![], &[epsilon]),
            Constant::f32("wide_scale", vec![3, 1], &[3.0, -2.0, 0.7]),
            Constant::f32("wide_bias", vec![3, 1], &[0.3, 0.2, -0.1]),
        ]);
        g.initializers
            .retain(|t| !["scale", "bias"].contains(&t.name.as_str()));
        g
    };
    let mut request = Request {
        longest: Some(17),
        ..Request::default()
    };
    request.inputs.extend([input_spec("x=B,3,T").unwrap()]);
    for (epsilon, right) in [(1e-5, true), (1e-3, false)] {
        let graphs = [normal("InstanceNormalization", 0.2), written(epsilon)];
        let pair = Folder::new().pair(Kind::Same, graphs, &request).unwrap();
        assert_eq!(pair.holds, right, "{:#?}", pair.rows);
    }
}

/// What an engine may be off at one step: `x scale / sqrt(epsilon)` rounded. Two files may not.
#[test]
fn engines_alone_are_granted_what_they_fuse() {
    let folder = Folder::new();
    let path = folder.write("a.onnx", normal("InstanceNormalization", 0.2));
    let mut request = Request::default();
    request.inputs.extend([input_spec("x=B,3,T").unwrap()]);
    let two = Two::open(&path, &path, Kind::Same, &request).unwrap();
    let mut costs = Rounding::new(None, two.times());
    let case = Case::random(&two, (3, 1), &mut Rng::named(0, "one step")).unwrap();
    two.judged(0, &case, &mut costs).unwrap();
    let granted = |held| costs.allowed(held, &case, 0, [Elem::F32; 2]).of(0, 0.3).0;
    assert!(
        granted(Held::Engine(0)) > 1e-5,
        "{}",
        granted(Held::Engine(0))
    );
    assert!(granted(Held::Rounded) < 1e-5, "{}", granted(Held::Rounded));
}

/// The variance that MeanVarianceNormalization has by the standard's function is a difference of squares: an engine that computes it so is
/// right, however few digits are left far from 0. Files are held to each other as before.
#[test]
fn engines_are_granted_the_function_of_the_standard() {
    let graph = |offset: f32| Graph {
        inputs: vec![floats("x", "B,T,3")],
        outputs: vec![floats("y", "B,T,3")],
        nodes: vec![
            node("Add", &["x", "offset"], &["far"], &[]),
            node(
                "MeanVarianceNormalization",
                &["far"],
                &["y"],
                &[("axes", Attr::Ints(vec![1]))],
            ),
        ],
        initializers: vec![Constant::f32("offset", vec![1], &[offset])],
        ..Graph::default()
    };
    for (offset, least, most) in [(0.0, 0.0, 1e-4), (300.0, 1e-3, 1.0)] {
        let folder = Folder::new();
        let path = folder.write("a.onnx", graph(offset));
        let two = Two::open(&path, &path, Kind::Same, &Request::default()).unwrap();
        let mut costs = Rounding::new(None, two.times());
        let case = Case::random(&two, (3, 17), &mut Rng::named(0, "far")).unwrap();
        two.judged(0, &case, &mut costs).unwrap();
        let granted = |held| costs.allowed(held, &case, 0, [Elem::F32; 2]).of(0, 1.0).0;
        let engine = granted(Held::Engine(0));
        assert!(least < engine && engine < most, "{offset}: {engine}");
        assert!(granted(Held::Rounded) < 1e-3, "{offset}");
    }
}
