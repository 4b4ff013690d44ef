//! The selective scan on CUDA.

mod backward;
mod grads;
mod sums;
mod tile;
mod tiled;

pub use backward::{backward, scratch_len};
pub use grads::{Grads, Saved};

use super::{MOST_STATES_ON_GPU, Size};
use crate::Elem;
use crate::cuda::shape::{FLOATS, at_least_one, int, need_opt, product};
use crate::cuda::{Call, CudaError, Gpu, Result, View, need};
use tile::Tile;

const OP: &str = "selective_scan";

/// Rows of a matrix, which begin `stride` elements after each other.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// From the first element of the first row on.
    pub view: View<'a>,
    /// Elements from a row to the next.
    pub stride: usize,
}

/// What a scan reads. x, b and c are of one type (f32, bf16 or f16), all else is f32.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Step sizes, H in each of B T rows.
    pub step: Rows<'a>,
    /// D in each row.
    pub x: Rows<'a>,
    /// G N in each row.
    pub b: Rows<'a>,
    /// G N in each row.
    pub c: Rows<'a>,
    /// A_log, `[D N]` or `[H]`.
    pub log_rates: View<'a>,
    /// `[H]`.
    pub skip: View<'a>,
    /// `[B,D N]`; absent: zeros.
    pub h0: Option<View<'a>>,
    /// All sizes.
    pub size: Size,
}

/// The results of [`forward`].
#[derive(Debug, Clone, Copy)]
pub struct Out<'a> {
    /// `[B,T,D]`, of the type of x.
    pub y: View<'a>,
    /// The last states f32 `[B,D N]` and the steps of each sequence, u32 `[B]` (absent: all T), if they are wanted.
    pub last: Option<(View<'a>, Option<View<'a>>)>,
    /// States that [`backward`] needs, f32, [`Size::marks`].
    pub marks: Option<View<'a>>,
}

impl Rows<'_> {
    /// Refuses rows that do not lie in their memory.
    fn need(
        self,
        op: &'static str,
        arg: &'static str,
        elem: &[Elem],
        rows: usize,
        width: usize,
    ) -> Result<()> {
        need(op, arg, self.view, elem, self.view.len())?;
        let end = product(op, &[rows - 1, self.stride])?.saturating_add(width);
        if width <= self.stride && end <= self.view.len() {
            return Ok(());
        }
        Err(CudaError::Length {
            op,
            arg,
            got: self.view.len(),
            expected: end,
        })
    }
}

impl Inputs<'_> {
    fn elem(&self) -> Elem {
        self.x.view.elem()
    }

    fn check(&self, op: &'static str) -> Result<()> {
        let size = self.size;
        let Size {
            batch,
            time,
            channels,
            states,
            heads,
            groups,
            ..
        } = size;
        let sizes = [
            ("b", batch),
            ("t", time),
            ("d", channels),
            ("n", states),
            ("h", heads),
            ("g", groups),
        ];
        at_least_one(op, &sizes)?;
        if channels % heads != 0 || heads % groups != 0 || states > MOST_STATES_ON_GPU {
            let problem = format!(
                "{channels} channels in {heads} heads in {groups} groups with {states} states: each must divide the one before it, and \
                 {MOST_STATES_ON_GPU} states are the most"
            );
            return Err(CudaError::Value { op, problem });
        }
        product(op, &[batch, time, channels, states])?;
        int(op, "d * n", size.wide())?;
        let rows = size.rows();
        let own: &[Elem] = &[self.elem()];
        self.x.need(op, "x", &FLOATS, rows, channels)?;
        self.b.need(op, "b", own, rows, size.read())?;
        self.c.need(op, "c", own, rows, size.read())?;
        self.step.need(op, "step", &[Elem::F32], rows, heads)?;
        need(op, "log_rates", self.log_rates, &[Elem::F32], size.rates())?;
        need(op, "skip", self.skip, &[Elem::F32], heads)?;
        need_opt(op, "h0", self.h0, &[Elem::F32], batch * size.wide())
    }

    /// Everything that both kernels take first.
    fn arguments<'g>(
        &self,
        op: &'static str,
        mut call: Call<'g>,
        lens: Option<View<'_>>,
        blocks: usize,
    ) -> Result<Call<'g>> {
        let size = self.size;
        for rows in [self.step, self.x, self.b, self.c] {
            call = call.view(rows.view).i64(rows.stride as i64);
        }
        call = call.view(self.log_rates).view(self.skip).opt(self.h0);
        call = call.opt(lens);
        let numbers = [
            ("b", size.batch),
            ("t", size.time),
            ("g", size.groups),
            ("d", size.group_channels()),
            ("p", size.head_channels()),
            ("n", size.states),
            ("shared", usize::from(size.shared)),
            ("blocks", blocks),
        ];
        for (what, number) in numbers {
            call = call.i32(int(op, what, number)?);
        }
        Ok(call)
    }
}

/// Checks last states, or their gradients, and the lengths beside them.
fn check_last(
    op: &'static str,
    last: Option<(View<'_>, Option<View<'_>>)>,
    size: Size,
) -> Result<()> {
    let Some((states, lens)) = last else {
        return Ok(());
    };
    need(op, "last", states, &[Elem::F32], size.batch * size.wide())?;
    need_opt(op, "lens", lens, &[Elem::U32], size.batch)
}

/// y, and what else is wanted: with A = -exp(A_log), `h = exp(step A) h + step x b`, `y = sum_n h c + skip x`, all in f32 but y, which is
/// rounded where it is written. Lengths (1 to T) are not checked here.
///
/// # Errors
/// [`CudaError`] on other lengths or types, sizes of 0, too many states, or where the launch fails.
pub fn forward(gpu: &Gpu, inputs: &Inputs<'_>, out: &Out<'_>) -> Result<()> {
    let size = inputs.size;
    inputs.check(OP)?;
    need(
        OP,
        "y",
        out.y,
        &[inputs.elem()],
        size.rows() * size.channels,
    )?;
    check_last(OP, out.last, size)?;
    need_opt(OP, "marks", out.marks, &[Elem::F32], size.marks())?;
    if tiled::takes(inputs, &tiled::states_of(out)) {
        return tiled::forward(gpu, inputs, out);
    }
    let tile = Tile::new(size, false);
    let call = tile.call(gpu, "fwd", inputs.elem())?;
    inputs
        .arguments(OP, call, out.last.and_then(|last| last.1), tile.blocks)?
        .view(out.y)
        .opt(out.last.map(|last| last.0))
        .opt(out.marks.filter(|marks| !marks.is_empty()))
        .launch(tile.grid(OP, size)?, (tile.threads as u32, 1, 1), 0)
}
