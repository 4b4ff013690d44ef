//! The numbers of the schema that stand for types.

macro_rules! numbers {
    ($(#[$about:meta])* $kind:ident { $($name:ident = $number:literal $text:literal),* $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $kind { $($name = $number),* }

        impl $kind {
            /// The schema's own name.
            pub(crate) fn as_str_name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }

        impl TryFrom<i32> for $kind {
            type Error = ();

            fn try_from(number: i32) -> Result<Self, ()> {
                match number {
                    $($number => Ok(Self::$name),)*
                    _ => Err(()),
                }
            }
        }
    };
}

numbers! {
    /// What the values of a tensor are.
    DataType {
        Undefined = 0 "UNDEFINED",
        Float = 1 "FLOAT",
        Uint8 = 2 "UINT8",
        Int8 = 3 "INT8",
        Uint16 = 4 "UINT16",
        Int16 = 5 "INT16",
        Int32 = 6 "INT32",
        Int64 = 7 "INT64",
        String = 8 "STRING",
        Bool = 9 "BOOL",
        Float16 = 10 "FLOAT16",
        Double = 11 "DOUBLE",
        Uint32 = 12 "UINT32",
        Uint64 = 13 "UINT64",
        Complex64 = 14 "COMPLEX64",
        Complex128 = 15 "COMPLEX128",
        Bfloat16 = 16 "BFLOAT16",
        Float8e4m3fn = 17 "FLOAT8E4M3FN",
        Float8e4m3fnuz = 18 "FLOAT8E4M3FNUZ",
        Float8e5m2 = 19 "FLOAT8E5M2",
        Float8e5m2fnuz = 20 "FLOAT8E5M2FNUZ",
        Uint4 = 21 "UINT4",
        Int4 = 22 "INT4",
        Float4e2m1 = 23 "FLOAT4E2M1",
    }
}

numbers! {
    /// Which field of an attribute holds its value.
    AttributeType {
        Undefined = 0 "UNDEFINED",
        Float = 1 "FLOAT",
        Int = 2 "INT",
        String = 3 "STRING",
        Tensor = 4 "TENSOR",
        Graph = 5 "GRAPH",
        Floats = 6 "FLOATS",
        Ints = 7 "INTS",
        Strings = 8 "STRINGS",
        Tensors = 9 "TENSORS",
        Graphs = 10 "GRAPHS",
        SparseTensor = 11 "SPARSE_TENSOR",
        SparseTensors = 12 "SPARSE_TENSORS",
        TypeProto = 13 "TYPE_PROTO",
        TypeProtos = 14 "TYPE_PROTOS",
    }
}
