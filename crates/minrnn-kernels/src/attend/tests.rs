use super::{Mask, Size, cpu, slow};
use crate::dropout::Draw;
use crate::testing::{Rng, close};

/// B, T, heads, channels of a head, lag, whether rows before the run are there.
const SIZES: [([usize; 5], bool); 12] = [
    ([1, 1, 1, 8, 1], false),
    ([2, 2, 3, 8, 4], false),
    ([1, 63, 1, 16, 62], false),
    ([1, 64, 3, 8, 4], false),
    ([2, 65, 1, 64, 65], false),
    ([1, 200, 1, 100, 200], false),
    ([1, 200, 2, 16, 0], false),
    ([1, 130, 2, 1, 17], true),
    ([2, 5, 3, 8, 40], true),
    ([1, 70, 1, 5, 4], true),
    ([3, 1, 2, 4, 9], true),
    ([1, 129, 1, 3, 33], true),
];

pub(super) fn size([batch, time, heads, head, lag]: [usize; 5]) -> Size {
    Size {
        batch,
        time,
        channels: heads * head,
        heads,
        lag,
    }
}

pub(super) fn draw() -> Draw {
    Draw {
        seed: 0x1234_5678_9abc_def0,
        step: 17,
        site: 3,
    }
}

/// q, kv, n, window, dy: fresh for each seed; a run that goes on has seen different numbers of rows.
pub(super) fn data(seed: u64, size: Size, past: bool) -> [Vec<f64>; 5] {
    let rng = &mut Rng(seed);
    let Size {
        batch, time, lag, ..
    } = size;
    let mut values = |len: usize| rng.input(&[len], -1.5, 1.5).data;
    let (q, kv) = (values(size.values()), values(2 * size.values()));
    let (window, dy) = (values(size.window()), values(size.values()));
    let before = |sequence: usize| if past { sequence * 3 % (lag + 3) } else { 0 };
    let n = |at: usize| (before(at / time) + at % time + 1) as f64;
    let n = (0..batch * time).map(n).collect();
    [q, kv, n, window, dy]
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|x| *x as f32).collect()
}

fn inputs<'a>([q, kv, n, window, _]: &'a [Vec<f64>; 5], past: bool) -> slow::Inputs<'a> {
    slow::Inputs {
        q,
        kv,
        n,
        window: past.then_some(&window[..]),
    }
}

/// y, sums, dq, dkv of the kernel.
fn by_kernel(data: &[Vec<f64>; 5], size: Size, past: bool, mask: Option<&Mask>) -> [Vec<f32>; 4] {
    let [q, kv, n, window, dy] = data.each_ref().map(|x| narrow(x));
    let given = cpu::Inputs {
        rows: cpu::Rows::Apart(&q, &kv),
        n: &n,
        window: past.then_some(&window[..]),
    };
    let nan = |len: usize| vec![f32::NAN; len];
    let mut made = [
        nan(size.values()),
        nan(size.sums()),
        nan(size.values()),
        nan(2 * size.values()),
    ];
    let [y, sums, dq, dkv] = &mut made;
    cpu::forward(&given, size, mask, y, Some(sums));
    cpu::backward(&given, size, mask, [sums, &dy], cpu::Rows::Apart(dq, dkv));
    made
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|x| f64::from(*x)).collect()
}

#[test]
fn equals_its_twin() {
    for (seed, (sizes, past)) in SIZES.into_iter().enumerate() {
        let size = size(sizes);
        for p in [0.0, 0.3] {
            let mask = (p > 0.0).then(|| Mask::new(draw(), p, size));
            let data = data(seed as u64, size, past);
            let given = inputs(&data, past);
            let (y, sums) = slow::attend(&given, size, mask.as_ref());
            let (dq, dkv) = slow::attend_grad(&given, size, mask.as_ref(), &data[4]);
            let got = by_kernel(&data, size, past, mask.as_ref());
            for ((got, want), what) in got
                .iter()
                .zip([y, sums, dq, dkv])
                .zip(["y", "sums", "dq", "dkv"])
            {
                close(&format!("{what} {size:?} {p}"), &wide(got), &want, 3e-6);
            }
        }
    }
}

