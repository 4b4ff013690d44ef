//! Arrays on disk against the same arrays in memory.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::*;
use crate::data::{LabelKind, LabelScope, write_npz};
use crate::task::sequences::source::Source;

/// A little-endian npy file.
fn npy(descr: &str, shape: &[usize], fortran: bool, data: &[u8]) -> Vec<u8> {
    let shape: String = shape.iter().map(|d| format!("{d}, ")).collect();
    let fortran = if fortran { "True" } else { "False" };
    let header =
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({shape}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn values(count: usize, of: impl Fn(usize) -> f32) -> Vec<f32> {
    (0..count).map(of).collect()
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

const N: usize = 37;
const T: usize = 11;
const F: usize = 3;

/// Features that vary, with noise behind the lengths too.
fn features() -> Vec<f32> {
    values(N * T * F, |i| {
        ((i * i + 7 * i) % 1013) as f32 / 37.0 - (i % 5) as f32
    })
}

fn lengths() -> Vec<u8> {
    let lens = (0..N).map(|i| 1 + (i * 5) % T);
    lens.flat_map(|n| (n as i64).to_le_bytes()).collect()
}

fn classes(count: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|i| ((i * i / 3 % 4) as i32).to_le_bytes())
        .collect()
}

/// Wide floats, the bytes of the other order.
fn wide(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|v| f64::from(*v).to_be_bytes())
        .collect()
}

/// The arrays as one npz: of these labels, with lengths where it is said.
fn npz(labels: &[u8], lens: bool) -> Vec<u8> {
    let x = npy("<f4", &[N, T, F], false, &bytes(&features()));
    let mut arrays = vec![("x", x), ("y", labels.to_vec())];
    if lens {
        arrays.push(("lengths", npy("<i8", &[N], false, &lengths())));
    }
    let arrays: Vec<(&str, Vec<u8>)> = arrays.into_iter().collect();
    write_npz(&arrays).unwrap()
}

/// The same as safetensors.
fn safetensors(x: (&str, &[u8]), y: (&str, &[usize], &[u8])) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let (end, all) = (x.1.len(), x.1.len() + y.2.len());
    header.insert(
        "x".into(),
        serde_json::json!({ "dtype": x.0, "shape": [N, T, F], "data_offsets": [0, end] }),
    );
    header.insert(
        "y".into(),
        serde_json::json!({ "dtype": y.0, "shape": y.1, "data_offsets": [end, all] }),
    );
    let header = serde_json::to_vec(&header).unwrap();
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], &header, x.1, y.2].concat()
}

fn options(path: &Path, target: LabelKind, per: LabelScope) -> SequencesOptions {
    let text = format!(
        "path = '{}'\ntarget = 'values'\nper = 'step'\nvalidation_fraction = 0.2\ntest_fraction = 0.1",
        path.display()
    );
    let options: SequencesOptions = toml::from_str(&text).unwrap();
    SequencesOptions {
        target,
        per,
        ..options
    }
}

fn on_disk(options: &SequencesOptions) -> SequencesOptions {
    SequencesOptions {
        from_disk: true,
        ..options.clone()
    }
}

/// Everything that a task says, and every batch.
fn same(options: &SequencesOptions) {
    let memory = Sequences::open(options, 7).unwrap();
    let disk = Sequences::open(&on_disk(options), 7).unwrap();
    assert!(matches!(disk.source(), Source::Disk(_)));
    let bits = |n: Option<&crate::data::Normalisation>| {
        n.map(|n| {
            let all = n.mean.iter().chain(&n.std);
            all.map(|v| v.to_bits()).collect::<Vec<u32>>()
        })
    };
    assert_eq!(disk.shape(), memory.shape());
    assert_eq!(disk.digest(), memory.digest());
    assert_eq!(bits(disk.normalisation()), bits(memory.normalisation()));
    assert_eq!(
        bits(disk.target_normalisation()),
        bits(memory.target_normalisation())
    );
    assert_eq!(disk.warnings(), memory.warnings());
    assert_eq!(disk.target_names(), memory.target_names());
    assert_eq!(disk.longest().unwrap(), memory.longest().unwrap());
    let scales = Scales::default();
    disk.check_values(scales, scales).unwrap();
    for split in [Split::Train, Split::Validation, Split::Test] {
        assert_eq!(disk.len(split), memory.len(split));
        for (first, count) in [(0, 3), (2, 1), (0, 2)] {
            let [a, b] = [&disk, &memory].map(|task| task.batch(split, first, count).unwrap());
            assert_eq!(a, b, "{split:?} {first} {count}");
        }
    }
    let all = 2 * disk.len(Split::Train).unwrap() as usize;
    assert_eq!(
        disk.batch(Split::Train, 1, all).unwrap(),
        memory.batch(Split::Train, 1, all).unwrap()
    );
}

