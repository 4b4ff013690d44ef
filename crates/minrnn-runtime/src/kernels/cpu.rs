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

/// The instructions that exact execution uses. They differ in speed, never in a bit of a result: choose one to test that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Kernels {
    /// The best that the machine has.
    #[default]
    Best,
    /// AVX-512 of x86-64 (level v4).
    Avx512,
    /// AVX2 and FMA of x86-64 (level v3).
    Avx2,
    /// What the compiler makes for the target: every machine has it.
    Scalar,
}

impl Kernels {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Best, Self::Avx512, Self::Avx2, Self::Scalar];

    /// `best`, `avx512`, `avx2` or `scalar`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Scalar => "scalar",
        }
    }

    /// Whether this machine has it.
    pub fn available(self) -> bool {
        Cpu::of(self).is_some()
    }
}

impl Cpu {
    /// `None`: this machine does not have it.
    pub(crate) fn of(kernels: Kernels) -> Option<Self> {
        match kernels {
            Kernels::Best => Some(Self::detect()),
            Kernels::Scalar => Some(Self(Level::Scalar)),
            #[cfg(target_arch = "x86_64")]
            Kernels::Avx512 => V4::try_new().map(|t| Self(Level::Avx512(t))),
            #[cfg(target_arch = "x86_64")]
            Kernels::Avx2 => V3::try_new().map(|t| Self(Level::Avx2(t))),
            #[cfg(not(target_arch = "x86_64"))]
            Kernels::Avx512 | Kernels::Avx2 => None,
        }
    }

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

    /// Plain Rust, whatever the machine has.
    pub(crate) fn scalar() -> Self {
        Self(Level::Scalar)
    }

    /// All that this machine has, the best first: for tests.
    #[cfg(test)]
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
