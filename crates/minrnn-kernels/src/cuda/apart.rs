//! Captures, and what they bear nothing of beside them.
//!
//! A wait for a whole GPU breaks every capture under way on it, on any thread and in any mode, and fails itself. Handles of the libraries
//! of products and random numbers wait so where they end, and where they begin.

use std::cell::Cell;
use std::sync::{PoisonError, RwLock};

static CAPTURES: RwLock<()> = RwLock::new(());

thread_local! {
    /// Whether this thread has the lock, in either way.
    static HELD: Cell<bool> = const { Cell::new(false) };
}

/// Does what waits for a whole GPU, while no other thread captures.
pub fn apart<R>(work: impl FnOnce() -> R) -> R {
    holding(
        || CAPTURES.write().unwrap_or_else(PoisonError::into_inner),
        work,
    )
}

/// Captures, perhaps beside other captures.
pub(super) fn capturing<R>(work: impl FnOnce() -> R) -> R {
    holding(
        || CAPTURES.read().unwrap_or_else(PoisonError::into_inner),
        work,
    )
}

fn holding<G, R>(lock: impl FnOnce() -> G, work: impl FnOnce() -> R) -> R {
    if HELD.get() {
        return work();
    }
    let _lock = lock();
    let _held = Held::new();
    work()
}

/// Until it is dropped, by a panic too.
struct Held;

impl Held {
    fn new() -> Self {
        HELD.set(true);
        Self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.set(false);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
    use std::thread::{scope, sleep};
    use std::time::Duration;

    use super::*;
    use crate::Elem;
    use crate::cuda::testing::Bench;
    use crate::cuda::{Gpu, Matmul, Operand, Precision, View};

    /// Captures go on together; nothing that is to be apart has one of another thread beside it, and within its own it does not wait.
    #[test]
    fn what_is_apart_has_no_capture_beside_it() {
        let (captures, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        scope(|all| {
            for thread in 0..6 {
                let (captures, most) = (&captures, &most);
                all.spawn(move || {
                    for round in 0..40 {
                        if (thread + round) % 3 == 0 {
                            apart(|| assert_eq!(captures.load(SeqCst), 0));
                            continue;
                        }
                        capturing(|| {
                            most.fetch_max(captures.fetch_add(1, SeqCst) + 1, SeqCst);
                            sleep(Duration::from_millis(1));
                            apart(|| capturing(|| assert!(captures.load(SeqCst) > 0)));
                            captures.fetch_sub(1, SeqCst);
                        });
                    }
                });
            }
        });
        assert!(most.load(SeqCst) > 1);
        let false_ = || captures.load(SeqCst) > 0;
        let broken = std::panic::catch_unwind(|| apart(|| assert!(false_(), "on purpose")));
        assert!(broken.is_err());
        std::thread::spawn(|| capturing(|| ())).join().unwrap();
        capturing(|| ());
    }

    fn product<'a>(a: View<'a>, b: View<'a>, c: View<'a>) -> Matmul<'a> {
        let plain = |view| Operand {
            view,
            transposed: false,
        };
        Matmul {
            a: plain(a),
            b: plain(b),
            c,
            m: 21,
            n: 6,
            k: 6,
            count: 1,
            bias: None,
            accumulate: false,
            precision: Precision::F32,
        }
    }

    /// Runs one product on a GPU of its own, and ends all of its handles.
    fn come_and_go() {
        let gpu = Gpu::new(0).unwrap();
        let ones = crate::cuda::Memory::from_slice(&gpu, &[1f32; 126]).unwrap();
        let [a, b] = [126, 36].map(|len| ones.view(0, len, Elem::F32).unwrap());
        let sum = crate::cuda::Memory::zeroed(&gpu, 126 * 4).unwrap();
        let c = sum.all(Elem::F32).unwrap();
        product(a, b, c).launch(&gpu).unwrap();
        assert_eq!(c.read::<f32>(&gpu).unwrap(), [6.0; 126]);
        let device = gpu.to_candle().unwrap();
        apart(|| drop(device));
    }

    #[test]
    fn captures_hold_while_handles_of_other_threads_begin_and_end() {
        let Some(bench) = Bench::new("capture") else {
            return;
        };
        let done = AtomicBool::new(false);
        scope(|all| {
            for _ in 0..3 {
                all.spawn(|| {
                    while !done.load(SeqCst) {
                        come_and_go();
                    }
                });
            }
            let a = bench.put(Elem::F32, &(0..126).map(f64::from).collect::<Vec<_>>());
            let b = bench.put(Elem::F32, &[0.5; 36]);
            let c = bench.empty(Elem::F32, 126);
            let of = product(a.view(), b.view(), c.view());
            of.launch(&bench.gpu).unwrap();
            let want = c.bits();
            let mut result = Ok(());
            for _ in 0..300 {
                let captured = bench.gpu.capture(|| of.launch(&bench.gpu));
                match captured {
                    Ok(mut captured) => {
                        c.view().fill(&bench.gpu, 0xff).unwrap();
                        captured.launch().unwrap();
                        result = result.and(match c.bits() == want {
                            true => Ok(()),
                            false => Err("other values".to_owned()),
                        });
                    }
                    Err(error) => result = result.and(Err(error.to_string())),
                }
            }
            // Before anything panics: else the others would go on forever.
            done.store(true, SeqCst);
            result.unwrap();
        });
    }
}
