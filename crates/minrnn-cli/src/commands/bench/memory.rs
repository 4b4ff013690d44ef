//! Memory with random values, and times of what runs over it.

use anyhow::Result;
use minrnn_kernels::Elem;
use minrnn_kernels::cuda::{Gpu, Memory, Timer, View};
use minrnn_kernels::elementwise::cuda as elementwise;
use minrnn_model::rng::Rng;

/// Values drawn once and repeated.
const DRAWN: usize = 1 << 20;
/// More than any GPU's second-level cache, several times.
const BEYOND_CACHE: usize = 512 << 20;

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

/// How many sets of buffers of so many bytes are used in turn, so that none is in a cache when its turn comes.
pub(super) fn sets(bytes: usize) -> usize {
    BEYOND_CACHE.div_ceil(bytes).clamp(2, 64)
}

/// Median of times in milliseconds.
pub(super) fn median(mut times: Vec<f32>) -> f64 {
    times.sort_by(f32::total_cmp);
    f64::from(times[times.len() / 2])
}

/// Milliseconds of two things in turn, each the median of `repeats`, after two rounds that do not count.
pub(super) fn in_turn(
    gpu: &Gpu,
    repeats: usize,
    mut one: impl FnMut(usize) -> Result<()>,
    mut other: impl FnMut(usize) -> Result<()>,
) -> Result<(f64, f64)> {
    for i in 0..2 {
        one(i)?;
        other(i)?;
    }
    let (mut first, mut second) = (Timer::new(gpu), Timer::new(gpu));
    for i in 0..repeats {
        first.mark()?;
        one(i)?;
        first.mark()?;
        second.mark()?;
        other(i)?;
        second.mark()?;
    }
    Ok((median(first.pairs()?), median(second.pairs()?)))
}
