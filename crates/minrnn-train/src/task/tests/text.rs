use super::*;
use proptest::prelude::*;
use std::path::Path;

fn text(path: &Path, seq_len: usize, seed: u64) -> Result<Text> {
    Text::open(
        &TextOptions {
            path: path.to_path_buf(),
            seq_len,
            validation_fraction: 0.1,
            tokens: None,
            tokenizer: None,
            vocab_size: None,
            from_disk: false,
            carried: None,
            whole: false,
        },
        seed,
    )
}

#[test]
fn text_validation_predicts_every_character_once() {
    let files = Files::new();
    let content: String = (0..1003)
        .map(|i| char::from(b'a' + (i * i % 23) as u8))
        .collect();
    let path = files.put("t.txt", &content);
    for seq_len in [1, 7, 10, 50, 100, 500] {
        let task = text(&path, seq_len, 3).unwrap();
        let held: Vec<char> = content.chars().skip(902).collect();
        let (mut inputs, mut predicted) = (String::new(), String::new());
        for (first, count) in eval_ranges(&task, Split::Validation, 4) {
            let batch = task.batch(Split::Validation, first, count).unwrap();
            batch.validate().unwrap();
            let (ids, targets) = tokens(&batch);
            let steps = batch.batch * batch.time;
            let kept: Vec<usize> = (0..steps)
                .filter(|i| batch.weights.as_ref().is_none_or(|w| w[*i] != 0.0))
                .collect();
            assert_eq!(kept.len(), batch.counted());
            let pick = |all: &[u32]| {
                task.vocabulary()
                    .unwrap()
                    .decode(&kept.iter().map(|i| all[*i]).collect::<Vec<_>>())
                    .unwrap()
            };
            inputs += &pick(ids);
            predicted += &pick(targets);
        }
        assert_eq!(inputs, held[..held.len() - 1].iter().collect::<String>());
        assert_eq!(predicted, held[1..].iter().collect::<String>());
    }
}

#[test]
fn text_training_windows_stay_in_the_training_part() {
    let files = Files::new();
    // Characters of the validation part occur nowhere else.
    let path = files.put("t.txt", "abcdefghij".repeat(9) + "0123456789");
    let task = text(&path, 5, 3).unwrap();
    let batch = task.batch(Split::Train, 0, 3000).unwrap();
    let (ids, targets) = tokens(&batch);
    let decoded = |ids: &[u32]| task.vocabulary().unwrap().decode(ids).unwrap();
    let mut starts = std::collections::BTreeSet::new();
    for (x, y) in ids.chunks(5).zip(targets.chunks(5)) {
        let (x, y) = (decoded(x), decoded(y));
        assert_eq!(x[1..], y[..4]);
        assert!(
            "abcdefghij".repeat(2).contains(&(x.clone() + &y[4..])),
            "{x} {y}"
        );
        starts.insert(x);
    }
    assert_eq!(starts.len(), 10);
    assert_ne!(
        batch,
        text(&path, 5, 4)
            .unwrap()
            .batch(Split::Train, 0, 3000)
            .unwrap()
    );
    assert_samples_are_independent(&task, Split::Train, 77, 5);
    assert_eq!(
        (task.len(Split::Train), task.len(Split::Test)),
        (Some(18), Some(0))
    );
}

