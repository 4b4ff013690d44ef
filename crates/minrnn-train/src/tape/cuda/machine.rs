//! The memory that a plan runs in, and its captured graph.

use std::sync::Arc;

use minrnn_kernels::Elem;
use minrnn_kernels::cuda::{Captured, Gpu, Memory, Precision, Result, Timer, View};
use minrnn_kernels::elementwise::{self, Map};
use minrnn_kernels::loss_scale::LossScale;
use minrnn_kernels::norm;
use minrnn_model::params::Params;

use crate::optim::Rule;
use crate::tape::launch::Launch;
use crate::tape::place::Mask;
use crate::tape::{Layout, Place, Plan, Scratch, Space};

/// Words of the control block.
pub(super) const CONTROL: usize = 16;
/// Those of them that are the optimizer's.
pub(super) const NUMBERS: usize = minrnn_kernels::loss_scale::cuda::NUMBERS;
/// Steps that may be on the stream before the host reads their reports.
pub(super) const LINE: usize = 64;

/// Scratch as the kernels of a GPU need it.
#[derive(Debug)]
pub struct GpuScratch<'a>(pub(super) &'a Gpu);

impl<'a> GpuScratch<'a> {
    /// Of this GPU.
    pub fn new(gpu: &'a Gpu) -> Self {
        Self(gpu)
    }
}

impl Scratch for GpuScratch<'_> {
    fn gpu(&self) -> Option<&Gpu> {
        Some(self.0)
    }
}

/// Parameters, gradients, moments: what lives as long as the training.
#[derive(Debug)]
pub struct Store {
    pub(super) layout: Layout,
    compute: Elem,
    params: Memory,
    shadow: Option<Memory>,
    grads: Memory,
    slots: Vec<Memory>,
    control: Memory,
    report: Memory,
    latch: Memory,
    segments: Memory,
    scale: Memory,
    numbers: Memory,
}

impl Store {
    /// Memory for the parameters of a layout and so many slots of the optimizer's rule, zeros.
    ///
    /// # Errors
    /// Too little memory.
    pub fn new(gpu: &Gpu, layout: Layout, compute: Elem, slots: usize) -> Result<Self> {
        let flat = || Memory::zeroed(gpu, layout.total.max(1) * 4);
        let shadow = if compute == Elem::F32 {
            None
        } else {
            Some(Memory::zeroed(gpu, layout.total.max(1) * compute.size())?)
        };
        Ok(Self {
            params: flat()?,
            shadow,
            grads: flat()?,
            slots: (0..slots).map(|_| flat()).collect::<Result<_>>()?,
            control: Memory::zeroed(gpu, CONTROL * 4)?,
            report: Memory::zeroed(gpu, 2 * 4)?,
            latch: Memory::zeroed(gpu, 4 * 4)?,
            segments: Memory::from_slice(gpu, &layout.segments())?,
            scale: Memory::from_slice(gpu, &LossScale::default().words())?,
            numbers: Memory::zeroed(gpu, LINE * NUMBERS * 4)?,
            layout,
            compute,
        })
    }

    /// Sets the parameters, also those in the compute type.
    ///
    /// # Errors
    /// Those of the GPU.
    pub fn set_params(&self, gpu: &Gpu, params: &Params) -> Result<()> {
        let mut flat = vec![0f32; self.layout.total];
        for (i, from) in self.layout.offsets.iter().enumerate() {
            flat[*from..*from + self.layout.lens[i]].copy_from_slice(params.get(i));
        }
        let view = self.view(Space::Params)?;
        view.write(gpu, &flat)?;
        self.refresh_shadow(gpu)
    }

    /// Makes the copy of the parameters in the compute type anew.
    pub(super) fn refresh_shadow(&self, gpu: &Gpu) -> Result<()> {
        if self.compute == Elem::F32 {
            return Ok(());
        }
        let view = self.view(Space::Params)?;
        let shadow = self.view(Space::Shadow)?;
        elementwise::cuda::map(gpu, Map::Copy, view, shadow, false)
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        let all = [
            &self.params,
            &self.grads,
            &self.control,
            &self.report,
            &self.latch,
            &self.segments,
            &self.scale,
            &self.numbers,
        ];
        let shadow = self.shadow.as_ref().map_or(0, Memory::bytes);
        let all = all.into_iter().chain(&self.slots);
        all.map(Memory::bytes).sum::<usize>() + shadow
    }

