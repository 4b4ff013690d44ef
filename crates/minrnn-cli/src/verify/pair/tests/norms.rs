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
