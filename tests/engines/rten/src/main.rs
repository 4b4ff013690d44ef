//! rten behind the protocol of docs/engines.md: `minrnn verify EXPORT_DIR --engine rten=target/rten/release/minrnn-rten`.
//!
//! rten has f32, i32, i8 and u8; it takes i64 and bool as i32, and what comes out as i32 may be any of the three in the file: such
//! outputs are refused.

mod wire;

use std::io::{Read, Write, stdin, stdout};
use std::sync::Arc;
use std::time::Instant;

use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueOrView};
use serde_json::{Value as Json, json};

use wire::{Meta, Request, decode, encode};

/// The version that Cargo.toml names.
const VERSION: &str = "0.27.0";
/// Types that it takes.
const TYPES: [&str; 6] = ["float32", "int64", "int32", "int8", "uint8", "bool"];

/// A file that is open.
struct Opened {
    model: Model,
    pool: Arc<ThreadPool>,
}

/// Tensors by name.
type Tensors = Vec<(String, Value)>;
/// An answer, with its tensors; or why there is none.
type Answer = Result<(Json, Tensors), String>;

fn main() {
    let (mut from, mut to) = (stdin().lock(), stdout().lock());
    let mut opened = None;
    // It ends where the requests end, or where nobody reads its answers.
    while let Some((request, payload)) = next(&mut from) {
        let answer = decode(&request.tensors, &payload)
            .and_then(|feeds| answer(&mut opened, &request, feeds));
        let (header, tensors) = answer.unwrap_or_else(|why| (json!({ "refused": why }), vec![]));
        if to.write_all(&encode(header, &tensors)).is_err() || to.flush().is_err() {
            return;
        }
    }
}

/// A request, and the bytes of its tensors.
fn next(from: &mut impl Read) -> Option<(Request, Vec<u8>)> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let mut header = vec![0; u32::from_le_bytes(length) as usize];
    from.read_exact(&mut header).ok()?;
    let request: Request = serde_json::from_slice(&header).ok()?;
    let mut payload = vec![0; request.tensors.iter().map(Meta::bytes).sum()];
    from.read_exact(&mut payload).ok()?;
    Some((request, payload))
}

fn answer(opened: &mut Option<Opened>, request: &Request, feeds: Tensors) -> Answer {
    let ok = || json!({ "ok": true });
    match request.what.as_str() {
        "hello" => {
            let hello = json!({ "ok": true, "name": "rten", "version": VERSION, "types": TYPES, "io": ["plain"] });
            Ok((hello, vec![]))
        }
        "open" => {
            let model = ModelOptions::with_all_ops()
                .prepack_weights(true)
                .load_file(&request.path)
                .map_err(|e| e.to_string())?;
            let pool = Arc::new(ThreadPool::with_num_threads(request.threads.max(1)));
            *opened = Some(Opened { model, pool });
            Ok((ok(), vec![]))
        }
        "close" => {
            *opened = None;
            Ok((ok(), vec![]))
        }
        "run" | "time" => {
            let opened = opened.as_ref().ok_or("no file is open")?;
            let calls = if request.what == "run" {
                1
            } else {
                request.calls
            };
            let (seconds, last) = opened.calls(request, feeds, calls)?;
            Ok((json!({ "ok": true, "seconds": seconds }), last))
        }
        other => Err(format!("there is no `{other}` here")),
    }
}

impl Opened {
    /// Calls one after another, outputs fed back as the request says: their seconds, and the tensors wanted of the last one.
    fn calls(
        &self,
        request: &Request,
        feeds: Tensors,
        calls: usize,
    ) -> Result<(f64, Tensors), String> {
        let id = |name: &String| self.model.node_id(name).map_err(|e| e.to_string());
        let mut names: Vec<&String> = request.feedback.iter().map(|(output, _)| output).collect();
        names.extend(
            request
                .wanted
                .iter()
                .filter(|w| !request.feedback.iter().any(|(o, _)| o == *w)),
        );
        let outputs: Vec<NodeId> = names.iter().map(|n| id(n)).collect::<Result<_, _>>()?;
        let into = request.feedback.iter().map(|(_, input)| id(input));
        let into: Vec<NodeId> = into.collect::<Result<_, _>>()?;
        let mut given = vec![];
        for (name, value) in feeds {
            given.push((id(&name)?, value));
        }
        let mut last = vec![];
        let begin = Instant::now();
        for _ in 0..calls.max(1) {
            let views = given
                .iter()
                .map(|(n, v)| (*n, ValueOrView::View(v.as_view())));
            let mut options = RunOptions::default();
            options.thread_pool = Some(self.pool.clone());
            last = self
                .model
                .run(views.collect(), &outputs, Some(options))
                .map_err(|e| e.to_string())?;
            for (id, value) in into.iter().zip(&last) {
                if let Some(at) = given.iter().position(|(n, _)| n == id) {
                    given[at].1 = value.clone();
                }
            }
        }
        let seconds = begin.elapsed().as_secs_f64();
        let find = |name: &String| {
            let at = names.iter().position(|n| *n == name);
            let value = at.and_then(|at| last.get(at));
            let value = value.ok_or_else(|| format!("it gives no `{name}`"))?;
            Ok((name.clone(), value.clone()))
        };
        let wanted: Result<Tensors, String> = request.wanted.iter().map(find).collect();
        Ok((seconds, wanted?))
    }
}
