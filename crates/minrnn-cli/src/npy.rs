//! Writing of .npy files: float32, C order, version 1.0.

/// Bytes of an array `[shape]` in row-major order.
pub(crate) fn encode(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let dims: String = shape.iter().map(|d| format!("{d},")).collect();
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({dims}), }}");
    // Magic (6), version (2), length (2), header and its line break end at a multiple of 64 bytes.
    let padding = (64 - (10 + header.len() + 1) % 64) % 64;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    // A header is some hundred bytes long: shapes have a handful of dimensions.
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use minrnn_train::data::{Values, read_npy};

    use super::*;

    #[test]
    fn the_reader_reads_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        for shape in [vec![5], vec![2, 3], vec![1, 2, 3, 4]] {
            let values: Vec<f32> = (0..shape.iter().product())
                .map(|i: usize| (i as f32 + 0.3).sin())
                .collect();
            let bytes = encode(&shape, &values);
            assert_eq!((bytes.len() - values.len() * 4) % 64, 0);
            std::fs::write(&path, bytes).unwrap();
            let array = read_npy(&path).unwrap();
            assert_eq!((array.shape, array.values), (shape, Values::Floats(values)));
        }
    }
}
