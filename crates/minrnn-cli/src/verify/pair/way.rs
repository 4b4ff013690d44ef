//! The ways in which the floats of a case are drawn; what each means is in `draw.rs`.

/// How floats are drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Draw {
    /// Normal numbers.
    #[default]
    Usual,
    /// A hundred times as large.
    Large,
    /// A thousand and a million times as small.
    Small,
    /// Around what the files bring to the usual size.
    Centred,
    /// Frames of zeros among them.
    Silent,
    /// Values that the files look for among them.
    Marked,
}

/// What rows and cases are called whose inputs are far out.
pub(super) const FAR: &str = ", inputs 100 times as large";

impl Draw {
    /// How a case is told of in messages.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Usual => "",
            Self::Large => FAR,
            Self::Small => ", inputs 1000 and a million times as small",
            Self::Centred => ", inputs around what the files take for their mean",
            Self::Silent => ", with frames of zeros",
            Self::Marked => ", with values that the files look for",
        }
    }

    /// Cases that are drawn so speak for themselves alone, and not for others.
    pub(super) fn is_apart(self) -> bool {
        matches!(
            self,
            Self::Large | Self::Small | Self::Centred | Self::Silent
        )
    }

    /// Whether inputs may be beyond what both files are for: what is no number in both says nothing against them then.
    pub(super) fn is_strange(self) -> bool {
        matches!(self, Self::Large | Self::Silent | Self::Marked)
    }
}
