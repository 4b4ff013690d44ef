use super::*;
use proptest::prelude::*;

fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn ramp() -> Vec<f32> {
    (0..24).map(|i| i as f32 * 0.5 - 3.0).collect()
}

#[test]
fn reads_what_numpy_writes() {
    let c = parse_npy(include_bytes!("../testdata/c_f4.npy")).unwrap();
    assert_eq!((c.shape, c.values), (vec![2, 3, 4], Values::Floats(ramp())));
    let f = parse_npy(include_bytes!("../testdata/fortran_f8.npy")).unwrap();
    assert_eq!((f.shape, f.values), (vec![2, 3, 4], Values::Floats(ramp())));
    let i = parse_npy(include_bytes!("../testdata/big_i2.npy")).unwrap();
    assert_eq!(
        (i.shape, i.values),
        (vec![3, 2], Values::Ints((0..6).map(|i| i * -300).collect()))
    );
    let b = parse_npy(include_bytes!("../testdata/bool.npy")).unwrap();
    assert_eq!((b.shape, b.values), (vec![3], Values::Ints(vec![1, 0, 1])));
    let s = parse_npy(include_bytes!("../testdata/scalar_u1.npy")).unwrap();
    assert_eq!((s.shape, s.values), (vec![], Values::Ints(vec![200])));
}

#[test]
fn types_that_cannot_be_used_are_named() {
    let half = parse_npy(include_bytes!("../testdata/half.npy")).unwrap_err();
    assert!(half.contains("'<f2'"), "{half}");
    let record = parse_npy(include_bytes!("../testdata/record.npy")).unwrap_err();
    assert!(record.contains("structured types"), "{record}");
    let big = npy(
        "{'descr': '<u8', 'fortran_order': False, 'shape': (1,), }",
        &[255; 8],
    );
    assert!(parse_npy(&big).unwrap_err().contains("int64"));
}

#[test]
fn sizes_are_checked_before_memory_is_taken() {
    for shape in [
        "(9223372036854775807, 4)",
        "(4294967296, 4294967296, 4294967296)",
        "(3,)",
        "(1000000000000,)",
    ] {
        let bytes = npy(
            &format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"),
            &[0; 8],
        );
        let error = parse_npy(&bytes).unwrap_err();
        assert!(error.contains("8 bytes follow"), "{error}");
    }
    let mut long = b"\x93NUMPY\x02\x00".to_vec();
    long.extend(u32::MAX.to_le_bytes());
    assert!(parse_npy(&long).unwrap_err().contains("ends within"));
}

#[test]
fn deep_nesting_is_an_error_not_a_stack_overflow() {
    let bytes = npy(&"(".repeat(60_000), &[]);
    assert!(parse_npy(&bytes).unwrap_err().contains("expected '{'"));
    let shape = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': ({}",
        "1,".repeat(20_000)
    );
    assert!(
        parse_npy(&npy(&shape, &[]))
            .unwrap_err()
            .contains("dimensions")
    );
}

proptest! {
    #[test]
    fn any_bytes_give_an_array_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_npy(&bytes);
        let mut with_magic = b"\x93NUMPY\x01\x00".to_vec();
        with_magic.extend(&bytes);
        let _ = parse_npy(&with_magic);
    }

    #[test]
    fn a_changed_or_cut_file_never_panics(at in 0_usize..224, byte: u8, cut in 0_usize..224) {
        let mut bytes = include_bytes!("../testdata/c_f4.npy").to_vec();
        bytes[at] = byte;
        let _ = parse_npy(&bytes);
        prop_assert!(parse_npy(&include_bytes!("../testdata/c_f4.npy")[..cut]).is_err());
    }

    #[test]
    fn fortran_order_is_the_transpose(dims in proptest::collection::vec(1_usize..5, 2..5)) {
        let count: usize = dims.iter().product();
        let values: Vec<u8> = (0..count).map(|i| i as u8).collect();
        let shape = format!("{dims:?}").replace(['[', ']'], "");
        let bytes = npy(&format!("{{'descr': '|u1', 'fortran_order': True, 'shape': ({shape}), }}"), &values);
        let Values::Ints(got) = parse_npy(&bytes).unwrap().values else { panic!("ints expected") };
        // Element (i0, i1, ...) of a Fortran array lies at i0 + d0 * (i1 + d1 * ...).
        for (flat, value) in got.iter().enumerate() {
            let mut left = flat;
            let mut index = vec![0; dims.len()];
            for k in (0..dims.len()).rev() {
                index[k] = left % dims[k];
                left /= dims[k];
            }
            let mut at = 0;
            for k in (0..dims.len()).rev() {
                at = at * dims[k] + index[k];
            }
            prop_assert_eq!(*value, at as i64 & 0xff);
        }
    }
}
