//! The words of the table: sets of element types, parameters, attributes.

use crate::ir::DType;

/// A set of element types, some of which came with later opsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set {
    base: u32,
    grows: bool,
}

pub(super) const fn bit(d: DType) -> u32 {
    1 << d as u32
}

const fn of(types: &[DType]) -> u32 {
    let (mut mask, mut i) = (0, 0);
    while i < types.len() {
        mask |= bit(types[i]);
        i += 1;
    }
    mask
}

const SIGNED_MASK: u32 = of(&[DType::I8, DType::I16, DType::I32, DType::I64]);
const FLOAT_MASK: u32 = of(&[DType::F16, DType::BF16, DType::F32, DType::F64]);
const NUMBER_MASK: u32 =
    FLOAT_MASK | SIGNED_MASK | of(&[DType::U8, DType::U16, DType::U32, DType::U64]);
const F8_MASK: u32 = of(&[
    DType::F8E4M3FN,
    DType::F8E4M3FNUZ,
    DType::F8E5M2,
    DType::F8E5M2FNUZ,
]);
const MATH_MASK: u32 = FLOAT_MASK | of(&[DType::I32, DType::I64, DType::U32, DType::U64]);
const REAL_MASK: u32 = NUMBER_MASK | of(&[DType::Bool, DType::Str]);
const QUANTIZED_21: u32 = F8_MASK
    | of(&[
        DType::I8,
        DType::U8,
        DType::I16,
        DType::U16,
        DType::I4,
        DType::U4,
    ]);

pub(super) const fn only(types: &[DType]) -> Set {
    Set {
        base: of(types),
        grows: false,
    }
}

const fn fixed(base: u32) -> Set {
    Set { base, grows: false }
}

const fn and(set: Set, types: &[DType]) -> Set {
    Set {
        base: set.base | of(types),
        grows: set.grows,
    }
}

/// f16, bf16, f32, f64.
pub(super) const FLOAT: Set = fixed(FLOAT_MASK);
/// Floats before bf16 was among them.
pub(super) const FLOAT_OLD: Set = fixed(FLOAT_MASK & !bit(DType::BF16));
pub(super) const FLOAT_SIGNED: Set = fixed(FLOAT_MASK | SIGNED_MASK);
pub(super) const FLOAT_16_32: Set = fixed(FLOAT_MASK & !bit(DType::F64));
pub(super) const NUMBER: Set = fixed(NUMBER_MASK);
pub(super) const NUMBER_OLD: Set = fixed(NUMBER_MASK & !bit(DType::BF16));
pub(super) const NUMBER_BOOL: Set = and(NUMBER, &[DType::Bool]);
/// Numbers, booleans, strings.
pub(super) const REAL: Set = fixed(REAL_MASK);
/// Floats and integers of 32 and 64 bits.
pub(super) const MATH: Set = fixed(MATH_MASK);
pub(super) const MATH_OLD: Set = fixed((MATH_MASK & !bit(DType::BF16)) & !bit(DType::F16));
pub(super) const REDUCED: Set = and(MATH, &[DType::I8, DType::U8]);
pub(super) const REDUCED_BOOL: Set = and(REDUCED, &[DType::Bool]);
pub(super) const POWERS: Set = and(FLOAT, &[DType::I32, DType::I64]);
/// Everything that there was in opset 13.
pub(super) const ANY: Set = fixed(REAL_MASK | of(&[DType::C64, DType::C128]));
pub(super) const ANY_OLD: Set = fixed(ANY.base & !bit(DType::BF16));
/// Everything that there is in the opset of the file.
pub(super) const ALL: Set = Set {
    base: ANY.base,
    grows: true,
};
pub(super) const ALL_REAL: Set = Set {
    base: REAL_MASK,
    grows: true,
};
pub(super) const ALL_NUMBER_BOOL: Set = Set {
    base: NUMBER_BOOL.base,
    grows: true,
};
/// As the constants of ConstantOfShape were before opset 20.
pub(super) const FILL_OLD: Set = fixed(NUMBER_BOOL.base & !bit(DType::BF16));
pub(super) const BOOL: Set = only(&[DType::Bool]);
pub(super) const I64: Set = only(&[DType::I64]);
pub(super) const INDEX: Set = only(&[DType::I32, DType::I64]);
pub(super) const BYTE: Set = only(&[DType::I8, DType::U8]);
pub(super) const BYTE_F8: Set = fixed(BYTE.base | F8_MASK);
pub(super) const BYTE_I32: Set = and(BYTE, &[DType::I32]);
pub(super) const BYTE_I32_F8: Set = and(BYTE_F8, &[DType::I32]);
pub(super) const QUANT_21: Set = fixed(QUANTIZED_21);
pub(super) const QUANT_23: Set = and(QUANT_21, &[DType::F4E2M1]);
pub(super) const QUANT_25: Set = and(QUANT_23, &[DType::I2, DType::U2]);
pub(super) const QUANT_21_I32: Set = and(QUANT_21, &[DType::I32]);
pub(super) const QUANT_23_I32: Set = and(QUANT_23, &[DType::I32]);
pub(super) const QUANT_25_I32: Set = and(QUANT_25, &[DType::I32]);
pub(super) const SCALED: Set = and(FLOAT_16_32, &[DType::I32]);
pub(super) const SCALED_E8: Set = and(SCALED, &[DType::F8E8M0]);
pub(super) const SCALE_E8: Set = and(FLOAT_16_32, &[DType::F8E8M0]);

