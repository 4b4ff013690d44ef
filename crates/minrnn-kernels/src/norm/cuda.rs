//! Normalisation: one pass forward, one backward and a small sum.

use super::Kind;
pub use super::dropout::{Mask, add_dropout, add_dropout_backward};
use crate::Elem;
use crate::column_sum::{self, cuda::fold};
use crate::cuda::shape::{
    FLOATS, aligned, at_least_one, blocks, check_scratch, int, need_opt, product,
};
use crate::cuda::{Call, CudaError, Gpu, Module, Result, View, need};

const OP: &str = "norm";
const BACKWARD: &str = "norm backward";

/// What is added to a residual stream before it is normalised.
#[derive(Debug, Clone, Copy)]
pub struct Branch<'a> {
    /// `[rows, width]`, the type of y.
    pub a: View<'a>,
    /// Its dropout.
    pub dropout: Option<Mask<'a>>,
    /// Where `x + mask * a` goes: `[rows, width]`, the type of x; may be the memory of x.
    pub sum: View<'a>,
}

/// Arguments of [`forward`].
#[derive(Debug, Clone, Copy)]
pub struct Forward<'a> {
    /// Which normalisation.
    pub kind: Kind,
    /// `[rows, width]`, f32 or the type of y.
    pub x: View<'a>,
    /// What is added to x.
    pub branch: Option<Branch<'a>>,
    /// f32 `[width]`.
    pub weight: View<'a>,
    /// f32 `[width]`; not for [`Kind::Rms`].
    pub bias: Option<View<'a>>,
    /// Added to the mean square or the variance.
    pub eps: f64,
    /// `[rows, width]`, f32, bf16 or f16; may be the memory of x or of the branch where the type is the same.
    pub y: View<'a>,
    /// f32 `[rows, 2]`: mean (0 for [`Kind::Rms`]) and `1 / root` of each row.
    pub stats: View<'a>,
    /// Rows.
    pub rows: usize,
    /// Channels.
    pub width: usize,
}

/// `y = norm(s)`, `s = x + mask * a` (x itself without a branch), over each row. A sum in 16 bits is rounded before it is
/// normalised, as [`backward`] finds it.
///
/// # Errors
/// [`CudaError`] on other lengths or types, an eps that is not positive, or where the launch fails.
pub fn forward(gpu: &Gpu, f: &Forward<'_>) -> Result<()> {
    let (rows, width) = (f.rows, f.width);
    at_least_one(OP, &[("rows", rows), ("width", width)])?;
    let n = product(OP, &[rows, width])?;
    need(OP, "y", f.y, &FLOATS, n)?;
    need(OP, "x", f.x, &[Elem::F32, f.y.elem()], n)?;
    need(OP, "weight", f.weight, &[Elem::F32], width)?;
    need_opt(OP, "bias", f.bias, &[Elem::F32], width)?;
    need(OP, "stats", f.stats, &[Elem::F32], 2 * rows)?;
    let eps = f.eps as f32;
    if f.kind == Kind::Rms && f.bias.is_some() || !(eps > 0.0 && eps.is_finite()) {
        return refuse(
            OP,
            "the root mean square has no bias, and `eps` must be positive",
        );
    }
    let mut views = vec![f.x, f.y];
    if let Some(branch) = &f.branch {
        need(OP, "branch", branch.a, &[f.y.elem()], n)?;
        need(OP, "sum", branch.sum, &[f.x.elem()], n)?;
        views.extend([branch.a, branch.sum]);
    }
    let size = Size::of(width, &views, 32);
    let name = size.kernel("norm_fwd", f.x, f.y);
    let call = Call::new(gpu, Module::Norm, &name)?
        .view(f.x)
        .opt(f.branch.map(|b| b.a))
        .opt(f.branch.map(|b| b.sum))
        .view(f.weight)
        .opt(f.bias)
        .view(f.y)
        .view(f.stats);
    Mask::arguments(OP, f.branch.and_then(|b| b.dropout), call)?
        .f32(eps)
        .i32(i32::from(f.kind == Kind::Layer))
        .i64(rows as i64)
        .i32(int(OP, "width", width)?)
        .early()
        .launch(
            (blocks(OP, rows.div_ceil(size.rows()))?, 1, 1),
            (size.threads(), 1, 1),
            0,
        )
}

