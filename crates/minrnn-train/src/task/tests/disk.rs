//! A text on disk against the same text in memory.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::*;
use crate::task::TextTokens;
use crate::task::disk::{FromDisk, least};
use crate::task::row::BLOCK;

fn options(path: &Path, seq_len: usize) -> TextOptions {
    TextOptions {
        path: path.to_path_buf(),
        seq_len,
        validation_fraction: 0.1,
        tokens: None,
        tokenizer: None,
        vocab_size: None,
        from_disk: true,
        carried: None,
        whole: false,
    }
}

/// Characters of one to four bytes, more than a few thousand of them.
fn mixed(count: usize) -> String {
    let letters: Vec<char> = "abcdefgh \néß→😀".chars().collect();
    (0..count)
        .map(|i| letters[(i * i / 7 + i) % letters.len()])
        .collect()
}

fn put(name: &str, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    (dir, path)
}

/// Every sample of every part, and the pieces of streams.
fn same(disk: &dyn Task, memory: &dyn Task, count: usize) {
    assert_eq!(disk.shape(), memory.shape());
    assert_eq!(disk.digest(), memory.digest());
    for split in [Split::Train, Split::Validation, Split::Test] {
        assert_eq!(disk.len(split), memory.len(split));
        let most = disk.len(split).unwrap_or(0).min(count as u64);
        for first in 0..most {
            let [a, b] = [disk, memory].map(|task| task.batch(split, first, 1).unwrap());
            assert_eq!(a, b, "{split:?} {first}");
        }
    }
    let steps = disk.pass(3).unwrap();
    assert_eq!(Some(steps), memory.pass(3));
    for (pass, at) in [(0, 0), (1, steps / 2), (5, steps - 1)] {
        let piece = Piece {
            pass,
            at,
            streams: 3,
        };
        assert_eq!(disk.pieces(piece).unwrap(), memory.pieces(piece).unwrap());
    }
}

#[test]
fn a_text_on_disk_gives_the_samples_of_one_in_memory() {
    for mark in ["", "\u{feff}"] {
        for count in [60, 4096, 4097, 30_000] {
            let (_dir, path) = put("t.txt", format!("{mark}{}", mixed(count)).as_bytes());
            for (seq_len, whole) in [(1, false), (5, true), (5, false)] {
                let mut options = options(&path, seq_len);
                options.whole = whole;
                let mut disk = FromDisk::open(&options, 7).unwrap();
                let mut memory = Text::open(&options, 7).unwrap();
                assert_eq!(disk.vocabulary(), memory.vocabulary());
                same(&disk, &memory, 300);
                let more = Vocabulary::of_text(&format!("0123{}", mixed(100)));
                disk.adopt_vocabulary(&more).unwrap();
                memory.adopt_vocabulary(&more).unwrap();
                same(&disk, &memory, 20);
                let fewer = Vocabulary::of_text("abc");
                let refused = [&mut disk as &mut dyn Task, &mut memory]
                    .map(|task| task.adopt_vocabulary(&fewer).unwrap_err().to_string());
                assert_eq!(refused[0], refused[1]);
            }
        }
    }
}

/// A file of three blocks, whose characters the blocks' ends cut: never more than a block is in memory, and of the file as a whole a place
/// for every 4096 characters.
#[test]
fn what_is_in_memory_of_a_file_is_bounded() {
    let content = format!("a{}", "é→".repeat(BLOCK / 2));
    let (_dir, path) = put("t.txt", content.as_bytes());
    let options = options(&path, 100);
    let disk = FromDisk::open(&options, 7).unwrap();
    let memory = Text::open(&options, 7).unwrap();
    let size = content.len();
    assert!(size > 2 * BLOCK);
    let most = disk.row().most().swap(0, Ordering::Relaxed);
    assert!(most <= BLOCK, "{most}");
    let held = disk.row().held();
    assert!(held <= 2 * (size / 4096 + 1) * 8, "{held} of {size}");
    assert!(held as u64 <= least(size as u64) && least(size as u64) < size as u64);
    same(&disk, &memory, 200);
    let most = disk.row().most().load(Ordering::Relaxed);
    assert!(most <= 2 * 4096 * 4, "a window takes {most} bytes");
}

