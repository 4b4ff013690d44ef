//! Records of TensorFlow's files: the length of the data (u64), a checksum of that, the data, a checksum of them; little-endian.

use std::ops::Range;

/// A record in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) data: Range<usize>,
    /// Where the next one begins.
    pub(super) end: usize,
}

/// Bytes before the data, and behind them.
const HEAD: usize = 12;
const TAIL: usize = 4;

/// A record of these data.
pub(super) fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = Vec::with_capacity(HEAD + data.len() + TAIL);
    out.extend(length);
    out.extend(masked(&length).to_le_bytes());
    out.extend(data);
    out.extend(masked(data).to_le_bytes());
    out
}

/// The record that begins at `at`; none at the end, nor where a crash cut the last one off.
///
/// # Errors
/// A checksum that is not of the bytes.
pub(super) fn next(file: &[u8], at: usize) -> Result<Option<Found>, String> {
    let rest = &file[at..];
    let Some((head, behind)) = rest.split_first_chunk::<HEAD>() else {
        return Ok(None);
    };
    let (length, sum) = head.split_at(8);
    if sum != masked(length).to_le_bytes() {
        return Err(format!("it is no event file, or damaged at byte {at}"));
    }
    let length = length
        .iter()
        .rev()
        .fold(0, |n, byte| (n << 8) | u64::from(*byte));
    let Some(length) = usize::try_from(length)
        .ok()
        .filter(|n| behind.len().saturating_sub(TAIL) >= *n && behind.len() >= TAIL)
    else {
        return Ok(None);
    };
    if behind[length..length + TAIL] != masked(&behind[..length]).to_le_bytes() {
        return Err(format!("it is damaged at byte {at}"));
    }
    let begin = at + HEAD;
    Ok(Some(Found {
        data: begin..begin + length,
        end: begin + length + TAIL,
    }))
}

/// A CRC-32C, turned and moved, so that a checksum of data with checksums in them is no weaker.
fn masked(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), reflected.
fn crc32c(data: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ byte)];
    !data.iter().fold(!0, step)
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let (mut crc, mut bit) = (i as u32, 0);
        while bit < 8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of the catalogue of CRCs, and the first example of RFC 3720.
    #[test]
    fn checksums_are_those_of_the_standard() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn records_come_back_and_damage_is_found() {
        let file = [framed(b"one"), framed(b""), framed(b"three")].concat();
        let (mut at, mut all) = (0, vec![]);
        while let Some(found) = next(&file, at).unwrap() {
            all.push(&file[found.data]);
            at = found.end;
        }
        assert_eq!(all, [&b"one"[..], b"", b"three"]);
        assert_eq!(
            next(&file[..file.len() - 1], file.len() - 21).unwrap(),
            None,
            "cut off"
        );
        for i in 0..15 {
            let mut damaged = file.clone();
            damaged[i] ^= 4;
            assert!(next(&damaged, 0).is_err(), "byte {i}");
        }
    }
}
