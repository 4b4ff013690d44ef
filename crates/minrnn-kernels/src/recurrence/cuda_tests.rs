//! How recurrences are tested on a GPU: every tile of every kernel against float64, with one scratch for all of them.

use super::cuda::{Cell, Gradients, scratch_len};
use super::tiles::{Job, Tile};
use super::{Size, cuda};
use crate::Elem;
use crate::cuda::testing::{Bench, Buffer, TYPES, rounded, rounding, small};
use crate::cuda::{Gpu, Memory, View};
use crate::testing::Rng;

/// Values of the parts, each as long as its tensor.
type Parts = Vec<Vec<f64>>;

/// A recurrence under test.
pub(crate) trait Recurrence {
    /// The cell over its tensors.
    fn cell<'a>(&self, x: &[View<'a>], size: Size) -> Cell<'a>;
    /// Parts of the cell, and whether they are tensors of their own, the first of them in f32.
    fn parts(&self) -> (usize, bool);
    /// Bounds of the inputs.
    fn range(&self, extreme: bool) -> (f64, f64);
    fn slow(&self, x: &[Vec<f64>], h0: &[f64], dims: [usize; 3]) -> Vec<f64>;
    /// The gradients of the inputs and of h0.
    fn slow_grad(
        &self,
        x: &[Vec<f64>],
        h0: &[f64],
        dh: &[f64],
        dims: [usize; 3],
    ) -> (Parts, Vec<f64>);
}

/// Inputs as they are in memory, and what comes out in float64.
struct Problem<'r> {
    op: &'r dyn Recurrence,
    size: Size,
    elem: Elem,
    x: Parts,
    h0: Option<Vec<f64>>,
    dh: Vec<f64>,
    h: Vec<f64>,
    dx: Parts,
    dh0: Vec<f64>,
}

/// Type of each input.
fn types(op: &dyn Recurrence, elem: Elem) -> Vec<Elem> {
    match op.parts() {
        (_, true) => vec![Elem::F32, elem],
        _ => vec![elem],
    }
}

impl<'r> Problem<'r> {
    fn new(op: &'r dyn Recurrence, size: Size, elem: Elem, with: bool, extreme: bool) -> Self {
        let Size { b, t, d } = size;
        let rng = &mut Rng((b * 31 + t * 7 + d) as u64);
        let (lo, hi) = op.range(extreme);
        let (parts, split) = op.parts();
        let width = if split { d } else { parts * d };
        let x: Parts = types(op, elem)
            .iter()
            .map(|e| rounded(*e, &rng.input(&[b, t, width], lo, hi).data))
            .collect();
        let h0 = with.then(|| rounded(Elem::F32, &rng.input(&[b, d], -3.0, 2.0).data));
        let dh = rounded(elem, &rng.input(&[b, t, d], -1.0, 2.0).data);
        let start = h0.clone().unwrap_or_else(|| vec![0.0; b * d]);
        let h = op.slow(&x, &start, [b, t, d]);
        let (dx, dh0) = op.slow_grad(&x, &start, &dh, [b, t, d]);
        Self {
            op,
            size,
            elem,
            x,
            h0,
            dh,
            h,
            dx,
            dh0,
        }
    }

