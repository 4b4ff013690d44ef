//! `minrnn bench scan`: the recurrences' kernels against a copy of the same bytes.

mod beside;
mod set;

use anyhow::{Result, bail};
use minrnn_kernels::cuda::Gpu;
use minrnn_kernels::{Elem, mean_square};
use serde_json::{Value as Json, json};

use self::beside::Beside;
use self::set::{Case, Op, Rung, Set, scratch_for};
use super::memory::{Tensor, copy, in_turn, sets};
use super::peers::Peers;
use crate::table::table;
use crate::ui::Ui;

const SHAPES: [[usize; 3]; 5] = [
    [64, 512, 384],
    [64, 4096, 384],
    [8, 65536, 384],
    [1, 65536, 1024],
    [64, 512, 64],
];
/// Graphs of several launches timed.
const ROUNDS: usize = 9;

/// Error of the shipped kernel against the simple one, whole tensors: root of mean square, relative.
fn check(gpu: &Gpu, case: Case, scratch: &Tensor) -> Result<f64> {
    let (one, other) = (Set::new(gpu, case, 7)?, Set::new(gpu, case, 7)?);
    for set in [&one, &other] {
        for result in set.results(case) {
            result.poison()?;
        }
    }
    one.run(gpu, case, Rung::Shipped, scratch)?;
    other.run(gpu, case, Rung::Simple, scratch)?;
    let mut worst = 0.0f64;
    for (got, want) in one.results(case).into_iter().zip(other.results(case)) {
        let n = want.view()?.len();
        let wide = Tensor::new(gpu, n, Elem::F32)?;
        let copy = minrnn_kernels::elementwise::Map::Copy;
        let (want, wide) = (want.view()?, wide.view()?);
        minrnn_kernels::elementwise::cuda::map(gpu, copy, want, wide, false)?;
        let len = mean_square::cuda::scratch_len(gpu, n / case.shape[2], case.shape[2]);
        let (loss, work) = (
            Tensor::new(gpu, 1, Elem::F32)?,
            Tensor::new(gpu, len.max(1), Elem::F32)?,
        );
        let mut sizes = vec![];
        for (y, targets) in [(got.view()?, Some(wide)), (want, None)] {
            let (rows, width) = (n / case.shape[2], case.shape[2]);
            let (loss, work) = (loss.view()?, work.view()?);
            let step = mean_square::cuda::Step {
                y,
                targets,
                weights: None,
                loss,
                dy: None,
                scale: None,
                scratch: work,
                n: rows,
                w: width,
            };
            mean_square::cuda::step(gpu, &step)?;
            sizes.push(f64::from(loss.read::<f32>(gpu)?[0]).sqrt());
        }
        worst = worst.max(if sizes[0].is_finite() {
            sizes[0] / sizes[1]
        } else {
            f64::INFINITY
        });
    }
    Ok(worst)
}

fn copy_gbps(gpu: &Gpu) -> Result<f64> {
    let len = 1 << 28;
    let (from, to) = (
        Tensor::random(gpu, len, Elem::F32, (-1.0, 1.0), 1)?,
        Tensor::new(gpu, len, Elem::F32)?,
    );
    let run = |_| copy(gpu, &from, &to);
    let (ms, again) = in_turn(gpu, (5, 4), run, run)?;
    Ok(2.0 * (len * 4) as f64 / ms.min(again) / 1e6)
}

struct Row {
    case: Case,
    rung: Rung,
    ms: f64,
    copy_ms: f64,
}

impl Row {
    fn gbps(&self) -> f64 {
        self.case.bytes() as f64 / self.ms / 1e6
    }
    fn share(&self) -> f64 {
        self.copy_ms / self.ms
    }
}

fn measure(gpu: &Gpu, case: Case, rungs: &[Rung]) -> Result<Vec<Row>> {
    let scratch = scratch_for(gpu, case)?;
    let error = check(gpu, case, &scratch)?;
    let most = match case.elem {
        Elem::F32 => 2e-5,
        Elem::F16 => 2e-3,
        _ => 1e-2,
    };
    if error.is_nan() || error > most {
        bail!(
            "{} {} {:?} {:?}: the kernel differs from the simple one by {error:.1e}, more than {most:.0e}: not timed",
            case.name(),
            case.pass(),
            case.shape,
            case.elem
        );
    }
    let count = sets(case.bytes());
    let all: Vec<Set> = (0..count)
        .map(|i| Set::new(gpu, case, i as u64 * 10))
        .collect::<Result<_>>()?;
    let half = case.bytes() / 2 / 4;
    let copies: Vec<(Tensor, Tensor)> = (0..count)
        .map(|i| {
            let from = Tensor::random(gpu, half, Elem::F32, (-1.0, 1.0), i as u64)?;
            Ok((from, Tensor::new(gpu, half, Elem::F32)?))
        })
        .collect::<Result<_>>()?;
    let mut rows = vec![];
    for rung in rungs {
        let repeats = if *rung == Rung::Simple {
            2
        } else {
            count.max(8)
        };
        let (ms, copy_ms) = in_turn(
            gpu,
            (ROUNDS, repeats),
            |i| all[i % count].run(gpu, case, *rung, &scratch),
            |i| {
                let (from, to) = &copies[i % count];
                copy(gpu, from, to)
            },
        )?;
        rows.push(Row {
            case,
            rung: *rung,
            ms,
            copy_ms,
        });
    }
    Ok(rows)
}