#[test]
fn text_faults_say_where() {
    let files = Files::new();
    let error = |content: &[u8], seq_len| {
        text(&files.put("t.txt", content), seq_len, 0)
            .unwrap_err()
            .to_string()
    };
    assert!(error(b"ab\nc\xffd", 1).contains("byte 4 (line 2)"));
    assert!(error(b"", 1).contains("too small"));
    assert!(error(&[b'a'; 100], 90).contains("90 characters for training and 10"));
    assert!(error(&[b'a'; 10], 1).contains("validation needs at least 2"));
    assert!(error(&[b'a'; 100], 0).contains("seq_len"));
    assert!(
        text(Path::new("absent.txt"), 1, 0)
            .unwrap_err()
            .to_string()
            .contains("cannot read absent.txt")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Numbers change, the text and its hash do not; and the hash is of nothing but the text.
    #[test]
    fn a_vocabulary_that_is_adopted_gives_the_same_text(
        content in "[a-fé]{60,120}", more in "[0-9]{0,5}", other in "[a-fé]{60,120}", seed: u64,
    ) {
        let files = Files::new();
        let task = |name: &str, content: &str| text(&files.put(name, content), 8, 1).unwrap();
        let own = task("a.txt", &content);
        let mut tokens = Vocabulary::of_text(&format!("{content}{more}")).characters().unwrap().to_vec();
        let order = crate::data::SampleRng::new(seed, "order", 0).permutation(tokens.len());
        tokens = order.iter().map(|i| tokens[*i].clone()).collect();
        let vocabulary = Vocabulary::from_tokens(&tokens).unwrap();
        let mut adopted = task("b.txt", &content);
        adopted.adopt_vocabulary(&vocabulary).unwrap();
        for split in [Split::Train, Split::Validation] {
            let (a, b) = (own.batch(split, 0, 1).unwrap(), adopted.batch(split, 0, 1).unwrap());
            let said = |task: &Text, batch: &Batch| task.vocabulary().unwrap().decode(tokens_of(batch)).unwrap();
            prop_assert_eq!(said(&own, &a), said(&adopted, &b));
        }
        prop_assert_eq!(adopted.shape().input, graph::Input::Tokens { vocab: tokens.len() });
        prop_assert_eq!(own.digest(), adopted.digest());
        prop_assert_eq!(own.digest() == task("c.txt", &other).digest(), content == other);
        let last = tokens.pop().unwrap();
        let fewer = Vocabulary::from_tokens(&tokens).unwrap();
        let refused = task("d.txt", &content).adopt_vocabulary(&fewer).is_err();
        prop_assert_eq!(refused, content.contains(&last));
    }
}

fn tokens_of(batch: &Batch) -> &[u32] {
    tokens(batch).0
}

#[test]
fn a_byte_order_mark_is_no_character() {
    let dir = tempfile::tempdir().unwrap();
    let of = |text: &str| {
        let path = dir.path().join("a.txt");
        std::fs::write(&path, text).unwrap();
        let options = TextOptions {
            path,
            seq_len: 4,
            validation_fraction: 0.5,
            tokens: None,
            tokenizer: None,
            vocab_size: None,
            from_disk: false,
            carried: None,
            whole: false,
        };
        let text = Text::open(&options, 0).unwrap();
        (
            text.vocabulary().unwrap().characters().unwrap().to_vec(),
            text.digest(),
        )
    };
    let (plain, marked) = (of("abcabcabcabc"), of("\u{feff}abcabcabcabc"));
    assert_eq!(plain.0, ["a", "b", "c"]);
    assert_eq!(plain, marked);
    // Only the first is one.
    assert_eq!(of("\u{feff}\u{feff}abcabcabcabc").0.len(), 4);
}

/// Words of one letter or two, and what stands between them.
const PIECES: &str = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
    "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, " ": 2, "ab": 4}, "merges": [["a", "b"]]}}"#;

fn opened(path: &Path, more: &str) -> Result<Text> {
    let text = format!("path = '{}'\nseq_len = 4\n{more}", path.display());
    Text::open(&toml::from_str(&text).unwrap(), 0)
}

fn numbers(values: &[u32], width: usize) -> Vec<u8> {
    let of = |v: &u32| v.to_le_bytes()[..width].to_vec();
    values.iter().flat_map(of).collect()
}

#[test]
fn numbers_of_four_bytes_that_are_read_as_two_are_warned_of() {
    let files = Files::new();
    let path = files.put("ids.bin", "");
    let warnings = |ids: &[u32], width: usize, tokens: &str| {
        std::fs::write(&path, numbers(ids, width)).unwrap();
        let more = format!("tokens = '{tokens}'\nvocab_size = 70000\nvalidation_fraction = 0.3");
        let memory = opened(&path, &more).unwrap().warnings().to_vec();
        let options = format!(
            "path = '{}'\nseq_len = 4\nfrom_disk = true\n{more}",
            path.display()
        );
        let disk = crate::task::disk::FromDisk::open(&toml::from_str(&options).unwrap(), 0);
        assert_eq!(disk.unwrap().warnings(), memory);
        memory
    };
    // An odd number of tokens for training, so that places are counted through the whole file.
    let ids: Vec<u32> = (0..23).map(|i| i * 7 % 40).collect();
    let said = warnings(&ids, 4, "u16");
    assert!(
        said.len() == 1 && said[0].contains("say task.tokens = \"u32\""),
        "{said:?}"
    );
    assert!(warnings(&ids, 4, "u32").is_empty());
    assert!(warnings(&ids, 2, "u16").is_empty());
    // Nothing else than 0, and another number at one odd place.
    assert!(warnings(&[0; 40], 2, "u16").is_empty());
    let mut others: Vec<u32> = (0..40).map(|i| (i + 1) % 2 * 5).collect();
    assert_eq!(warnings(&others, 2, "u16").len(), 1);
    others[39] = 1;
    assert!(warnings(&others, 2, "u16").is_empty());
}

#[test]
fn tokens_are_bytes_or_pieces_or_numbers() {
    let files = Files::new();
    let put = |name: &str, content: &[u8]| {
        let path = files.put(name, "");
        std::fs::write(&path, content).unwrap();
        path
    };
    // Whatever the file is, a byte order mark too.
    let path = put(
        "a.txt",
        &[&b"\xef\xbb\xbf\xff"[..], &b"abcdef".repeat(9)].concat(),
    );
    let task = opened(&path, "tokens = 'bytes'").unwrap();
    assert_eq!(task.shape().width, 256);
    assert_eq!(task.ids[..5], [0xef, 0xbb, 0xbf, 0xff, 97]);
    assert_eq!(task.vocabulary(), Some(&Vocabulary::bytes()));

    let tokenizer = put("tokenizer.json", PIECES.as_bytes());
    let pieces = format!("tokenizer = '{}'", tokenizer.display());
    let path = put("b.txt", "ab ba ".repeat(9).as_bytes());
    let task = opened(&path, &pieces).unwrap();
    assert_eq!(task.ids[..5], [4, 2, 1, 0, 2]);
    // One more than the largest number, though 3 is none.
    assert_eq!(task.shape().width, 5);
    assert_eq!(
        task.vocabulary().unwrap().decode(&task.ids[..5]).unwrap(),
        "ab ba "
    );
    assert_eq!(task.warnings(), [""; 0]);
    let lossy = opened(&put("c.txt", "ab ba?".repeat(9).as_bytes()), &pieces).unwrap();
    assert!(
        lossy.warnings()[0].contains("from character 6 on"),
        "{:?}",
        lossy.warnings()
    );

    for (width, kind) in [(2, "u16"), (4, "u32")] {
        let values: Vec<u32> = (0..60).map(|i| i * 7 % 5 + 300 * (i % 2)).collect();
        let path = put("d.bin", &numbers(&values, width));
        let task = opened(&path, &format!("tokens = '{kind}'\nvocab_size = 305")).unwrap();
        assert_eq!(
            (task.ids.as_slice(), task.shape().width),
            (values.as_slice(), 305)
        );
        assert_eq!(task.vocabulary(), None);
    }
    // Numbers of a tokenizer, and those of its text: the same data.
    let path = put("e.bin", &numbers(&task.ids, 2));
    let named = opened(&path, &format!("tokens = 'u16'\n{pieces}")).unwrap();
    assert_eq!(
        (named.vocabulary(), named.digest()),
        (task.vocabulary(), task.digest())
    );
    let room = opened(&path, &format!("tokens = 'u16'\n{pieces}\nvocab_size = 8")).unwrap();
    assert_eq!(room.shape().width, 8);
}

#[test]
fn what_contradicts_itself_about_tokens_is_refused() {
    let files = Files::new();
    let tokenizer = files.put("tokenizer.json", PIECES);
    let pieces = format!("tokenizer = '{}'", tokenizer.display());
    let path = files.put("a.txt", "ab ba ".repeat(9));
    let said = |path: &Path, more: &str| opened(path, more).unwrap_err().to_string();
    assert!(
        said(&path, &format!("tokens = 'bytes'\n{pieces}")).contains("leave one of the two out")
    );
    assert!(said(&path, "vocab_size = 9").contains("files of token numbers"));
    assert!(said(&path, "tokens = 'u16'").contains("is missing"));
    assert!(
        said(&path, &format!("tokens = 'u16'\nvocab_size = 4\n{pieces}")).contains("has 5 tokens")
    );
    assert!(
        said(&path, &format!("tokenizer = '{}'", path.display())).contains("is no tokenizer.json")
    );
    let bin = files.put("a.bin", "");
    std::fs::write(&bin, numbers(&[1, 2, 700, 3], 2)).unwrap();
    let beyond = said(&bin, "tokens = 'u16'\nvocab_size = 700");
    assert!(
        beyond.contains("token 2 (byte 4)") && beyond.contains("is 700, and there are 700"),
        "{beyond}"
    );
    std::fs::write(&bin, [1, 0, 2]).unwrap();
    assert!(said(&bin, "tokens = 'u16'\nvocab_size = 9").contains("no whole number of u16"));
    std::fs::write(&bin, [0xff; 9]).unwrap();
    assert!(said(&bin, "").contains("task.tokens = \"u16\""));
}

/// Configurations of before read and write as they did.
#[test]
fn keys_that_are_left_out_stay_out() {
    let json = r#"{"path":"a.txt","seq_len":4,"validation_fraction":0.1}"#;
    let options: TextOptions = serde_json::from_str(json).unwrap();
    assert_eq!((options.tokens, options.vocab_size), (None, None));
    assert_eq!(serde_json::to_string(&options).unwrap(), json);
}
