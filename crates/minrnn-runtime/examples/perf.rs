use minrnn_runtime::*;
use std::time::Instant;
fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let t0 = Instant::now();
    let step = std::sync::Arc::new(
        Model::open_with(format!("{dir}/model.step.onnx"), &Options::with_threads(1)).unwrap(),
    );
    println!(
        "load {:?} {:?} {}",
        t0.elapsed(),
        step.execution(),
        step.kernels()
    );
    let vocab = match step.info().input {
        InputSpec::Tokens { vocab } => vocab.unwrap_or(10) as i64,
        _ => 0,
    };
    let width = match step.info().input {
        InputSpec::Features { width } => width,
        _ => 0,
    };
    for b in [1usize, 64] {
        let mut s = Session::new(step.clone(), b).unwrap();
        let mut out = vec![0.0; b * step.info().output.width];
        let ids: Vec<i64> = (0..b as i64).map(|i| i % vocab.max(1)).collect();
        let xs = vec![0.1f32; b * width];
        let mut best = f64::MAX;
        for _ in 0..30 {
            let n = if b == 1 { 20 } else { 2 };
            let t = Instant::now();
            for _ in 0..n {
                if width == 0 {
                    s.step_tokens_into(&ids, &mut out).unwrap()
                } else {
                    s.step_features_into(&xs, &mut out).unwrap()
                }
            }
            best = best.min(t.elapsed().as_secs_f64() / n as f64);
        }
        println!(
            "step b={b}: {:.1} us, {:.0} tokens/s",
            best * 1e6,
            b as f64 / best
        );
    }
    if width > 0 {
        return;
    }
    for threads in [1, 2] {
        let m = Model::open_with(
            format!("{dir}/model.parallel.onnx"),
            &Options::with_threads(threads),
        )
        .unwrap();
        for t in [512usize, 4096] {
            let ids: Vec<i64> = (0..t as i64).map(|i| i % vocab).collect();
            let st = m.initial_state(1).unwrap();
            let mut best = f64::MAX;
            for _ in 0..4 {
                let t0 = Instant::now();
                m.run(
                    Input::Tokens {
                        ids: &ids,
                        batch: 1,
                        time: t,
                    },
                    &st,
                )
                .unwrap();
                best = best.min(t0.elapsed().as_secs_f64());
            }
            println!("parallel T={t} threads={threads}: {:.1} ms", best * 1e3);
        }
    }
}
