//! The machine: what it is, and how fast it reads memory.

use std::hint::black_box;
use std::time::Instant;

use serde_json::{Value as Json, json};

/// Bytes that are read: more than any cache holds.
const BYTES: usize = 256 << 20;

/// An array to read from, and the best that was seen.
pub(super) struct Memory {
    words: Vec<u64>,
    /// Most bytes a second, one thread, in 1e9.
    pub(super) gb_s: f64,
}

impl Memory {
    pub(super) fn new(quick: bool) -> Self {
        let bytes = if quick { BYTES / 4 } else { BYTES };
        // Written, so that every page is memory of its own.
        Self {
            words: (0..bytes as u64 / 8).collect(),
            gb_s: 0.0,
        }
    }

    /// Reads the array from begin to end three times on one thread.
    pub(super) fn read(&mut self) {
        for _ in 0..3 {
            let begin = Instant::now();
            black_box(sum(black_box(&self.words)));
            let seconds = begin.elapsed().as_secs_f64();
            let gb_s = (self.words.len() * 8) as f64 / seconds / 1e9;
            self.gb_s = self.gb_s.max(gb_s);
        }
    }
}

/// Sums that do not wait for each other: what is left to wait for is memory.
fn sum(words: &[u64]) -> u64 {
    let (chunks, rest) = words.as_chunks::<64>();
    let mut lanes = [0u64; 64];
    for chunk in chunks {
        for (lane, word) in lanes.iter_mut().zip(chunk) {
            *lane = lane.wrapping_add(*word);
        }
    }
    let add = |a: u64, b: &u64| a.wrapping_add(*b);
    lanes.iter().chain(rest).fold(0, add)
}

/// Name, cores, instructions that matter, speed of memory.
pub(super) fn describe(memory: &Memory) -> Json {
    json!({
        "cpu": cpu(),
        "cores": cores(),
        "features": features(),
        "read_gb_s": memory.gb_s,
    })
}

pub(in crate::commands::bench) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The model's name where the system tells it, else the architecture.
pub(in crate::commands::bench) fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|l| l.strip_prefix("model name")?.split_once(':'));
    let name = name.map(|(_, name)| name.trim().to_owned());
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    let all = [
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("fma", std::is_x86_feature_detected!("fma")),
        ("avx512f", std::is_x86_feature_detected!("avx512f")),
        ("avx512vnni", std::is_x86_feature_detected!("avx512vnni")),
    ];
    all.into_iter().filter(|f| f.1).map(|f| f.0).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    vec![]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read() {
        for n in [0, 1, 63, 64, 1000] {
            let words: Vec<u64> = (0..n).map(|i| i * i + 1).collect();
            assert_eq!(sum(&words), words.iter().sum::<u64>());
        }
        assert!(!cpu().is_empty() && cores() > 0);
    }
}