#[test]
fn arrays_on_disk_give_the_samples_of_those_in_memory() {
    let files = Files::new();
    let targets = values(N * T * 2, |i| (i % 17) as f32 * 0.5 - 100.0);
    let step_values = npy("<f4", &[N, T, 2], false, &bytes(&targets));
    let step_classes = npy("<i4", &[N, T], false, &classes(N * T));
    let row_values = npy("<f4", &[N], false, &bytes(&targets[..N]));
    let row_classes = npy("<i4", &[N], false, &classes(N));
    for lens in [false, true] {
        for (labels, target, per) in [
            (&step_values, LabelKind::Values, LabelScope::Step),
            (&step_classes, LabelKind::Classes, LabelScope::Step),
            (&row_values, LabelKind::Values, LabelScope::Sequence),
            (&row_classes, LabelKind::Classes, LabelScope::Sequence),
        ] {
            let path = files.put("a.npz", npz(labels, lens));
            let options = options(&path, target, per);
            same(&options);
            if target == LabelKind::Classes {
                // Names of digits give classes other numbers; others are places.
                for names in [["3", "1", "0", "2"], ["a", "b", "c", "d"]] {
                    let class_names = names.map(str::to_owned).to_vec();
                    same(&SequencesOptions {
                        class_names,
                        ..options.clone()
                    });
                }
            }
        }
    }
    // Texts of whole sequences are few, and are read.
    let names: Vec<u8> = (0..N).flat_map(|i| [b'a' + (i % 3) as u8, b'z']).collect();
    let path = files.put("b.npz", npz(&npy("|S2", &[N], false, &names), true));
    same(&options(&path, LabelKind::Classes, LabelScope::Sequence));
}

#[test]
fn files_of_other_kinds_and_types_are_read_too() {
    let files = Files::new();
    let targets = values(N * T, |i| (i % 17) as f32 * 0.5 - 100.0);
    let x = features();
    // One file each: wide floats of the other byte order, integers, lengths.
    let path = files.put("x.npy", npy(">f8", &[N, T, F], false, &wide(&x)));
    let labels = files.put("y.npy", npy("<i4", &[N, T], false, &classes(N * T)));
    let lens = files.put("n.npy", npy("<i8", &[N], false, &lengths()));
    for target in [LabelKind::Values, LabelKind::Classes] {
        same(&SequencesOptions {
            labels_path: Some(labels.clone()),
            lengths_path: Some(lens.clone()),
            ..options(&path, target, LabelScope::Step)
        });
    }
    // One feature, without an axis of its own.
    let path = files.put("x.npy", npy("<f4", &[N, T], false, &bytes(&x[..N * T])));
    same(&SequencesOptions {
        labels_path: Some(labels),
        ..options(&path, LabelKind::Classes, LabelScope::Step)
    });
    let half: Vec<u8> = x
        .iter()
        .flat_map(|v| half::f16::from_f32(*v).to_le_bytes())
        .collect();
    let brain: Vec<u8> = x
        .iter()
        .flat_map(|v| half::bf16::from_f32(*v).to_le_bytes())
        .collect();
    let y = bytes(&targets);
    for (dtype, x) in [("F32", bytes(&x)), ("F16", half), ("BF16", brain)] {
        let all = safetensors((dtype, &x), ("F32", &[N, T], &y));
        let path = files.put("a.safetensors", all);
        same(&options(&path, LabelKind::Values, LabelScope::Step));
    }
}

