use proptest::prelude::*;

use super::pickle::Pickle;
use super::*;

/// A zip archive of unpacked members.
fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (vec![], vec![]);
    for (name, content) in members {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let sizes = [content.len() as u32, content.len() as u32];
        let common = |kind: &[u8]| {
            let mut head = kind.to_vec();
            head.extend([20, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            head.extend(crc.sum().to_le_bytes());
            sizes.iter().for_each(|s| head.extend(s.to_le_bytes()));
            head.extend((name.len() as u16).to_le_bytes());
            head.extend([0, 0]);
            head
        };
        directory.extend(common(b"PK\x01\x02\x14\0"));
        directory.extend([0; 10]);
        directory.extend((bytes.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        bytes.extend(common(b"PK\x03\x04"));
        bytes.extend(name.as_bytes());
        bytes.extend(*content);
    }
    let (at, n) = (bytes.len() as u32, (members.len() as u16).to_le_bytes());
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([n, n].concat());
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(at.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

/// Pickle of a text.
fn text(t: &str) -> Vec<u8> {
    [
        b"X".as_slice(),
        &(t.len() as u32).to_le_bytes(),
        t.as_bytes(),
    ]
    .concat()
}

fn int(n: u32) -> Vec<u8> {
    [b"J".as_slice(), &n.to_le_bytes()].concat()
}

/// Pickle of a tuple.
fn tuple(parts: &[Vec<u8>]) -> Vec<u8> {
    [b"(", parts.concat().as_slice(), b"t"].concat()
}

fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

/// Pickle of a tensor.
fn tensor(
    class: &str,
    key: &str,
    numel: u32,
    offset: u32,
    shape: &[u32],
    stride: &[u32],
) -> Vec<u8> {
    let sizes = |s: &[u32]| tuple(&s.iter().map(|n| int(*n)).collect::<Vec<_>>());
    let storage = tuple(&[
        text("storage"),
        global("torch", class),
        text(key),
        text("cpu"),
        int(numel),
    ]);
    let storage = [storage, b"Q".to_vec()].concat();
    let hooks = [global("collections", "OrderedDict"), b")R".to_vec()].concat();
    let args = tuple(&[
        storage,
        int(offset),
        sizes(shape),
        sizes(stride),
        b"\x89".to_vec(),
        hooks,
    ]);
    [
        global("torch._utils", "_rebuild_tensor_v2"),
        args,
        b"R".to_vec(),
    ]
    .concat()
}

/// Pickle of a dictionary.
fn dictionary(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<u8> = items
        .iter()
        .flat_map(|(k, v)| [text(k), v.clone()].concat())
        .collect();
    [b"}(", items.as_slice(), b"u"].concat()
}

fn program(root: &[u8]) -> Vec<u8> {
    [b"\x80\x02", root, b"."].concat()
}

/// An archive of a pickle with the storages 0 (six float32) and 1 (four float64).
fn archive(root: &[u8]) -> Vec<u8> {
    let floats: Vec<u8> = (0..6)
        .flat_map(|i| (i as f32 * 0.5).to_le_bytes())
        .collect();
    let doubles: Vec<u8> = (0..4)
        .flat_map(|i| (f64::from(i) - 0.1).to_le_bytes())
        .collect();
    zip(&[
        ("a/data.pkl", &program(root)),
        ("a/byteorder", b"little"),
        ("a/data/0", &floats),
        ("a/data/1", &doubles),
    ])
}

fn open(root: &[u8]) -> Result<Source> {
    Source::read(archive(root), None)
}

#[track_caller]
fn refused(result: Result<Source>, wanted: &str) {
    let source = match result {
        Err(e) => return assert!(e.to_string().contains(wanted), "wanted {wanted:?} in {e}"),
        Ok(source) => source,
    };
    let read = source.tensors.iter().map(|(n, i)| source.values(n, i));
    let error = read.filter_map(Result::err).map(|e| e.to_string()).next();
    let error = error.expect("refused when read");
    assert!(error.contains(wanted), "wanted {wanted:?} in {error}");
}

#[test]
fn views_are_read_as_they_lie() {
    let source = open(&dictionary(&[
        ("plain", tensor("FloatStorage", "0", 6, 0, &[2, 3], &[3, 1])),
        (
            "transposed",
            tensor("FloatStorage", "0", 6, 0, &[3, 2], &[1, 3]),
        ),
        ("part", tensor("DoubleStorage", "1", 4, 1, &[2], &[2])),
        ("one", tensor("FloatStorage", "0", 6, 5, &[], &[])),
    ]))
    .unwrap();
    let values = |name: &str| source.values(name, &source.tensors[name]).unwrap();
    assert_eq!(values("plain"), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
    assert_eq!(values("transposed"), [0.0, 1.5, 0.5, 2.0, 1.0, 2.5]);
    assert_eq!(values("part"), [0.9, 2.9]);
    assert_eq!(values("one"), [2.5]);
    assert_eq!(source.tensors["part"].dtype, Dtype::F64);
}

#[test]
fn half_precision_is_widened() {
    let bytes = [0x80, 0x3f, 0x00, 0xc0];
    assert_eq!(Dtype::Bf16.decode(&bytes), [1.0, -2.0]);
    assert_eq!(Dtype::F16.decode(&[0x00, 0x3c, 0x00, 0xc0]), [1.0, -2.0]);
}

#[test]
fn entries_are_found_or_asked_for() {
    let weights = || dictionary(&[("w", tensor("FloatStorage", "0", 6, 0, &[6], &[1]))]);
    let loss = tensor("FloatStorage", "0", 6, 0, &[], &[]);
    let strange = dictionary(&[("loss", loss.clone()), ("ema", weights())]);
    refused(open(&strange), "name the entry with them by --key");
    let one = dictionary(&[("step", int(3)), ("loss", loss), ("model", weights())]);
    refused(
        Source::read(archive(&one), Some("ema")),
        "no tensors at \"ema\"",
    );
    let source = open(&one).unwrap();
    assert_eq!(source.format, "PyTorch archive, entry \"model\"");
    assert_eq!(source.tensors.keys().collect::<Vec<_>>(), ["w"]);
    let two = dictionary(&[
        ("state_dict", weights()),
        ("model", weights()),
        ("ema", weights()),
    ]);
    refused(open(&two), "--key");
    let of = |key: &str| Source::read(archive(&two), Some(key));
    assert_eq!(of("ema").unwrap().tensors.len(), 1);
    refused(of("best"), "\"state_dict\", \"model\", \"ema\"");
    refused(open(&dictionary(&[("ema", weights())])), "--key");
    // A class of somebody's, with items, as scripts save that have dictionaries of their own.
    let own = [
        global("attrdict", "AttrDict"),
        b")\x81(".to_vec(),
        text("model"),
        weights(),
        b"u}b".to_vec(),
    ];
    assert_eq!(open(&own.concat()).unwrap().tensors.len(), 1);
}

#[test]
fn nothing_is_called() {
    let marker = tempfile::tempdir().unwrap();
    let file = marker.path().join("called");
    let command = text(&format!("touch {}", file.display()));
    let call = [global("posix", "system"), tuple(&[command]), b"R".to_vec()].concat();
    refused(open(&call), "an object of `posix.system` is not supported");
    refused(
        open(&dictionary(&[("w", call.clone())])),
        "no weights found",
    );
    let beside = dictionary(&[
        ("w", tensor("FloatStorage", "0", 6, 0, &[6], &[1])),
        ("x", call),
    ]);
    refused(
        open(&beside),
        "tensor `x` is an object of `posix.system`, not a plain tensor",
    );
    assert!(!file.exists());
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let huge = 0x7fff_ffff;
    for (tensor, wanted) in [
        (
            tensor("FloatStorage", "0", 6, 0, &[7], &[1]),
            "storage of 6 values",
        ),
        (
            tensor("FloatStorage", "0", 6, 1, &[6], &[1]),
            "storage of 6 values",
        ),
        (
            tensor("FloatStorage", "0", 6, 0, &[2, 3], &[3]),
            "storage of 6 values",
        ),
        (
            tensor("FloatStorage", "0", 6, 0, &[huge, huge, huge], &[0, 0, 0]),
            "storage of 6 values",
        ),
        (
            tensor("FloatStorage", "0", 6, huge, &[1], &[huge]),
            "storage of 6 values",
        ),
        (
            tensor("FloatStorage", "0", 6, 0, &[0], &[1]),
            "storage of 6 values",
        ),
        (
            tensor("FloatStorage", "0", huge, 0, &[huge], &[1]),
            "expected 2147483647 values",
        ),
        (
            tensor("DoubleStorage", "0", 6, 0, &[6], &[1]),
            "storage of 24 bytes",
        ),
        (
            tensor("LongStorage", "1", 4, 0, &[4], &[1]),
            "is a LongStorage",
        ),
        (
            tensor("FloatStorage", "../data.pkl", 6, 0, &[6], &[1]),
            "the archive has no",
        ),
        (int(3), "no weights found"),
    ] {
        refused(open(&dictionary(&[("w", tensor)])), wanted);
    }
    let twice = tensor("FloatStorage", "0", 6, 0, &[6], &[1]);
    refused(
        open(&dictionary(&[("w", twice.clone()), ("w", twice)])),
        "`w` occurs twice",
    );
}

/// Two members of one name in the archive itself: of which one a program reads the weights is its choice.
#[test]
fn two_members_of_one_name_are_refused_by_it() {
    let root = dictionary(&[("w", tensor("FloatStorage", "0", 6, 0, &[6], &[1]))]);
    let (program, values) = (program(&root), [0; 24]);
    let members = |last| zip(&[("data.pkl", &program), ("data/0", &values), (last, &values)]);
    Source::read(members("data/1"), None).unwrap();
    refused(
        Source::read(members("data/0"), None),
        "a zip archive with two members data/0",
    );
}

#[test]
fn values_that_are_not_finite_are_named() {
    let mut bytes = archive(&dictionary(&[(
        "w",
        tensor("FloatStorage", "0", 6, 0, &[6], &[1]),
    )]));
    let floats: Vec<u8> = (0..6)
        .flat_map(|i| (i as f32 * 0.5).to_le_bytes())
        .collect();
    let at = bytes.windows(24).position(|w| w == floats).unwrap();
    bytes[at + 4..at + 8].copy_from_slice(&f32::NAN.to_le_bytes());
    refused(Source::read(bytes.clone(), None), "another checksum");
    let nan = [&[0; 4][..], &f32::NAN.to_le_bytes(), &[0; 16]].concat();
    let root = dictionary(&[("w", tensor("FloatStorage", "0", 6, 0, &[6], &[1]))]);
    let bytes = zip(&[("data.pkl", &program(&root)), ("data/0", &nan)]);
    refused(Source::read(bytes, None), "`w` has NaN at flat index 1");
}

#[test]
fn other_files_are_named() {
    let tar = [vec![b'x'; 257], b"ustar".to_vec(), vec![0; 250]].concat();
    for (bytes, wanted) in [
        (vec![], "empty"),
        (b"hello world".to_vec(), "neither"),
        (b"\x80\x02\x8a\x0a\x6c".to_vec(), "before version 1.6"),
        (b"\x80\x04K\x01.".to_vec(), "a bare pickle"),
        (tar, "a tar archive"),
        (b"PK\x03\x04 and nothing".to_vec(), "damaged or cut off"),
        (zip(&[("x.txt", b"hello")]), "no data.pkl"),
        (
            zip(&[("a/data.pkl", b""), ("b/data.pkl", b"")]),
            "two pickles",
        ),
        (
            zip(&[("a/data.pkl", b"N."), ("a/constants.pkl", b"")]),
            "TorchScript",
        ),
        (
            zip(&[("data.pkl", b"N."), ("byteorder", b"big")]),
            "little-endian",
        ),
        (b"\x09\0\0\0\0\0\0\0{\"a\": 1, ".to_vec(), "safetensors"),
    ] {
        refused(Source::read(bytes, None), wanted);
    }
}

#[test]
fn packed_members_are_refused() {
    let mut bytes = archive(&dictionary(&[(
        "w",
        tensor("FloatStorage", "0", 6, 0, &[6], &[1]),
    )]));
    let entry = bytes.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    bytes[entry + 10] = 8;
    // The last entry is the storage 1, which nobody reads; the first is the pickle.
    assert!(Source::read(bytes.clone(), None).is_ok());
    let entry = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    bytes[entry + 10] = 8;
    refused(Source::read(bytes, None), "a/data.pkl is packed");
}

#[test]
fn programs_that_are_none_are_refused_at_their_byte() {
    for (bytes, at, wanted) in [
        (&b"\x80\x02"[..], 2, "cut off"),
        (
            b"X\xff\xff\xff\xffabc.",
            0,
            "4294967295 bytes are announced",
        ),
        (
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc.",
            0,
            "are announced",
        ),
        (b"N\x85\x86.", 2, "where none is"),
        (b"(0.", 1, "where none is"),
        (b"u.", 0, "no"),
        (b"Nt.", 1, "mark"),
        (b"N(NNu.", 4, "takes none"),
        (b"}(Nu.", 3, "no value"),
        (b"h\x07.", 0, "never remembered"),
        (b"cos\nsystem", 0, "no end"),
        (b"K\x01\x93.", 2, "where none is"),
        (b"I1\n.", 0, "0x49"),
    ] {
        let error = Pickle::read(bytes).unwrap_err();
        let ImportProblem::Pickle { at: found, message } = error else {
            panic!("{error}");
        };
        assert_eq!(found, at, "{message}");
        assert!(message.contains(wanted), "wanted {wanted:?} in {message}");
    }
}

#[test]
fn deep_and_doubling_programs_stay_small() {
    // 20,000 tuples in each other, and a value that would double 60 times if it were copied.
    let deep = [b"N".to_vec(), vec![0x85; 20_000], b".".to_vec()].concat();
    Pickle::read(&deep).unwrap();
    let doubling = [b"N".to_vec(), b"2\x86".repeat(60), b".".to_vec()].concat();
    Pickle::read(&doubling).unwrap();
    let many = [b"(".to_vec(), vec![b'N'; 2 << 20], b"t.".to_vec()].concat();
    assert!(
        Pickle::read(&many)
            .unwrap_err()
            .to_string()
            .contains("values")
    );
}

fn sample() -> Vec<u8> {
    let weights = dictionary(&[
        ("a", tensor("FloatStorage", "0", 6, 0, &[2, 3], &[3, 1])),
        ("b", tensor("DoubleStorage", "1", 4, 1, &[3], &[1])),
    ]);
    archive(&dictionary(&[("model", weights), ("step", int(3))]))
}

/// Reads everything there is to read.
fn exhaust(bytes: Vec<u8>) {
    if let Ok(source) = Source::read(bytes, None) {
        source
            .tensors
            .iter()
            .for_each(|(n, i)| drop(source.values(n, i)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn changed_or_cut_archives_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
        let file = sample();
        let mut changed = file.clone();
        changes.iter().for_each(|(at, byte)| changed[at.index(file.len())] = *byte);
        exhaust(changed);
        prop_assert!(Source::read(file[..cut.index(file.len())].to_vec(), None).is_err());
    }

    #[test]
    fn changed_programs_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), noise in prop::collection::vec(any::<u8>(), 0..60)) {
        // Behind a checksum that holds, so that the pickle is reached.
        let mut root = dictionary(&[("w", tensor("FloatStorage", "0", 6, 0, &[2, 3], &[3, 1]))]);
        let n = root.len();
        changes.iter().for_each(|(at, byte)| root[at.index(n)] = *byte);
        exhaust(archive(&root));
        exhaust(archive(&noise));
        let _ = Pickle::read(&noise);
    }
}
