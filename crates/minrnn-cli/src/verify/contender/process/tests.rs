//! Frames that anything may be in.

use std::io::BufReader;

use minrnn_model::rng::Rng;

use super::frame::{self, Frame, FrameError, Limits};
use super::wire::{Meta, name_of};
use super::*;

const SMALL: Limits = Limits {
    header: 4096,
    payload: 4096,
    values: 2048,
};

fn read(bytes: &[u8]) -> Result<Frame, FrameError> {
    frame::read(&mut BufReader::new(bytes), SMALL)
}

/// A frame with a header as it is.
fn framed(header: &str, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(header.len()).unwrap();
    [&length.to_le_bytes(), header.as_bytes(), payload].concat()
}

fn tensors(list: &str) -> String {
    format!(r#"{{"ok":true,"tensors":[{list}]}}"#)
}

/// Every type that the judge has travels, bit for bit.
#[test]
fn arrays_come_back_as_they_went() {
    let mut rng = Rng::named(1, "frames");
    for dtype in DType::ALL.iter().filter(|d| name_of(**d).is_some()) {
        for shape in [&[][..], &[0], &[3], &[2, 3], &[1, 0, 2]] {
            let count: usize = shape.iter().product();
            let bytes: Vec<u8> = (0..count * dtype.bits().unwrap() / 8)
                .map(|_| rng.below(if *dtype == DType::Bool { 2 } else { 120 }) as u8)
                .collect();
            let array = Array::from_bytes(*dtype, shape, &bytes).unwrap();
            let meta = Meta::of("x", &array).unwrap();
            let header = tensors(&serde_json::to_string(&meta).unwrap());
            let back = read(&framed(&header, &array.to_bytes())).unwrap();
            assert_eq!(back.tensors, [("x".to_owned(), array)], "{dtype} {shape:?}");
        }
    }
}

#[test]
fn whatever_comes_is_an_error_and_no_panic() {
    let mut rng = Rng::named(2, "noise");
    let whole = framed(
        &tensors(r#"{"name":"y","type":"float32","shape":[2,1]}"#),
        &[0; 8],
    );
    assert!(read(&whole).is_ok());
    for cut in 1..whole.len() {
        assert_eq!(read(&whole[..cut]), Err(FrameError::Cut), "{cut}");
    }
    assert_eq!(read(&[]), Err(FrameError::End));
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + rng.below(4) {
            let at = rng.below(bytes.len());
            bytes[at] = rng.below(256) as u8;
        }
        bytes.truncate(rng.below(bytes.len() + 1));
        let _ = read(&bytes);
        let noise: Vec<u8> = (0..rng.below(64)).map(|_| rng.below(256) as u8).collect();
        let _ = read(&noise);
        // Noise as the header of a frame that is one.
        let text = String::from_utf8_lossy(&noise).into_owned();
        assert!(read(&framed(&text, &[])).is_err());
    }
}

#[test]
fn what_is_too_long_is_refused_before_it_is_read() {
    let long = |bytes: &[u8]| match read(bytes) {
        Err(FrameError::Long { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(long(&[0xff; 4]), "bytes of header");
    assert_eq!(long(&4097u32.to_le_bytes()), "bytes of header");
    for shape in ["[1025]", "[4294967296,4294967296]", "[1000000,1000]"] {
        let y = format!(r#"{{"name":"y","type":"float32","shape":{shape}}}"#);
        assert_eq!(long(&framed(&tensors(&y), &[])), "bytes of tensors");
    }
    // Two that are too long together.
    let y = r#"{"name":"y","type":"int16","shape":[1500]}"#;
    let two = framed(&tensors(&format!("{y},{y}")), &[0; 6000]);
    assert_eq!(long(&two), "bytes of tensors");
    let y = r#"{"name":"y","type":"uint8","shape":[3000]}"#;
    assert_eq!(long(&framed(&tensors(y), &[0; 3000])), "values");
    let huge = format!(
        r#"{{"name":"y","type":"int8","shape":[{max},{max},{max}]}}"#,
        max = u64::MAX
    );
    assert!(matches!(
        read(&framed(&tensors(&huge), &[])),
        Err(FrameError::Header(_))
    ));
}

#[test]
fn what_is_printed_is_shown() {
    let printed = read(b"Loading model 1 of 3\nmore").unwrap_err().to_string();
    assert!(printed.contains("`Loading model 1 of 3`"), "{printed}");
}

#[test]
fn headers_say_one_thing() {
    let wrong = [
        "",
        "{}",
        "[]",
        "{\"ok\":false}",
        r#"{"ok":true,"refused":"no"}"#,
        r#"{"ok":true,"tensors":[{"name":"y","type":"float8","shape":[1]}]}"#,
        r#"{"ok":true,"tensors":[{"name":"y","type":"int8","shape":[-1]}]}"#,
        r#"{"ok":true,"tensors":[{"name":"y","type":"int8"}]}"#,
    ];
    for text in wrong {
        let got = read(&framed(text, &[0; 8]));
        assert!(matches!(got, Err(FrameError::Header(_))), "{text}: {got:?}");
    }
    let refused = read(&framed(r#"{"refused":"no Scan","more":1}"#, &[])).unwrap();
    assert_eq!(refused.answer.refused.as_deref(), Some("no Scan"));
}
