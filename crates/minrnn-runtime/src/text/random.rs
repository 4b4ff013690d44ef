//! Random numbers by a seed: ChaCha8, the same on every machine.

/// Uniform numbers under a seed.
#[derive(Debug, Clone)]
pub(super) struct Random {
    key: [u32; 8],
    stream: u64,
    counter: u64,
    block: [u32; 16],
    at: usize,
}

impl Random {
    /// The stream of `name` under `seed`: FNV-1a over the name picks the stream, PCG32 from the seed makes the key.
    pub(super) fn named(seed: u64, name: &str) -> Self {
        let stream = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut state = seed;
        Self {
            key: std::array::from_fn(|_| pcg32(&mut state)),
            stream,
            counter: 0,
            block: [0; 16],
            at: 16,
        }
    }

    /// Uniform in `[0, 1)`, a multiple of 2^-32.
    pub(super) fn uniform(&mut self) -> f64 {
        if self.at == self.block.len() {
            self.block = self.next_block();
            self.at = 0;
        }
        self.at += 1;
        f64::from(self.block[self.at - 1]) * 2f64.powi(-32)
    }

    fn next_block(&mut self) -> [u32; 16] {
        let mut first = [0u32; 16];
        // "expand 32-byte k".
        first[..4].copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
        first[4..12].copy_from_slice(&self.key);
        for (at, half) in [self.counter, self.stream].into_iter().enumerate() {
            first[12 + 2 * at] = half as u32;
            first[13 + 2 * at] = (half >> 32) as u32;
        }
        self.counter = self.counter.wrapping_add(1);
        let mut x = first;
        for _ in 0..4 {
            for column in 0..4 {
                quarter(&mut x, [column, 4 + column, 8 + column, 12 + column]);
            }
            for column in 0..4 {
                let turned = |row: usize| 4 * row + (column + row) % 4;
                quarter(&mut x, [column, turned(1), turned(2), turned(3)]);
            }
        }
        std::array::from_fn(|i| x[i].wrapping_add(first[i]))
    }
}

fn quarter(x: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
    for (turn, (to, from, by)) in [
        (16, (a, b, d)),
        (12, (c, d, b)),
        (8, (a, b, d)),
        (7, (c, d, b)),
    ] {
        x[to] = x[to].wrapping_add(x[from]);
        x[by] = (x[by] ^ x[to]).rotate_left(turn);
    }
}

fn pcg32(state: &mut u64) -> u32 {
    *state = state
        .wrapping_mul(0x5851_f42d_4c95_7f2d)
        .wrapping_add(0xa176_54e4_6fbe_17f3);
    let shifted = (((*state >> 18) ^ *state) >> 27) as u32;
    shifted.rotate_right((*state >> 59) as u32)
}
