//! Rows by index on CUDA, and the gradient of the table, the same on every run.

use crate::Elem;
use crate::column_sum::cuda::fold;
use crate::cuda::shape::{
    Columns, FLOATS, aligned, at_least_one, blocks, check_scratch, int, product,
};
use crate::cuda::{Call, Gpu, Module, Result, View, need};
use crate::norm::cuda::Mask;

const OP: &str = "embedding";
const BACKWARD: &str = "embedding backward";

/// Bytes of shared memory that a block may have, and a multiprocessor has.
const BLOCK_SHARED: usize = 232_448;
const SHARED: usize = 233_472;
/// Bytes of a tiled block's list of tokens, before its sums: as in the kernel.
const LIST: usize = (2 * 1024 + 32) * 4;
/// The largest vocabulary for which each warp has sums for all ids.
const SMALL: usize = 128;

/// Sizes: `n` ids, rows of `m` channels, a table of `v` rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Ids.
    pub n: usize,
    /// Channels.
    pub m: usize,
    /// Rows of the table.
    pub v: usize,
}

impl Size {
    fn check(self, op: &'static str) -> Result<()> {
        let Self { n, m, v } = self;
        at_least_one(op, &[("n", n), ("m", m), ("v", v)])?;
        for (what, size) in [("n", n), ("m", m), ("v", v)] {
            int(op, what, size)?;
        }
        product(op, &[n.max(v), m]).map(|_| ())
    }
    fn arguments<'a>(self, call: Call<'a>) -> Result<Call<'a>> {
        Ok(call.i32(int(OP, "m", self.m)?).i32(int(OP, "v", self.v)?))
    }
}

/// `y[i] = mask * table[ids[i]]`. A row of y is NaN where its id is not below v: the host is to check ids, and memory
/// outside of the table is never read.
///
/// `ids`: u32 `[n]`; `table`: f32 `[v,m]`; `y`: `[n,m]`, f32, bf16 or f16. No two may be the same memory.
///
/// # Errors
/// [`CudaError`](crate::cuda::CudaError) on other lengths or types, or where the launch fails.
pub fn forward(
    gpu: &Gpu,
    ids: View<'_>,
    table: View<'_>,
    y: View<'_>,
    dropout: Option<Mask<'_>>,
    size: Size,
) -> Result<()> {
    size.check(OP)?;
    let Size { n, m, v } = size;
    need(OP, "ids", ids, &[Elem::U32], n)?;
    need(OP, "table", table, &[Elem::F32], v * m)?;
    need(OP, "y", y, &FLOATS, n * m)?;
    let vec = if m.is_multiple_of(4) && aligned(&[y]) {
        4
    } else {
        1
    };
    let columns = Columns::new(m / vec, 256);
    let down = n.div_ceil(columns.y as usize * 4).min(65_535) as u32;
    let name = format!("embedding_fwd_{}_v{vec}", y.elem().suffix());
    let call = Call::new(gpu, Module::Embedding, &name)?
        .view(ids)
        .view(table)
        .view(y);
    let call = Mask::arguments(OP, dropout, call)?.i64(n as i64);
    size.arguments(call)?
        .launch((columns.across, down, 1), columns.block(), 0)
}

/// How the gradient is cut up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    /// Whether each warp has sums for the whole vocabulary.
    small: bool,
    vec: usize,
    warps: usize,
    /// Blocks along the channels.
    across: usize,
    /// Ids of a block, and blocks along the vocabulary.
    tile: usize,
    tiles: usize,
    /// Chunks of tokens, and tokens of one.
    chunks: usize,
    chunk: usize,
    shared: usize,
}

impl Plan {
    fn new(gpu: &Gpu, Size { n, m, v }: Size, vec: usize) -> Self {
        let processors = gpu.multiprocessors() as usize;
        let small = vec == 4 && v <= SMALL;
        let (warps, tile) = if small {
            ((BLOCK_SHARED / (v * 512)).min(8), v)
        } else {
            let warps = m.div_ceil(32 * vec).min(8);
            let row = 32 * vec * warps * 4;
            (
                warps,
                (if row > 2048 { 96 << 10 } else { 48 << 10 } / row).min(v),
            )
        };
        let across = m.div_ceil(32 * vec * if small { 1 } else { warps });
        let tiles = v.div_ceil(tile);
        let shared = tile * 32 * vec * 4 * warps + if small { 0 } else { LIST };
        // Blocks that run at once, at most two of the small kind by their registers.
        let beside = if small {
            (SHARED / (shared + 1024)).clamp(1, 2)
        } else {
            (SHARED / (shared + 1024)).clamp(1, 4)
        };
        let wanted = (processors * beside / (across * tiles)).max(1);
        // A chunk pays for its sums: 2 v tokens at least, or 32 for each warp.
        let least = if small { 32 * warps } else { 2 * v };
        let chunk = n.div_ceil(wanted.min((n / least).max(1)));
        Self {
            small,
            vec,
            warps,
            across,
            tile,
            tiles,
            chunks: n.div_ceil(chunk),
            chunk,
            shared,
        }
    }
    /// Elements of partial sums; a single chunk goes to its place at once.
    fn scratch(self, Size { m, v, .. }: Size) -> usize {
        if self.chunks == 1 {
            0
        } else {
            self.chunks * v * m
        }
    }
}

