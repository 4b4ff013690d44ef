//! The diff as people read it.

use std::fmt;

use super::{Change, Diff, Place, Side, Weight};
use crate::text::value::one_line;

/// Longest value of a metadata key that is shown whole, in characters.
const LONGEST: usize = 200;

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [l, r] = self.nodes;
        if self.is_same() {
            return writeln!(
                f,
                "The models are the same up to names and order: {l} nodes, {} weights.",
                self.compared
            );
        }
        if self.only_weights() {
            return self.values(f);
        }
        if self.same_structure {
            writeln!(
                f,
                "The graphs are the same up to names and order ({l} nodes), but not what is stated beside them."
            )?;
        } else {
            writeln!(f, "The graphs differ: {l} nodes | {r} nodes.")?;
        }
        section(f, "interface and metadata", &self.interface, change)?;
        section(f, "operators", &self.operators, |f, c| {
            writeln!(f, "  {}: {} | {}", c.operator, c.left, c.right)
        })?;
        match &self.first {
            Some(place) => first(f, place)?,
            None if !self.same_structure => writeln!(
                f,
                "\nThe same values are computed, but some of them once on one side and more often on the other, or the outputs are in another order."
            )?,
            None => {}
        }
        section(f, "weights", &self.weights, weight)
    }
}

impl Diff {
    fn values(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.weights.is_empty() {
            return writeln!(
                f,
                "The models differ only in constants that no output needs."
            );
        }
        let (n, of) = (self.weights.len(), self.compared);
        writeln!(
            f,
            "The graphs are the same up to names and order; only weights differ, {n} of {of}."
        )?;
        section(f, "weights", &self.weights, weight)
    }
}

fn section<T>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    all: &[T],
    one: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    if all.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title} (left | right):")?;
    all.iter().try_for_each(|item| one(f, item))
}

fn change(f: &mut fmt::Formatter<'_>, c: &Change) -> fmt::Result {
    let what = one_line(&c.what);
    match (&c.left, &c.right) {
        (Some(l), Some(r)) => {
            let (l, r) = apart(l, r);
            writeln!(f, "  {what}: {l} | {r}")
        }
        (Some(l), None) => writeln!(f, "  {what}: {} | not there", apart(l, "").0),
        (None, Some(r)) => writeln!(f, "  {what}: not there | {}", apart(r, "").0),
        (None, None) => Ok(()),
    }
}

/// Both texts, of long ones what is around the first difference.
fn apart(a: &str, b: &str) -> (String, String) {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let start = same.saturating_sub(LONGEST / 4);
    let cut = |text: &str| {
        let count = text.chars().count();
        if a.chars().count().max(b.chars().count()) <= LONGEST {
            return one_line(text);
        }
        let part: String = text.chars().skip(start).take(LONGEST).collect();
        let before = if start > 0 { ".." } else { "" };
        let after = if start + LONGEST < count { ".." } else { "" };
        format!("{before}{}{after}", one_line(&part))
    };
    (cut(a), cut(b))
}

fn first(f: &mut fmt::Formatter<'_>, place: &Place) -> fmt::Result {
    writeln!(f, "\nfirst difference, from the inputs on:")?;
    for (label, side) in [("left", &place.left), ("right", &place.right)] {
        match side {
            Some(side) => shown(f, label, side)?,
            None => writeln!(f, "  {label}: nothing in its place")?,
        }
    }
    Ok(())
}

fn shown(f: &mut fmt::Formatter<'_>, label: &str, side: &Side) -> fmt::Result {
    let node = if side.node.is_empty() {
        "a node without a name".to_owned()
    } else {
        one_line(&side.node)
    };
    writeln!(
        f,
        "  {label}: {node}, in {}, {} nodes deep",
        side.scope, side.depth
    )?;
    for (i, line) in side.lines.iter().enumerate() {
        let mark = if i == side.at { ">" } else { " " };
        writeln!(f, "    {mark} {line}")?;
    }
    Ok(())
}

fn weight(f: &mut fmt::Formatter<'_>, w: &Weight) -> fmt::Result {
    let name = if w.left == w.right {
        one_line(&w.left)
    } else {
        format!("{} | {}", one_line(&w.left), one_line(&w.right))
    };
    write!(f, "  {name}: {}", w.shape)?;
    match w.changed {
        Some(n) => write!(f, ", {n} of {} values", w.len)?,
        None => write!(f, ", values in another file")?,
    }
    match w.largest {
        Some(d) => writeln!(f, ", largest difference {d:.3e}"),
        None => writeln!(f, ", no largest difference"),
    }
}