    fn inputs<'a>(&self, bench: &'a Bench) -> Vec<Buffer<'a>> {
        let all = types(self.op, self.elem);
        all.iter()
            .zip(&self.x)
            .map(|(e, x)| bench.put(*e, x))
            .collect()
    }

    fn start<'a>(&self, bench: &'a Bench) -> Option<Buffer<'a>> {
        self.h0.as_ref().map(|x| bench.put(Elem::F32, x))
    }

    /// h in a tile; without one by the plain kernel.
    fn forward<'a>(&self, bench: &'a Bench, scratch: View<'_>, tile: Option<Tile>) -> Buffer<'a> {
        let (inputs, start) = (self.inputs(bench), self.start(bench));
        let views: Vec<_> = inputs.iter().map(Buffer::view).collect();
        let h = bench.empty(self.elem, self.h.len());
        let cell = self.op.cell(&views, self.size);
        let h0 = start.as_ref().map(Buffer::view);
        match tile {
            Some(tile) => {
                let (job, _) = cell.forward_job(&bench.gpu, h.view()).unwrap();
                cell.forward_as(&bench.gpu, (job, tile), h0, h.view(), scratch)
            }
            None => cell.forward_simple(&bench.gpu, h0, h.view()),
        }
        .unwrap();
        h
    }

    fn forward_job(&self, bench: &Bench) -> Job {
        let inputs = self.inputs(bench);
        let views: Vec<_> = inputs.iter().map(Buffer::view).collect();
        let h = bench.empty(self.elem, self.h.len());
        let cell = self.op.cell(&views, self.size);
        cell.forward_job(&bench.gpu, h.view()).unwrap().0
    }

    /// The gradients of the parts and of h0 in a tile; without one by the plain kernel. `over`: the gradients of the parts
    /// take the memory of the parts.
    fn backward<'a>(
        &self,
        bench: &'a Bench,
        scratch: View<'_>,
        tile: Option<Tile>,
        over: bool,
    ) -> (Vec<Buffer<'a>>, Option<Buffer<'a>>, Job) {
        let (inputs, start) = (self.inputs(bench), self.start(bench));
        let views: Vec<_> = inputs.iter().map(Buffer::view).collect();
        let saved = rounded(self.elem, &self.h);
        let (h, dh) = (bench.put(self.elem, &saved), bench.put(self.elem, &self.dh));
        let made: Vec<_> = types(self.op, self.elem)
            .iter()
            .zip(&self.x)
            .map(|(e, x)| bench.empty(*e, x.len()))
            .collect();
        let dh0 = start
            .as_ref()
            .map(|_| bench.empty(Elem::F32, self.dh0.len()));
        let cell = self.op.cell(&views, self.size);
        let to: Vec<_> = if over {
            views.clone()
        } else {
            made.iter().map(Buffer::view).collect()
        };
        let to = Gradients {
            x: to[0],
            y: to.get(1).copied(),
            h0: dh0.as_ref().map(Buffer::view),
        };
        let (gpu, saved) = (&bench.gpu, [h.view(), dh.view()]);
        let (job, _) = cell.backward_job(gpu, saved, to).unwrap();
        let h0 = start.as_ref().map(Buffer::view);
        match tile {
            Some(tile) => cell.backward_as(gpu, (job, tile), h0, saved, to, scratch),
            None => cell.backward_simple(gpu, h0, saved, to),
        }
        .unwrap();
        (if over { inputs } else { made }, dh0, job)
    }

    fn check(&self, bench: &Bench, scratch: View<'_>, tolerance: f64) {
        let what =
            |pass: &str, tile: &dyn std::fmt::Debug| format!("{pass} {:?} {tile:?}", self.size);
        let near = |what: &str, got: &Buffer<'_>, want: &[f64]| {
            // The backward pass reads h as it was rounded.
            got.close(what, want, tolerance + 2.0 * rounding(self.elem));
        };
        let some = |tiles: Vec<Tile>| tiles.into_iter().map(Some).chain([None]);
        for tile in some(Tile::all(self.forward_job(bench), bench.gpu.clusters())) {
            let what = what("h", &tile);
            let h = self.forward(bench, scratch, tile);
            h.close(&what, &self.h, tolerance);
            let again = self.forward(bench, scratch, tile);
            assert!(h.bits() == again.bits(), "{what}: other bits");
        }
        let (_, _, job) = self.backward(bench, scratch, None, false);
        for tile in some(Tile::all(job, bench.gpu.clusters())) {
            let what = what("gradients", &tile);
            let (dx, dh0, _) = self.backward(bench, scratch, tile, false);
            for (dx, want) in dx.iter().zip(&self.dx) {
                near(&what, dx, want);
            }
            if let Some(dh0) = &dh0 {
                near(&format!("{what} dh0"), dh0, &self.dh0);
            }
            let (over, over_h0, _) = self.backward(bench, scratch, tile, true);
            let same = |a: &Buffer<'_>, b: &Buffer<'_>| a.bits() == b.bits();
            assert!(
                dx.iter().zip(&over).all(|(a, b)| same(a, b)),
                "{what}: other bits in place"
            );
            assert!(dh0.iter().zip(&over_h0).all(|(a, b)| same(a, b)), "{what}");
        }
    }
}

/// Scratch for all shapes of a test.
fn zeros(gpu: &Gpu, dims: &[[usize; 3]]) -> Memory {
    let lens = dims.iter().map(|[b, t, d]| {
        let size = Size {
            b: *b,
            t: *t,
            d: *d,
        };
        // Tests take every tile for every shape, also one that would not be chosen for it.
        scratch_len(*b, *t, *d).max(4 + 6 * size.elements().div_ceil(8) + 64 * b * d)
    });
    Memory::zeroed(gpu, 4 * lens.max().unwrap_or(4)).unwrap()
}

/// Everything that holds for a recurrence.
pub(crate) fn check(what: &str, op: &dyn Recurrence) {
    let Some(bench) = Bench::new(what) else {
        return;
    };
    let dims = [
        [1, 1, 1],
        [2, 3, 5],
        [3, 130, 64],
        [5, 77, 20],
        [2, 700, 40],
        [3, 512, 40],
        [2, 500, 129],
        [1, 1024, 384],
        [4, 4200, 8],
        [1, 33_753, 4],
        [1, 33_753, 3],
    ];
    // Of several tiles of every kind.
    let few = [[2, 3, 5], [2, 300, 20], [1, 700, 40]];
    let dims = if small() { &few[..] } else { &dims[..] };
    let scratch = zeros(&bench.gpu, dims);
    let view = scratch.all(Elem::F32).unwrap();
    for [b, t, d] in dims.iter().copied() {
        for elem in TYPES {
            for (with, extreme) in [(true, false), (false, true)] {
                if small() && extreme {
                    continue;
                }
                let problem = Problem::new(op, Size { b, t, d }, elem, with, extreme);
                problem.check(&bench, view, 1e-5);
            }
        }
    }
    let bench = bench.shifted(3);
    for [b, t, d] in [[2, 150, 64], [3, 40, 12]] {
        for elem in TYPES {
            Problem::new(op, Size { b, t, d }, elem, true, false).check(&bench, view, 1e-5);
        }
    }
}

