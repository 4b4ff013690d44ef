//! The recurrences on CUDA: one kernel forward, one backward (`tile.cuh`), each byte read once and written once.

use candle_core::cuda_backend::cudarc::driver::sys::CUdevice_attribute as Attribute;

use super::Size;
use super::tiles::{Job, Limits, Pass, Tile};
use crate::Elem;
use crate::cuda::shape::{at_least_one, blocks, check_scratch, int, need_opt, product};
use crate::cuda::{Call, CudaError, Gpu, Module, Result, View, need};

/// Elements of f32 scratch that are enough for every recurrence over `[batch,time,width]`, in either direction.
///
/// The scratch must be zeros before its first use and belongs to the recurrences from then on, which keep count of their
/// launches in it. It may serve launches of any shape for which it is large enough, one after the other.
pub fn scratch_len(batch: usize, time: usize, width: usize) -> usize {
    super::tiles::scratch_len(Size {
        b: batch,
        t: time,
        d: width,
    })
}

/// A cell and where its parts are.
#[derive(Clone, Copy)]
pub(crate) struct Cell<'a> {
    pub(crate) op: &'static str,
    pub(crate) module: Module,
    /// Kind of the cell, as its kernels are named.
    pub(crate) kind: &'static str,
    pub(crate) all: bool,
    pub(crate) parts: usize,
    /// Whether the parts are two tensors, `x` in f32 and `y`, of which the backward pass reads only `x`; else they lie side
    /// by side in each row of `x`.
    pub(crate) split: bool,
    pub(crate) x: View<'a>,
    pub(crate) y: Option<View<'a>>,
    pub(crate) size: Size,
}

/// Where the gradients of the parts go.
#[derive(Clone, Copy)]
pub(crate) struct Gradients<'a> {
    pub(crate) x: View<'a>,
    pub(crate) y: Option<View<'a>>,
    pub(crate) h0: Option<View<'a>>,
}

impl<'a> Cell<'a> {
    /// Refuses parts, h0 and h of other lengths or types than the sizes say; h has the type of the activations.
    fn check(&self, h0: Option<View<'_>>, h: View<'_>) -> Result<()> {
        let Size { b, t, d } = self.size;
        at_least_one(self.op, &[("b", b), ("t", t), ("d", d)])?;
        // Tiles are counted in 31 bits, and the last one of time may stand out.
        int(self.op, "b * d", product(self.op, &[b, d])?)?;
        if t > i32::MAX as usize / 2 {
            return Err(CudaError::Value {
                op: self.op,
                problem: format!("t is {t}, but must be at most 2^30"),
            });
        }
        let n = product(self.op, &[b, t, d])?;
        product(self.op, &[n, self.parts])?;
        need(self.op, "h", h, &crate::cuda::shape::FLOATS, n)?;
        self.check_parts(["the parts", "b"], self.x, self.y, h.elem())?;
        need_opt(self.op, "h0", h0, &[Elem::F32], b * d)
    }

    fn check_parts(
        &self,
        names: [&'static str; 2],
        x: View<'_>,
        y: Option<View<'_>>,
        elem: Elem,
    ) -> Result<()> {
        let n = self.size.elements();
        if !self.split {
            return need(self.op, names[0], x, &[elem], self.parts * n);
        }
        need(self.op, names[0], x, &[Elem::F32], n)?;
        need_opt(self.op, names[1], y, &[elem], n)
    }

    fn job(&self, pass: Pass, elem: Elem, views: &[View<'_>]) -> Job {
        let part_bytes = match (self.split, pass) {
            (false, _) => self.parts * elem.size(),
            (true, Pass::Forward) => Elem::F32.size() + elem.size(),
            (true, Pass::Backward) => Elem::F32.size(),
        };
        let aligned = |v: &View<'_>| v.address().is_multiple_of(4 * v.elem().size() as u64);
        Job {
            pass,
            size: self.size,
            elem: elem.size(),
            parts: self.parts,
            part_bytes,
            all: self.all,
            aligned: self.size.d.is_multiple_of(4) && views.iter().all(aligned),
        }
    }

    fn call<'g>(&self, gpu: &'g Gpu, pass: Pass, elem: Elem, tile: &str) -> Result<Call<'g>> {
        let name = self.module_name();
        let (pass, elem, kind) = (pass.name(), elem.suffix(), self.kind);
        Call::new(
            gpu,
            self.module,
            &format!("{name}_{pass}_{elem}_{kind}_{tile}"),
        )
    }