impl Set {
    fn mask(self, opset: i64) -> u32 {
        let later: [(i64, u32); 5] = [
            (19, F8_MASK),
            (21, of(&[DType::I4, DType::U4])),
            (23, bit(DType::F4E2M1)),
            (24, bit(DType::F8E8M0)),
            (25, of(&[DType::I2, DType::U2])),
        ];
        let added = later
            .iter()
            .filter(|(since, _)| self.grows && opset >= *since);
        added.fold(self.base, |mask, (_, more)| mask | more)
    }

    pub(super) fn contains(self, d: DType, opset: i64) -> bool {
        self.mask(opset) & bit(d) != 0
    }

    pub(super) fn types(self, opset: i64) -> impl Iterator<Item = DType> {
        let mask = self.mask(opset);
        DType::ALL
            .iter()
            .copied()
            .filter(move |d| mask & bit(*d) != 0)
    }

    /// For messages.
    pub(super) fn words(self, opset: i64) -> String {
        let names: Vec<&str> = self.types(opset).map(DType::name).collect();
        match names.len() {
            1 => names[0].to_owned(),
            n if n > 6 && self == NUMBER => "a number".to_owned(),
            _ => format!("one of {}", names.join(", ")),
        }
    }
}

/// Whether a parameter may be left out or repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Required,
    Optional,
    /// The last one: once or more.
    Many,
    /// As `Many`, with a type each.
    Mixed,
}

/// Element types of a parameter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    /// One of a set; the same for all parameters with this number.
    Variable(usize),
    /// One of a set, whatever the others are.
    Set(Set),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Param {
    pub(super) kind: Kind,
    pub(super) of: Of,
}

const fn variable(i: usize) -> Param {
    Param {
        kind: Kind::Required,
        of: Of::Variable(i),
    }
}

/// The first, second and third type variable of a row.
pub(super) const T: Param = variable(0);
pub(super) const U: Param = variable(1);
pub(super) const V: Param = variable(2);

pub(super) const fn is(set: Set) -> Param {
    Param {
        kind: Kind::Required,
        of: Of::Set(set),
    }
}

pub(super) const fn opt(p: Param) -> Param {
    Param {
        kind: Kind::Optional,
        of: p.of,
    }
}

pub(super) const fn many(p: Param) -> Param {
    Param {
        kind: Kind::Many,
        of: p.of,
    }
}

pub(super) const fn mixed(p: Param) -> Param {
    Param {
        kind: Kind::Mixed,
        of: p.of,
    }
}

/// An attribute: name, type in the words of the format, whether it must be there.
pub(super) type Attribute = (&'static str, &'static str, bool);

pub(super) const fn int(name: &'static str) -> Attribute {
    (name, "INT", false)
}

pub(super) const fn ints(name: &'static str) -> Attribute {
    (name, "INTS", false)
}

pub(super) const fn float(name: &'static str) -> Attribute {
    (name, "FLOAT", false)
}

pub(super) const fn text(name: &'static str) -> Attribute {
    (name, "STRING", false)
}

pub(super) const fn needed(a: Attribute) -> Attribute {
    (a.0, a.1, true)
}