/// Numbers, and bytes: the samples of the file in memory, and its faults.
#[test]
fn files_of_numbers_and_bytes_are_read_by_pieces_too() {
    let ids: Vec<u32> = (0..5000u32).map(|i| i * i % 700).collect();
    for (kind, width) in [
        (TextTokens::Bytes, 1),
        (TextTokens::U16, 2),
        (TextTokens::U32, 4),
    ] {
        let number = |id: &u32| (if width == 1 { id % 256 } else { *id }).to_le_bytes();
        let bytes: Vec<u8> = ids
            .iter()
            .flat_map(|id| number(id)[..width].to_vec())
            .collect();
        let (_dir, path) = put("t.bin", &bytes);
        let of = |size: Option<usize>| TextOptions {
            tokens: Some(kind),
            vocab_size: size,
            ..options(&path, 9)
        };
        let size = (width > 1).then_some(700);
        let disk = FromDisk::open(&of(size), 3).unwrap();
        assert_eq!(disk.shape().width, size.unwrap_or(256));
        assert_eq!(disk.len(Split::Validation), Some(499u64.div_ceil(9)));
        same(&disk, &Text::open(&of(size), 3).unwrap(), 100);
        assert_eq!(disk.vocabulary().is_some(), width == 1);
        if width == 1 {
            continue;
        }
        let faults = |options: &TextOptions| {
            let disk = FromDisk::open(options, 3).unwrap_err().to_string();
            assert_eq!(disk, Text::open(options, 3).unwrap_err().to_string());
            disk
        };
        let few = faults(&of(Some(600)));
        let at = ids.iter().position(|id| *id >= 600).unwrap();
        let place = format!("token {at} (byte {})", at * width);
        assert!(
            few.contains(&place) && few.contains("there are 600 tokens"),
            "{few}"
        );
        faults(&of(None));
        std::fs::write(&path, &bytes[1..]).unwrap();
        let odd = faults(&of(size));
        assert!(odd.contains("no whole number of u"), "{odd}");
    }
}

#[test]
fn faults_of_a_file_on_disk_are_those_of_one_in_memory() {
    let long = [
        &b"a\n".repeat(BLOCK / 2 + 1000)[..],
        b"\xff",
        &b"a".repeat(100),
    ]
    .concat();
    for (content, seq_len) in [
        (&b"ab\nc\xffd"[..], 1),
        (b"", 1),
        (b"\xe2\x82", 1),
        (&long, 1),
        (&[b'a'; 100], 90),
        (&[b'a'; 10], 1),
        (&[b'a'; 100], 0),
    ] {
        let (_dir, path) = put("t.txt", content);
        let options = options(&path, seq_len);
        let disk = FromDisk::open(&options, 0).unwrap_err().to_string();
        let memory = Text::open(&options, 0).unwrap_err().to_string();
        assert_eq!(disk, memory);
    }
    let (dir, path) = put("t.txt", mixed(20_000).as_bytes());
    let folder = FromDisk::open(&options(dir.path(), 5), 0).unwrap_err();
    assert!(folder.to_string().contains("no plain file"), "{folder}");
    let task = FromDisk::open(&options(&path, 5), 0).unwrap();
    let same_size = "a".repeat(mixed(20_000).len());
    for changed in [mixed(100), "Z".repeat(60_000), same_size] {
        std::fs::write(&path, changed).unwrap();
        // Some file systems count time in steps of milliseconds.
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(10);
        let file = std::fs::File::options().write(true).open(&path);
        file.unwrap().set_modified(later).unwrap();
        let error = task.batch(Split::Validation, 3, 1).unwrap_err().to_string();
        assert!(error.contains("was changed while it was in use"), "{error}");
    }
}

/// A file that the memory does not hold is refused in one piece, and taken by pieces.
#[test]
fn a_file_beyond_the_memory_is_taken_from_disk_alone() {
    let (_dir, path) = put("t.txt", "abcdefgh".repeat(1 << 20).as_bytes());
    let mut options = options(&path, 5);
    let open =
        |options: &TextOptions| TaskConfig::Text(options.clone()).open_within(0, Some(6 << 20));
    assert_eq!(open(&options).unwrap().shape().width, 8);
    options.from_disk = false;
    let error = open(&options).unwrap_err().to_string();
    assert!(error.contains("its data need at least"), "{error}");
}
