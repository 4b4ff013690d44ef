//! A chunk: some rows of the batch, some steps. It computes every operation of its rows in registers of its own thread. Where it needs
//! the past, it waits until the chunk before has left its state there.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::instr::Folded;
use super::registers::{Registers, Workspace};
use super::rows::{Attention, Fault, NoSteps, Steps, run};
use super::value::View;
use super::wave::{Cut, Data, Left, Wave, lock};
use super::{Port, Program};
use crate::info::Law;
use crate::kernels::{self, Cpu, Rows, RowsMut, Scan};

/// One task: some rows of the batch, some steps.
pub(super) struct Chunk<'w> {
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
    pub(super) fn new(wave: &'w Wave<'w>, cut: Cut, task: usize, batch: usize) -> Self {
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

    /// Computes every operation of its rows.
    pub(super) fn run(
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
        law: Law,
        carry: usize,
        (a, b): (Option<Rows<'_>>, Rows<'_>),
        mut out: RowsMut<'_>,
    ) -> Result<(), Fault> {
        let steps = self.chunk.steps;
        let mut left = self.chunk.carry(carry)?;
        let width = out.width();
        for (row, h) in left.values.chunks_exact_mut(width).enumerate() {
            let at = row * steps;
            let (a, b) = (a.as_ref().map(|a| a.part(at, steps)), b.part(at, steps));
            let out = out.part_mut(at, steps);
            match (law, a) {
                (Law::Linear, Some(a)) => kernels::recurrence(self.cpu, h, a, b, out),
                (Law::Complex, Some(a)) => kernels::complex(h, a, b, out),
                (Law::Max, a) => kernels::largest(self.cpu, h, a, b, out),
                // The metadata were held to that.
                (Law::Linear | Law::Complex, None) => return Err(Fault::Stopped),
            }
        }
        self.chunk.leave(carry, left);
        Ok(())
    }

    fn scan(
        &mut self,
        carry: usize,
        capture: Option<usize>,
        scan: &Scan<'_>,
        mut out: RowsMut<'_>,
    ) -> Result<(), Fault> {
        let (chunk, wave) = (&*self.chunk, self.chunk.wave);
        let steps = chunk.steps;
        let mut left = chunk.carry(carry)?;
        let width = out.width() * scan.states;
        for (row, h) in left.values.chunks_exact_mut(width).enumerate() {
            let mut run = |from: usize, to: usize, h: &mut [f32]| {
                let (at, count) = (row * steps + from, to - from);
                let out = out.part_mut(at, count);
                kernels::scan(self.cpu, &scan.part(at, count), None, h, out);
            };
            // Steps up to the row's end, whose states are kept, and those behind it.
            let end = capture.map_or(0, |capture| {
                let end = wave.end(&wave.captures[capture], chunk.first + row);
                let within = usize::try_from(end - chunk.from as i64);
                within.ok().filter(|end| *end <= steps).unwrap_or(0)
            });
            if end > 0 {
                run(0, end, h);
                if let Some(capture) = capture {
                    let place = (chunk.first + row) * width;
                    lock(&wave.taken[capture])[place..place + width].copy_from_slice(h);
                }
            }
            if end < steps {
                run(end, steps, h);
            }
        }
        chunk.leave(carry, left);
        Ok(())
    }

    fn fold(
        &mut self,
        fold: &Folded,
        x: &[Rows<'_>],
        out: &mut [RowsMut<'_>],
    ) -> Result<(), Fault> {
        let (chunk, program) = (&*self.chunk, &fold.program);
        let (rows, steps) = (chunk.rows, chunk.steps);
        let mut held = Registers::default();
        held.reserve(&program.rows, rows);
        let lefts = fold.carries.iter().map(|carry| chunk.carry(*carry));
        let mut lefts: Vec<_> = lefts.collect::<Result<_, _>>()?;
        let views = |ports: &[Port]| -> Vec<View> { ports.iter().filter_map(Port::view).collect() };
        let (ins, outs) = (views(&program.inputs), views(&program.outputs));
        let (before, inputs) = ins.split_at(lefts.len());
        for step in 0..steps {
            for (view, left) in before.iter().zip(&lefts) {
                held.fill(*view, 0, &left.values);
            }
            for (view, x) in inputs.iter().zip(x) {
                (0..rows).for_each(|row| held.fill(*view, row, x.row(row * steps + step)));
            }
            run(&program.body, &mut held, rows, self.cpu, &mut NoSteps)?;
            for (view, to) in outs.iter().zip(&mut *out) {
                for row in 0..rows {
                    let to = to.row_mut(row * steps + step);
                    to.copy_from_slice(held.row(*view, row));
                }
            }
            for (view, left) in outs.iter().zip(&mut lefts) {
                held.read(*view, 0, &mut left.values);
            }
        }
        for (carry, left) in fold.carries.iter().zip(lefts) {
            chunk.leave(*carry, left);
        }
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

    fn conv(
        &mut self,
        carry: usize,
        x: Rows<'_>,
        taps: Rows<'_>,
        mut out: RowsMut<'_>,
    ) -> Result<(), Fault> {
        let (steps, width) = (self.chunk.steps, out.width());
        let kept = self.chunk.wave.carries[carry].steps * width;
        let left = self.chunk.carry(carry)?;
        let mut window = vec![0.0; kept + steps * width];
        for (row, past) in left.values.chunks_exact(kept).enumerate() {
            window[..kept].copy_from_slice(past);
            for (t, to) in window[kept..].chunks_exact_mut(width).enumerate() {
                to.copy_from_slice(x.row(row * steps + t));
            }
            let window = Rows::new(&window, kept / width + steps, width, width);
            kernels::convolution(self.cpu, window, taps, out.part_mut(row * steps, steps));
        }
        Ok(())
    }

    fn attend(
        &mut self,
        carry: usize,
        x: &Attention<'_>,
        mut scores: RowsMut<'_>,
        mut out: RowsMut<'_>,
    ) -> Result<(), Fault> {
        let (steps, width) = (self.chunk.steps, x.kv.width());
        let kept = self.chunk.wave.carries[carry].steps * width;
        let left = self.chunk.carry(carry)?;
        for at in 0..out.rows() {
            let row = at / steps;
            let one = x.row(row * steps, at, &left.values[row * kept..(row + 1) * kept]);
            kernels::attend(self.cpu, &one, scores.row_mut(at), out.row_mut(at));
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