/// Of a file of some pieces: no more than one of them is in memory, and of a batch its rows.
#[test]
fn what_is_in_memory_of_arrays_is_bounded() {
    let files = Files::new();
    let (n, t) = (40_000, 9);
    let x = bytes(&values(n * t * 3, |i| (i % 1013) as f32));
    let y = bytes(&values(n * t, |i| (i % 7) as f32));
    let arrays = [
        ("x", npy("<f4", &[n, t, 3], false, &x)),
        ("y", npy("<f4", &[n, t], false, &y)),
    ];
    let path = files.put("a.npz", write_npz(&arrays).unwrap());
    let options = options(&path, LabelKind::Values, LabelScope::Step);
    let size = std::fs::metadata(&path).unwrap().len();
    let task = Sequences::open(&on_disk(&options), 7).unwrap();
    let Source::Disk(set) = task.source() else {
        panic!("on disk")
    };
    let most = set.most().swap(0, Ordering::Relaxed);
    // The end of an archive, where its directory may be, is looked at once.
    assert!(size > 5 << 20 && most <= 4 << 20, "{most} of {size}");
    task.check_values(Scales::default(), Scales::default())
        .unwrap();
    let most = set.most().swap(0, Ordering::Relaxed);
    assert!(most <= 1 << 20, "{most}");
    task.batch(Split::Train, 5, 8).unwrap();
    let most = set.most().load(Ordering::Relaxed);
    assert_eq!(most, t * 3 * 4, "a row");
    // A file that the memory does not hold is refused in one piece, and taken by rows.
    let open =
        |options: SequencesOptions| TaskConfig::Sequences(options).open_within(0, Some(10 << 20));
    let error = open(options.clone()).unwrap_err().to_string();
    assert!(error.contains("its data need at least"), "{error}");
    assert_eq!(open(on_disk(&options)).unwrap().shape(), task.shape());
}

/// The words of a fault, the same from disk and from memory.
fn fault(options: &SequencesOptions) -> String {
    let disk = Sequences::open(&on_disk(options), 3)
        .unwrap_err()
        .to_string();
    assert_eq!(disk, Sequences::open(options, 3).unwrap_err().to_string());
    disk
}

