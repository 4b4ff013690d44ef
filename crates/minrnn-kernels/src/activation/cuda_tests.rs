use super::cuda::{backward, forward, gate, gate_backward};
use super::{Activation, slow};
use crate::Elem;
use crate::cuda::testing::{Bench, Buffer, TYPES, rounded, small};
use crate::testing::Rng;

fn twin(kind: Activation) -> impl Fn(f64) -> (f64, f64) {
    move |x| slow::activation(kind, x)
}

fn check(bench: &Bench, n: usize, size: f64) {
    let rng = &mut Rng(n as u64);
    let gpu = &bench.gpu;
    for kind in [Activation::GeluErf, Activation::GeluTanh, Activation::Silu] {
        for elem in TYPES {
            let u = rounded(elem, &rng.input(&[n], -size, 2.0 * size).data);
            let dg = rounded(elem, &rng.input(&[n], -1.0, 2.0).data);
            let want: Vec<f64> = u.iter().map(|u| twin(kind)(*u).0).collect();
            let want_du: Vec<f64> = u
                .iter()
                .zip(&dg)
                .map(|(u, dg)| twin(kind)(*u).1 * dg)
                .collect();
            bench.same_twice(|| {
                let (u_in, dg_in) = (bench.put(elem, &u), bench.put(elem, &dg));
                let (g, du) = (bench.empty(elem, n), bench.empty(elem, n));
                forward(gpu, kind, u_in.view(), g.view(), n).unwrap();
                backward(gpu, kind, u_in.view(), dg_in.view(), du.view(), n).unwrap();
                g.close("g", &want, 1e-6);
                du.close("du", &want_du, 1e-6);
                // In place: over the gradient, then over the input.
                backward(gpu, kind, u_in.view(), dg_in.view(), dg_in.view(), n).unwrap();
                forward(gpu, kind, u_in.view(), u_in.view(), n).unwrap();
                assert!(dg_in.bits() == du.bits() && u_in.bits() == g.bits());
                vec![g, du]
            });
        }
    }
}

fn check_gates(bench: &Bench, n: usize) {
    let rng = &mut Rng(n as u64);
    for (kind, elem) in [Activation::GeluErf, Activation::GeluTanh, Activation::Silu]
        .into_iter()
        .flat_map(|kind| TYPES.map(|elem| (kind, elem)))
    {
        let [a, u, dy] = [2.0, 6.0, 1.0].map(|s| rounded(elem, &rng.input(&[n], -s, 2.0 * s).data));
        let want = |f: &dyn Fn(usize, (f64, f64)) -> f64| -> Vec<f64> {
            (0..n).map(|i| f(i, twin(kind)(u[i]))).collect()
        };
        let y_want = want(&|i, (value, _)| a[i] * value);
        let da_want = want(&|i, (value, _)| dy[i] * value);
        let du_want = want(&|i, (_, slope)| dy[i] * a[i] * slope);
        bench.same_twice(|| {
            let [a, u, dy] = [&a, &u, &dy].map(|x| bench.put(elem, x));
            let [y, da, du] = [0; 3].map(|_| bench.empty(elem, n));
            gate(&bench.gpu, kind, [a.view(), u.view(), y.view()], n).unwrap();
            let from = [a.view(), u.view(), dy.view()];
            gate_backward(&bench.gpu, kind, from, [da.view(), du.view()], n).unwrap();
            y.close("y", &y_want, 1e-6);
            da.close("da", &da_want, 1e-6);
            du.close("du", &du_want, 1e-6);
            // In place.
            gate_backward(&bench.gpu, kind, from, [dy.view(), u.view()], n).unwrap();
            assert!(dy.bits() == da.bits() && u.bits() == du.bits());
            vec![y, da, du]
        });
    }
}

