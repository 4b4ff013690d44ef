//! Activations on CUDA.

use super::Activation;
use crate::Elem;
use crate::column_sum;
use crate::cuda::shape::{
    Columns, FLOATS, aligned, at_least_one, blocks, check_scratch, int, product,
};
use crate::cuda::{Call, CudaError, Gpu, Module, Result, View, need};

const OP: &str = "activation";
/// Packs of elements that a thread works on, threads of a block: as in the kernels.
const PACKS: usize = 4;
const THREADS: usize = 256;

/// `out = f(u)`.
///
/// `u`, `out`: `[n]`, one of f32, bf16 and f16 both; they may be the same memory.
///
/// # Errors
/// [`CudaError`] on other lengths or types, or where the launch fails.
pub fn forward(gpu: &Gpu, kind: Activation, u: View<'_>, out: View<'_>, n: usize) -> Result<()> {
    launch(gpu, kind, u, None, out, n)
}

/// `du = f'(u) * dg`.
///
/// `u`, `dg`, `du`: `[n]`, one of f32, bf16 and f16 all; `du` may be the memory of `u` or of `dg`.
///
/// # Errors
/// [`CudaError`] on other lengths or types, or where the launch fails.
pub fn backward(
    gpu: &Gpu,
    kind: Activation,
    u: View<'_>,
    dg: View<'_>,
    du: View<'_>,
    n: usize,
) -> Result<()> {
    launch(gpu, kind, u, Some(dg), du, n)
}

/// [`backward`] of a matrix with the sums of the columns of `du`, as a bias before the activation needs them.
#[derive(Debug, Clone, Copy)]
pub struct BackwardSum<'a> {
    /// `[n,w]`, f32, bf16 or f16.
    pub u: View<'a>,
    /// `[n,w]`, the type of u.
    pub dg: View<'a>,
    /// `[n,w]`, the type of u; may be the memory of `u` or of `dg`.
    pub du: View<'a>,
    /// f32 `[w]`, overwritten.
    pub sums: View<'a>,
    /// f32, [`column_sum::cuda::scratch_len`].
    pub scratch: View<'a>,
    /// Rows.
    pub n: usize,
    /// Columns.
    pub w: usize,
}

/// `du = f'(u) * dg` and the sums of its columns, in one pass.
///
/// # Errors
/// [`CudaError`] on other lengths or types, or where the launch fails.
pub fn backward_sum(gpu: &Gpu, kind: Activation, p: &BackwardSum<'_>) -> Result<()> {
    let (n, w) = (p.n, p.w);
    check(kind)?;
    at_least_one(OP, &[("n", n), ("w", w)])?;
    let elements = product(OP, &[n, w])?;
    need(OP, "u", p.u, &FLOATS, elements)?;
    need(OP, "dg", p.dg, &[p.u.elem()], elements)?;
    need(OP, "du", p.du, &[p.u.elem()], elements)?;
    need(OP, "sums", p.sums, &[Elem::F32], w)?;
    check_scratch(OP, p.scratch, column_sum::cuda::scratch_len(gpu, n, w))?;
    let whole = 16 / p.u.elem().size();
    let vec = if w.is_multiple_of(whole) && aligned(&[p.u, p.dg, p.du]) {
        whole
    } else {
        1
    };
    let columns = Columns::new(w / vec, 256);
    let down = columns.down(n.div_ceil(4), column_sum::cuda::most_blocks(gpu));
    let name = format!("{}_bwd_sum_{}_v{vec}", kind.name(), p.u.elem().suffix());
    let shared = columns.x * columns.y * vec as u32 * 4;
    Call::new(gpu, Module::Activation, &name)?
        .view(p.u)
        .view(p.dg)
        .view(p.du)
        .view(p.scratch)
        .i64(n as i64)
        .i32(int(OP, "w", w)?)
        .early()
        .launch((columns.across, down, 1), columns.block(), shared)?;
    let parts = p.scratch.slice(0, down as usize * w)?;
    column_sum::cuda::fold(gpu, OP, parts, down as usize, p.sums, None, false)
}

/// A gate: `y = a f(u)`, all `[n]`, one of f32, bf16 and f16.
///
/// # Errors
/// [`CudaError`] on other lengths or types, or where the launch fails.
pub fn gate(gpu: &Gpu, kind: Activation, [a, u, y]: [View<'_>; 3], n: usize) -> Result<()> {
    launch_gate(gpu, kind, "fwd", &[("a", a), ("u", u), ("y", y)], n)
}

/// Its gradients: `da = dy f(u)`, `du = dy a f'(u)`; `da` may be the memory of `a` or of `dy`, `du` that of `u`.
///
/// # Errors
/// [`CudaError`] on other lengths or types, or where the launch fails.
pub fn gate_backward(
    gpu: &Gpu,
    kind: Activation,
    [a, u, dy]: [View<'_>; 3],
    [da, du]: [View<'_>; 2],
    n: usize,
) -> Result<()> {
    let views = [("a", a), ("u", u), ("dy", dy), ("da", da), ("du", du)];
    launch_gate(gpu, kind, "bwd", &views, n)
}

fn launch_gate(
    gpu: &Gpu,
    kind: Activation,
    way: &str,
    views: &[(&'static str, View<'_>)],
    n: usize,
) -> Result<()> {
    check(kind)?;
    at_least_one(OP, &[("n", n)])?;
    let elem = views[0].1.elem();
    need(OP, "a", views[0].1, &FLOATS, n)?;
    for (what, view) in views {
        need(OP, what, *view, &[elem], n)?;
    }
    let all: Vec<View<'_>> = views.iter().map(|(_, view)| *view).collect();
    let vec = if aligned(&all) { 16 / elem.size() } else { 1 };
    let name = format!("{}_gate_{way}_{}_v{vec}", kind.name(), elem.suffix());
    let grid = blocks(OP, n.div_ceil(PACKS * THREADS * vec))?;
    let call = Call::new(gpu, Module::Activation, &name)?;
    let call = all.into_iter().fold(call, Call::view);
    call.i64(n as i64)
        .early()
        .launch((grid, 1, 1), (THREADS as u32, 1, 1), 0)
}

fn check(kind: Activation) -> Result<()> {
    if matches!(kind, Activation::Sigmoid | Activation::Softplus) {
        let name = kind.name();
        let problem = format!("{name} is a function of elementwise kernels, not of these");
        return Err(CudaError::Value { op: OP, problem });
    }
    Ok(())
}

fn launch(
    gpu: &Gpu,
    kind: Activation,
    u: View<'_>,
    dg: Option<View<'_>>,
    out: View<'_>,
    n: usize,
) -> Result<()> {
    check(kind)?;
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
        .early()
        .launch((grid, 1, 1), (THREADS as u32, 1, 1), 0)
}