/// NaN in one channel of one sequence stays there, from its step on.
pub(crate) fn nan_stays_in_its_channel(what: &str, op: &dyn Recurrence) {
    let Some(bench) = Bench::new(what) else {
        return;
    };
    let (b, t, d) = (2, 900, 64);
    let scratch = zeros(&bench.gpu, &[[b, t, d]]);
    let view = scratch.all(Elem::F32).unwrap();
    for elem in TYPES {
        let mut problem = Problem::new(op, Size { b, t, d }, elem, true, false);
        let width = problem.x[0].len() / (b * t);
        problem.x[0][(t + 300) * width + 5] = f64::NAN;
        for tile in Tile::all(problem.forward_job(&bench), bench.gpu.clusters()) {
            let h = problem.forward(&bench, view, Some(tile)).values();
            for (i, x) in h.iter().enumerate() {
                let (row, channel) = (i / d, i % d);
                let wanted = row >= t + 300 && channel == 5;
                assert_eq!(
                    x.is_nan(),
                    wanted,
                    "{what} {elem:?} {tile:?} row {row} channel {channel}"
                );
            }
        }
    }
}

/// A captured launch can be replayed with the same scratch, between other launches.
pub(crate) fn replays(what: &str, op: &dyn Recurrence) {
    let Some(bench) = Bench::new(what) else {
        return;
    };
    let dims = [[2, 3000, 32], [3, 500, 64]];
    let scratch = zeros(&bench.gpu, &dims);
    let view = scratch.all(Elem::F32).unwrap();
    let problems = dims.map(|[b, t, d]| Problem::new(op, Size { b, t, d }, Elem::F32, true, false));
    let tiles = problems.each_ref().map(|p| {
        p.op.cell(&p.views(&p.inputs(&bench)), p.size)
            .forward_job(&bench.gpu, bench.empty(Elem::F32, p.h.len()).view())
            .unwrap()
            .1
    });
    let want = [0, 1].map(|i| problems[i].forward(&bench, view, Some(tiles[i])).bits());
    let (inputs, start) = (problems[0].inputs(&bench), problems[0].start(&bench));
    let h = bench.empty(Elem::F32, problems[0].h.len());
    let cell = op.cell(&problems[0].views(&inputs), problems[0].size);
    let h0 = start.as_ref().map(Buffer::view);
    let mut graph = bench
        .gpu
        .capture(|| cell.forward(&bench.gpu, h0, h.view(), view))
        .unwrap();
    for _ in 0..3 {
        h.view().fill(&bench.gpu, 0xff).unwrap();
        graph.launch().unwrap();
        bench.gpu.synchronize().unwrap();
        assert!(h.bits() == want[0], "{what}: a replay has other bits");
        assert!(problems[1].forward(&bench, view, Some(tiles[1])).bits() == want[1]);
    }
}

impl Problem<'_> {
    fn views<'a>(&self, inputs: &'a [Buffer<'_>]) -> Vec<View<'a>> {
        inputs.iter().map(Buffer::view).collect()
    }
}

/// Refusals by name.
pub(crate) fn refuses(what: &str, op: &dyn Recurrence) {
    let Some(bench) = Bench::new(what) else {
        return;
    };
    let size = Size { b: 2, t: 3, d: 4 };
    let problem = Problem::new(op, size, Elem::Bf16, true, false);
    let inputs = problem.inputs(&bench);
    let views = problem.views(&inputs);
    let scratch = Memory::zeroed(&bench.gpu, 4 * cuda::scratch_len(2, 3, 4)).unwrap();
    let view = scratch.all(Elem::F32).unwrap();
    let run = |size: Size, h: &Buffer<'_>, h0: Option<View<'_>>, scratch: View<'_>| {
        let cell = op.cell(&views, size);
        match cell.forward(&bench.gpu, h0, h.view(), scratch) {
            Ok(()) => "taken".to_string(),
            Err(error) => error.to_string(),
        }
    };
    let h = bench.empty(Elem::Bf16, 24);
    assert_eq!(run(size, &h, None, view), "taken");
    assert!(run(Size { t: 0, ..size }, &h, None, view).contains("at least 1"));
    assert!(run(size, &bench.empty(Elem::F32, 24), None, view).contains("must be one of"));
    assert!(run(size, &bench.empty(Elem::Bf16, 23), None, view).contains("`h`"));
    assert!(run(size, &h, Some(h.view()), view).contains("`h0`"));
    let short = view.slice(0, 3).unwrap();
    assert!(run(size, &h, None, short).contains("`scratch`"));
}