/// Elements of f32 scratch that [`backward`] needs.
pub fn scratch_len(gpu: &Gpu, n: usize, m: usize, v: usize) -> usize {
    let size = Size { n, m, v };
    if size.check(BACKWARD).is_err() {
        return 0;
    }
    [1, 4]
        .map(|vec| Plan::new(gpu, size, vec).scratch(size))
        .into_iter()
        .max()
        .unwrap_or(0)
}

/// `dtable[id] = sum of mask * dy` over the places of id, in their order within a chunk of tokens; all of it is written.
/// Ids that are not below v are left out.
///
/// `ids`: u32 `[n]`; `dy`: `[n,m]`, f32, bf16 or f16; `dtable`: f32 `[v,m]`; `scratch`: f32, [`scratch_len`]. No two may be the
/// same memory.
///
/// # Errors
/// [`CudaError`](crate::cuda::CudaError) on other lengths or types, or where the launch fails.
pub fn backward(
    gpu: &Gpu,
    ids: View<'_>,
    dy: View<'_>,
    dropout: Option<Mask<'_>>,
    dtable: View<'_>,
    scratch: View<'_>,
    size: Size,
) -> Result<()> {
    size.check(BACKWARD)?;
    let Size { n, m, v } = size;
    need(BACKWARD, "ids", ids, &[Elem::U32], n)?;
    need(BACKWARD, "dy", dy, &FLOATS, n * m)?;
    need(BACKWARD, "dtable", dtable, &[Elem::F32], v * m)?;
    check_scratch(BACKWARD, scratch, scratch_len(gpu, n, m, v))?;
    let whole = m.is_multiple_of(4) && aligned(&[dy]);
    let plan = Plan::new(gpu, size, if whole { 4 } else { 1 });
    let direct = plan.chunks == 1;
    let parts = if direct {
        dtable
    } else {
        scratch.slice(0, plan.scratch(size))?
    };
    let kind = if plan.small { "small" } else { "tiled" };
    let name = format!("embedding_{kind}_{}_v{}", dy.elem().suffix(), plan.vec);
    let call = Call::new(gpu, Module::Embedding, &name)?
        .view(ids)
        .view(dy)
        .view(parts);
    let call = Mask::arguments(BACKWARD, dropout, call)?
        .i64(n as i64)
        .i64(plan.chunk as i64);
    let mut call = size.arguments(call)?;
    if !plan.small {
        call = call.i32(int(BACKWARD, "tile", plan.tile)?);
    }
    let grid = (
        blocks(BACKWARD, plan.across)?,
        blocks(BACKWARD, plan.chunks)?,
        blocks(BACKWARD, plan.tiles)?,
    );
    call.launch(grid, (32 * plan.warps as u32, 1, 1), plan.shared as u32)?;
    if direct {
        return Ok(());
    }
    fold(gpu, BACKWARD, parts, plan.chunks, dtable, None, false)
}

/// Computed whole numbers, f32 `[n]`, as ids, u32 `[n]`: what is none, or is negative, becomes an id that no table has.
///
/// # Errors
/// [`CudaError`](crate::cuda::CudaError) on other lengths or types, or where the launch fails.
pub fn numbers(gpu: &Gpu, at: View<'_>, ids: View<'_>) -> Result<()> {
    const OP: &str = "embedding_numbers";
    let n = at.len();
    at_least_one(OP, &[("n", n)])?;
    need(OP, "at", at, &[Elem::F32], n)?;
    need(OP, "ids", ids, &[Elem::U32], n)?;
    Call::new(gpu, Module::Embedding, OP)?
        .view(at)
        .view(ids)
        .i64(n as i64)
        .launch((blocks(OP, n.div_ceil(256))?, 1, 1), (256, 1, 1), 0)
}
