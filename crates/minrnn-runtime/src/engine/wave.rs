//! Sequences: chunks of time, each on one thread, handing states on to the next as a wave that runs through the layers.
//!
//! A chunk computes every operation of its rows in registers of its own thread. Where it needs the past, it waits until the
//! chunk before has left its state there. Chunks are claimed in order, so the earliest unfinished one never waits.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::instr::{Capture, Carry, Start};
use super::registers::{Registers, Workspace};
use super::rows::{BLOCK, Fault, NoSteps, Steps, run};
use super::{Port, Program};
use crate::kernels::{self, Cpu, Rows, RowsMut};

/// Rows of a chunk, at least: shorter ones would read the weights too often.
const LEAST: usize = 16;

/// The data input, row-major.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Data<'a> {
    Ids(&'a [i64]),
    Features(&'a [f32]),
}

/// A whole sequence for each row of the batch.
pub(crate) struct Sequence<'a> {
    pub(crate) batch: usize,
    pub(crate) time: usize,
    pub(crate) data: Data<'a>,
    pub(crate) lengths: Option<&'a [i64]>,
    pub(crate) reset: Option<&'a [bool]>,
    /// States before, by slot.
    pub(crate) states: &'a [Vec<f32>],
    /// Values of the data output.
    pub(crate) out: &'a mut [f32],
    /// States after, by slot.
    pub(crate) next: &'a mut [Vec<f32>],
}

/// A carry between chunks of one group of rows.
struct Cell {
    state: Mutex<Left>,
    moved: Condvar,
}

struct Left {
    /// The chunk that may read `values`.
    chunk: usize,
    /// `[rows of the group, steps, width]`.
    values: Vec<f32>,
}

/// What all chunks of one run share.
struct Wave<'a> {
    carries: &'a [Carry],
    captures: &'a [Capture],
    /// By group, then by carry.
    cells: Vec<Vec<Cell>>,
    /// By capture, `[B, offsets, width]`.
    taken: Vec<Mutex<Vec<f32>>>,
    stopped: AtomicBool,
    time: usize,
    lengths: Option<&'a [i64]>,
}

/// How a run is cut.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// Rows of the batch in a group.
    group: usize,
    groups: usize,
    /// Steps of a chunk.
    steps: usize,
    chunks: usize,
}

impl Cut {
    fn of(batch: usize, time: usize, threads: usize) -> Self {
        let fair = (batch * time).div_ceil(threads.max(1));
        let rows = fair.clamp(LEAST, BLOCK);
        let steps = rows.min(time);
        let group = (rows / steps).clamp(1, batch);
        Self {
            group,
            groups: batch.div_ceil(group),
            steps,
            chunks: time.div_ceil(steps),
        }
    }
}

impl Program {
    /// Runs a sequence form. `workspaces`: one for each thread that may be used.
    pub(crate) fn sequence(
        &self,
        workspaces: &mut [Workspace],
        cpu: Cpu,
        run_of: &mut Sequence<'_>,
    ) -> Result<(), Fault> {
        let cut = Cut::of(run_of.batch, run_of.time, workspaces.len());
        let mut batch = Registers::default();
        batch.reserve(&self.batch, run_of.batch);
        for port in &self.inputs {
            if let Port::State(slot, view) = *port {
                batch.fill(view, 0, &run_of.states[slot]);
            }
        }
        run(&self.begin, &mut batch, run_of.batch, cpu, &mut NoSteps)?;
        let wave = Wave::new(self, &batch, cut, run_of);
        let next = AtomicUsize::new(0);
        let out = Mutex::new(&mut *run_of.out);
        let (data, reset, rows) = (run_of.data, run_of.reset, run_of.batch);
        let work = |workspace: &mut Workspace| -> Result<(), Fault> {
            // Stops the others if this thread ends early, by an error or a panic.
            let guard = Guard(&wave);
            loop {
                let task = next.fetch_add(1, Ordering::Relaxed);
                if task >= cut.groups * cut.chunks {
                    std::mem::forget(guard);
                    return Ok(());
                }
                let chunk = Chunk::new(&wave, cut, task, rows);
                chunk.run(self, workspace, cpu, data, reset, &out)?;
            }
        };
        let used = workspaces.len().min(cut.groups * cut.chunks).max(1);
        if used == 1 {
            work(&mut workspaces[0])?;
        } else {
            std::thread::scope(|scope| {
                let (first, others) = workspaces.split_at_mut(1);
                let spawn = |w| scope.spawn(|| work(w));
                let others: Vec<_> = others[..used - 1].iter_mut().map(spawn).collect();
                let mut done = work(&mut first[0]);
                for other in others {
                    let theirs = other.join().unwrap_or(Err(Fault::Stopped));
                    done = match (done, theirs) {
                        (Ok(()) | Err(Fault::Stopped), Err(fault)) => Err(fault),
                        (mine, _) => mine,
                    };
                }
                done
            })?;
        }
        for (capture, taken) in self.captures.iter().zip(wave.taken) {
            let values = taken.into_inner().unwrap_or_else(PoisonError::into_inner);
            batch.f32s[capture.out].copy_from_slice(&values);
        }
        run(&self.end, &mut batch, run_of.batch, cpu, &mut NoSteps)?;
        for port in &self.outputs {
            match *port {
                Port::State(slot, view) => batch.read(view, 0, &mut run_of.next[slot]),
                Port::Data(view) if self.data_at_end => batch.read(view, 0, run_of.out),
                _ => {}
            }
        }
        Ok(())
    }
}

