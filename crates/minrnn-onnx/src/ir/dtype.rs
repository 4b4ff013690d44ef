//! Element types.

macro_rules! dtypes {
    ($($name:ident = $code:literal, $bits:expr, $text:literal;)*) => {
        /// Type of a tensor's elements. Codes are those of the format.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "the names say it")]
        pub enum DType { $($name),* }

        impl DType {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// From the number in the file.
            pub fn from_code(code: i32) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }

            /// The number in the file.
            pub fn code(self) -> i32 {
                match self { $(Self::$name => $code),* }
            }

            /// Bits an element takes; `None` for strings.
            pub fn bits(self) -> Option<usize> {
                match self { $(Self::$name => $bits),* }
            }

            /// Short name: `f32`, `i64`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

dtypes! {
    F32 = 1, Some(32), "f32";
    U8 = 2, Some(8), "u8";
    I8 = 3, Some(8), "i8";
    U16 = 4, Some(16), "u16";
    I16 = 5, Some(16), "i16";
    I32 = 6, Some(32), "i32";
    I64 = 7, Some(64), "i64";
    Str = 8, None, "str";
    Bool = 9, Some(8), "bool";
    F16 = 10, Some(16), "f16";
    F64 = 11, Some(64), "f64";
    U32 = 12, Some(32), "u32";
    U64 = 13, Some(64), "u64";
    C64 = 14, Some(64), "c64";
    C128 = 15, Some(128), "c128";
    BF16 = 16, Some(16), "bf16";
    F8E4M3FN = 17, Some(8), "f8e4m3fn";
    F8E4M3FNUZ = 18, Some(8), "f8e4m3fnuz";
    F8E5M2 = 19, Some(8), "f8e5m2";
    F8E5M2FNUZ = 20, Some(8), "f8e5m2fnuz";
    U4 = 21, Some(4), "u4";
    I4 = 22, Some(4), "i4";
    F4E2M1 = 23, Some(4), "f4e2m1";
    F8E8M0 = 24, Some(8), "f8e8m0";
    U2 = 25, Some(2), "u2";
    I2 = 26, Some(2), "i2";
}

impl DType {
    /// Whether it is a float of any width.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::BF16 | Self::F32 | Self::F64)
    }

    /// Whether it is a signed integer of at least 8 bits.
    pub fn is_signed(self) -> bool {
        matches!(self, Self::I8 | Self::I16 | Self::I32 | Self::I64)
    }

    /// Whether it is an unsigned integer of at least 8 bits.
    pub fn is_unsigned(self) -> bool {
        matches!(self, Self::U8 | Self::U16 | Self::U32 | Self::U64)
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
