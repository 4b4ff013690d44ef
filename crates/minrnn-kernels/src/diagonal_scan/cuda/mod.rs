//! The diagonal scan on CUDA.

mod backward;
mod tile;

pub use backward::{Grads, Saved, backward, scratch_len};

use super::{MOST_STATES_ON_GPU, Size};
use crate::Elem;
use crate::cuda::shape::{FLOATS, at_least_one, check_scratch, int, need_opt, product};
use crate::cuda::{Call, CudaError, Gpu, Module, Result, View, need};
use tile::Tile;

const OP: &str = "diagonal_scan";

/// What a scan reads. x is f32, bf16 or f16, all else is f32.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// `[B,T,D]`.
    pub x: View<'a>,
    /// `log_dt`, `[D]`.
    pub log_step: View<'a>,
    /// `A_log`, `[D N/2]`.
    pub log_rates: View<'a>,
    /// `A_im`, `[D N/2]`.
    pub frequencies: View<'a>,
    /// C, `[re | im]`, `[D N]`.
    pub readout: View<'a>,
    /// `[D]`.
    pub skip: View<'a>,
    /// `[re | im]`, `[B,D N]`; absent: zeros.
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

impl Inputs<'_> {
    fn elem(&self) -> Elem {
        self.x.elem()
    }

    fn check(&self, op: &'static str) -> Result<()> {
        let size = self.size;
        let Size {
            batch,
            time,
            channels,
            pairs,
        } = size;
        let sizes = [("b", batch), ("t", time), ("d", channels), ("n / 2", pairs)];
        at_least_one(op, &sizes)?;
        if 2 * pairs > MOST_STATES_ON_GPU {
            let problem = format!(
                "{} states of a channel: {MOST_STATES_ON_GPU} are the most",
                2 * pairs
            );
            return Err(CudaError::Value { op, problem });
        }
        product(op, &[batch, time, channels, 2 * pairs])?;
        int(op, "d * n", size.state())?;
        let f32s = &[Elem::F32];
        need(op, "x", self.x, &FLOATS, size.rows() * channels)?;
        let [step, rates, frequencies, readout, skip] = size.parameters();
        need(op, "log_step", self.log_step, f32s, step)?;
        need(op, "log_rates", self.log_rates, f32s, rates)?;
        need(op, "frequencies", self.frequencies, f32s, frequencies)?;
        need(op, "readout", self.readout, f32s, readout)?;
        need(op, "skip", self.skip, f32s, skip)?;
        need_opt(op, "h0", self.h0, f32s, batch * size.state())
    }

    /// Writes the coefficients of all states, [`coefficients_len`].
    fn coefficients(&self, gpu: &Gpu, op: &'static str, to: View<'_>) -> Result<()> {
        let call = Call::new(gpu, Module::DiagonalScan, "diagonal_scan_coefficients")?
            .view(self.log_step)
            .view(self.log_rates)
            .view(self.frequencies)
            .view(self.readout)
            .view(to)
            .i32(int(op, "n / 2", self.size.pairs)?);
        each(gpu, call, self.size.wide())
    }

    /// Everything that both kernels take first.
    fn arguments<'g>(
        &self,
        op: &'static str,
        call: Call<'g>,
        coefficients: View<'_>,
        lens: Option<View<'_>>,
        tile: Tile,
    ) -> Result<Call<'g>> {
        let size = self.size;
        Ok(call
            .view(self.x)
            .view(coefficients)
            .view(self.skip)
            .opt(self.h0)
            .opt(lens)
            .i32(int(op, "t", size.time)?)
            .i32(int(op, "d", size.channels)?)
            .i32(int(op, "n / 2", size.pairs)?)
            .i32(int(op, "the number of blocks", tile.blocks)?))
    }
}

/// Puts a kernel with one thread an element on the stream; `n` is its last argument.
fn each(gpu: &Gpu, call: Call<'_>, n: usize) -> Result<()> {
    let most = gpu.multiprocessors() as usize * 16;
    let grid = n.div_ceil(256).clamp(1, most);
    call.i64(n as i64)
        .launch((grid as u32, 1, 1), (256, 1, 1), 0)
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
    need(op, "last", states, &[Elem::F32], size.batch * size.state())?;
    need_opt(op, "lens", lens, &[Elem::U32], size.batch)
}

/// Elements of what follows from parameters alone.
fn coefficients_len(size: Size) -> usize {
    6 * size.wide()
}

/// Elements of f32 scratch that [`forward`] needs.
pub fn forward_scratch_len(size: Size) -> usize {
    coefficients_len(size)
}

/// y, and what else is wanted: with A = -exp(A_log) + i A_im and s = exp(log_dt), `h = exp(s A) h + (exp(s A) - 1) / A x`,
/// `y = 2 re sum_n C h + skip x`, all in f32 but y, which is rounded where it is written. Lengths (1 to T) are not checked here.
/// `scratch`: f32, [`forward_scratch_len`].
///
/// # Errors
/// [`CudaError`] on other lengths or types, sizes of 0, too many states, too little scratch, or where the launch fails.
pub fn forward(gpu: &Gpu, inputs: &Inputs<'_>, out: &Out<'_>, scratch: View<'_>) -> Result<()> {
    let size = inputs.size;
    inputs.check(OP)?;
    let rows = size.rows() * size.channels;
    need(OP, "y", out.y, &[inputs.elem()], rows)?;
    check_last(OP, out.last, size)?;
    need_opt(OP, "marks", out.marks, &[Elem::F32], size.marks())?;
    check_scratch(OP, scratch, forward_scratch_len(size))?;
    inputs.coefficients(gpu, OP, scratch)?;
    let tile = Tile::new(size);
    let call = tile.call(gpu, "fwd", inputs.elem())?;
    inputs
        .arguments(OP, call, scratch, out.last.and_then(|last| last.1), tile)?
        .view(out.y)
        .opt(out.last.map(|last| last.0))
        .opt(out.marks.filter(|marks| !marks.is_empty()))
        .launch(tile.grid(OP, size)?, (tile.threads as u32, 1, 1), 0)
}
