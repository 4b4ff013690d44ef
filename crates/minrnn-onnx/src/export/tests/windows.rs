//! What a window costs.

use minrnn_model::graph::{Graph, Holds, Input, Op, OutputKind, StateInit};
use minrnn_model::params::Params;

use crate::export::{ExportOptions, Form, export_graph};

/// Two rows of a window of `lag` rows.
fn graph(lag: usize) -> Graph {
    let traced = Graph::trace(Input::Features { width: 2 }, OutputKind::Values, |g, x| {
        g.block(0, |g| {
            let holds = Holds::Window { lag };
            let state = g.state("past", 2, holds, StateInit::Constant(0.5))?;
            let [near, far] = [1, lag].map(|by| g.op(Op::Delay { state, by }, &[x]));
            g.add(near?, far?)
        })
    });
    traced.unwrap()
}

#[test]
fn a_long_window_has_as_many_nodes_as_a_longer_one() {
    for form in Form::ALL {
        for (lengths, reset) in [(false, false), (true, false), (false, true), (true, true)] {
            let nodes = |lag| {
                let graph = graph(lag);
                let options = ExportOptions {
                    form,
                    lengths: lengths && form != Form::Step,
                    reset,
                    ..ExportOptions::default()
                };
                let model = export_graph(&graph, &Params::init(&graph, 0), &options).unwrap();
                model.graph.nodes.len()
            };
            // Resets go back by doubling: seven times more from 17 to 3000, ten nodes each.
            let more = if reset && form != Form::Step { 70 } else { 0 };
            let (short, long) = (nodes(17), nodes(3000));
            assert!(
                (short..=short + more).contains(&long),
                "{form:?} {lengths} {reset}: {short} and {long}"
            );
            assert!(long < 100 + more, "{long}");
        }
    }
}
