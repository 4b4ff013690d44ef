//! Matrix products by cuBLASLt.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

use candle_core::cuda_backend::cudarc::cublaslt::{result, sys};

use self::descriptors::Descriptors;
use super::{CudaError, Gpu, Memory, Result, Timer, View, apart};
use crate::Elem;

mod descriptors;

const OP: &str = "matmul";
/// What cuBLAS recommends for Hopper.
const WORKSPACE: usize = 32 << 20;

/// In which precision a product of f32 matrices is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// IEEE f32.
    F32,
    /// Factors rounded to TF32 (10 bits of mantissa), sums in f32.
    Tf32,
}

/// A factor, row-major without gaps.
#[derive(Debug, Clone, Copy)]
pub struct Operand<'a> {
    /// Its elements.
    pub view: View<'a>,
    /// Whether it is stored as the transposed matrix.
    pub transposed: bool,
}

/// `c [m,n] = a [m,k] b [k,n] (+ bias [n]) (+ c)`, row-major; sums in f32. Several of them at once are batched: each factor and
/// result holds one matrix behind the other.
#[derive(Debug, Clone, Copy)]
pub struct Matmul<'a> {
    /// `[m,k]`, stored so or as `[k,m]`; f32, bf16 or f16.
    pub a: Operand<'a>,
    /// `[k,n]`, stored so or as `[n,k]`; the type of `a`.
    pub b: Operand<'a>,
    /// `[m,n]`, the type of `a` or f32.
    pub c: View<'a>,
    /// Rows.
    pub m: usize,
    /// Columns.
    pub n: usize,
    /// Length of the sums.
    pub k: usize,
    /// How many products of this kind.
    pub count: usize,
    /// `[n]`, of a single product, added to every row; the type of `c`.
    pub bias: Option<View<'a>>,
    /// Whether to add to what `c` holds.
    pub accumulate: bool,
    /// For f32 factors.
    pub precision: Precision,
}

/// What algorithms are chosen for: sizes, transposed factors, types, bias, addition, precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    sizes: [usize; 4],
    transposed: [bool; 2],
    types: [Elem; 2],
    bias: bool,
    accumulate: bool,
    tf32: bool,
}

/// cuBLASLt's handle and workspace, and the algorithms that were found by time.
pub(super) struct Blas {
    handle: sys::cublasLtHandle_t,
    workspace: Memory,
    tuned: Mutex<BTreeMap<Key, sys::cublasLtMatmulAlgo_t>>,
}

#[allow(unsafe_code, reason = "cuBLASLt handles may be used from any thread")]
// SAFETY: the documentation of cuBLASLt says so; the workspace is used in the order of one stream.
unsafe impl Send for Blas {}
#[allow(unsafe_code, reason = "as above")]
// SAFETY: as above.
unsafe impl Sync for Blas {}

impl Blas {
    pub(super) fn new(gpu: &Gpu) -> Result<Self> {
        gpu.bind()?;
        let handle =
            apart(result::create_handle).map_err(|e| CudaError::driver("open cuBLASLt", e))?;
        let workspace = Memory::new(gpu, WORKSPACE)?;
        Ok(Self {
            handle,
            workspace,
            tuned: Mutex::default(),
        })
    }
}

impl Drop for Blas {
    #[allow(unsafe_code, reason = "end of the handle")]
    fn drop(&mut self) {
        // SAFETY: made by `create_handle`, not used afterwards. An error at the end of a program helps nobody.
        let _ = unsafe { result::destroy_handle(self.handle) };
    }
}