#[test]
fn faults_of_arrays_on_disk_are_those_of_arrays_in_memory() {
    let files = Files::new();
    let file = |x: &[f32], y: Vec<u8>| {
        let arrays = [
            ("x", npy("<f4", &[N, T, F], false, &bytes(x))),
            ("y", y),
            ("lengths", npy("<i8", &[N], false, &lengths())),
        ];
        files.put("a.npz", write_npz(&arrays).unwrap())
    };
    let step = |path: &Path, target| options(path, target, LabelScope::Step);
    let good = npy("<i4", &[N, T], false, &classes(N * T));
    let mut nan = features();
    // Sequence 3 has 5 steps: the first is behind them.
    nan[(3 * T + 5) * F] = f32::NAN;
    same(&step(&file(&nan, good.clone()), LabelKind::Classes));
    nan[(3 * T + 4) * F + 1] = f32::NAN;
    let said = fault(&step(&file(&nan, good.clone()), LabelKind::Classes));
    assert!(said.contains("element [3, 4, 1] is NaN"), "{said}");
    let mut bad = classes(N * T);
    bad[4 * (2 * T + 1)..][..4].copy_from_slice(&(-7_i32).to_le_bytes());
    let bad = npy("<i4", &[N, T], false, &bad);
    let said = fault(&step(&file(&features(), bad), LabelKind::Classes));
    assert!(
        said.contains("array 'y'") && said.contains("element [2, 1] is -7"),
        "{said}"
    );
    let mut target = values(N * T, |_| 1.0);
    target[2 * T] = f32::INFINITY;
    let target = npy("<f4", &[N, T], false, &bytes(&target));
    let said = fault(&step(&file(&features(), target.clone()), LabelKind::Values));
    assert!(said.contains("element [2, 0, 0] is inf"), "{said}");
    fault(&step(&file(&features(), target), LabelKind::Classes));
    fault(&step(
        &file(&features(), npy("<i4", &[N], false, &classes(N))),
        LabelKind::Classes,
    ));
    let path = file(&features(), good.clone());
    let strange = SequencesOptions {
        ignore_arrays: vec!["z".into()],
        ..step(&path, LabelKind::Classes)
    };
    fault(&strange);
    fault(&SequencesOptions {
        classes: Some(2),
        ..step(&path, LabelKind::Classes)
    });
    // A byte of an array that is another one.
    let mut damaged = std::fs::read(&path).unwrap();
    let at = damaged.windows(6).position(|w| w == b"\x93NUMPY").unwrap() + 400;
    damaged[at] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    let said = fault(&step(&path, LabelKind::Classes));
    assert!(said.contains("array 'x': cannot be unpacked"), "{said}");
    std::fs::write(&path, b"no archive").unwrap();
    fault(&step(&path, LabelKind::Classes));
    for (dtype, name) in [("F8_E4M3", "a"), ("F32", "cut")] {
        let x = vec![0; N * T * F * if dtype == "F32" { 4 } else { 1 }];
        let mut all = safetensors(
            (dtype, &x),
            ("F32", &[N, T], &bytes(&values(N * T, |_| 1.0))),
        );
        if name == "cut" {
            all.truncate(all.len() - 4);
        }
        let path = files.put("a.safetensors", all);
        let disk = Sequences::open(&on_disk(&step(&path, LabelKind::Values)), 3);
        let disk = disk.unwrap_err().to_string();
        let wanted = if name == "cut" {
            "not a safetensors file"
        } else {
            "tensor 'x': has type F8_E4M3"
        };
        assert!(disk.contains(wanted), "{disk}");
    }
}

#[test]
fn what_has_no_rows_on_disk_is_refused_by_name() {
    let files = Files::new();
    let refused = |options: SequencesOptions, words: &str| {
        let error = Sequences::open(&on_disk(&options), 3)
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{words}: {error}");
    };
    let packed = files.put(
        "packed.npz",
        include_bytes!("../../data/testdata/set_deflated.npz"),
    );
    let ignore_arrays = vec!["*".to_owned()];
    refused(
        SequencesOptions {
            ignore_arrays,
            ..options(&packed, LabelKind::Classes, LabelScope::Sequence)
        },
        "array 'features': is packed, so that no pieces of it can be read; write the file with numpy.savez",
    );
    let labels_path = Some(files.put("y.npy", npy("<i4", &[N, T], false, &classes(N * T))));
    let order = files.put("x.npy", npy("<f4", &[N, T, F], true, &bytes(&features())));
    refused(
        SequencesOptions {
            labels_path,
            ..options(&order, LabelKind::Classes, LabelScope::Step)
        },
        "is in Fortran order",
    );
    let names: Vec<u8> = (0..N * T).map(|i| b'a' + (i % 3) as u8).collect();
    let texts = files.put("t.npz", npz(&npy("|S1", &[N, T], false, &names), false));
    refused(
        options(&texts, LabelKind::Classes, LabelScope::Step),
        "array 'y': has texts, which are numbered when all of them are known",
    );
    let csv = files.put("a.csv", "id,x,y\n0,1,1\n");
    refused(
        SequencesOptions {
            id_column: Some("id".into()),
            ..options(&csv, LabelKind::Values, LabelScope::Step)
        },
        "`from_disk`: is not used with this file",
    );
    // A file that changes is not read on.
    let path = files.put("a.npz", npz(&npy("<i4", &[N], false, &classes(N)), true));
    let task = on_disk(&options(&path, LabelKind::Classes, LabelScope::Sequence));
    let task = Sequences::open(&task, 3).unwrap();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(10);
    let file = std::fs::File::options().write(true).open(&path);
    file.unwrap().set_modified(later).unwrap();
    let error = task.batch(Split::Train, 0, 1).unwrap_err().to_string();
    assert!(error.contains("was changed while it was in use"), "{error}");
}
