//! Every tile that `kernels.cuh` has, by time: `cargo test ... -- --ignored --nocapture --test-threads=1 tiles_by_time`.
//!
//! A build with `NVCC_APPEND_FLAGS=-DREC_SWEEP` has more of them. Each is held to the plain kernel over whole tensors first, and its bits to
//! those of the tile that is shipped; then graphs of launches of it, of all others and of a copy of as many bytes have their turns, over
//! enough sets of buffers that none is in a cache. `early`: a launch may begin before the one in front of it has ended.

#![allow(clippy::print_stderr, reason = "a measurement is printed")]

use super::Size;
use super::cuda::{Cell, Gradients, scratch_len};
use super::cuda_tests::Recurrence;
use super::tiles::{Job, Pass, Tile};
use crate::Elem;
use crate::cuda::{Gpu, Memory, Result, Timer, View};
use crate::elementwise::cuda::{read, write};
use crate::testing::Rng;

const SIZES: [Size; 2] = [
    Size {
        b: 64,
        t: 512,
        d: 64,
    },
    Size {
        b: 64,
        t: 512,
        d: 384,
    },
];
const ROUNDS: usize = 9;
/// More than the second-level cache.
const BEYOND_CACHE: usize = 384 << 20;

pub(crate) struct Tensor {
    memory: Memory,
    len: usize,
    elem: Elem,
}

impl Tensor {
    pub(crate) fn new(gpu: &Gpu, len: usize, elem: Elem) -> Result<Self> {
        let memory = Memory::new(gpu, len * elem.size())?;
        Ok(Self { memory, len, elem })
    }

    pub(crate) fn random(
        gpu: &Gpu,
        len: usize,
        elem: Elem,
        [lo, hi]: [f64; 2],
        seed: u64,
    ) -> Result<Self> {
        let tensor = Self::new(gpu, len, elem)?;
        let some = Rng(seed).input(&[len.min(1 << 18)], lo, hi).data;
        let some: Vec<f32> = some.into_iter().map(|x| x as f32).collect();
        write(gpu, tensor.view().slice(0, some.len())?, &some)?;
        let mut done = some.len();
        while done < len {
            let n = done.min(len - done);
            let (to, from) = (tensor.view().slice(done, n)?, tensor.view().slice(0, n)?);
            to.copy_from(gpu, from)?;
            done += n;
        }
        Ok(tensor)
    }

    pub(crate) fn view(&self) -> View<'_> {
        self.memory.view(0, self.len, self.elem).unwrap()
    }
}

/// Buffers of one launch.
struct Set<'r> {
    op: &'r dyn Recurrence,
    size: Size,
    x: Vec<Tensor>,
    h0: Tensor,
    h: Tensor,
    dh: Tensor,
    dx: Vec<Tensor>,
}

/// A way to run a set: in a tile, early or not; `None`: the plain kernel.
type Way = Option<(Tile, bool)>;

impl<'r> Set<'r> {
    fn new(gpu: &Gpu, op: &'r dyn Recurrence, size: Size, elem: Elem, seed: u64) -> Result<Self> {
        let n = size.elements();
        let (parts, split) = op.parts();
        let lens = if split {
            vec![(n, Elem::F32, [0.0, 1.0]), (n, elem, [-2.0, 2.0])]
        } else {
            vec![(n * parts, elem, [-3.0, 3.0])]
        };
        let x = lens.iter().zip(seed..);
        let x = x.map(|((n, elem, range), seed)| Tensor::random(gpu, *n, *elem, *range, seed));
        let dx = lens.iter().map(|(n, elem, _)| Tensor::new(gpu, *n, *elem));
        Ok(Self {
            op,
            size,
            x: x.collect::<Result<_>>()?,
            h0: Tensor::random(gpu, size.b * size.d, Elem::F32, [-1.0, 1.0], seed + 2)?,
            h: Tensor::new(gpu, n, elem)?,
            dh: Tensor::random(gpu, n, elem, [-1.0, 1.0], seed + 3)?,
            dx: dx.collect::<Result<_>>()?,
        })
    }

