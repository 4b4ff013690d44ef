//! The parts by themselves; whole exports are in `tests/it/text.rs` of the workspace.

use super::*;
use crate::error::Result;

/// Words, as a tokenizer might have them: a space belongs to the word behind it, and goes at the beginning of a text.
struct Words;

const WORDS: [&str; 5] = ["▁the", "▁sea", "s", "<é>", "."];

impl Codec for Words {
    fn tokens(&self) -> usize {
        WORDS.len()
    }

    fn encode(&self, _: &str) -> Result<Vec<u32>> {
        Ok(vec![])
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        let all: String = ids.iter().map(|id| WORDS[*id as usize]).collect();
        let all = all.replace('▁', " ");
        Ok(all.strip_prefix(' ').unwrap_or(&all).to_owned())
    }
}

fn given(codec: &dyn Codec, prompt: &[u32], ids: &[u32]) -> Vec<String> {
    let mut pieces = Pieces::after(prompt);
    let mut all: Vec<String> = ids
        .iter()
        .map(|id| pieces.take(codec, *id).unwrap())
        .collect();
    all.push(pieces.rest(codec).unwrap());
    all
}

#[test]
fn a_space_in_front_of_a_word_is_kept_behind_a_prompt_and_left_out_at_a_beginning() {
    let ids = [0, 1, 2, 4, 0, 1];
    assert_eq!(given(&Words, &[], &ids).concat(), "the seas. the sea");
    assert_eq!(given(&Words, &[0], &ids).concat(), " the seas. the sea");
    assert_eq!(
        given(&Words, &[], &ids),
        ["the", " sea", "s", ".", " the", " sea", ""]
    );
    // Longer than what is kept for its sake.
    let long: Vec<u32> = ids.iter().copied().cycle().take(60).collect();
    assert_eq!(
        given(&Words, &[], &long).concat(),
        Words.decode(&long).unwrap()
    );
}

/// Numbers with gaps, as a tokenizer may have them.
struct Gaps;

impl Codec for Gaps {
    fn tokens(&self) -> usize {
        4
    }

    fn knows(&self, id: u32) -> bool {
        matches!(id, 1 | 3)
    }

    fn encode(&self, _: &str) -> Result<Vec<u32>> {
        Ok(vec![])
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        let word = |id: &u32| match id {
            1 => Ok("a"),
            3 => Ok("b"),
            _ => Err(crate::Error::input("token", format!("{id} is none"), "")),
        };
        ids.iter().map(word).collect()
    }
}

#[test]
fn a_number_without_a_token_is_never_chosen() {
    for sampling in [
        Sampling::default(),
        Sampling {
            temperature: 1.0,
            ..Sampling::default()
        },
        Sampling {
            temperature: 1.0,
            top_k: Some(3),
            ..Sampling::default()
        },
        Sampling {
            temperature: 1.0,
            top_p: Some(0.9),
            ..Sampling::default()
        },
    ] {
        let sampler = Sampler::of(sampling, 0).unwrap();
        let mut next = Continuation::new(sampler, &[1], vec![], None).unwrap();
        let mut text = String::new();
        for _ in 0..50 {
            // Those without a token, and one behind the last, are the likeliest by far.
            text += &next
                .take(&Gaps, &[90.0, 2.0, 80.0, 1.0, 99.0])
                .unwrap()
                .text;
        }
        assert_eq!(text.len(), 50, "{sampling:?}");
        assert!(
            text.contains('a') && !text.contains(|c| c != 'a' && c != 'b'),
            "{text}"
        );
    }
    // What is left has the probabilities that it has among itself.
    let drawn = |logits: &[f32], codec: &dyn Codec| -> Vec<String> {
        let sampling = Sampling {
            temperature: 1.0,
            ..Sampling::default()
        };
        let sampler = Sampler::of(sampling, 5).unwrap();
        let mut next = Continuation::new(sampler, &[], vec![], None).unwrap();
        (0..40)
            .map(|_| next.take(codec, logits).unwrap().text)
            .collect()
    };
    let two = Vocabulary::characters(['a', 'b']).unwrap();
    assert_eq!(
        drawn(&[7.0, 0.5, 9.0, 0.0], &Gaps),
        drawn(&[0.5, 0.0], &two)
    );
}

