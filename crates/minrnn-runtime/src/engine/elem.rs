//! Types of values.

/// Element type of a flow. `F16` values are kept as f32, rounded to half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Elem {
    F32,
    F16,
    I64,
    I32,
    U8,
    Bool,
}

impl Elem {
    /// The type in which values are kept.
    pub(super) fn held(self) -> Self {
        match self {
            Self::F16 => Self::F32,
            Self::Bool => Self::U8,
            other => other,
        }
    }
}
