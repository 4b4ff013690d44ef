//! Attention on CUDA.

use super::{Size, WIDEST_HEAD_ON_GPU, mask};
use crate::Elem;
use crate::cuda::shape::{
    FLOATS, aligned, at_least_one, blocks, check_scratch, int, need_opt, product,
};
use crate::cuda::{Call, CudaError, Gpu, Module, Precision, Result, View, need};
use crate::norm::cuda::Mask;

const OP: &str = "attend";
/// Steps of a block, rows of a tile, threads of a block: as in the kernels.
const ROWS: usize = 64;
const THREADS: u32 = 128;
/// The numbers of scratch that is 16 bytes.
const PACK: usize = 4;

/// Rows of channels, which begin so many elements after each other.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// All of it, `[B,T,stride]`.
    pub view: View<'a>,
    /// Elements from a row to the next.
    pub stride: usize,
    /// The first channel of a row.
    pub from: usize,
}

impl<'a> Rows<'a> {
    /// Nothing else stands in a row of `width` channels.
    pub fn alone(view: View<'a>, width: usize) -> Self {
        Self {
            view,
            stride: width,
            from: 0,
        }
    }

    /// q or its gradient, and that of kv, side by side: `[B,T,3D]`.
    pub fn packed(view: View<'a>, channels: usize) -> [Self; 2] {
        [0, channels].map(|from| Self {
            view,
            stride: 3 * channels,
            from,
        })
    }

    fn check(self, name: &'static str, elem: &[Elem], size: Size, width: usize) -> Result<()> {
        if self.from + width > self.stride {
            let Self { stride, from, .. } = self;
            let problem =
                format!("`{name}` has rows of {stride}, of which {width} from {from} are no part");
            return Err(CudaError::Value { op: OP, problem });
        }
        need(
            OP,
            name,
            self.view,
            elem,
            size.batch * size.time * self.stride,
        )
    }

    /// From its first channel on.
    fn begin(self) -> Result<View<'a>> {
        self.view.slice(self.from, self.view.len() - self.from)
    }
}

/// What an attention reads. No two views of a launch may be the same memory.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// `[B,T,D]`, f32, bf16 or f16.
    pub q: Rows<'a>,
    /// `[B,T,2D]`, rows `[k | v]`, q's type.
    pub kv: Rows<'a>,
    /// Steps since the begin, f32 `[B,T]`.
    pub n: View<'a>,
    /// The rows before the run, f32 `[B,lag,2D]`; absent: none of them is seen.
    pub window: Option<View<'a>>,
    /// The dropout of the weights: see [`super::Mask`].
    pub mask: Option<Mask<'a>>,
    /// f32, [`scratch_len`].
    pub scratch: View<'a>,
    /// For f32.
    pub precision: Precision,
    /// B, T, D, H, lag. Heads of at most [`WIDEST_HEAD_ON_GPU`] channels.
    pub size: Size,
}

/// Arguments of [`backward`] beside [`Inputs`].
#[derive(Debug, Clone, Copy)]
pub struct Grads<'a> {
    /// `[B,T,D]`, of [`forward`].
    pub y: View<'a>,
    /// f32 `[B,H,T]`, of [`forward`].
    pub sums: View<'a>,
    /// `[B,T,D]`, q's type.
    pub dy: View<'a>,
    /// `[B,T,D]`, q's type, in rows as long as those of q.
    pub dq: Rows<'a>,
    /// `[B,T,2D]`, q's type.
    pub dkv: Rows<'a>,
}

/// Elements of f32 scratch that a launch needs: rows before the run are joined with those of the run, and the backward pass has a number a
/// step of a head.
pub fn scratch_len(size: Size, elem: Elem, window: bool, backward: bool) -> usize {
    let joined = if window { joined(size) } else { 0 };
    let joined = (joined * elem.size()).div_ceil(4).next_multiple_of(PACK);
    joined + if backward { size.sums() } else { 0 }
}

/// Elements of the rows before the run and those of the run.
fn joined(size: Size) -> usize {
    2 * size.batch * (size.front() + size.time) * size.channels
}

/// Where the rows that are seen lie.
struct Seen<'a> {
    rows: View<'a>,
    stride: usize,
    /// How many of them are before the run.
    past: usize,
}

/// The tiles of a head: channels of a row, and how the kernel of a type is called.
struct Kind {
    width: usize,
    name: &'static str,
    elem: Elem,
}

impl Kind {
    fn new(i: &Inputs<'_>) -> Self {
        let elem = i.q.view.elem();
        let width = [32, 64, WIDEST_HEAD_ON_GPU];
        let fits = |width: &usize| i.size.head() <= *width;
        Self {
            width: width.into_iter().find(fits).unwrap_or(WIDEST_HEAD_ON_GPU),
            name: match (elem, i.precision) {
                (Elem::F32, Precision::Tf32) => "tf32",
                (elem, _) => elem.suffix(),
            },
            elem,
        }
    }

