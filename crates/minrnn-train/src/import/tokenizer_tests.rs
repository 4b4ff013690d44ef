//! Tokenizers of characters, and each part that makes one something else.

use serde_json::{Value as Json, json};

use super::super::vocabulary;

/// A tokenizer of "b" and "a", changed.
fn read(change: impl FnOnce(&mut Json)) -> Result<Vec<String>, String> {
    let mut file = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": null,
        "post_processor": null,
        "decoder": null,
        "model": { "type": "BPE", "vocab": { "a": 1, "b": 0 }, "merges": [] },
    });
    change(&mut file);
    vocabulary(&file.to_string())
}

#[track_caller]
fn reads(words: &[&str], change: impl FnOnce(&mut Json)) {
    assert_eq!(read(change).unwrap(), words);
}

#[track_caller]
fn refuses(words: &str, change: impl FnOnce(&mut Json)) {
    let error = read(change).unwrap_err();
    assert!(error.contains(words), "{error}");
    assert!(error.contains("leave --vocab out"), "{error}");
}

fn added(id: u64, content: &str) -> Json {
    json!([{ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true }])
}

#[test]
fn what_only_cuts_a_text_changes_no_character() {
    reads(&["b", "a"], |_| {});
    reads(&["b", "a"], |f| f["model"]["type"] = json!("WordLevel"));
    reads(&["b", "a"], |f| {
        f["pre_tokenizer"] = json!({ "type": "Sequence", "pretokenizers": [
            { "type": "Split", "pattern": { "Regex": "" }, "behavior": "Isolated", "invert": false },
            { "type": "Digits", "individual_digits": true },
        ] });
        f["normalizer"] = json!({ "type": "Sequence", "normalizers": [] });
        f["decoder"] = json!({ "type": "Fuse" });
        f["vocab"] = json!(["b", "a"]);
    });
}

#[test]
fn added_tokens_are_entries() {
    reads(&["b", "a", "\n"], |f| f["added_tokens"] = added(2, "\n"));
    reads(&["b", "a"], |f| f["added_tokens"] = added(1, "a"));
    refuses("such as \"<pad>\"", |f| {
        f["added_tokens"] = added(2, "<pad>")
    });
    refuses(
        "the number 1 is \"c\" in added_tokens and \"a\" elsewhere",
        |f| {
            f["added_tokens"] = added(1, "c");
        },
    );
    refuses(
        "\"a\" has the number 2 in added_tokens and 1 elsewhere",
        |f| {
            f["added_tokens"] = added(2, "a");
        },
    );
    refuses("3 tokens whose numbers are not 0 to 2", |f| {
        f["added_tokens"] = added(3, "c");
    });
    refuses("\"c\" has rstrip", |f| {
        f["added_tokens"] = added(2, "c");
        f["added_tokens"][0]["rstrip"] = json!(true);
    });
    refuses("has no id and content", |f| {
        f["added_tokens"] = json!(["c"])
    });
    refuses("added_tokens are no list", |f| {
        f["added_tokens"] = json!({ "c": 2 })
    });
}

fn byte_level(f: &mut Json) {
    f["pre_tokenizer"] = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    f["decoder"] = json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true });
    f["post_processor"] = f["decoder"].clone();
    f["model"]["vocab"] = json!({ "\u{120}": 0, "\u{10a}": 1, "~": 2, "\u{121}": 3, "!": 4 });
}

#[test]
fn letters_of_bytes_are_the_characters_that_they_stand_for() {
    reads(&[" ", "\n", "~", "\u{7f}", "!"], byte_level);
    // Added tokens are text.
    reads(&[" ", "\n", "~", "\u{7f}", "!", "\u{e9}"], |f| {
        byte_level(f);
        f["added_tokens"] = added(5, "\u{e9}");
    });
    refuses(
        "\"\u{c3}\" is the byte 0xc3, which is no character by itself",
        |f| {
            byte_level(f);
            f["model"]["vocab"]["\u{c3}"] = json!(5);
        },
    );
    refuses("\"\u{143}\" is the byte 0xad", |f| {
        byte_level(f);
        f["model"]["vocab"]["\u{143}"] = json!(5);
    });
    for strange in ["\u{144}", " ", "\u{20ac}"] {
        refuses("is no letter of ByteLevel", |f| {
            byte_level(f);
            f["model"]["vocab"][strange] = json!(5);
        });
    }
    refuses("add_prefix_space, which puts a space before a text", |f| {
        byte_level(f);
        f["pre_tokenizer"]["add_prefix_space"] = json!(true);
    });
    for part in ["pre_tokenizer", "decoder"] {
        refuses("what its entries stand for is not clear", |f| {
            byte_level(f);
            f[part] = Json::Null;
        });
    }
}

#[test]
fn parts_that_are_not_done_here_are_refused_by_name() {
    refuses("the normalizer Lowercase, which changes a text", |f| {
        f["normalizer"] = json!({ "type": "Sequence", "normalizers": [{ "type": "Lowercase" }] });
    });
    for before in [
        json!({ "type": "Whitespace" }),
        json!({ "type": "Metaspace", "replacement": "\u{2581}" }),
        json!({ "type": "Split", "pattern": { "String": " " }, "behavior": "Removed" }),
        json!({ "kind": "new" }),
    ] {
        refuses("which leaves characters out or changes them", |f| {
            f["pre_tokenizer"] = before;
        });
    }
    for after in ["WordPiece", "CTC", "Metaspace", "Replace", "BPEDecoder"] {
        refuses(
            &format!("the decoder {after}, which makes other text"),
            |f| {
                f["decoder"] = json!({ "type": after });
            },
        );
    }
    refuses(
        "the post_processor TemplateProcessing, which adds tokens",
        |f| {
            f["post_processor"] = json!({ "type": "TemplateProcessing" });
        },
    );
    refuses("with `dialect`, which is not known here", |f| {
        f["dialect"] = json!(1)
    });
    for kind in ["WordPiece", "Unigram"] {
        refuses("cuts texts in another way", |f| {
            f["model"]["type"] = json!(kind)
        });
    }
    refuses("(of an unknown kind)", |f| f["model"]["type"] = Json::Null);
    refuses("with model.end_of_word_suffix \"</w>\"", |f| {
        f["model"]["end_of_word_suffix"] = json!("</w>");
    });
    refuses("with merges, whose tokens model.vocab lacks", |f| {
        f["model"]["merges"] = json!(["a b"]);
    });
    refuses("the number 1 twice", |f| {
        f["model"]["vocab"]["c"] = json!(1)
    });
    refuses(
        "`model.vocab` and `vocab` contradict each other: token 0 is \"b\" in one and \"a\" in the other",
        |f| {
            f["vocab"] = json!(["a", "b"]);
        },
    );
}
