//! Sequences: chunks of time, each on one thread, handing states on to the next as a wave that runs through the layers. Chunks are claimed
//! in order, so the earliest unfinished one never waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::chunk::Chunk;
use super::registers::{Registers, Workspace};
use super::rows::{Fault, NoSteps, run};
use super::wave::{Cut, Sequence, Wave, lock};
use super::{Port, Program};
use crate::kernels::Cpu;

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