    fn kernel(&self, what: &str) -> String {
        format!("attend_{what}_{}_{}", self.name, self.width)
    }

    /// Bytes of shared memory: `kept` tiles, and two for each stage.
    fn shared(&self, kept: usize) -> u32 {
        let row = self.width * self.elem.size();
        let stages = if row > 256 { 1 } else { 2 };
        ((kept + 2 * stages) * ROWS * (row + 16)) as u32
    }
}

fn check(gpu: &Gpu, i: &Inputs<'_>, backward: bool) -> Result<()> {
    let (major, minor) = gpu.compute_capability()?;
    if major < 8 {
        let problem = format!(
            "needs a GPU of compute capability 8.0 or more, this one has {major}.{minor}; train with train.engine = \"candle\""
        );
        return Err(CudaError::Value { op: OP, problem });
    }
    let size = i.size;
    let Size {
        batch,
        time,
        channels,
        heads,
        ..
    } = size;
    at_least_one(
        OP,
        &[("B", batch), ("T", time), ("D", channels), ("H", heads)],
    )?;
    let wrong = |problem: String| Err(CudaError::Value { op: OP, problem });
    if !channels.is_multiple_of(heads) {
        return wrong(format!("cannot cut {channels} channels into {heads} heads"));
    }
    if size.head() > WIDEST_HEAD_ON_GPU {
        let most = WIDEST_HEAD_ON_GPU;
        let head = size.head();
        return wrong(format!("heads of {head} channels, more than {most}"));
    }
    product(OP, &[batch, size.front() + time, 2, channels])?;
    product(OP, &[batch, heads, time, size.front() + time])?;
    let elem = i.q.view.elem();
    i.q.check("q", &FLOATS, size, channels)?;
    i.kv.check("kv", &[elem], size, 2 * channels)?;
    need(OP, "n", i.n, &[Elem::F32], batch * time)?;
    need_opt(OP, "window", i.window, &[Elem::F32], size.window())?;
    let scratch = scratch_len(size, elem, i.window.is_some(), backward);
    check_scratch(OP, i.scratch, scratch)
}

impl<'a> Inputs<'a> {
    /// The rows that are seen: those of the run, or behind those before it.
    fn rows(&self, gpu: &Gpu) -> Result<Seen<'a>> {
        let size = self.size;
        let rows = self.kv.begin()?;
        let Some(window) = self.window else {
            return Ok(Seen {
                rows,
                stride: self.kv.stride,
                past: 0,
            });
        };
        let count = joined(size);
        let to = self.scratch;
        let name = format!("attend_join_{}", self.q.view.elem().suffix());
        Call::new(gpu, Module::Attend, &name)?
            .view(window)
            .view(rows)
            .view(to)
            .i64(count as i64)
            .i32(int(OP, "lag", size.front())?)
            .i32(int(OP, "lag", size.lag)?)
            .i32(int(OP, "T", size.time)?)
            .i32(int(OP, "D", 2 * size.channels)?)
            .i32(int(OP, "D", self.kv.stride)?)
            .launch(
                (count.div_ceil(4 * 256).min(1 << 20) as u32, 1, 1),
                (256, 1, 1),
                0,
            )?;
        Ok(Seen {
            rows: to,
            stride: 2 * size.channels,
            past: size.front(),
        })
    }

    /// The arguments that all kernels end with.
    fn end<'g>(
        &self,
        call: Call<'g>,
        seen: &Seen<'_>,
        dkv_stride: usize,
        whole: bool,
    ) -> Result<Call<'g>> {
        let size = self.size;
        let mask = self.mask.filter(|mask| mask.p != 0.0);
        let call = match mask {
            None => call.opt(None).u32(0).f32(1.0).u32(0),
            Some(Mask { p, site, control }) => {
                let wrong = |problem: String| Err(CudaError::Value { op: OP, problem });
                if !(0.0..1.0).contains(&p) {
                    return wrong(format!("`p` is {p}, but must be in [0, 1)"));
                }
                if site >= 1 << 24 {
                    return wrong(format!("`site` is {site}, but must be below 2^24"));
                }
                need(OP, "control", control, &[Elem::U32], 16)?;
                let (threshold, keep) = mask::threshold(p);
                call.view(control).u32(threshold).f32(keep).u32(site)
            }
        };
        let scale = (1.0 / (size.head() as f64).sqrt()) as f32;
        Ok(call
            .i32(int(OP, "T", size.time)?)
            .i32(int(OP, "H", size.heads)?)
            .i32(int(OP, "P", size.head())?)
            .i32(int(OP, "lag", size.lag)?)
            .i32(int(OP, "lag", seen.past)?)
            .i32(int(OP, "lag", size.front())?)
            .i32(int(OP, "D", self.q.stride)?)
            .i32(int(OP, "D", seen.stride)?)
            .i32(int(OP, "D", dkv_stride)?)
            .f32(scale)
            .i32(whole.into()))
    }

    /// A block for each head of a sequence and each 64 steps.
    fn launch(&self, call: Call<'_>, shared: u32) -> Result<()> {
        let heads = blocks(OP, self.size.batch * self.size.heads)?;
        let tiles = self.size.time.div_ceil(ROWS);
        if tiles > 65_535 {
            let problem = format!("{} steps are too many", self.size.time);
            return Err(CudaError::Value { op: OP, problem });
        }
        call.launch((heads, tiles as u32, 1), (THREADS, 1, 1), shared)
    }

    /// Whether heads begin at multiples of 16 bytes in each of these, too.
    fn whole(&self, seen: &Seen<'_>, rows: &[Rows<'_>], others: &[View<'_>]) -> Result<bool> {
        let element = self.q.view.elem().size();
        let fits = |elements: usize| (elements * element).is_multiple_of(16);
        let mut all = fits(self.size.head()) && fits(seen.stride) && aligned(&[seen.rows]);
        for rows in [&self.q].into_iter().chain(rows) {
            all &= fits(rows.stride) && aligned(&[rows.begin()?]);
        }
        Ok(all && aligned(others))
    }
}

