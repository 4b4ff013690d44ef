//! Memory with random values, and times of what runs over it.

use anyhow::Result;
use minrnn_kernels::Elem;
use minrnn_kernels::cuda::{Captured, Gpu, Memory, Timer, View};
use minrnn_kernels::elementwise::cuda as elementwise;
use minrnn_model::rng::Rng;

/// Values drawn once and repeated.
const DRAWN: usize = 1 << 20;
/// More than any GPU's second-level cache, several times.
pub(super) const BEYOND_CACHE: usize = 512 << 20;

/// A tensor on the GPU.
pub(super) struct Tensor {
    memory: Memory,
    len: usize,
    elem: Elem,
}

impl Tensor {
    /// Of any content.
    pub(super) fn new(gpu: &Gpu, len: usize, elem: Elem) -> Result<Self> {
        let memory = Memory::new(gpu, len * elem.size())?;
        Ok(Self { memory, len, elem })
    }

    /// Uniform in a range. The values repeat after a million: no kernel could know.
    pub(super) fn random(
        gpu: &Gpu,
        len: usize,
        elem: Elem,
        (low, high): (f64, f64),
        seed: u64,
    ) -> Result<Self> {
        let tensor = Self::new(gpu, len, elem)?;
        let mut rng = Rng::named(seed, "bench");
        let drawn: Vec<f32> = (0..DRAWN.min(len))
            .map(|_| rng.range(low, high) as f32)
            .collect();
        let first = tensor.view()?.slice(0, drawn.len())?;
        elementwise::write(gpu, first, &drawn)?;
        let mut done = drawn.len();
        while done < len {
            let n = done.min(len - done);
            tensor
                .view()?
                .slice(done, n)?
                .copy_from(gpu, tensor.view()?.slice(0, n)?)?;
            done += n;
        }
        Ok(tensor)
    }

    pub(super) fn view(&self) -> Result<View<'_>> {
        Ok(self.memory.view(0, self.len, self.elem)?)
    }

    pub(super) fn poison(&self) -> Result<()> {
        Ok(self.memory.fill(0xFF)?)
    }
}

/// Bytes of one piece of a large copy: the driver copies pieces beyond 1 GiB by a slower way.
const PIECE: usize = 256 << 20;

/// A device copy at its fastest.
pub(super) fn copy(gpu: &Gpu, from: &Tensor, to: &Tensor) -> Result<()> {
    let piece = PIECE / from.elem.size();
    for at in (0..from.len).step_by(piece) {
        let n = piece.min(from.len - at);
        to.view()?
            .slice(at, n)?
            .copy_from(gpu, from.view()?.slice(at, n)?)?;
    }
    Ok(())
}

/// How many sets of buffers of so many bytes are used in turn, so that none is in a cache when its turn comes.
pub(super) fn sets(bytes: usize) -> usize {
    BEYOND_CACHE.div_ceil(bytes).clamp(2, 64)
}

/// Median of times in milliseconds.
pub(super) fn median(mut times: Vec<f32>) -> f64 {
    times.sort_by(f32::total_cmp);
    f64::from(times[times.len() / 2])
}

/// Milliseconds of one of two things, each the median of `rounds`: `repeats` of it in one captured graph, as a training step
/// runs it, the two graphs in turn. Both must have run before.
pub(super) fn in_turn(
    gpu: &Gpu,
    (rounds, repeats): (usize, usize),
    one: impl Fn(usize) -> Result<()>,
    other: impl Fn(usize) -> Result<()>,
) -> Result<(f64, f64)> {
    one(0)?;
    other(0)?;
    gpu.synchronize()?;
    let (mut first, mut second) = (capture(gpu, repeats, one)?, capture(gpu, repeats, other)?);
    let (mut times, mut others) = (Timer::new(gpu), Timer::new(gpu));
    for round in 0..=rounds {
        for (graph, timer) in [(&mut first, &mut times), (&mut second, &mut others)] {
            if round > 0 {
                timer.mark()?;
            }
            graph.launch()?;
            if round > 0 {
                timer.mark()?;
            }
        }
    }
    let each = |timer: &Timer| Ok(median(timer.pairs()?) / repeats as f64);
    let (ms, other): (Result<f64>, Result<f64>) = (each(&times), each(&others));
    Ok((ms?, other?))
}

fn capture(gpu: &Gpu, repeats: usize, work: impl Fn(usize) -> Result<()>) -> Result<Captured> {
    let mut failed = Ok(());
    let captured = gpu.capture(|| {
        failed = (0..repeats).try_for_each(&work);
        Ok(())
    });
    failed?;
    Ok(captured?)
}
