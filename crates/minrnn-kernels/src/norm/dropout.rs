//! Dropout of a branch, alone or with the sum that it goes into.

use crate::Elem;
use crate::cuda::shape::{FLOATS, aligned, at_least_one, blocks};
use crate::cuda::{Call, CudaError, Gpu, Module, Result, View, need};

const OP: &str = "add_dropout";
/// Packs of elements that a thread works on, threads of a block: as in the kernels.
const PACKS: usize = 4;
const THREADS: usize = 256;

/// A dropout: element i of the tensor is 0 with probability p, else divided by 1 - p, by Philox4x32-10 with the seed and
/// the step in `control` (as `minrnn-train`'s `Dropout` on any other device).
#[derive(Debug, Clone, Copy)]
pub struct Mask<'a> {
    /// Probability of a zero, in `[0, 1)`; 0 is no dropout.
    pub p: f64,
    /// Which dropout of the model, below 2^24.
    pub site: u32,
    /// u32 `[16]`: seed, step (low words first), and what is not for dropout. Read when the kernel runs.
    pub control: View<'a>,
}

impl<'a> Mask<'a> {
    /// Control (null without dropout), threshold, factor and site, as kernels take them behind each other.
    pub(crate) fn arguments<'g>(
        op: &'static str,
        mask: Option<Mask<'a>>,
        call: Call<'g>,
    ) -> Result<Call<'g>> {
        let Some(mask) = mask.filter(|mask| mask.p != 0.0) else {
            return Ok(call.opt(None).u32(0).f32(1.0).u32(0));
        };
        let wrong = |problem: String| Err(CudaError::Value { op, problem });
        if !(0.0..1.0).contains(&mask.p) {
            return wrong(format!("`p` is {}, but must be in [0, 1)", mask.p));
        }
        if mask.site >= 1 << 24 {
            return wrong(format!("`site` is {}, but must be below 2^24", mask.site));
        }
        need(op, "control", mask.control, &[Elem::U32], 16)?;
        Ok(call
            .view(mask.control)
            .u32((mask.p * 4_294_967_296.0) as u32)
            .f32((1.0 / (1.0 - mask.p)) as f32)
            .u32(mask.site))
    }
}

/// `y = x + mask * a`, or `y = mask * a` without x. Without a mask it is the sum, or a copy to another type.
///
/// `a`: `[n]`, f32, bf16 or f16; `x`, `y`: `[n]`, both of `a`'s type or both f32. `y` may be the memory of x, or of a where
/// its type is the same.
///
/// # Errors
/// [`CudaError`] on other lengths or types, or where the launch fails.
pub fn add_dropout(
    gpu: &Gpu,
    x: Option<View<'_>>,
    a: View<'_>,
    mask: Option<Mask<'_>>,
    y: View<'_>,
    n: usize,
) -> Result<()> {
    need(OP, "a", a, &FLOATS, n)?;
    need(OP, "y", y, &[Elem::F32, a.elem()], n)?;
    need(OP, "x", x.unwrap_or(y), &[y.elem()], n)?;
    let kernel = Kernel::new("fwd", y, a, &[x.unwrap_or(y), a, y], n)?;
    let call = Call::new(gpu, Module::Norm, &kernel.name)?;
    kernel.launch(mask, call.opt(x).view(a).view(y))
}

/// `da = mask * dy`, the gradient of the branch of [`add_dropout`].
///
/// `da`: `[n]`, f32, bf16 or f16; `dy`: `[n]`, of `da`'s type or f32. They may be the same memory where their type is the same.
///
/// # Errors
/// [`CudaError`] on other lengths or types, or where the launch fails.
pub fn add_dropout_backward(
    gpu: &Gpu,
    dy: View<'_>,
    mask: Option<Mask<'_>>,
    da: View<'_>,
    n: usize,
) -> Result<()> {
    need(OP, "da", da, &FLOATS, n)?;
    need(OP, "dy", dy, &[Elem::F32, da.elem()], n)?;
    let kernel = Kernel::new("bwd", dy, da, &[dy, da], n)?;
    let call = Call::new(gpu, Module::Norm, &kernel.name)?;
    kernel.launch(mask, call.view(dy).view(da))
}

struct Kernel {
    name: String,
    n: usize,
    grid: u32,
}

impl Kernel {
    fn new(
        way: &str,
        stream: View<'_>,
        branch: View<'_>,
        views: &[View<'_>],
        n: usize,
    ) -> Result<Self> {
        at_least_one(OP, &[("n", n)])?;
        let vec = if aligned(views) { 4 } else { 1 };
        let (s, c) = (stream.elem().suffix(), branch.elem().suffix());
        Ok(Self {
            name: format!("add_dropout_{way}_{s}_{c}_v{vec}"),
            n,
            grid: blocks(OP, n.div_ceil(PACKS * THREADS * vec))?,
        })
    }
    fn launch(self, mask: Option<Mask<'_>>, call: Call<'_>) -> Result<()> {
        let call = Mask::arguments(OP, mask, call)?.i64(self.n as i64);
        call.early()
            .launch((self.grid, 1, 1), (THREADS as u32, 1, 1), 0)
    }
}
