//! Numbers that are the same on each run (splitmix64).

pub(crate) struct Random(u64);

/// Numbers that code gets wrong.
const EDGES: [i64; 24] = [
    0,
    1,
    -1,
    2,
    -2,
    3,
    4,
    7,
    8,
    -8,
    9,
    16,
    64,
    255,
    1 << 16,
    1 << 20,
    1 << 28,
    1 << 31,
    -(1 << 31),
    1 << 32,
    1 << 40,
    1 << 62,
    i64::MAX,
    i64::MIN,
];

impl Random {
    /// The numbers of one mutant.
    pub(crate) fn of(seed: u64, index: u64) -> Self {
        let mut mixed = Self(seed ^ index.wrapping_mul(0xd134_2543_de82_ef95));
        Self(mixed.word())
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`, which is at least 1.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.word() % n.max(1) as u64) as usize
    }

    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    pub(crate) fn edge(&mut self) -> i64 {
        *self.pick(&EDGES)
    }
}
