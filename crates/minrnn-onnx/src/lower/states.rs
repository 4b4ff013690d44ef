//! States in and out of the graph, as the file's ports say: one by one or stacked, with their axes in the port's order.

use super::Lower;
use super::time::Time;
use crate::builder::{Builder, Val};
use crate::choices::Port;
use crate::ir::{DType, Dim};

/// `[batch, ..]`
fn dims(time: &Time, port: &Port) -> Vec<Dim> {
    std::iter::once(time.batch_dim())
        .chain(port.shape.iter().map(|d| Dim::Fixed(*d as i64)))
        .collect()
}

/// Makes the inputs; gives each state as `[B, D]` or `[B, lag, W]`, in the order of the model's.
pub(super) fn inputs(b: &mut Builder, time: &Time, ports: &[Port], count: usize) -> Vec<Val> {
    let mut states = vec![None; count];
    for port in ports {
        let whole = b.input(&port.input, DType::F32, dims(time, port));
        let parts = if port.stacked {
            b.at_root("state", |b| unstack(b, whole, port.members.len()))
        } else if port.transposed {
            vec![b.at_root("state", |b| b.transpose(whole, &[0, 2, 1]))]
        } else {
            vec![whole]
        };
        for (member, part) in port.members.iter().zip(parts) {
            states[*member] = Some(part);
        }
    }
    let every = states
        .into_iter()
        .map(|s| s.expect("ports hold every state"));
    every.collect()
}

fn unstack(b: &mut Builder, whole: Val, count: usize) -> Vec<Val> {
    let parts = match count {
        1 => vec![whole],
        _ => b.split(whole, count, 1),
    };
    parts.into_iter().map(|part| b.squeeze(part, 1)).collect()
}

impl Lower<'_> {
    /// Every state's value after the run, under the names of the ports.
    pub(super) fn state_outputs(&mut self) {
        let graph = self.graph;
        let mut values = vec![];
        for (i, spec) in graph.states().iter().enumerate() {
            let value = match self.last_states.get(&i) {
                Some(h_last) => *h_last,
                None => {
                    let user = graph
                        .nodes()
                        .iter()
                        .find(|n| n.op.state().is_some_and(|s| s.index() == i));
                    let scope = user.map_or("", |n| n.scope.as_str());
                    self.in_scope(scope, |l| {
                        let window = l.last_window(i);
                        l.reset_window(i, spec.lag().unwrap_or(1), window)
                    })
                }
            };
            values.push(value);
        }
        for port in std::mem::take(&mut self.ports) {
            let b = &mut self.b;
            let members: Vec<Val> = port.members.iter().map(|m| values[*m]).collect();
            let value = match members[..] {
                [one] if port.transposed => b.at_root("state", |b| b.transpose(one, &[0, 2, 1])),
                [one] if !port.stacked => one,
                _ => b.at_root("state", |b| {
                    let rows: Vec<Val> = members.iter().map(|m| b.unsqueeze(*m, 1)).collect();
                    match rows[..] {
                        [one] => one,
                        _ => b.concat(&rows, 1),
                    }
                }),
            };
            let dims = dims(&self.time, &port);
            self.b.output(&port.output, value, DType::F32, dims);
        }
    }
}