    fn module_name(&self) -> &'static str {
        match self.module {
            Module::MinGru => "min_gru",
            Module::MinLstm => "min_lstm",
            _ => "linear_scan",
        }
    }

    fn sizes<'g>(&self, call: Call<'g>) -> Result<Call<'g>> {
        Ok(call
            .i32(int(self.op, "b", self.size.b)?)
            .i32(int(self.op, "t", self.size.t)?)
            .i32(int(self.op, "d", self.size.d)?))
    }

    fn launch(&self, call: Call<'_>, tile: Tile, job: Job, limits: Limits) -> Result<()> {
        let total = blocks(self.op, tile.total(self.size))?;
        let grid = blocks(self.op, tile.grid(job, limits))?;
        self.sizes(call)?.u32(total).early().launch(
            (grid, 1, 1),
            (tile.threads(), 1, 1),
            tile.shared(job) as u32,
        )
    }

    /// What [`Cell::forward`] does into `h`, and in which tile.
    pub(crate) fn forward_job(&self, gpu: &Gpu, h: View<'_>) -> Result<(Job, Tile)> {
        let mut views = vec![self.x, h];
        views.extend(self.y);
        let job = self.job(Pass::Forward, h.elem(), &views);
        Ok((job, Tile::choose(job, limits(gpu)?)))
    }

    /// h from the parts and h0.
    pub(crate) fn forward(
        &self,
        gpu: &Gpu,
        h0: Option<View<'_>>,
        h: View<'_>,
        scratch: View<'_>,
    ) -> Result<()> {
        self.check(h0, h)?;
        let job = self.forward_job(gpu, h)?;
        self.forward_as(gpu, job, h0, h, scratch)
    }

    /// [`Cell::forward`] in a tile.
    pub(crate) fn forward_as(
        &self,
        gpu: &Gpu,
        (job, tile): (Job, Tile),
        h0: Option<View<'_>>,
        h: View<'_>,
        scratch: View<'_>,
    ) -> Result<()> {
        check_scratch(self.op, scratch, tile.scratch(self.size))?;
        let call = self
            .call(gpu, job.pass, h.elem(), &tile.name(job.pass))?
            .view(self.x)
            .opt(self.y)
            .opt(h0)
            .view(h)
            .view(scratch);
        self.launch(call, tile, job, limits(gpu)?)
    }

    /// What [`Cell::backward`] does, and in which tile.
    pub(crate) fn backward_job(
        &self,
        gpu: &Gpu,
        [h, dh]: [View<'_>; 2],
        to: Gradients<'_>,
    ) -> Result<(Job, Tile)> {
        let mut views = vec![self.x, h, dh, to.x];
        views.extend(self.y);
        views.extend(to.y);
        let job = self.job(Pass::Backward, h.elem(), &views);
        Ok((job, Tile::choose(job, limits(gpu)?)))
    }

    /// The gradients from the parts, h0, h and dh.
    pub(crate) fn backward(
        &self,
        gpu: &Gpu,
        h0: Option<View<'_>>,
        saved: [View<'_>; 2],
        to: Gradients<'_>,
        scratch: View<'_>,
    ) -> Result<()> {
        self.check_gradients(h0, saved, to)?;
        let job = self.backward_job(gpu, saved, to)?;
        self.backward_as(gpu, job, h0, saved, to, scratch)
    }

    /// [`Cell::backward`] in a tile.
    pub(crate) fn backward_as(
        &self,
        gpu: &Gpu,
        (job, tile): (Job, Tile),
        h0: Option<View<'_>>,
        [h, dh]: [View<'_>; 2],
        to: Gradients<'_>,
        scratch: View<'_>,
    ) -> Result<()> {
        check_scratch(self.op, scratch, tile.scratch(self.size))?;
        let call = self
            .call(gpu, job.pass, h.elem(), &tile.name(job.pass))?
            .view(self.x)
            .opt(self.y)
            .opt(h0)
            .view(h)
            .view(dh)
            .view(to.x)
            .opt(to.y)
            .opt(to.h0)
            .view(scratch);
        self.launch(call, tile, job, limits(gpu)?)
    }

    fn check_gradients(
        &self,
        h0: Option<View<'_>>,
        [h, dh]: [View<'_>; 2],
        to: Gradients<'_>,
    ) -> Result<()> {
        self.check(h0, h)?;
        need(self.op, "dh", dh, &[h.elem()], h.len())?;
        self.check_parts(["the gradient of the parts", "db"], to.x, to.y, h.elem())?;
        let width = self.size.b * self.size.d;
        need_opt(self.op, "dh0", to.h0, &[Elem::F32], width)
    }

    fn simple_launch(&self, call: Call<'_>) -> Result<()> {
        let grid = blocks(self.op, (self.size.b * self.size.d).div_ceil(128))?;
        self.sizes(call)?.launch((grid, 1, 1), (128, 1, 1), 0)
    }

    /// As [`Cell::forward`], one thread a channel.
    pub(crate) fn forward_simple(
        &self,
        gpu: &Gpu,
        h0: Option<View<'_>>,
        h: View<'_>,
    ) -> Result<()> {
        self.check(h0, h)?;
        let call = self
            .call(gpu, Pass::Forward, h.elem(), "simple")?
            .view(self.x)
            .opt(self.y)
            .opt(h0)
            .view(h);
        self.simple_launch(call)
    }

    /// As [`Cell::backward`], one thread a channel.
    pub(crate) fn backward_simple(
        &self,
        gpu: &Gpu,
        h0: Option<View<'_>>,
        [h, dh]: [View<'_>; 2],
        to: Gradients<'_>,
    ) -> Result<()> {
        self.check_gradients(h0, [h, dh], to)?;
        let call = self
            .call(gpu, Pass::Backward, h.elem(), "simple")?
            .view(self.x)
            .opt(self.y)
            .opt(h0)
            .view(h)
            .view(dh)
            .view(to.x)
            .opt(to.y)
            .opt(to.h0);
        self.simple_launch(call)
    }
}

fn limits(gpu: &Gpu) -> Result<Limits> {
    let ask = |what: Attribute| {
        let found = gpu.stream().context().attribute(what);
        found
            .map(|n| n.max(0) as usize)
            .map_err(|e| CudaError::driver("ask for the shared memory", e))
    };
    Ok(Limits {
        clusters: gpu.clusters(),
        multiprocessors: gpu.multiprocessors() as usize,
        shared: ask(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR)?,
        shared_block: ask(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?,
    })
}
