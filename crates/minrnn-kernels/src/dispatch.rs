//! The widest vector instructions of this CPU, chosen when the program runs.
//!
//! Kernels are plain loops; [`Level::run`] compiles them once for each level and the
//! compiler vectorises them over channels. No kernel asks for a fused multiply-add, and
//! none lets the compiler reorder a sum: **every level gives the same bits**.

#[cfg(test)]
thread_local! {
    static FORCED: std::cell::Cell<Option<Level>> = const { std::cell::Cell::new(None) };
}

/// A level of vector instructions that this CPU has. Only this module can make one,
/// so holding a value is the proof that the CPU was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// What every CPU of the target has.
    pub(crate) const PORTABLE: Self = Self(Kind::Portable);

    /// The widest level of this CPU.
    pub(crate) fn best() -> Self {
        #[cfg(test)]
        if let Some(level) = FORCED.get() {
            return level;
        }
        #[cfg(target_arch = "x86_64")]
        {
            if has_avx512() {
                return Self(Kind::Avx512);
            }
            if has_avx2() {
                return Self(Kind::Avx2);
            }
        }
        Self::PORTABLE
    }

    /// Every level of this CPU, the portable one first.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        let mut levels = vec![Self::PORTABLE];
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(has_avx2().then_some(Self(Kind::Avx2)));
            levels.extend(has_avx512().then_some(Self(Kind::Avx512)));
        }
        levels
    }

    /// Runs `f` with this level as the best one of this thread.
    #[cfg(test)]
    pub(crate) fn forced<R>(self, f: impl FnOnce() -> R) -> R {
        FORCED.set(Some(self));
        let result = f();
        FORCED.set(None);
        result
    }

    /// Runs `f`, compiled for this level. `f` and what it calls in its hot loops must be
    /// `#[inline(always)]`, or they stay portable code.
    #[inline(always)]
    pub(crate) fn run<R>(self, f: impl FnOnce() -> R) -> R {
        match self.0 {
            Kind::Portable => f(),
            #[cfg(target_arch = "x86_64")]
            #[allow(
                unsafe_code,
                reason = "calling code compiled for more than the target's baseline"
            )]
            // SAFETY: `Kind::Avx2` is made only after `has_avx2` saw every feature that `avx2` enables.
            Kind::Avx2 => unsafe { avx2(f) },
            #[cfg(target_arch = "x86_64")]
            #[allow(
                unsafe_code,
                reason = "calling code compiled for more than the target's baseline"
            )]
            // SAFETY: `Kind::Avx512` is made only after `has_avx512` saw every feature that `avx512` enables.
            Kind::Avx512 => unsafe { avx512(f) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    has_avx2()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<R>(f: impl FnOnce() -> R) -> R {
    f()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
fn avx512<R>(f: impl FnOnce() -> R) -> R {
    f()
}
