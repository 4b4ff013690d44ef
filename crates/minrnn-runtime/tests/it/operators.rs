//! Operators that stand behind the recurrence: exact execution, the referee and tract's own, and the same in f64.

#[cfg(feature = "tract")]
use minrnn_runtime::Options;
use minrnn_runtime::{Execution, Model};

use crate::support::build::{Form, Spec};
use crate::support::proto::{Attr, File, Node, Tensor};
use crate::support::random::Random;
use crate::support::{close, features, random_state, same_bits};

const FORMS: [Form; 3] = [Form::Step, Form::Scan, Form::KoggeStone(8)];
/// Groups.
const G: usize = 2;
/// Values of a group.
const K: usize = 3;
/// Steps.
const T: usize = 5;
/// Rows.
const B: usize = 2;

/// A file whose output is what `make` makes of h `[.., G * K]`, which it is given, and how many axes stand before the last.
fn file(form: Form, make: impl FnOnce(&mut Chain, &str, usize)) -> File {
    let mut file = Spec::raw(form, G * K).file();
    let nodes = &mut file.graph.nodes;
    let at = nodes.iter().position(|n| n.outputs == ["values"]);
    let last = nodes.remove(at.expect("the output"));
    assert_eq!(last.op, "Identity");
    let lead = if form == Form::Step { 1 } else { 2 };
    let mut chain = Chain {
        file: &mut file,
        out: last.outputs[0].clone(),
        count: 0,
    };
    make(&mut chain, &last.inputs[0], lead);
    file
}

struct Chain<'a> {
    file: &'a mut File,
    out: String,
    count: usize,
}

impl Chain<'_> {
    fn name(&mut self) -> String {
        self.count += 1;
        format!("made{}", self.count)
    }

    fn node(&mut self, op: &str, inputs: &[&str], attrs: Vec<(String, Attr)>) -> String {
        let out = self.name();
        self.file.graph.nodes.push(Node {
            op: op.into(),
            domain: String::new(),
            inputs: inputs.iter().map(|i| (*i).to_owned()).collect(),
            outputs: vec![out.clone()],
            attrs,
        });
        out
    }

    fn op(&mut self, op: &str, inputs: &[&str]) -> String {
        self.node(op, inputs, vec![])
    }

    /// A shape of `lead` entries of `each`, then `rest`.
    fn ints(&mut self, lead: usize, each: i64, rest: &[i64]) -> String {
        let name = self.name();
        let all = [&vec![each; lead][..], rest].concat();
        self.file.graph.weights.push(Tensor::i64(&name, &all));
        name
    }

    fn floats(&mut self, dims: &[i64], values: &[f32]) -> String {
        let name = self.name();
        let tensor = Tensor::f32(&name, dims, values);
        self.file.graph.weights.push(tensor);
        name
    }

    /// `from` is the output.
    fn end(&mut self, from: &str) {
        let out = std::mem::take(&mut self.out);
        let last = self.file.graph.nodes.last_mut().expect("a node");
        assert_eq!(last.outputs, [from]);
        last.outputs = vec![out];
    }
}

/// h and the output, after exact execution; held to the referee bit for bit, and to tract.
#[track_caller]
fn run(form: Form, make: impl Fn(&mut Chain, &str, usize)) -> (Vec<f32>, Vec<f32>) {
    let time = if form == Form::Step { 1 } else { T };
    let plain = Spec::raw(form, G * K).model();
    let bytes = file(form, make).to_bytes();
    let model = Model::from_bytes(&bytes).unwrap();
    let why = model.not_exact_because();
    assert_eq!(model.execution(), Execution::Exact, "{form:?}: {why:?}");
    let mut random = Random::new(5);
    let data = random.values(B * time * Spec::raw(form, G * K).width);
    let state = random_state(&plain, B, &mut random);
    let input = || features(&data, B, time, data.len() / B / time);
    let (h, _) = plain.run(input(), &state).unwrap();
    let (out, after) = model.run(input(), &state).unwrap();
    #[cfg(feature = "tract")]
    {
        let referee = Model::from_bytes_with(&bytes, &Options::referee()).unwrap();
        let (want, want_after) = referee.run(input(), &state).unwrap();
        same_bits(&format!("{form:?}"), &out.values, &want.values);
        crate::support::same_states(&format!("{form:?}"), &after, &want_after);
        let tract = Model::from_bytes_with(&bytes, &Options::with_plans(1)).unwrap();
        let (want, _) = tract.run(input(), &state).unwrap();
        let want: Vec<f64> = want.values.iter().map(|v| f64::from(*v)).collect();
        close(&format!("{form:?}"), &out.values, &want, 1e-4);
    }
    // Many rows and steps, or one at a time: every row is its own.
    let alone = (0..B).map(|row| {
        let each = data.len() / B;
        let one = features(&data[row * each..(row + 1) * each], 1, time, each / time);
        let state = state.select(&[row]).unwrap();
        model.run(one, &state).unwrap().0.values
    });
    same_bits(
        "rows alone",
        &alone.collect::<Vec<_>>().concat(),
        &out.values,
    );
    drop(after);
    (h.values, out.values)
}