impl Matmul<'_> {
    fn check(&self) -> Result<()> {
        let floats = [Elem::F32, Elem::Bf16, Elem::F16];
        let (m, n, k, count) = (self.m, self.n, self.k, self.count);
        let refuse = |problem: String| Err(CudaError::Value { op: OP, problem });
        if m == 0 || n == 0 || k == 0 || count == 0 {
            return refuse(format!("a size of {count} [{m},{k}] x [{k},{n}] is 0"));
        }
        if i32::try_from(count).is_err() {
            return refuse(format!("{count} products at once are too many"));
        }
        let elem = self.a.view.elem();
        super::need(OP, "a", self.a.view, &floats, count * m * k)?;
        super::need(OP, "b", self.b.view, &[elem], count * k * n)?;
        super::need(OP, "c", self.c, &[elem, Elem::F32], count * m * n)?;
        if let Some(bias) = self.bias {
            if count > 1 {
                return refuse(format!("{count} products at once have no bias"));
            }
            super::need(OP, "bias", bias, &[self.c.elem()], n)?;
        }
        Ok(())
    }

    fn key(&self) -> Key {
        Key {
            sizes: [self.m, self.n, self.k, self.count],
            transposed: [self.a.transposed, self.b.transposed],
            types: [self.a.view.elem(), self.c.elem()],
            bias: self.bias.is_some(),
            accumulate: self.accumulate,
            tf32: self.precision == Precision::Tf32,
        }
    }

    fn error(&self, reason: impl std::fmt::Debug) -> CudaError {
        let what = format!(
            "matrix product [{},{}] x [{},{}] of {:?} to {:?}",
            self.m,
            self.k,
            self.k,
            self.n,
            self.a.view.elem(),
            self.c.elem()
        );
        CudaError::driver(what, reason)
    }

    /// Puts the product on the stream. The algorithm is the one that [`Matmul::tune`] found for such products, else the
    /// library's first choice: without tuning, the same product gives the same bits on the same GPU, run after run.
    ///
    /// # Errors
    /// Views that do not fit the sizes; [`CudaError::Driver`] where cuBLASLt has no algorithm.
    pub fn launch(&self, gpu: &Gpu) -> Result<()> {
        self.check()?;
        gpu.bind()?;
        let blas = gpu.blas()?;
        let made = Descriptors::new(self).map_err(|e| self.error(e))?;
        let tuned = blas.tuned.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tuned.get(&self.key()).copied();
        drop(tuned);
        let algorithm = match known {
            Some(algorithm) => algorithm,
            None => *made
                .candidates(&blas, 1)
                .map_err(|e| self.error(e))?
                .first()
                .ok_or_else(|| self.error("no algorithm"))?,
        };
        self.run(gpu, &blas, &made, &algorithm)?;
        gpu.count_launch();
        Ok(())
    }

    /// Times the algorithms that cuBLASLt proposes for this product and keeps the fastest for all like it. What `c` holds
    /// is lost. Which one wins may differ from run to run, and with it the last bits of results.
    ///
    /// # Errors
    /// As [`Matmul::launch`].
    pub fn tune(&self, gpu: &Gpu) -> Result<()> {
        const CANDIDATES: usize = 16;
        const ROUNDS: usize = 5;
        self.check()?;
        gpu.bind()?;
        let blas = gpu.blas()?;
        let locked = || blas.tuned.lock().unwrap_or_else(PoisonError::into_inner);
        if locked().contains_key(&self.key()) {
            return Ok(());
        }
        let made = Descriptors::new(self).map_err(|e| self.error(e))?;
        let all = made
            .candidates(&blas, CANDIDATES)
            .map_err(|e| self.error(e))?;
        let mut best = None;
        for algorithm in all {
            if self.run(gpu, &blas, &made, &algorithm).is_err() {
                continue;
            }
            let mut timer = Timer::new(gpu);
            for _ in 0..ROUNDS {
                timer.mark()?;
                self.run(gpu, &blas, &made, &algorithm)?;
                timer.mark()?;
            }
            let fastest = timer.pairs()?.into_iter().fold(f32::INFINITY, f32::min);
            if best.is_none_or(|(ms, _)| fastest < ms) {
                best = Some((fastest, algorithm));
            }
        }
        if let Some((_, algorithm)) = best {
            locked().insert(self.key(), algorithm);
        }
        Ok(())
    }

    #[allow(unsafe_code, reason = "calls of cuBLASLt")]
    fn run(
        &self,
        gpu: &Gpu,
        blas: &Blas,
        made: &Descriptors,
        algorithm: &sys::cublasLtMatmulAlgo_t,
    ) -> Result<()> {
        let (one, beta) = (1f32, if self.accumulate { 1f32 } else { 0f32 });
        let workspace = blas.workspace.all(Elem::F32).map_or(0, View::address);
        // cuBLAS is column-major: c' = b' a', each matrix read as its transpose.
        // SAFETY: the descriptors live until the end of this function, the views were checked against the sizes.
        let run = unsafe {
            result::matmul(
                blas.handle,
                made.desc,
                std::ptr::from_ref(&one).cast(),
                std::ptr::from_ref(&beta).cast(),
                self.b.view.address() as *const c_void,
                made.b,
                self.a.view.address() as *const c_void,
                made.a,
                self.c.address() as *const c_void,
                made.c,
                self.c.address() as *mut c_void,
                made.c,
                algorithm,
                workspace as *mut c_void,
                WORKSPACE,
                gpu.stream().cu_stream().cast(),
            )
        };
        run.map_err(|e| self.error(e))
    }
}