    fn cell<'a>(&'a self, views: &[View<'a>]) -> Cell<'a> {
        self.op.cell(views, self.size)
    }

    fn gradients(&self) -> Gradients<'_> {
        Gradients {
            x: self.dx[0].view(),
            y: self.dx.get(1).map(Tensor::view),
            h0: None,
        }
    }

    fn job(&self, gpu: &Gpu, pass: Pass) -> Result<(Job, Tile)> {
        let views: Vec<_> = self.x.iter().map(Tensor::view).collect();
        let cell = self.cell(&views);
        match pass {
            Pass::Forward => cell.forward_job(gpu, self.h.view()),
            Pass::Backward => {
                cell.backward_job(gpu, [self.h.view(), self.dh.view()], self.gradients())
            }
        }
    }

    fn run(&self, gpu: &Gpu, job: Job, way: Way, scratch: View<'_>) -> Result<()> {
        let views: Vec<_> = self.x.iter().map(Tensor::view).collect();
        let (cell, h0, h) = (self.cell(&views), Some(self.h0.view()), self.h.view());
        gpu.set_early(way.is_some_and(|(_, early)| early));
        let (saved, to) = ([h, self.dh.view()], self.gradients());
        match (job.pass, way) {
            (Pass::Forward, None) => cell.forward_simple(gpu, h0, h),
            (Pass::Backward, None) => cell.backward_simple(gpu, h0, saved, to),
            (Pass::Forward, Some((tile, _))) => cell.forward_as(gpu, (job, tile), h0, h, scratch),
            (Pass::Backward, Some((tile, _))) => {
                cell.backward_as(gpu, (job, tile), h0, saved, to, scratch)
            }
        }
    }

    /// What a way writes.
    fn result(&self, gpu: &Gpu, job: Job, way: Way, scratch: View<'_>) -> Result<Vec<f32>> {
        let to: Vec<&Tensor> = match job.pass {
            Pass::Forward => vec![&self.h],
            Pass::Backward => self.dx.iter().collect(),
        };
        for tensor in &to {
            tensor.memory.fill(0xff)?;
        }
        self.run(gpu, job, way, scratch)?;
        let mut all = vec![];
        for tensor in to {
            all.extend(read(gpu, tensor.view())?);
        }
        Ok(all)
    }

    fn bytes(&self, job: Job) -> usize {
        let n = self.size.elements();
        let inputs: usize = self.dx.iter().map(|t| t.len * t.elem.size()).sum();
        match job.pass {
            Pass::Forward => inputs + n * job.elem,
            Pass::Backward => job.part_bytes * n + 2 * n * job.elem + inputs,
        }
    }
}

/// The tiles of a pass that are written down, of several channels a lane.
fn written(pass: Pass, steps: usize, clusters: bool) -> Vec<Tile> {
    let mut all: Vec<Tile> = vec![];
    for line in include_str!("kernels.cuh").lines() {
        let tile = Tile::written(pass, line).filter(|t| clusters || t.cluster() == 1);
        all.extend(tile.filter(|t| t.vec() > 1 && t.reaches(steps) && !all.contains(t)));
    }
    all
}

fn far(got: &[f32], want: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let pairs = got.iter().zip(want);
    let off: f64 = pairs
        .map(|(a, b)| square(f64::from(*a) - f64::from(*b)))
        .sum();
    let all: f64 = want.iter().map(|x| square(f64::from(*x))).sum();
    (off / all).sqrt()
}