    fn memory(&self, space: Space) -> Option<&Memory> {
        Some(match space {
            Space::Params => &self.params,
            Space::Shadow => self.shadow.as_ref()?,
            Space::Grads => &self.grads,
            Space::Slot(i) => self.slots.get(i)?,
            Space::Control => &self.control,
            Space::Report => &self.report,
            Space::Latch => &self.latch,
            Space::Scale => &self.scale,
            Space::Numbers => &self.numbers,
            _ => return None,
        })
    }

    /// One of its spaces.
    pub(crate) fn view(&self, space: Space) -> Result<View<'_>> {
        let elem = match space {
            Space::Shadow => self.compute,
            Space::Control | Space::Latch | Space::Numbers => Elem::U32,
            _ => Elem::F32,
        };
        match self.memory(space) {
            Some(memory) => memory.all(elem),
            None => self.params.view(0, 0, elem),
        }
    }

    /// Where parameters lie.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether the parameters are there in a compute type of 16 bits too.
    pub(crate) fn has_shadow(&self) -> bool {
        self.shadow.is_some()
    }

    pub(in crate::tape) fn segments(&self) -> Result<View<'_>> {
        self.segments.all(Elem::U32)
    }
}

/// A plan with its memory.
#[derive(Debug)]
pub struct Machine {
    pub(crate) gpu: Gpu,
    pub(super) plan: Plan,
    pub(crate) store: Arc<Store>,
    pub(crate) precision: Precision,
    pub(in crate::tape) rule: Arc<dyn Rule>,
    arena: Memory,
    scan: Memory,
    inputs: Memory,
    offsets: Vec<(Space, usize)>,
    captured: Option<Captured>,
}

impl Machine {
    /// Memory for a plan.
    ///
    /// # Errors
    /// Too little memory.
    pub fn new(
        gpu: &Gpu,
        plan: Plan,
        store: Arc<Store>,
        precision: Precision,
        rule: Arc<dyn Rule>,
    ) -> Result<Self> {
        let (offsets, bytes) = inputs(&plan);
        Ok(Self {
            arena: Memory::new(gpu, plan.arena)?,
            scan: Memory::zeroed(gpu, plan.scan.max(1) * 4)?,
            inputs: Memory::zeroed(gpu, bytes)?,
            gpu: gpu.clone(),
            offsets,
            plan,
            store,
            precision,
            rule,
            captured: None,
        })
    }

    /// Bytes of activations, scratch and inputs.
    pub fn bytes(&self) -> usize {
        self.arena.bytes() + self.scan.bytes() + self.inputs.bytes()
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The memory of a place.
    ///
    /// # Errors
    /// A place beyond its memory.
    pub fn view(&self, place: Place) -> Result<View<'_>> {
        let offset = place.offset * place.elem.size();
        match place.space {
            Space::Buffer(i) => {
                let base = self.plan.buffers[i].offset;
                self.arena.view(base + offset, place.len, place.elem)
            }
            Space::Scan => self.scan.view(0, place.len, place.elem),
            space => match self.offsets.iter().find(|(s, _)| *s == space) {
                Some((_, base)) => self.inputs.view(base + offset, place.len, place.elem),
                None => self.store.view(space)?.slice(place.offset, place.len),
            },
        }
    }

