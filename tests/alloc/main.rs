//! What a step allocates: nothing. Alone in its process, with an allocator that counts.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::sync::Arc;

use minrnn_runtime::{Model, Options, Session};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn blocks(f: impl FnOnce()) -> u64 {
    let before = dhat::HeapStats::get().total_blocks;
    f();
    dhat::HeapStats::get().total_blocks - before
}

fn model(export: &str) -> Arc<Model> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let path = dir.join(export).join("export/model.step.onnx");
    Model::open_with(path, &Options::with_threads(1))
        .unwrap()
        .into()
}

#[test]
fn a_step_allocates_nothing_once_it_has_run() {
    let _profiler = dhat::Profiler::builder().testing().build();
    assert!(blocks(|| drop(vec![0u8; 100])) > 0, "the allocator counts");
    for export in ["copy-min-gru", "shakespeare-min-lstm"] {
        let model = model(export);
        for batch in [1, 5] {
            let mut session = Session::new(model.clone(), batch).unwrap();
            let mut out = vec![0.0; batch * model.info().output.width];
            let ids: Vec<i64> = (0..batch as i64).collect();
            session.step_tokens_into(&ids, &mut out).unwrap();
            let count = blocks(|| {
                for _ in 0..100 {
                    session.step_tokens_into(&ids, &mut out).unwrap();
                }
            });
            assert_eq!(count, 0, "{export}, {batch} rows");
        }
        let mut all: Vec<Session> = (0..40)
            .map(|_| Session::new(model.clone(), 1).unwrap())
            .collect();
        let mut sessions: Vec<&mut Session> = all.iter_mut().collect();
        let mut out = vec![0.0; 40 * model.info().output.width];
        let ids = [1; 40];
        let mut step = || {
            Session::step_tokens_together(&mut sessions, &ids, &mut out).unwrap();
        };
        step();
        let count = blocks(|| (0..100).for_each(|_| step()));
        assert_eq!(count, 0, "{export}, together");
    }
}