fn same(a: &[f32], b: &[f32]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

struct Entry {
    way: Way,
    far: f64,
    same: bool,
}

/// The ways that there are, each held to the plain kernel.
fn entries(
    gpu: &Gpu,
    set: &Set<'_>,
    (job, shipped): (Job, Tile),
    scratch: View<'_>,
) -> Result<Vec<Entry>> {
    let want = set.result(gpu, job, None, scratch)?;
    let bits = set.result(gpu, job, Some((shipped, false)), scratch)?;
    let mut tiles = vec![shipped];
    tiles.extend(
        written(job.pass, set.size.t, gpu.clusters())
            .into_iter()
            .filter(|t| *t != shipped),
    );
    let mut all = vec![];
    for tile in tiles {
        for early in [false, true] {
            let Ok(got) = set.result(gpu, job, Some((tile, early)), scratch) else {
                continue;
            };
            all.push(Entry {
                way: Some((tile, early)),
                far: far(&got, &want),
                same: same(&got, &bits),
            });
        }
    }
    Ok(all)
}

fn measure(gpu: &Gpu, what: &str, op: &dyn Recurrence, size: Size, elem: Elem, pass: Pass) {
    let set = |seed| Set::new(gpu, op, size, elem, seed).unwrap();
    let first = set(1);
    let (job, shipped) = first.job(gpu, pass).unwrap();
    let words = scratch_len(size.b, size.t, size.d) + 6 * size.elements() / 8;
    let scratch = Memory::zeroed(gpu, 4 * words).unwrap();
    let scratch = scratch.all(Elem::F32).unwrap();
    // The backward pass reads what the forward pass made.
    let forward = first.job(gpu, Pass::Forward).unwrap();
    let run = |set: &Set<'_>| set.run(gpu, forward.0, Some((forward.1, false)), scratch);
    run(&first).unwrap();
    let entries = entries(gpu, &first, (job, shipped), scratch).unwrap();
    let bytes = first.bytes(job);
    let sets = BEYOND_CACHE.div_ceil(bytes).clamp(2, 48);
    let mut all = vec![first];
    all.extend((1..sets).map(|i| set(10 * i as u64)));
    all.iter().for_each(|set| run(set).unwrap());
    let copies: Vec<[Tensor; 2]> = (0..sets)
        .map(|_| [0; 2].map(|_| Tensor::new(gpu, bytes / 8, Elem::F32).unwrap()))
        .collect();
    let repeats = sets.max(8);
    let each = |f: &dyn Fn(usize) -> Result<()>| (0..repeats).try_for_each(|i| f(i % sets));
    let mut graphs: Vec<_> = entries
        .iter()
        .map(|e| {
            let one = |i: usize| all[i].run(gpu, job, e.way, scratch);
            gpu.capture(|| each(&one)).unwrap()
        })
        .collect();
    let copy = |i: usize| {
        let [from, to] = &copies[i];
        to.view().copy_from(gpu, from.view())
    };
    graphs.push(gpu.capture(|| each(&copy)).unwrap());
    let mut timer = Timer::new(gpu);
    for round in 0..=ROUNDS {
        for graph in &mut graphs {
            if round > 0 {
                timer.mark().unwrap();
            }
            graph.launch().unwrap();
            if round > 0 {
                timer.mark().unwrap();
            }
        }
    }
    let times = timer.pairs().unwrap();
    let median = |i: usize| {
        let mut own: Vec<f32> = times
            .iter()
            .skip(i)
            .step_by(graphs.len())
            .copied()
            .collect();
        own.sort_by(f32::total_cmp);
        f64::from(own[own.len() / 2]) * 1e3 / repeats as f64
    };
    let copy = median(entries.len());
    let Size { b, t, d } = size;
    eprintln!("{what} {pass:?} {b},{t},{d} {elem:?}: a copy {copy:.2} us");
    for (i, e) in entries.iter().enumerate() {
        let Some((tile, early)) = e.way else { continue };
        eprintln!(
            "  {:22} {:5} {:7.2} us {:5.1} %  off {:.0e} {}{}",
            tile.name(pass),
            if early { "early" } else { "" },
            median(i),
            100.0 * copy / median(i),
            e.far,
            if e.same { "same bits" } else { "" },
            if tile == shipped { ", shipped" } else { "" },
        );
    }
}

/// Times of all tiles, with how far off each is.
pub(crate) fn sweep(what: &str, op: &dyn Recurrence) {
    let gpu = match Gpu::new(0) {
        Ok(gpu) => gpu,
        Err(error) => return eprintln!("{what}: not run: {error}"),
    };
    for size in SIZES {
        for elem in [Elem::Bf16, Elem::F32] {
            for pass in [Pass::Forward, Pass::Backward] {
                measure(&gpu, what, op, size, elem, pass);
            }
        }
    }
}
