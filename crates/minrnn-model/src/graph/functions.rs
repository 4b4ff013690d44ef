//! Elementwise functions.

/// A table of functions: one line each, from which the enum, the list of all and the names come.
macro_rules! functions {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident),* $(,)? }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant),* }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The function's name (the ONNX operator's).
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),* }
            }
        }
    };
}

functions! {
    /// Elementwise functions of one argument.
    Unary {
        /// `-x`
        Neg,
        /// `|x|`
        Abs,
        /// `max(x, 0)`; its slope at 0 is 0.
        Relu,
        /// `1 / (1 + e^-x)`
        Sigmoid,
        /// Hyperbolic tangent.
        Tanh,
        /// `e^x`
        Exp,
        /// Natural logarithm, of values above 0.
        Log,
        /// Sine.
        Sin,
        /// Cosine.
        Cos,
        /// Square root.
        Sqrt,
        /// Error function.
        Erf,
    }
}

functions! {
    /// Elementwise functions of two arguments.
    Binary {
        /// `x + y`
        Add,
        /// `x - y`
        Sub,
        /// `x * y`
        Mul,
        /// `x / y`
        Div,
        /// The smaller one; where both are equal, an interpreter gives the slope to x, or to both by halves.
        Min,
        /// The larger one; where both are equal, an interpreter gives the slope to x, or to both by halves.
        Max,
    }
}