fn refuse(op: &'static str, problem: &str) -> Result<()> {
    Err(CudaError::Value {
        op,
        problem: problem.into(),
    })
}

/// Where the gradient of the branch goes.
#[derive(Debug, Clone, Copy)]
pub struct BranchGrad<'a> {
    /// `mask * ds`: `[rows, width]`, the type of dy; may be the memory of dy, or of ds where the type is the same and ds is
    /// not needed.
    pub da: View<'a>,
    /// The dropout of the forward pass.
    pub dropout: Option<Mask<'a>>,
    /// f32 `[width]`: gets the sums of the columns of `da`, which a bias behind the branch's last product needs.
    pub sums: Option<View<'a>>,
}

/// Arguments of [`backward`].
#[derive(Debug, Clone, Copy)]
pub struct Backward<'a> {
    /// Which normalisation.
    pub kind: Kind,
    /// What was normalised: `[rows, width]`, f32 or the type of dy.
    pub s: View<'a>,
    /// f32 `[width]`.
    pub weight: View<'a>,
    /// Of the forward pass, f32 `[rows, 2]`.
    pub stats: View<'a>,
    /// `[rows, width]`, f32, bf16 or f16.
    pub dy: View<'a>,
    /// The gradient that reaches s past the normalisation: `[rows, width]`, the type of s. Absent: zeros.
    pub dsum: Option<View<'a>>,
    /// `[rows, width]`, the type of s; may be the memory of dsum or of s, or of dy where the type is the same.
    pub ds: View<'a>,
    /// The gradient of the branch.
    pub branch: Option<BranchGrad<'a>>,
    /// f32 `[width]`.
    pub dweight: View<'a>,
    /// f32 `[width]`; not for [`Kind::Rms`].
    pub dbias: Option<View<'a>>,
    /// f32, [`scratch_len`].
    pub scratch: View<'a>,
    /// Rows.
    pub rows: usize,
    /// Channels.
    pub width: usize,
}

/// Blocks of the backward pass; `wide` ones fill a multiprocessor alone.
fn most_blocks(gpu: &Gpu, wide: bool) -> usize {
    gpu.multiprocessors() as usize * if wide { 1 } else { 2 }
}

/// Elements of f32 scratch that [`backward`] needs.
pub fn scratch_len(gpu: &Gpu, rows: usize, width: usize) -> usize {
    let own = most_blocks(gpu, false).min(rows) * 2 * width;
    own.max(column_sum::cuda::scratch_len(gpu, rows, width))
}

/// `ds = dsum + J^T dy`, `da = mask * ds` and the gradients of weight and bias, which are overwritten.
///
/// # Errors
/// [`CudaError`] on other lengths or types, or where the launch fails.
pub fn backward(gpu: &Gpu, b: &Backward<'_>) -> Result<()> {
    let (rows, width) = (b.rows, b.width);
    let n = check_backward(gpu, b)?;
    let mut views = vec![b.s, b.dy, b.ds];
    views.extend(b.dsum);
    if let Some(branch) = &b.branch {
        need(BACKWARD, "da", branch.da, &[b.dy.elem()], n)?;
        need_opt(BACKWARD, "sums", branch.sums, &[Elem::F32], width)?;
        views.push(branch.da);
    }
    let sums = b.branch.and_then(|branch| Some((branch.da, branch.sums?)));
    let size = Size::of(width, &views, 16);
    let most = most_blocks(gpu, size.threads() > 256);
    let rounds = rows.div_ceil(size.rows() * most);
    let grid = rows.div_ceil(size.rows() * rounds);
    let fused = sums.filter(|_| b.kind == Kind::Rms && size.sums());
    let ending = if fused.is_some() { "_sums" } else { "" };
    let begin = format!("norm_bwd_{}{ending}", b.kind.name());
    let name = size.kernel(&begin, b.s, b.dy);
    let call = Call::new(gpu, Module::Norm, &name)?
        .view(b.s)
        .view(b.weight)
        .view(b.stats)
        .view(b.dy)
        .opt(b.dsum)
        .view(b.ds)
        .opt(b.branch.map(|b| b.da));
    Mask::arguments(BACKWARD, b.branch.and_then(|b| b.dropout), call)?
        .view(b.scratch)
        .i64(rows as i64)
        .i32(int(BACKWARD, "width", width)?)
        .early()
        .launch((blocks(BACKWARD, grid)?, 1, 1), (size.threads(), 1, 1), 0)?;
    let parameters = b.kind.parameters() + usize::from(fused.is_some());
    let parts = b.scratch.slice(0, grid * parameters * width)?;
    let second = fused.map_or(b.dbias, |(_, sums)| Some(sums));
    fold(gpu, BACKWARD, parts, grid, b.dweight, second, false)?;
    match sums.filter(|_| fused.is_none()) {
        Some((da, sums)) => column_sum::cuda::sum(gpu, da, sums, false, b.scratch, rows, width),
        None => Ok(()),
    }
}

