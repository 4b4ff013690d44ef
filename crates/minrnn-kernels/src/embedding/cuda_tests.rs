use super::cuda::{Size, backward, forward, scratch_len};
use crate::Elem;
use crate::cuda::testing::{Bench, TYPES, rounded};
use crate::norm::cuda::Mask;
use crate::norm::tests::{control, mask};
use crate::testing::Rng;

fn check(bench: &Bench, size: Size, elem: Elem, p: f64) {
    let (Size { n, m, v }, rng, gpu) = (size, &mut Rng(size.v as u64), &bench.gpu);
    // Half of the tokens have one id: runs and a hot row.
    let ids: Vec<u32> = (0..n)
        .map(|i| {
            if i % 2 == 0 {
                (v / 2) as u32
            } else {
                rng.below(v) as u32
            }
        })
        .collect();
    let table = rng.input(&[v, m], -1.0, 2.0).data;
    let dy = rounded(elem, &rng.input(&[n, m], -1.0, 2.0).data);
    let keep = if p > 0.0 {
        mask(n * m, p, 3)
    } else {
        vec![1.0; n * m]
    };
    let (mut y, mut grad) = (vec![], vec![0.0; v * m]);
    for (i, keep) in keep.iter().enumerate() {
        let at = ids[i / m] as usize * m + i % m;
        y.push(table[at] * keep);
        grad[at] += dy[i] * keep;
    }
    let control = control(bench);
    let dropout = Some(Mask {
        p,
        site: 3,
        control: control.view(),
    });
    bench.same_twice(|| {
        let (ids, table) = (bench.integers(&ids), bench.put(Elem::F32, &table));
        let (dy, out) = (bench.put(elem, &dy), bench.empty(elem, n * m));
        forward(gpu, ids.view(), table.view(), out.view(), dropout, size).unwrap();
        out.close("y", &y, 1e-7);
        let (dtable, scratch) = (
            bench.empty(Elem::F32, v * m),
            bench.scratch(scratch_len(gpu, n, m, v)),
        );
        backward(
            gpu,
            ids.view(),
            dy.view(),
            dropout,
            dtable.view(),
            scratch.view(),
            size,
        )
        .unwrap();
        dtable.close("dtable", &grad, 5e-6);
        vec![out, dtable]
    });
}

#[test]
fn equals_its_definition() {
    let Some(bench) = Bench::new("embedding") else {
        return;
    };
    for elem in TYPES {
        for (n, m, v) in [
            (1, 1, 1),
            (70, 132, 65),
            (2000, 8, 128),
            (500, 8, 129),
            (300, 37, 10),
            (40, 12, 900),
        ] {
            check(&bench, Size { n, m, v }, elem, 0.0);
        }
        check(
            &bench,
            Size {
                n: 333,
                m: 132,
                v: 20,
            },
            elem,
            0.3,
        );
        check(
            &bench,
            Size {
                n: 50,
                m: 7,
                v: 200,
            },
            elem,
            0.3,
        );
    }
    check(
        &bench,
        Size {
            n: 1500,
            m: 4,
            v: 700,
        },
        Elem::F32,
        0.0,
    );
    check(
        &bench,
        Size {
            n: 30,
            m: 1300,
            v: 60,
        },
        Elem::Bf16,
        0.0,
    );
    check(
        &bench,
        Size {
            n: 3,
            m: 1,
            v: 50_000,
        },
        Elem::F32,
        0.0,
    );
    // A usual size.
    let usual = Size {
        n: 8192,
        m: 384,
        v: 65,
    };
    check(&bench, usual, Elem::Bf16, 0.1);
    check(&bench, Size { v: 256, ..usual }, Elem::F32, 0.0);
    check(
        &bench.shifted(1),
        Size {
            n: 90,
            m: 16,
            v: 65,
        },
        Elem::F32,
        0.5,
    );
}

#[test]
fn an_id_that_is_not_in_the_table_is_seen_and_reads_nothing() {
    let Some(bench) = Bench::new("embedding") else {
        return;
    };
    let size = Size { n: 3, m: 4, v: 2 };
    let (ids, table) = (
        bench.integers(&[1, 2, u32::MAX]),
        bench.put(Elem::F32, &[1.0; 8]),
    );
    let (y, dtable) = (bench.empty(Elem::F32, 12), bench.empty(Elem::F32, 8));
    let scratch = bench.scratch(scratch_len(&bench.gpu, 3, 4, 2));
    forward(&bench.gpu, ids.view(), table.view(), y.view(), None, size).unwrap();
    let values = y.values();
    assert!(values[..4] == [1.0; 4] && values[4..].iter().all(|x| x.is_nan()));
    let dy = bench.put(Elem::F32, &[1.0; 12]);
    backward(
        &bench.gpu,
        ids.view(),
        dy.view(),
        None,
        dtable.view(),
        scratch.view(),
        size,
    )
    .unwrap();
    assert_eq!(dtable.values(), [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
}

#[test]
fn computed_numbers_become_ids() {
    let Some(bench) = Bench::new("embedding numbers") else {
        return;
    };
    let at = [0.0, 1.0, 300.0, -1.0, 0.5, f64::NAN, 3e9, 16_777_215.0];
    let none = 0x7fff_ffff;
    let (at, ids) = (bench.put(Elem::F32, &at), bench.empty(Elem::U32, 8));
    super::cuda::numbers(&bench.gpu, at.view(), ids.view()).unwrap();
    let want = [0, 1, 300, none, none, none, none, 16_777_215];
    assert_eq!(ids.bits(), want);
}
