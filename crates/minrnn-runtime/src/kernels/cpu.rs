//! Which instructions the kernels use.

#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};
use pulp::{Scalar, Simd, WithSimd};

/// The instruction set of all kernels: chosen once, handed to every call. It changes speed, never a bit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu(pub(super) Level);

#[derive(Clone, Copy, Debug)]
pub(super) enum Level {
    /// 16 lanes, 32 registers.
    #[cfg(target_arch = "x86_64")]
    Avx512(V4),
    /// 8 lanes, 16 registers, with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2(V3),
    /// Whatever the compiler makes of plain Rust.
    Scalar,
}

impl Cpu {
    /// The best that this machine and its operating system have.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(token) = V4::try_new() {
                return Self(Level::Avx512(token));
            }
            if let Some(token) = V3::try_new() {
                return Self(Level::Avx2(token));
            }
        }
        Self(Level::Scalar)
    }

    /// All that this machine has, the best first: for tests.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(V4::try_new().map(|t| Self(Level::Avx512(t))));
            all.extend(V3::try_new().map(|t| Self(Level::Avx2(t))));
        }
        all.push(Self(Level::Scalar));
        all
    }

    /// "avx512", "avx2" or "scalar".
    pub(crate) fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(_) => "avx2",
            Level::Scalar => "scalar",
        }
    }

    /// Runs an operation compiled for this instruction set. All that it calls must be `#[inline(always)]`.
    #[inline(always)]
    pub(super) fn run<O: WithSimd>(self, op: O) -> O::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(simd) => Simd::vectorize(simd, op),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(simd) => Simd::vectorize(simd, op),
            Level::Scalar => Simd::vectorize(Scalar, op),
        }
    }
}