/// `run` in all forms, and each row of the output near what `law` says of that of h.
#[track_caller]
fn holds(
    make: impl Fn(&mut Chain, &str, usize) + Copy,
    law: impl Fn(&[f64]) -> Vec<f64>,
    tolerance: f64,
) {
    for form in FORMS {
        let (h, out) = run(form, make);
        let h: Vec<f64> = h.iter().map(|v| f64::from(*v)).collect();
        let want: Vec<f64> = h.chunks_exact(G * K).flat_map(&law).collect();
        close(&format!("{form:?}"), &out, &want, tolerance);
    }
}

#[test]
fn angles() {
    let make = |c: &mut Chain, h: &str, _: usize| {
        let many = c.floats(&[1], &[40.0]);
        let angle = c.op("Mul", &[h, &many]);
        let (sin, cos) = (c.op("Sin", &[&angle]), c.op("Cos", &[&angle]));
        let twice = c.op("Mul", &[&sin, &cos]);
        let all = c.op("Sub", &[&twice, &cos]);
        c.end(&all);
    };
    let law = |h: &[f64]| {
        let one = |v: &f64| {
            // The angle is rounded before.
            let angle = f64::from(*v as f32 * 40.0);
            angle.sin() * angle.cos() - angle.cos()
        };
        h.iter().map(one).collect()
    };
    holds(make, law, 3e-7);
}

#[test]
fn logarithms_of_magnitudes_and_the_larger_of_two() {
    let make = |c: &mut Chain, h: &str, _: usize| {
        let small = c.floats(&[], &[0.001]);
        let size = c.op("Abs", &[h]);
        let size = c.op("Max", &[&size, &small]);
        let log = c.op("Log", &[&size]);
        let all = c.op("Max", &[&log, h]);
        c.end(&all);
    };
    let law = |h: &[f64]| {
        let one = |v: &f64| v.abs().max(f64::from(0.001f32)).ln().max(*v);
        h.iter().map(one).collect()
    };
    holds(make, law, 1e-6);
}

#[test]
fn sums_of_groups_handed_back_to_each() {
    let (g, k) = (G as i64, K as i64);
    let keepdims = |n| vec![("keepdims".to_owned(), Attr::Int(n))];
    let make = move |c: &mut Chain, h: &str, lead: usize| {
        let groups = c.ints(lead, 0, &[g, k]);
        let x = c.op("Reshape", &[h, &groups]);
        let axis = c.ints(0, 0, &[-1]);
        let sums = c.node("ReduceSum", &[&x, &axis], keepdims(1));
        let shape = c.ints(lead, 1, &[1, k]);
        let each = c.op("Expand", &[&sums, &shape]);
        let shape = c.ints(lead, 0, &[-1]);
        let each = c.op("Reshape", &[&each, &shape]);
        let all = c.op("Mul", &[h, &each]);
        c.end(&all);
    };
    let law = |h: &[f64]| {
        let each = h.chunks_exact(K).flat_map(|group| {
            let sum: f64 = group.iter().sum();
            group.iter().map(move |v| v * sum)
        });
        each.collect()
    };
    holds(make, law, 1e-5);
}

#[test]
fn rows_tiled() {
    let (g, k) = (G as i64, K as i64);
    let keepdims = |n| vec![("keepdims".to_owned(), Attr::Int(n))];
    let make = move |c: &mut Chain, h: &str, lead: usize| {
        // Of each group its sum, [.., G], three times one behind the other.
        let groups = c.ints(lead, 0, &[g, -1]);
        let x = c.op("Reshape", &[h, &groups]);
        let axis = c.ints(0, 0, &[lead as i64 + 1]);
        let sums = c.node("ReduceSum", &[&x, &axis], keepdims(0));
        let times = c.ints(lead, 1, &[k]);
        let tiled = c.op("Tile", &[&sums, &times]);
        let all = c.op("Add", &[h, &tiled]);
        c.end(&all);
    };
    let law = |h: &[f64]| {
        let sums: Vec<f64> = h.chunks_exact(K).map(|x| x.iter().sum()).collect();
        h.iter().enumerate().map(|(i, v)| v + sums[i % G]).collect()
    };
    holds(make, law, 1e-5);
}

