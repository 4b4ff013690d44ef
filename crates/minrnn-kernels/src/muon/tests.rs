use super::{cpu, slow};
use crate::product;
use crate::testing::Rng;

pub(super) const SIZES: [[usize; 2]; 7] = [
    [1, 1],
    [1, 9],
    [5, 3],
    [7, 7],
    [24, 130],
    [200, 33],
    [64, 64],
];

/// The result on the CPU.
fn made(x: &[f64], size: [usize; 2]) -> Vec<f32> {
    let mut x: Vec<f32> = x.iter().map(|v| *v as f32).collect();
    let norm = x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let mut work = vec![f32::NAN; cpu::work_len(size)];
    cpu::orthogonalise(
        &mut product::Scratch::default(),
        &mut work,
        &mut x,
        size,
        norm,
    );
    x
}

/// Largest difference of elements, and largest element of `want`.
fn apart(got: &[f32], want: &[f64]) -> [f64; 2] {
    let pairs = got.iter().zip(want);
    pairs.fold([0.0, 0.0], |[d, m]: [f64; 2], (g, w)| {
        [d.max((f64::from(*g) - w).abs()), m.max(w.abs())]
    })
}

#[test]
fn it_is_its_definition() {
    for size in SIZES {
        let x = Rng(4).input(&[size[0], size[1]], -1.0, 1.0).data;
        let [error, largest] = apart(&made(&x, size), &slow::orthogonal(&x, size));
        assert!(error <= 2e-5 * largest, "{size:?}: {error:e} of {largest}");
    }
}

/// Rows of a wide matrix with singular values from 1 to 20 of their largest are orthogonal afterwards, to what five iterations reach.
#[test]
fn singular_values_end_near_one() {
    let [rows, cols] = [6, 40];
    let x = Rng(8).input(&[rows, cols], -1.0, 1.0).data;
    let y = slow::orthogonal(&x, [rows, cols]);
    for i in 0..rows {
        for j in 0..=i {
            let dot: f64 = (0..cols).map(|k| y[i * cols + k] * y[j * cols + k]).sum();
            match i == j {
                // Squares of singular values lie between 0.68^2 and 1.13^2, and so do the diagonal's elements.
                true => assert!((0.46..1.3).contains(&dot), "{i}: {dot}"),
                false => assert!(dot.abs() < 0.42, "{i} {j}: {dot}"),
            }
        }
    }
}

#[test]
fn a_matrix_and_its_transpose_mean_the_same() {
    let [rows, cols] = [5, 12];
    let x = Rng(2).input(&[rows, cols], -1.0, 1.0).data;
    let turned: Vec<f64> = (0..rows * cols)
        .map(|at| x[at % rows * cols + at / rows])
        .collect();
    let (y, z) = (
        slow::orthogonal(&x, [rows, cols]),
        slow::orthogonal(&turned, [cols, rows]),
    );
    for at in 0..rows * cols {
        let other = z[at % cols * rows + at / cols];
        assert!((y[at] - other).abs() < 1e-12, "{at}");
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let size = [150, 300];
    let x = Rng(5).input(&size, -1.0, 1.0).data;
    let by = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| made(&x, size))
    };
    assert_eq!(by(1), by(3));
}

#[test]
fn a_matrix_of_zeros_stays_one() {
    assert_eq!(made(&[0.0; 6], [2, 3]), [0.0; 6]);
}