#[test]
fn gates_equal_their_twins_on_a_gpu() {
    let Some(bench) = Bench::new("activation") else {
        return;
    };
    for n in [1, 1021, 20_000] {
        check_gates(&bench, n);
    }
    check_gates(&bench.shifted(1), 1003);
}

#[test]
fn equal_their_twins() {
    let Some(bench) = Bench::new("activation") else {
        return;
    };
    for (n, size) in [(1, 1.0), (7, 3.0), (1024, 5.0), (8193, 9.0), (9000, 100.0)] {
        check(&bench, n, size);
    }
    check(&bench.shifted(1), 1003, 4.0);
}

#[test]
fn small_tails_keep_their_relative_accuracy() {
    let Some(bench) = Bench::new("activation") else {
        return;
    };
    let u: Vec<f64> = (1..60)
        .map(|i| f64::from((-0.1 * f64::from(i)) as f32))
        .collect();
    for kind in [Activation::GeluErf, Activation::GeluTanh, Activation::Silu] {
        let (u_in, g) = (bench.put(TYPES[0], &u), bench.empty(TYPES[0], u.len()));
        forward(&bench.gpu, kind, u_in.view(), g.view(), u.len()).unwrap();
        for (u, g) in u.iter().zip(g.values()) {
            let want = twin(kind)(*u).0;
            assert!(
                (g / want - 1.0).abs() < 1e-5,
                "{kind:?} at {u}: {g}, want {want}"
            );
        }
    }
}

#[test]
fn stay_finite_and_keep_nan() {
    let Some(bench) = Bench::new("activation") else {
        return;
    };
    let u = [
        f64::from(f32::MIN),
        -1e20,
        -200.0,
        -0.0,
        200.0,
        1e20,
        f64::from(f32::MAX),
        f64::NAN,
    ];
    let want = [
        0.0,
        0.0,
        0.0,
        0.0,
        200.0,
        f64::from(1e20_f32),
        f64::from(f32::MAX),
    ];
    let slopes = [0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0];
    for kind in [Activation::GeluErf, Activation::GeluTanh, Activation::Silu] {
        let (u_in, dg) = (bench.put(TYPES[0], &u), bench.put(TYPES[0], &[1.0; 8]));
        let (g, du) = (bench.empty(TYPES[0], 8), bench.empty(TYPES[0], 8));
        forward(&bench.gpu, kind, u_in.view(), g.view(), 8).unwrap();
        backward(&bench.gpu, kind, u_in.view(), dg.view(), du.view(), 8).unwrap();
        let (g, du) = (g.values(), du.values());
        assert!(g[7].is_nan() && du[7].is_nan());
        assert_eq!(g[..7], want, "{kind:?}");
        for (du, want) in du.iter().zip(slopes) {
            assert!((du - want).abs() < 4e-7, "{kind:?}: {du} {want}");
        }
    }
}

/// Each of many launches reads what the one in front of it wrote, and writes what that one read.
#[test]
fn launches_that_begin_early_wait_for_those_in_front() {
    let Some(bench) = Bench::new("early launches") else {
        return;
    };
    let (gpu, n) = (&bench.gpu, if small() { 20_000 } else { 3_000_000 });
    let values = Rng(3).input(&[n], -3.0, 3.0).data;
    let run = |early: bool| {
        gpu.set_early(early);
        let buffers = [bench.put(Elem::F32, &values), bench.empty(Elem::F32, n)];
        let [u, g] = buffers.each_ref().map(Buffer::view);
        let both = || {
            forward(gpu, Activation::GeluErf, u, g, n)?;
            forward(gpu, Activation::Silu, g, u, n)
        };
        both().unwrap();
        // One of them behind what is no kernel.
        let all = || {
            g.fill(gpu, 0)?;
            (0..20).try_for_each(|_| both())
        };
        let mut graph = gpu.capture(all).unwrap();
        graph.launch().unwrap();
        gpu.set_early(false);
        buffers[0].bits()
    };
    assert!(run(false) == run(true), "other bits");
}