fn check_backward(gpu: &Gpu, b: &Backward<'_>) -> Result<usize> {
    let (rows, width) = (b.rows, b.width);
    at_least_one(BACKWARD, &[("rows", rows), ("width", width)])?;
    let n = product(BACKWARD, &[rows, width])?;
    need(BACKWARD, "dy", b.dy, &FLOATS, n)?;
    need(BACKWARD, "s", b.s, &[Elem::F32, b.dy.elem()], n)?;
    need(BACKWARD, "ds", b.ds, &[b.s.elem()], n)?;
    need_opt(BACKWARD, "dsum", b.dsum, &[b.s.elem()], n)?;
    need(BACKWARD, "weight", b.weight, &[Elem::F32], width)?;
    need(BACKWARD, "stats", b.stats, &[Elem::F32], 2 * rows)?;
    need(BACKWARD, "dweight", b.dweight, &[Elem::F32], width)?;
    need_opt(BACKWARD, "dbias", b.dbias, &[Elem::F32], width)?;
    check_scratch(BACKWARD, b.scratch, scratch_len(gpu, rows, width))?;
    if b.kind == Kind::Rms && b.dbias.is_some() {
        refuse(BACKWARD, "the root mean square has no bias")?;
    }
    Ok(n)
}

/// How a row is spread: `vec` elements at once, `packs` of them in each thread of `warps` warps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Held {
        vec: usize,
        packs: usize,
        warps: usize,
    },
    /// A block of 1024 threads that reads its row again.
    Wide,
}

impl Size {
    /// The smallest that holds a row, in at most `most` warps.
    fn of(width: usize, views: &[View<'_>], most: usize) -> Self {
        const FOUR: [(usize, usize); 10] = [
            (1, 1),
            (2, 1),
            (3, 1),
            (4, 1),
            (3, 2),
            (4, 2),
            (3, 4),
            (4, 4),
            (4, 16),
            (4, 32),
        ];
        const ONE: [(usize, usize); 3] = [(4, 1), (4, 4), (4, 16)];
        let (vec, sizes) = if width.is_multiple_of(4) && aligned(views) {
            (4, &FOUR[..])
        } else {
            (1, &ONE[..])
        };
        let held = sizes
            .iter()
            .find(|(packs, warps)| vec * packs * warps * 32 >= width && *warps <= most);
        held.map_or(Self::Wide, |&(packs, warps)| Self::Held {
            vec,
            packs,
            warps,
        })
    }
    fn threads(self) -> u32 {
        match self {
            Self::Held { warps, .. } => (32 * warps as u32).max(256),
            Self::Wide => 1024,
        }
    }
    /// Whether there is a kernel that also sums the columns of the branch's gradient.
    fn sums(self) -> bool {
        matches!(self, Self::Held { vec: 4, warps, .. } if warps <= 4)
    }
    /// Rows of a block.
    fn rows(self) -> usize {
        match self {
            Self::Held { warps, .. } => (8 / warps).max(1),
            Self::Wide => 1,
        }
    }
    fn kernel(self, begin: &str, stream: View<'_>, branch: View<'_>) -> String {
        let (s, c) = (stream.elem().suffix(), branch.elem().suffix());
        match self {
            Self::Held { vec, packs, warps } => {
                format!("{begin}_{s}_{c}_v{vec}_p{packs}_w{warps}")
            }
            Self::Wide => format!("{begin}_{s}_{c}_wide"),
        }
    }
}
