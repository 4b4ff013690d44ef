//! `minrnn train --tensorboard`, read back by a reader of its own: bit by bit, and by the numbers of the fields in TensorFlow's `.proto` files.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value as Json;

use crate::harness::{folder, minrnn};

/// CRC-32C by its definition: division of polynomials, a bit at a time.
fn masked_crc(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for bit in data
        .iter()
        .flat_map(|byte| (0..8).map(move |i| byte >> i & 1))
    {
        let top = crc & 1 ^ u32::from(bit);
        crc >>= 1;
        if top == 1 {
            crc ^= 0x82F6_3B78;
        }
    }
    let crc = !crc;
    crc.rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// The fields of a message: number, and bytes of what is in it (of a varint its value).
fn fields(mut data: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(data: &mut &[u8]) -> u64 {
        let end = data.iter().position(|b| *b < 128).unwrap();
        let (number, rest) = data.split_at(end + 1);
        *data = rest;
        number
            .iter()
            .rev()
            .fold(0, |n, b| n * 128 + u64::from(b % 128))
    }
    let mut all = vec![];
    while !data.is_empty() {
        let key = varint(&mut data);
        let length = match key % 8 {
            0 => {
                let value = varint(&mut data);
                all.push((key / 8, value.to_le_bytes().to_vec()));
                continue;
            }
            1 => 8,
            2 => varint(&mut data) as usize,
            5 => 4,
            other => panic!("wire type {other}"),
        };
        let (content, rest) = data.split_at(length);
        all.push((key / 8, content.to_vec()));
        data = rest;
    }
    all
}

fn all(message: &[(u64, Vec<u8>)], number: u64) -> impl Iterator<Item = &[u8]> {
    message
        .iter()
        .filter(move |f| f.0 == number)
        .map(|f| &f.1[..])
}

/// Steps and contents (the four bytes of a number, or a text) by tag.
fn events(file: &[u8]) -> BTreeMap<String, Vec<(u64, Vec<u8>)>> {
    let mut by_tag: BTreeMap<String, Vec<(u64, Vec<u8>)>> = BTreeMap::new();
    let (mut rest, mut first) = (file, true);
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        assert_eq!(rest[8..12], masked_crc(&rest[..8]).to_le_bytes());
        let (data, sum) = (&rest[12..12 + length], &rest[12 + length..16 + length]);
        assert_eq!(sum, masked_crc(data).to_le_bytes());
        rest = &rest[16 + length..];
        let event = fields(data);
        if std::mem::take(&mut first) {
            assert_eq!(all(&event, 3).next(), Some(&b"brain.Event:2"[..]));
            continue;
        }
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
        let step = all(&event, 2).next().map_or(0, number);
        let time = f64::from_le_bytes(all(&event, 1).next().unwrap().try_into().unwrap());
        assert_eq!(time, step as f64, "no clock");
        for value in all(&event, 5)
            .flat_map(|summary| all(&fields(summary), 1).map(fields).collect::<Vec<_>>())
        {
            let tag = String::from_utf8(all(&value, 1).next().unwrap().to_vec()).unwrap();
            let text = || {
                let tensor = fields(all(&value, 8).next().unwrap());
                let metadata = fields(all(&value, 9).next().unwrap());
                let plugin = fields(all(&metadata, 1).next().unwrap());
                assert_eq!(all(&plugin, 1).next(), Some(&b"text"[..]));
                all(&tensor, 8).next().unwrap().to_vec()
            };
            let content = all(&value, 2).next().map_or_else(text, <[u8]>::to_vec);
            by_tag.entry(tag).or_default().push((step, content));
        }
    }
    by_tag
}

#[test]
fn the_event_file_has_what_the_log_has() {
    let dir = folder();
    let dir = dir.path();
    minrnn(
        dir,
        &["train", "tiny.toml", "--out", "run", "--tensorboard"],
    )
    .good();
    let place = "run/tensorboard/events.out.tfevents.0.minrnn";
    let found = events(&fs::read(dir.join(place)).unwrap());
    let log = fs::read_to_string(dir.join("run/metrics.jsonl")).unwrap();
    let log: Vec<Json> = log
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    for (tag, event, key) in [
        ("loss/training", "step", "loss"),
        ("learning rate", "step", "lr"),
        ("gradient norm", "step", "grad_norm"),
        ("loss/validation", "eval", "loss"),
        ("accuracy/validation", "eval", "accuracy"),
    ] {
        let lines = log.iter().filter(|line| line["event"] == event);
        let wanted: Vec<(u64, Vec<u8>)> = lines
            .map(|line| {
                let value = line[key].as_f64().unwrap() as f32;
                (line["step"].as_u64().unwrap(), value.to_le_bytes().to_vec())
            })
            .collect();
        assert!(!wanted.is_empty());
        assert_eq!(found[tag], wanted, "{tag}");
    }
    assert_eq!(
        found["tokens per second"].len(),
        found["loss/training"].len()
    );
    let steps = |tag: &str| found[tag].iter().map(|f| f.0).collect::<Vec<_>>();
    assert_eq!(steps("sample"), steps("loss/validation"));
    let text = String::from_utf8(found["sample"][0].1.clone()).unwrap();
    assert!(
        text.lines().all(|line| line.starts_with("    ")),
        "{text:?}"
    );
    assert_eq!(found.len(), 7);
    // A second run of the same seed writes the same, but for its speed.
    minrnn(
        dir,
        &["train", "tiny.toml", "--out", "again", "--tensorboard"],
    )
    .good();
    let mut again = events(&fs::read(dir.join(place.replace("run/", "again/"))).unwrap());
    let mut found = found;
    for all in [&mut found, &mut again] {
        all.remove("tokens per second");
    }
    assert_eq!(found, again);
    let without = minrnn(dir, &["train", "tiny.toml", "--out", "without"]);
    without.good();
    assert!(!dir.join("without/tensorboard").exists());
}