fn cases() -> Vec<Case> {
    let mut all = vec![];
    for op in [Op::MinGru, Op::MinLstm, Op::LinearScan] {
        for elem in [Elem::F32, Elem::Bf16, Elem::F16] {
            for shape in SHAPES {
                for backward in [false, true] {
                    all.push(Case {
                        op,
                        backward,
                        shape,
                        elem,
                    });
                }
            }
        }
    }
    all
}

/// What `--only` looks into.
fn name(case: Case) -> String {
    let (op, pass, shape) = (case.name(), case.pass(), case.shape);
    format!("{op} {pass} {shape:?} {}", case.elem.suffix())
}

/// The names of the recurrence alone.
pub(super) fn bare() -> Vec<String> {
    let all = cases().into_iter().filter(|case| case.op == Op::LinearScan);
    all.map(name).collect()
}

/// With `peers`, the recurrences of other packages beside the bare one.
pub(super) fn run(
    gpu: &Gpu,
    ui: &Ui,
    only: &dyn Fn(&str) -> bool,
    peers: Option<Peers>,
) -> Result<(Json, String)> {
    let beside = peers.map(|peers| Beside::new(peers, gpu, ui));
    let mut beside = beside.transpose()?;
    let copy = copy_gbps(gpu)?;
    let mut rows = vec![];
    for case in cases() {
        let name = name(case);
        if !only(&name) {
            continue;
        }
        let rungs: &[Rung] = if case.elem == Elem::F32 {
            &[Rung::Simple, Rung::Shipped]
        } else {
            &[Rung::Shipped]
        };
        for row in measure(gpu, case, rungs)? {
            let rung = if row.rung == Rung::Simple {
                " (simple)"
            } else {
                ""
            };
            ui.note(&format!(
                "{name}{rung}: {:.4} ms, {:.0} % of a copy",
                row.ms,
                100.0 * row.share()
            ));
            if let (Some(beside), Rung::Shipped) = (&mut beside, row.rung) {
                beside.turn(case, row.ms, ROUNDS, ui)?;
            }
            rows.push(row);
        }
    }
    let (mut json, mut text) = (json(gpu, copy, &rows)?, text(copy, &rows));
    if let Some(beside) = beside {
        json["peers"] = beside.json();
        text += &beside.text();
    }
    Ok((json, text))
}

fn json(gpu: &Gpu, copy: f64, rows: &[Row]) -> Result<Json> {
    let rows: Vec<Json> = rows
        .iter()
        .map(|r| {
            json!({
                "op": r.case.name(),
                "rung": if r.rung == Rung::Simple { "simple" } else { "shipped" },
                "pass": r.case.pass(),
                "shape": r.case.shape,
                "dtype": r.case.elem.suffix(),
                "ms": r.ms,
                "gbps": r.gbps(),
                "copy_fraction": r.share(),
                "floor_ratio": r.ms / (r.case.bytes() as f64 / copy / 1e6),
            })
        })
        .collect();
    Ok(json!({
        "schema": "minrnn.bench.scan/1",
        "device": gpu.name()?,
        "copy_gbps": copy,
        "rows": rows,
    }))
}

fn text(copy: f64, rows: &[Row]) -> String {
    let lines = rows.iter().map(|r| {
        let [b, t, d] = r.case.shape;
        [
            format!(
                "{}{}",
                r.case.name(),
                if r.rung == Rung::Simple {
                    " (simple)"
                } else {
                    ""
                }
            ),
            r.case.pass().to_owned(),
            format!("{b},{t},{d}"),
            r.case.elem.suffix().to_owned(),
            format!("{:.4}", r.ms),
            format!("{:.0}", r.gbps()),
            format!("{:.0}", 100.0 * r.share()),
        ]
    });
    let header = ["op", "pass", "B,T,D", "dtype", "ms", "GB/s", "% of copy"];
    format!(
        "device copy: {copy:.0} GB/s (read and written)\n{}\n",
        table(header, lines, &[4, 5, 6])
    )
}
