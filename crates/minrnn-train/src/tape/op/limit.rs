//! Limits of counts.

use minrnn_kernels::Elem;
use minrnn_model::graph::{Node, Op};

use super::begin::Fill;
use super::rows::lookup;
use crate::tape::options::Carry;
use crate::tape::planner::Planner;

/// Ones. A run from the begin on is known to stay within its limit; one that goes on looks its counts up in a table of ones, and what is beyond is
/// NaN. A run that is longer than the limit is not known.
pub(super) fn node(p: &mut Planner<'_>, node: &Node, value: usize) -> Option<()> {
    let Op::Limit { most } = node.op else {
        return None;
    };
    if p.options.time > most {
        return None;
    }
    let slot = p.make(value, Elem::F32, Elem::F32, false);
    let y = p.slots[slot].place;
    if p.options.carry != Carry::On {
        p.launch(Fill { y, value: 1.0 });
        return Some(());
    }
    let table = p.buffer(most + 1, Elem::F32);
    p.launch(Fill {
        y: table,
        value: 1.0,
    });
    let count = p.slot(node.inputs[0]);
    let count = p.cast(count, Elem::F32);
    let at = p.read(count);
    lookup(p, at, table, y, 1);
    Some(())
}