    /// The same, if there is one.
    pub(in crate::tape) fn opt(&self, place: Option<Place>) -> Result<Option<View<'_>>> {
        place.map(|p| self.view(p)).transpose()
    }

    /// A dropout as kernels take it.
    pub(in crate::tape) fn mask(&self, mask: Option<Mask>) -> Result<Option<norm::cuda::Mask<'_>>> {
        let Some(mask) = mask else { return Ok(None) };
        Ok(Some(norm::cuda::Mask {
            p: mask.p,
            site: mask.site,
            control: self.store.view(Space::Control)?,
        }))
    }

    /// Puts one launch of the plan on the stream.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn launch(&self, launch: &Launch) -> Result<()> {
        launch.kernel().cuda(self)
    }

    /// Chooses the algorithms of launches that have several by time; what they write is lost.
    fn tune(&self) -> Result<()> {
        let mut launches = self.plan.launches.iter();
        launches.try_for_each(|l| l.kernel().tune(self))
    }

    /// Whether the plan has this input.
    pub(in crate::tape) fn has(&self, space: Space) -> bool {
        self.offsets.iter().any(|(s, _)| *s == space)
    }

    /// Runs the whole plan: by its captured graph, after a first run that loads all kernels.
    ///
    /// # Errors
    /// Those of the launches.
    pub fn run(&mut self) -> Result<()> {
        match &mut self.captured {
            Some(captured) => captured.launch(),
            None => self.launch_all(),
        }
    }

    /// Runs every launch once, by which kernels are loaded, chooses the algorithms of matrix products by time if `tuned`,
    /// and captures the plan. What the launches change is changed.
    ///
    /// # Errors
    /// Those of the launches.
    pub fn prepare(&mut self, tuned: bool) -> Result<()> {
        self.launch_all()?;
        if tuned {
            self.tune()?;
        }
        self.gpu.synchronize()?;
        self.capture()
    }

    /// Captures the plan; it must have run once.
    ///
    /// # Errors
    /// Those of the launches; a launch that cannot be captured.
    pub fn capture(&mut self) -> Result<()> {
        let captured = self.gpu.capture(|| self.launch_all())?;
        self.captured = Some(captured);
        Ok(())
    }

    /// Fills activations and gradients with NaN, for tests.
    ///
    /// # Errors
    /// Those of the GPU.
    pub fn poison(&self) -> Result<()> {
        self.arena.fill(0xFF)?;
        let layout = &self.store.layout;
        for i in &layout.trained {
            let grads = self.store.view(Space::Grads)?;
            let own = grads.slice(layout.offsets[*i], layout.lens[*i])?;
            own.fill(&self.gpu, 0xFF)?;
        }
        Ok(())
    }

    /// Launches in a step.
    pub fn launches(&self) -> u64 {
        let planned = self.plan.launches.len() as u64;
        self.captured.as_ref().map_or(planned, Captured::launches)
    }

    /// Milliseconds of each launch, one after the other: the median of `rounds`.
    ///
    /// # Errors
    /// Those of the launches.
    pub fn profile(&self, rounds: usize) -> Result<Vec<(String, f64)>> {
        let mut times = vec![vec![]; self.plan.launches.len()];
        for _ in 0..rounds + 1 {
            let mut timer = Timer::new(&self.gpu);
            for launch in &self.plan.launches {
                timer.mark()?;
                self.launch(launch)?;
                timer.mark()?;
            }
            let pairs = timer.pairs()?;
            times.iter_mut().zip(pairs).for_each(|(t, ms)| t.push(ms));
        }
        let median = |mut all: Vec<f32>| {
            let mut all = all.split_off(1);
            all.sort_by(f32::total_cmp);
            f64::from(all[all.len() / 2])
        };
        let names = self.plan.launches.iter().map(Launch::title);
        Ok(names.zip(times.into_iter().map(median)).collect())
    }

    /// Every launch of the plan, one after the other.
    ///
    /// # Errors
    /// Those of the launches.
    pub fn launch_all(&self) -> Result<()> {
        let mut launches = self.plan.launches.iter();
        launches.try_for_each(|l| self.launch(l))
    }
}

/// Where each input of a plan begins in their common memory, and its size.
fn inputs(plan: &Plan) -> (Vec<(Space, usize)>, usize) {
    let mut sizes: Vec<(Space, usize)> = vec![];
    for place in plan.launches.iter().flat_map(|l| l.places()) {
        let input = matches!(
            place.space,
            Space::Ids
                | Space::Features
                | Space::Targets
                | Space::TargetValues
                | Space::Weights
                | Space::Lens
                | Space::Carried
                | Space::Next
                | Space::Loss
                | Space::Correct
        );
        let bytes = (place.offset + place.len) * place.elem.size();
        match sizes.iter_mut().find(|(s, _)| *s == place.space) {
            Some((_, size)) => *size = bytes.max(*size),
            None if input => sizes.push((place.space, bytes)),
            None => {}
        }
    }
    let mut end = 0usize;
    let offsets = sizes.into_iter().map(|(space, bytes)| {
        let at = end;
        end += bytes.next_multiple_of(256);
        (space, at)
    });
    (offsets.collect(), end)
}