struct Guard<'a>(&'a Wave<'a>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        for cell in self.0.cells.iter().flatten() {
            // Under the lock, so that nobody falls asleep between looking at the flag and waiting.
            drop(lock(&cell.state));
            cell.moved.notify_all();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Wave<'a> {
    fn new(program: &'a Program, batch: &Registers, cut: Cut, run_of: &Sequence<'a>) -> Self {
        let start = |carry: &Carry, row: usize| match &carry.start {
            Start::View(view) => batch.row(*view, row).to_vec(),
            Start::Fixed(values) => values.to_vec(),
        };
        let cell = |carry: &Carry, group: usize| {
            let rows = group * cut.group..((group + 1) * cut.group).min(run_of.batch);
            Cell {
                state: Mutex::new(Left {
                    chunk: 0,
                    values: rows.flat_map(|row| start(carry, row)).collect(),
                }),
                moved: Condvar::new(),
            }
        };
        let cells = (0..cut.groups)
            .map(|g| program.carries.iter().map(|c| cell(c, g)).collect())
            .collect();
        let mut wave = Self {
            carries: &program.carries,
            captures: &program.captures,
            cells,
            taken: vec![],
            stopped: AtomicBool::new(false),
            time: run_of.time,
            lengths: run_of.lengths,
        };
        for capture in &program.captures {
            let width = capture.offsets.len() * capture.width;
            let mut values = vec![0.0; run_of.batch * width];
            if let Some(carry) = capture.past {
                for (row, to) in values.chunks_exact_mut(width).enumerate() {
                    wave.fill_from_past(capture, row, &start(&program.carries[carry], row), to);
                }
            }
            wave.taken.push(Mutex::new(values));
        }
        wave
    }

    fn end(&self, capture: &Capture, row: usize) -> i64 {
        match self.lengths {
            Some(lengths) if capture.ragged => lengths[row],
            _ => self.time as i64,
        }
    }

    /// Entries before the first step.
    fn fill_from_past(&self, capture: &Capture, row: usize, past: &[f32], to: &mut [f32]) {
        let end = self.end(capture, row);
        let steps = (past.len() / capture.width) as i64;
        for (offset, to) in capture
            .offsets
            .iter()
            .zip(to.chunks_exact_mut(capture.width))
        {
            let at = end + offset;
            if at < 0 && at + steps >= 0 {
                let from = (at + steps) as usize * capture.width;
                to.copy_from_slice(&past[from..from + capture.width]);
            }
        }
    }
}

/// One task: some rows of the batch, some steps.
struct Chunk<'w> {
    wave: &'w Wave<'w>,
    group: usize,
    at: usize,
    /// Rows of the batch.
    first: usize,
    rows: usize,
    /// Steps.
    from: usize,
    steps: usize,
}

impl<'w> Chunk<'w> {
    fn new(wave: &'w Wave<'w>, cut: Cut, task: usize, batch: usize) -> Self {
        let (at, group) = (task / cut.groups, task % cut.groups);
        let (first, from) = (group * cut.group, at * cut.steps);
        Self {
            wave,
            group,
            at,
            first,
            rows: cut.group.min(batch - first),
            from,
            steps: cut.steps.min(wave.time - from),
        }
    }

