use super::*;
use crate::check;
use crate::ir::{DType, Dim, Model};

fn dims() -> Vec<Dim> {
    vec![Dim::symbol("batch"), Dim::symbol("seq_len"), Dim::Fixed(4)]
}

fn model(b: Builder) -> Model {
    let graph = b.finish().unwrap();
    Model {
        ir_version: 8,
        opsets: vec![(String::new(), 17)],
        graph,
        ..Model::default()
    }
}

#[test]
fn equal_constants_are_one_initializer() {
    let mut b = Builder::new("g");
    let (zero, half) = (b.i64s(&[0]), b.f32(0.5));
    assert_eq!(b.i64s(&[0]), zero);
    assert_ne!(b.i64s(&[0, 0]), zero);
    assert_eq!(b.f32(0.5), half);
    assert_ne!(b.f32(-0.5), half);
    assert_ne!(b.f32(0.0), b.f32(-0.0));
    assert_eq!(b.f32_filled(&[1, 3], 1.0), b.f32_filled(&[1, 3], 1.0));
    let x = b.input("x", DType::F32, dims());
    let y = b.add(x, half);
    b.output("y", y, DType::F32, dims());
    let graph = b.finish().unwrap();
    let names: Vec<&str> = graph.initializers.iter().map(|t| t.name.as_str()).collect();
    let wanted = [
        "const.f32.-0e0",
        "const.f32.-5e-1",
        "const.f32.0e0",
        "const.f32.1e0.1x3",
        "const.f32.5e-1",
        "const.i64.0",
        "const.i64.0_0",
    ];
    assert_eq!(names, wanted);
}

#[test]
fn names_follow_scopes_and_stay_unique() {
    let mut b = Builder::new("g");
    let x = b.input("x", DType::F32, dims());
    let y = b.scoped("a", |b| {
        let y = b.mul(x, x);
        let y = b.mul(y, x);
        b.scoped("Mul_2", |b| b.neg(y))
    });
    let y = b.scoped("a", |b| {
        let y = b.mul(y, x);
        b.mul(y, x)
    });
    let z = b.output("z", y, DType::F32, dims());
    b.output("also", z, DType::F32, dims());
    let graph = b.finish().unwrap();
    let names: Vec<(&str, &str)> = graph
        .nodes
        .iter()
        .map(|n| (n.name.as_str(), n.outputs[0].as_str()))
        .collect();
    let wanted = [
        ("/a/Mul", "/a/Mul"),
        ("/a/Mul_1", "/a/Mul_1"),
        ("/a/Mul_2/Neg", "/a/Mul_2/Neg"),
        ("/a/Mul_2", "/a/Mul_2"),
        ("/a/Mul_3", "z"),
        ("/Identity", "also"),
    ];
    assert_eq!(names, wanted);
}

#[test]
fn an_input_can_be_an_output() {
    let mut b = Builder::new("g");
    let x = b.input("x", DType::F32, dims());
    b.output("y", x, DType::F32, dims());
    check::check(&model(b)).unwrap();
}

#[test]
fn taken_and_empty_names_are_reported() {
    let mut b = Builder::new("g");
    b.input("x", DType::F32, dims());
    b.input("x", DType::F32, dims());
    assert_eq!(
        b.finish(),
        Err(BuildError::Taken {
            kind: "input",
            name: "x".into()
        })
    );
    let mut b = Builder::new("g");
    b.input("", DType::F32, dims());
    assert_eq!(b.finish(), Err(BuildError::EmptyName("input")));
}

#[test]
fn every_operator_passes_the_checker() {
    let mut b = Builder::new("g");
    let x = b.input("x", DType::F32, dims());
    let ids = b.input(
        "ids",
        DType::I64,
        vec![Dim::symbol("batch"), Dim::symbol("seq_len")],
    );
    let w = b.param(Tensor::f32("w", vec![4, 6], &[0.5; 24]));
    let zero = b.f32(0.0);
    let mut y = x;
    for op in [
        Builder::neg,
        Builder::abs,
        Builder::relu,
        Builder::erf,
        Builder::tanh,
        Builder::sigmoid,
        Builder::exp,
    ] {
        y = op(&mut b, y);
    }
    let y = b.sqrt(y);
    let y = b.min(y, zero);
    let y = b.sub(y, x);
    let mean = b.reduce_mean(y, 2);
    let y = b.div(y, mean);
    let y = b.matmul(y, w);
    let parts = b.split(y, 3, 2);
    let y = b.concat(&[parts[2], parts[0]], 2);
    let table = b.gather(w, ids, 0);
    let half = b.slice_at(table, 0, -2, 2);
    let y = b.mul(y, half);
    let padded = b.pad(y, &[0, 5, 0, 0, 0, 0], 1.0);
    let y = b.slice_at(padded, 0, -5, 1);
    let column = b.slice_at(y, 0, 1, 2);
    let column = b.squeeze(column, 2);
    let column = b.unsqueeze(column, 2);
    let dims_of = b.shape(x);
    let wide = b.expand(column, dims_of);
    let flat = b.reshape(wide, &[0, -1, 2]);
    let y = b.reshape_to(flat, dims_of);
    let y = b.add(y, x);
    let y = b.identity(y);
    b.output("y", y, DType::F32, dims());
    let types = check::check(&model(b)).unwrap();
    assert_eq!(types.get("y").unwrap().to_string(), "f32[batch,seq_len,4]");
}

#[test]
fn scan_has_a_body_of_its_own() {
    let mut b = Builder::new("g");
    let state = vec![Dim::symbol("batch"), Dim::Fixed(4)];
    let (a, x) = (
        b.input("a", DType::F32, dims()),
        b.input("x", DType::F32, dims()),
    );
    let h0 = b.input("h0", DType::F32, state.clone());
    let step = vec![Dim::Unknown, Dim::Fixed(4)];
    let results = b.scoped("rnn", |b| {
        b.scan(
            &[(h0, step.clone())],
            &[(a, step.clone()), (x, step.clone())],
            1,
            |b, h, ins| {
                let m = b.mul(h[0], ins[0]);
                let next = b.add(m, ins[1]);
                ScanBody {
                    states: vec![next],
                    outputs: vec![(next, step.clone())],
                }
            },
        )
    });
    b.output("last", results[0], DType::F32, state);
    b.output("h", results[1], DType::F32, dims());
    let model = model(b);
    let types = check::check(&model).unwrap();
    assert_eq!(types.get("h").unwrap().to_string(), "f32[batch,seq_len,4]");
    let body: Vec<String> = model.graph.nodes[0]
        .subgraphs()
        .flat_map(|(_, g)| &g.nodes)
        .map(|n| n.name.clone())
        .collect();
    assert_eq!(
        body,
        ["/rnn/body/Mul", "/rnn/body/Add", "/rnn/body/Identity"]
    );
}