/// The gradients of the twin against finite differences of its result.
#[test]
fn gradients_are_those_of_finite_differences() {
    for (sizes, past) in [([2, 5, 2, 3, 2], false), ([1, 18, 1, 2, 20], true)] {
        let size = size(sizes);
        let mask = Mask::new(draw(), 0.3, size);
        let mut data = data(7, size, past);
        let loss = |data: &[Vec<f64>; 5]| -> f64 {
            let (y, _) = slow::attend(&inputs(data, past), size, Some(&mask));
            y.iter().zip(&data[4]).map(|(y, d)| y * d).sum()
        };
        let (dq, dkv) = slow::attend_grad(&inputs(&data, past), size, Some(&mask), &data[4]);
        for (which, grad) in [dq, dkv].iter().enumerate() {
            for (i, want) in grad.iter().enumerate() {
                let (keep, eps) = (data[which][i], 1e-5);
                let mut at = |x: f64| {
                    data[which][i] = x;
                    loss(&data)
                };
                let got = (at(keep + eps) - at(keep - eps)) / (2.0 * eps);
                data[which][i] = keep;
                assert!((got - want).abs() < 1e-8, "{which} {i}: {got} {want}");
            }
        }
    }
}

/// A sequence in two runs, the window carried from one to the other, is the sequence in one.
#[test]
fn a_run_that_goes_on_sees_the_rows_before_it() {
    let whole = size([1, 30, 2, 4, 11]);
    let [q, kv, n, ..] = data(3, whole, false);
    let (want, _) = slow::attend(
        &slow::Inputs {
            q: &q,
            kv: &kv,
            n: &n,
            window: None,
        },
        whole,
        None,
    );
    let part = Size { time: 17, ..whole };
    let (d, from) = (whole.channels, 13);
    let window = &kv[(from - 11) * 2 * d..from * 2 * d];
    let rest = slow::Inputs {
        q: &q[from * d..],
        kv: &kv[from * 2 * d..],
        n: &n[from..],
        window: Some(window),
    };
    let (got, _) = slow::attend(&rest, part, None);
    close("the rest", &got, &want[from * d..], 1e-14);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let size = size([2, 200, 3, 16, 90]);
    let data = data(5, size, true);
    let mask = Mask::new(draw(), 0.2, size);
    let bits = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let made = (pool.build().unwrap()).install(|| by_kernel(&data, size, true, Some(&mask)));
        made.map(|x| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>())
    };
    let one = bits(1);
    assert!(one == bits(2) && one == bits(3));
}

#[test]
fn side_by_side_gives_the_same_bits() {
    let size = size([2, 70, 3, 5, 21]);
    let data = data(2, size, true);
    let want = by_kernel(&data, size, true, None);
    let [q, kv, n, window, dy] = data.each_ref().map(|x| narrow(x));
    let d = size.channels;
    let rows = q.chunks(d).zip(kv.chunks(2 * d));
    let x: Vec<f32> = rows.flat_map(|(q, kv)| [q, kv].concat()).collect();
    let given = cpu::Inputs {
        rows: cpu::Rows::Packed(&x),
        n: &n,
        window: Some(&window),
    };
    let (mut y, mut dx) = (vec![f32::NAN; size.values()], vec![f32::NAN; x.len()]);
    cpu::forward(&given, size, None, &mut y, None);
    assert_eq!(y, want[0]);
    cpu::backward(
        &given,
        size,
        None,
        [&want[1], &dy],
        cpu::Rows::Packed(&mut dx),
    );
    let rows = want[2].chunks(d).zip(want[3].chunks(2 * d));
    let want: Vec<f32> = rows.flat_map(|(q, kv)| [q, kv].concat()).collect();
    assert_eq!(dx, want);
}

/// Wherever a part begins; half of the weights at p = 0.5, and the mean is kept.
#[test]
fn masks_are_the_same_in_parts_and_keep_the_mean() {
    let size = size([2, 70, 3, 4, 21]);
    let mask = Mask::new(draw(), 0.25, size);
    let rows = size.front() + size.time;
    let all = super::mask(&mask, (0, size.time), -(size.front() as isize), rows);
    for (head, t, first, len) in [
        (0, 0, -32, 102),
        (5, 69, -3, 50),
        (2, 40, 13, 1),
        (3, 17, 0, 64),
    ] {
        let mut part = vec![0.0; len];
        mask.factors(head, t, first, &mut part);
        let from = (head * size.time + t) * rows + (first + 32) as usize;
        assert_eq!(part, all[from..][..len], "{head} {t} {first}");
    }
    let kept = all.iter().filter(|f| **f > 0.0).count() as f64 / all.len() as f64;
    assert!((kept - 0.75).abs() < 0.01, "{kept}");
    assert!(all.iter().all(|f| *f == 0.0 || *f == 1.0 / 0.75));
    // No two heads, steps or rows have the same mask.
    let mut lines: Vec<Vec<u32>> = (all.chunks(rows))
        .map(|row| row.iter().map(|f| f.to_bits()).collect())
        .collect();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), all.len() / rows);
}