    fn run(
        mut self,
        program: &Program,
        workspace: &mut Workspace,
        cpu: Cpu,
        data: Data<'_>,
        reset: Option<&[bool]>,
        out: &Mutex<&mut [f32]>,
    ) -> Result<(), Fault> {
        let rows = self.rows * self.steps;
        workspace.reserve(program, rows);
        let registers = &mut workspace.rows;
        for port in &program.inputs {
            match *port {
                Port::Data(view) => {
                    for row in 0..self.rows {
                        let (to, from) = (row * self.steps, self.place(row));
                        match data {
                            Data::Ids(ids) => registers.i64s[view.reg][to..to + self.steps]
                                .copy_from_slice(&ids[from..from + self.steps]),
                            Data::Features(values) => {
                                let span = from * view.width..(from + self.steps) * view.width;
                                registers.fill(view, to, &values[span]);
                            }
                        }
                    }
                }
                Port::Reset(view) => {
                    for row in 0..self.rows {
                        let (to, from) = (row * self.steps, self.place(row));
                        for step in 0..self.steps {
                            let flag = reset.is_some_and(|r| r[from + step]);
                            registers.u8s[view.reg][to + step] = u8::from(flag);
                        }
                    }
                }
                Port::State(..) | Port::Lengths => {}
            }
        }
        let mut steps = Crossing {
            chunk: &mut self,
            cpu,
        };
        run(&program.body, registers, rows, cpu, &mut steps)?;
        for port in &program.outputs {
            if let Port::Data(view) = *port
                && !program.data_at_end
            {
                let mut out = lock(out);
                for row in 0..self.rows {
                    let (from, to) = (row * self.steps, self.place(row));
                    let to = to * view.width..(to + self.steps) * view.width;
                    registers.read(view, from, &mut out[to]);
                }
            }
        }
        Ok(())
    }

    /// Where this chunk begins in the data of its row `row`.
    fn place(&self, row: usize) -> usize {
        (self.first + row) * self.wave.time + self.from
    }

    /// The carry, once the chunk before has left it.
    fn carry(&self, carry: usize) -> Result<MutexGuard<'w, Left>, Fault> {
        let cell = &self.wave.cells[self.group][carry];
        let mut left = lock(&cell.state);
        while left.chunk != self.at {
            if self.wave.stopped.load(Ordering::SeqCst) {
                return Err(Fault::Stopped);
            }
            left = cell
                .moved
                .wait(left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Ok(left)
    }

    fn leave(&self, carry: usize, mut left: MutexGuard<'w, Left>) {
        left.chunk += 1;
        drop(left);
        self.wave.cells[self.group][carry].moved.notify_all();
    }
}

struct Crossing<'c, 'w> {
    chunk: &'c mut Chunk<'w>,
    cpu: Cpu,
}

impl Steps for Crossing<'_, '_> {
    fn recur(
        &mut self,
        carry: usize,
        a: Rows<'_>,
        b: Rows<'_>,
        mut out: RowsMut<'_>,
    ) -> Result<(), Fault> {
        let steps = self.chunk.steps;
        let mut left = self.chunk.carry(carry)?;
        let width = out.width();
        for (row, h) in left.values.chunks_exact_mut(width).enumerate() {
            let (a, b) = (a.part(row * steps, steps), b.part(row * steps, steps));
            kernels::recurrence(self.cpu, h, a, b, out.part_mut(row * steps, steps));
        }
        self.chunk.leave(carry, left);
        Ok(())
    }

    fn delay(
        &mut self,
        carry: usize,
        by: usize,
        x: Rows<'_>,
        mut out: RowsMut<'_>,
    ) -> Result<(), Fault> {
        let (steps, width) = (self.chunk.steps, out.width());
        let kept = self.chunk.wave.carries[carry].steps;
        let left = self.chunk.carry(carry)?;
        for at in 0..out.rows() {
            let (row, step) = (at / steps, at % steps);
            out.row_mut(at).copy_from_slice(if step < by {
                let from = (row * kept + kept - by + step) * width;
                &left.values[from..from + width]
            } else {
                x.row(at - by)
            });
        }
        Ok(())
    }

    fn remember(&mut self, carry: usize, x: Rows<'_>) -> Result<(), Fault> {
        let steps = self.chunk.steps;
        let kept = self.chunk.wave.carries[carry].steps;
        let mut left = self.chunk.carry(carry)?;
        for (row, past) in left.values.chunks_exact_mut(kept * x.width()).enumerate() {
            let new = steps.min(kept);
            past.copy_within(new * x.width().., 0);
            let to = past[(kept - new) * x.width()..].chunks_exact_mut(x.width());
            for (i, to) in to.enumerate() {
                to.copy_from_slice(x.row(row * steps + steps - new + i));
            }
        }
        self.chunk.leave(carry, left);
        Ok(())
    }

    fn capture(&mut self, capture: usize, x: Rows<'_>) -> Result<(), Fault> {
        let (chunk, wave) = (&*self.chunk, self.chunk.wave);
        let about = &wave.captures[capture];
        let steps = chunk.from as i64..(chunk.from + chunk.steps) as i64;
        for row in 0..chunk.rows {
            let end = wave.end(about, chunk.first + row);
            for (i, offset) in about.offsets.iter().enumerate() {
                let at = end + offset;
                if steps.contains(&at) {
                    let from = row * chunk.steps + (at as usize - chunk.from);
                    let place = (chunk.first + row) * about.offsets.len() + i;
                    let mut taken = lock(&wave.taken[capture]);
                    taken[place * about.width..(place + 1) * about.width]
                        .copy_from_slice(x.row(from));
                }
            }
        }
        Ok(())
    }
}