#[test]
fn what_is_of_the_model_alone_is_computed_once() {
    let decays = [0.5, -1.0, 2.0, 0.0, 1.5, -0.25];
    let make = |c: &mut Chain, h: &str, _: usize| {
        let raw = c.floats(&[6], &decays);
        let minus = c.floats(&[], &[-1.0]);
        let exp = c.op("Exp", &[&raw]);
        let decay = c.op("Mul", &[&exp, &minus]);
        let all = c.op("Mul", &[h, &decay]);
        c.end(&all);
    };
    let law = |h: &[f64]| {
        let pairs = h.iter().zip(decays);
        pairs.map(|(v, d)| -f64::from(d).exp() * v).collect()
    };
    holds(make, law, 1e-5);
}

#[test]
fn products_with_a_transposed_matrix() {
    let all = G * K;
    let weights: Vec<f32> = (0..all * all)
        .map(|i| (i % 7) as f32 * 0.25 - 0.6)
        .collect();
    let make = |c: &mut Chain, h: &str, _: usize| {
        let table = c.floats(&[all as i64, all as i64], &weights);
        let perm = vec![("perm".to_owned(), Attr::Ints(vec![1, 0]))];
        let turned = c.node("Transpose", &[&table], perm);
        let y = c.op("MatMul", &[h, &turned]);
        c.end(&y);
    };
    let law = |h: &[f64]| {
        let row = |row: &[f32]| row.iter().zip(h).map(|(w, v)| f64::from(*w) * v).sum();
        weights.chunks(all).map(row).collect()
    };
    holds(make, law, 1e-5);
}

/// As the windows of convolutions go in and out by the names of onnxruntime-genai.
#[test]
fn axes_of_a_row_in_another_order() {
    let make = |c: &mut Chain, h: &str, lead: usize| {
        let there = c.ints(lead, 0, &[G as i64, K as i64]);
        let back = c.ints(lead, 0, &[(G * K) as i64]);
        let x = c.op("Reshape", &[h, &there]);
        let lead = lead as i64;
        let order = (0..lead).chain([lead + 1, lead]).collect();
        let perm = vec![("perm".to_owned(), Attr::Ints(order))];
        let x = c.node("Transpose", &[&x], perm);
        let y = c.op("Reshape", &[&x, &back]);
        c.end(&y);
    };
    let law = |h: &[f64]| (0..G * K).map(|i| h[i % G * K + i / G]).collect();
    holds(make, law, 1e-6);
}

#[test]
fn what_would_mix_rows_or_steps_is_not_computed_exactly() {
    let (all, g, k) = ((G * K) as i64, G as i64, K as i64);
    type Make = Box<dyn Fn(&mut Chain, &str, usize)>;
    let reshaped = |shape: Vec<i64>, back: Vec<i64>| -> Make {
        Box::new(move |c, h, _| {
            let (there, back) = (c.ints(0, 0, &shape), c.ints(0, 0, &back));
            let x = c.op("Reshape", &[h, &there]);
            let x = c.op("Reshape", &[&x, &back]);
            c.end(&x);
        })
    };
    // Steps and rows as one axis, and a part of the channels beside the steps.
    for (make, words) in [
        (reshaped(vec![-1, all], vec![0, 0]), ""),
        (
            reshaped(vec![0, -1, k], vec![0, -1, all]),
            "the batch or the time",
        ),
        (reshaped(vec![0, -1, g, k, 1], vec![-1, 0, all]), "exact"),
    ] {
        let bytes = file(Form::Scan, |c, h, lead| make(c, h, lead)).to_bytes();
        let model = Model::from_bytes(&bytes);
        if words == "exact" {
            assert_eq!(model.unwrap().execution(), Execution::Exact);
            continue;
        }
        let why = match &model {
            Ok(model) => model.not_exact_because().expect("not exact").to_owned(),
            Err(error) => error.to_string(),
        };
        assert!(why.contains(words), "{why}");
    }
}
