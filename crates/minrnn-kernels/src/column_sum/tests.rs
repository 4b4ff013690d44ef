use super::cuda;
use crate::cuda::testing::{Bench, TYPES, rounded};
use crate::testing::Rng;

fn check(n: usize, w: usize) {
    let Some(bench) = Bench::new("column sum") else {
        return;
    };
    let rng = &mut Rng(11);
    for elem in TYPES {
        let x = rounded(elem, &rng.input(&[n, w], -1.0, 2.0).data);
        let mut want = vec![0.0; w];
        for (i, x) in x.iter().enumerate() {
            want[i % w] += x;
        }
        let gpu = &bench.gpu;
        bench.same_twice(|| {
            let (x, scratch) = (
                bench.put(elem, &x),
                bench.scratch(cuda::scratch_len(gpu, n, w)),
            );
            let (out, more) = (bench.empty(elem_f32(), w), bench.put(elem_f32(), &want));
            cuda::sum(gpu, x.view(), out.view(), false, scratch.view(), n, w).unwrap();
            cuda::sum(gpu, x.view(), more.view(), true, scratch.view(), n, w).unwrap();
            out.close("out", &want, 2e-6);
            more.close(
                "twice",
                &want.iter().map(|x| 2.0 * x).collect::<Vec<_>>(),
                2e-6,
            );
            vec![out, more]
        });
    }
}

fn elem_f32() -> crate::Elem {
    crate::Elem::F32
}

#[test]
fn equals_its_definition() {
    for (n, w) in [
        (1, 1),
        (3, 5),
        (37, 24),
        (300, 8),
        (70, 129),
        (2, 2056),
        (5000, 3),
        (16_384, 384),
    ] {
        check(n, w);
    }
}
