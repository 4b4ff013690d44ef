//! Writing of .npy files: C order, version 1.0.

/// Bytes of an array `[shape]` of float32 in row-major order.
pub(crate) fn encode(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes());
    whole("<f4", shape, bytes)
}

/// The same of int64.
pub(crate) fn encode_ints(shape: &[usize], values: &[i64]) -> Vec<u8> {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes());
    whole("<i8", shape, bytes)
}

/// A list of texts, each filled up with zeros to the longest, in UTF-32 as NumPy has them.
pub(crate) fn encode_texts(values: &[String]) -> Vec<u8> {
    let longest = values.iter().map(|t| t.chars().count()).max();
    let longest = longest.unwrap_or(0).max(1);
    let padded = |text: &String| {
        let chars = text.chars().map(u32::from).chain(std::iter::repeat(0));
        chars
            .take(longest)
            .flat_map(u32::to_le_bytes)
            .collect::<Vec<_>>()
    };
    whole(
        &format!("<U{longest}"),
        &[values.len()],
        values.iter().flat_map(padded),
    )
}

fn whole(dtype: &str, shape: &[usize], data: impl Iterator<Item = u8>) -> Vec<u8> {
    let dims: String = shape.iter().map(|d| format!("{d},")).collect();
    let mut header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({dims}), }}");
    // Magic (6), version (2), length (2), header and its line break end at a multiple of 64 bytes.
    let padding = (64 - (10 + header.len() + 1) % 64) % 64;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    // A header is some hundred bytes long: shapes have a handful of dimensions.
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(data);
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

    #[test]
    fn integers_and_texts_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        let read = |bytes: Vec<u8>| {
            std::fs::write(&path, bytes).unwrap();
            let array = read_npy(&path).unwrap();
            (array.shape, array.values)
        };
        let ints = vec![-1, 0, 7, i64::MAX];
        assert_eq!(
            read(encode_ints(&[2, 2], &ints)),
            (vec![2, 2], Values::Ints(ints))
        );
        let texts = ["calm", "", "stürmisch"].map(str::to_owned).to_vec();
        assert_eq!(read(encode_texts(&texts)), (vec![3], Values::Texts(texts)));
    }
}