/// `y = sum p v`, `[B,T,D]` of q's type; and the logarithms of the sums of exponentials, f32 `[B,H,T]`, where they are wanted.
///
/// # Errors
/// [`CudaError`] on other lengths or types, or where the launch fails.
pub fn forward(gpu: &Gpu, i: &Inputs<'_>, y: View<'_>, sums: Option<View<'_>>) -> Result<()> {
    check(gpu, i, false)?;
    need(OP, "y", y, &[i.q.view.elem()], i.size.values())?;
    need_opt(OP, "sums", sums, &[Elem::F32], i.size.sums())?;
    let seen = i.rows(gpu)?;
    let kind = Kind::new(i);
    let call = Call::new(gpu, Module::Attend, &kind.kernel("fwd"))?
        .view(i.q.begin()?)
        .view(seen.rows)
        .view(i.n)
        .view(y)
        .opt(sums);
    let whole = i.whole(&seen, &[], &[y])?;
    i.launch(i.end(call, &seen, seen.stride, whole)?, kind.shared(1))
}

/// Gradients of q and kv from that of y, all of them written. The rows before the run get none.
///
/// # Errors
/// As [`forward`].
pub fn backward(gpu: &Gpu, i: &Inputs<'_>, g: &Grads<'_>) -> Result<()> {
    check(gpu, i, true)?;
    let (size, elem) = (i.size, i.q.view.elem());
    need(OP, "y", g.y, &[elem], size.values())?;
    need(OP, "dy", g.dy, &[elem], size.values())?;
    g.dq.check("dq", &[elem], size, size.channels)?;
    g.dkv.check("dkv", &[elem], size, 2 * size.channels)?;
    need(OP, "sums", g.sums, &[Elem::F32], size.sums())?;
    if g.dq.stride != i.q.stride {
        let problem = "the rows of `dq` must be as long as those of `q`".into();
        return Err(CudaError::Value { op: OP, problem });
    }
    let seen = i.rows(gpu)?;
    let begin = scratch_len(size, elem, i.window.is_some(), false);
    let delta = i.scratch.slice(begin, size.sums())?;
    let kind = Kind::new(i);
    let whole = i.whole(&seen, &[g.dq, g.dkv], &[g.dy])?;
    let call = Call::new(gpu, Module::Attend, &kind.kernel("queries"))?
        .view(i.q.begin()?)
        .view(seen.rows)
        .view(i.n)
        .view(g.y)
        .view(g.sums)
        .view(g.dy)
        .view(g.dq.begin()?)
        .view(delta);
    let call = i.end(call, &seen, g.dkv.stride, whole)?;
    i.launch(call, kind.shared(2))?;
    let call = Call::new(gpu, Module::Attend, &kind.kernel("rows"))?
        .view(i.q.begin()?)
        .view(seen.rows)
        .view(i.n)
        .view(g.sums)
        .view(g.dy)
        .view(delta)
        .view(g.dkv.begin()?);
    let call = i.end(call, &seen, g.dkv.stride, whole)?;
    i.launch(call, kind.shared(2))
}
