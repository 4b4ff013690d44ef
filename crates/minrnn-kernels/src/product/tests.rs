use super::{DEPTH, Operand, Scratch, Shape, product};
use crate::testing::Rng;

/// All orders of storage, with a bias, added, alone: `f(shape, left, right, bias, result before, add)`.
type Arguments = (
    Shape,
    [(Vec<f32>, bool); 2],
    Option<Vec<f32>>,
    Vec<f32>,
    bool,
);

fn cases() -> Vec<Arguments> {
    let mut rng = Rng(5);
    let shapes = [
        [1, 1, 1],
        [1, 40, 3],
        [13, 33, 5],
        [12, 32, DEPTH],
        [150, 65, DEPTH + 7],
        [7, 3, 3 * DEPTH + 1],
        [300, 70, 130],
    ];
    let mut cases = vec![];
    for [m, n, k] in shapes {
        for kind in 0..8 {
            let mut values =
                |len| -> Vec<f32> { (0..len).map(|_| rng.real(-1.0, 1.0) as f32).collect() };
            let (a, b, bias, c) = (values(m * k), values(k * n), values(n), values(m * n));
            let add = kind & 4 != 0;
            let bias = (kind & 3 != 0 && !add).then_some(bias);
            let both = [(a, kind & 1 != 0), (b, kind & 2 != 0)];
            cases.push((Shape { m, n, k }, both, bias, c, add));
        }
    }
    cases
}

fn run((shape, [a, b], bias, c, add): &Arguments) -> Vec<f32> {
    let mut c = c.clone();
    let operand = |x: &'_ (Vec<f32>, bool)| -> (Vec<f32>, bool) { x.clone() };
    let (a, b) = (operand(a), operand(b));
    let both =
        [(&a.0, a.1), (&b.0, b.1)].map(|(values, transposed)| Operand { values, transposed });
    product(
        &mut Scratch::default(),
        *shape,
        both,
        bias.as_deref(),
        &mut c,
        *add,
    );
    c
}

#[test]
fn products_are_sums_of_products() {
    for case in cases() {
        let (Shape { m, n, k }, [a, b], bias, c, add) = &case;
        let got = run(&case);
        for i in 0..*m {
            for j in 0..*n {
                let of = |x: &(Vec<f32>, bool), i: usize, j: usize, rows: usize, columns: usize| {
                    f64::from(x.0[if x.1 { j * rows + i } else { i * columns + j }])
                };
                let mut want: f64 = (0..*k)
                    .map(|l| of(a, i, l, *m, *k) * of(b, l, j, *k, *n))
                    .sum();
                want += bias.as_ref().map_or(0.0, |b| f64::from(b[j]));
                want += if *add { f64::from(c[i * n + j]) } else { 0.0 };
                let error = (f64::from(got[i * n + j]) - want).abs();
                assert!(
                    error < 1e-5 * (1.0 + (*k as f64).sqrt()),
                    "{case:?} {i} {j}: {error}",
                    case = case.0
                );
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for case in cases() {
        let bits = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let c = pool.build().unwrap().install(|| run(&case));
            c.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        };
        let one = bits(1);
        assert_eq!(bits(2), one, "{:?}", case.0);
        assert_eq!(bits(5), one, "{:?}", case.0);
    }
}

/// Also of vectors of another width.
#[test]
#[cfg(target_arch = "x86_64")]
fn avx2_gives_the_bits_of_avx512() {
    let (Some(wide), Some(narrow)) = (super::V4::try_new(), super::V3::try_new()) else {
        return;
    };
    for (shape, [a, b], bias, before, add) in &cases() {
        let [a, b] = [a, b].map(|(values, transposed)| Operand {
            values,
            transposed: *transposed,
        });
        let job = super::Job {
            shape: *shape,
            a,
            b,
            bias: bias.as_deref(),
            add: *add,
        };
        let (mut one, mut two) = (before.clone(), before.clone());
        job.run(wide, &mut Scratch::default(), &mut one);
        job.run(narrow, &mut Scratch::default(), &mut two);
        assert_eq!(one, two, "{shape:?}");
    }
}
