//! Activations on CUDA.

use crate::cuda::shape::{FLOATS, aligned, at_least_one, blocks};
use crate::cuda::{Call, Gpu, Module, Result, View, need};

const OP: &str = "activation";
/// Packs of elements that a thread works on, threads of a block: as in the kernels.
const PACKS: usize = 4;
const THREADS: usize = 256;

/// Which activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`gelu_erf`](crate::gelu_erf).
    GeluErf,
    /// [`gelu_tanh`](crate::gelu_tanh).
    GeluTanh,
    /// [`silu`](crate::silu).
    Silu,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::GeluErf => "gelu_erf",
            Self::GeluTanh => "gelu_tanh",
            Self::Silu => "silu",
        }
    }
}

/// `out = f(u)`.
///
/// `u`, `out`: `[n]`, one of f32, bf16 and f16 both; they may be the same memory.
///
/// # Errors
/// [`CudaError`](crate::cuda::CudaError) on other lengths or types, or where the launch fails.
pub fn forward(gpu: &Gpu, kind: Kind, u: View<'_>, out: View<'_>, n: usize) -> Result<()> {
    launch(gpu, kind, u, None, out, n)
}

/// `du = f'(u) * dg`.
///
/// `u`, `dg`, `du`: `[n]`, one of f32, bf16 and f16 all; `du` may be the memory of `u` or of `dg`.
///
/// # Errors
/// [`CudaError`](crate::cuda::CudaError) on other lengths or types, or where the launch fails.
pub fn backward(
    gpu: &Gpu,
    kind: Kind,
    u: View<'_>,
    dg: View<'_>,
    du: View<'_>,
    n: usize,
) -> Result<()> {
    launch(gpu, kind, u, Some(dg), du, n)
}

fn launch(
    gpu: &Gpu,
    kind: Kind,
    u: View<'_>,
    dg: Option<View<'_>>,
    out: View<'_>,
    n: usize,
) -> Result<()> {
    at_least_one(OP, &[("n", n)])?;
    need(OP, "u", u, &FLOATS, n)?;
    need(OP, "dg", dg.unwrap_or(u), &[u.elem()], n)?;
    need(OP, "out", out, &[u.elem()], n)?;
    let vec = if aligned(&[u, dg.unwrap_or(u), out]) {
        16 / u.elem().size()
    } else {
        1
    };
    let way = if dg.is_some() { "bwd" } else { "fwd" };
    let name = format!("{}_{way}_{}_v{vec}", kind.name(), u.elem().suffix());
    let grid = blocks(OP, n.div_ceil(PACKS * THREADS * vec))?;
    let mut call = Call::new(gpu, Module::Activation, &name)?.view(u);
    if let Some(dg) = dg {
        call = call.view(dg);
    }
    call.view(out)
        .i64(n as i64)
        .launch((grid, 1, 1), (THREADS as u32, 1, 1), 0)
}