#[test]
fn bytes_become_characters_once_they_are_whole() {
    let bytes = Vocabulary::bytes();
    let ids = |text: &str| bytes.encode(text).unwrap();
    assert_eq!(
        given(&bytes, &[], &ids("aé漢🦀")),
        ["a", "", "é", "", "", "漢", "", "", "", "🦀", ""]
    );
    // What is none is U+FFFD: before a whole character, and at the end.
    assert_eq!(given(&bytes, &[], &[0xff, 0x61]).concat(), "\u{fffd}a");
    assert_eq!(given(&bytes, &[], &[0xc3, 0x61]).concat(), "\u{fffd}a");
    assert_eq!(
        given(&bytes, &[], &[0x61, 0xe2, 0x82]).concat(),
        "a\u{fffd}"
    );
    let wrong = [0xff; 6];
    assert_eq!(given(&bytes, &[], &wrong).concat(), "\u{fffd}".repeat(6));
}

#[test]
fn a_text_that_ends_it_may_lie_across_tokens_and_within_one() {
    // Logits that choose the tokens one after the other.
    let take = |stop: &str, ids: &[u32]| {
        let sampler = Sampler::new(0.0, 0).unwrap();
        let mut next = Continuation::new(sampler, &[0], vec![stop.into()], Some(4)).unwrap();
        let (mut text, mut over) = (String::new(), None);
        for id in ids {
            let logits: Vec<f32> = (0..7).map(|i| f32::from(u8::from(i == *id))).collect();
            let taken = next.take(&Words, &logits).unwrap();
            assert_eq!(taken.id, *id);
            text += &taken.text;
            over = taken.over;
            if over.is_some() {
                break;
            }
        }
        (text + &next.rest(&Words).unwrap(), over)
    };
    let stop = |text: &str| Some(Over::Stop(text.into()));
    assert_eq!(take("seas", &[0, 1, 2, 0]), (" the ".into(), stop("seas")));
    assert_eq!(take("é", &[0, 3, 1]), (" the<".into(), stop("é")));
    assert_eq!(take("sand", &[0, 1, 2]), (" the seas".into(), None));
    assert_eq!(
        take("sand", &[1, 2, 4, 0]),
        (" seas".into(), Some(Over::Token(4)))
    );
}

#[test]
fn logits_that_mean_nothing_are_refused() {
    let sampler = Sampler::new(0.0, 0).unwrap();
    let mut next = Continuation::new(sampler.clone(), &[], vec![], None).unwrap();
    let mut said = |logits: &[f32]| next.take(&Words, logits).unwrap_err().to_string();
    assert!(said(&[0.0; 4]).contains("are 4, and there are 5 tokens"));
    assert!(said(&[0.0, f32::NAN, 0.0, 0.0, 0.0]).contains("hold NaN"));
    let empty = Continuation::new(sampler, &[], vec![String::new()], None);
    assert!(empty.unwrap_err().to_string().contains("empty text"));
}

#[test]
fn characters_are_numbered_by_their_place() {
    let words = Vocabulary::characters("bane".chars()).unwrap();
    assert_eq!(words.encode("banane").unwrap(), [0, 1, 2, 1, 2, 3]);
    assert_eq!(words.decode(&[3, 0]).unwrap(), "eb");
    assert!(
        words
            .encode("bx")
            .unwrap_err()
            .to_string()
            .contains("'x' (number 2)")
    );
    assert!(
        words
            .decode(&[4])
            .unwrap_err()
            .to_string()
            .contains("4 is not below 4")
    );
    let twice = Vocabulary::characters("aba".chars())
        .unwrap_err()
        .to_string();
    assert!(twice.contains("entry 0 and entry 2"), "{twice}");
}
