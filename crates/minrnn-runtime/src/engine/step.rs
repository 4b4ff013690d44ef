//! One step of many rows: blocks of them, on one or more threads.

use std::ops::Range;

use super::registers::Workspace;
use super::rows::{BLOCK, Fault, NoSteps, run};
use super::wave::Data;
use super::{Port, Program};
use crate::kernels::Cpu;

/// Rows for which another thread is worth its start.
const SHARE: usize = 16;

/// States by row: read before a step, written after it.
pub(crate) trait RowStates: Sync {
    /// State `slot` of `row` before the step, `width` values.
    fn before(&self, slot: usize, row: usize, width: usize) -> &[f32];
    /// Takes state `slot` of `row` after the step.
    fn after(&mut self, slot: usize, row: usize, values: &[f32]);
}

/// One step of `rows` rows.
pub(crate) struct Step<'a> {
    pub(crate) rows: usize,
    pub(crate) data: Data<'a>,
    /// Rows that begin anew before the step.
    pub(crate) reset: Option<&'a [bool]>,
    /// Values of the output, `[rows, C]`.
    pub(crate) out: &'a mut [f32],
}

impl Program {
    /// Runs one step of a step form. `workspaces`: one for each thread that may be used. Rows whose new state is not finite
    /// are added to `bad`; their new states are given to `states` like all others. Allocates nothing once the workspaces have
    /// room, if there is one of them.
    pub(crate) fn step<S: RowStates>(
        &self,
        workspaces: &mut [Workspace],
        cpu: Cpu,
        step: &mut Step<'_>,
        states: &mut S,
        bad: &mut Vec<usize>,
    ) -> Result<(), Fault> {
        let threads = workspaces.len().min(step.rows.div_ceil(SHARE)).max(1);
        let mut from = 0;
        while from < step.rows {
            let left = step.rows - from;
            let each = left.div_ceil(threads).min(BLOCK);
            let used = left.div_ceil(each).min(threads);
            let range = |i: usize| from + i * each..(from + (i + 1) * each).min(step.rows);
            let (data, reset) = (step.data, step.reset);
            if used == 1 {
                self.block(&mut workspaces[0], cpu, range(0), data, reset, states)?;
            } else {
                let shared = &*states;
                std::thread::scope(|scope| {
                    let (first, others) = workspaces.split_at_mut(1);
                    let others: Vec<_> = others[..used - 1]
                        .iter_mut()
                        .enumerate()
                        .map(|(i, workspace)| {
                            let range = range(i + 1);
                            scope.spawn(move || {
                                self.block(workspace, cpu, range, data, reset, shared)
                            })
                        })
                        .collect();
                    let mut done = self.block(&mut first[0], cpu, range(0), data, reset, shared);
                    for other in others {
                        done = done.and(other.join().unwrap_or(Err(Fault::Stopped)));
                    }
                    done
                })?;
            }
            for (i, workspace) in workspaces[..used].iter().enumerate() {
                self.results(workspace, range(i), step.out, states, bad);
            }
            from = range(used - 1).end;
        }
        Ok(())
    }

    fn block<S: RowStates>(
        &self,
        workspace: &mut Workspace,
        cpu: Cpu,
        rows: Range<usize>,
        data: Data<'_>,
        reset: Option<&[bool]>,
        states: &S,
    ) -> Result<(), Fault> {
        workspace.reserve(self, rows.len());
        let registers = &mut workspace.rows;
        for port in &self.inputs {
            match *port {
                Port::Data(view) => match data {
                    Data::Ids(ids) => {
                        registers.i64s[view.reg][..rows.len()].copy_from_slice(&ids[rows.clone()]);
                    }
                    Data::Features(values) => {
                        let width = view.width;
                        registers.fill(view, 0, &values[rows.start * width..rows.end * width]);
                    }
                },
                Port::State(slot, view) => {
                    for (at, row) in rows.clone().enumerate() {
                        registers.fill(view, at, states.before(slot, row, view.width));
                    }
                }
                Port::Reset(view) => {
                    let flags = &mut registers.u8s[view.reg][..rows.len()];
                    for (to, row) in flags.iter_mut().zip(rows.clone()) {
                        *to = u8::from(reset.is_some_and(|r| r[row]));
                    }
                }
                Port::Lengths => {}
            }
        }
        run(&self.body, registers, rows.len(), cpu, &mut NoSteps)
    }

    fn results<S: RowStates>(
        &self,
        workspace: &Workspace,
        rows: Range<usize>,
        out: &mut [f32],
        states: &mut S,
        bad: &mut Vec<usize>,
    ) {
        let registers = &workspace.rows;
        for port in &self.outputs {
            if let Port::Data(view) = *port {
                let width = view.width;
                registers.read(view, 0, &mut out[rows.start * width..rows.end * width]);
            }
        }
        for (at, row) in rows.enumerate() {
            let mut finite = true;
            for port in &self.outputs {
                if let Port::State(slot, view) = *port {
                    let values = registers.row(view, at);
                    finite &= all_finite(values);
                    states.after(slot, row, values);
                }
            }
            if !finite {
                bad.push(row);
            }
        }
    }
}

/// Whether all values are finite: one sum, because a value times 0 is 0 or NaN.
fn all_finite(values: &[f32]) -> bool {
    let mut lanes = [0.0f32; 16];
    let (chunks, rest) = values.as_chunks::<16>();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(l, v)| *l += v * 0.0);
    }
    lanes.iter().sum::<f32>() == 0.0 && rest.iter().all(|v| v.is_finite())
}
