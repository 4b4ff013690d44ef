//! Cases: inputs, lengths and states at random.

use anyhow::{Context, Result, bail};
use minrnn_model::rng::Rng;

use super::file::{BYTES, GraphFile};
use super::interface::{Ends, Filled, Interface, Kind, Link, State};
use super::port::Elem;
use super::shape::Shape;
use super::spec::{Fill, Init, Role};
use super::tensor::Tensor;
use super::way::Draw;

/// The two files and what they share.
#[derive(Debug)]
pub(crate) struct Two {
    pub(crate) files: [GraphFile; 2],
    pub(crate) kind: Kind,
    pub(crate) face: Interface,
    /// By output.
    pub(crate) shapes: Vec<Shape>,
    /// No run is longer, whatever it is for: what was asked for, or the files say.
    pub(crate) most: usize,
    /// Whether rows of length 0 are drawn.
    pub(crate) empty_rows: bool,
    /// The fewest steps of a row, as was said of its lengths.
    pub(crate) least_row: usize,
    /// Whether a piece of a sequence, from the states before it, is what the whole has there.
    pub(crate) pieces_hold: bool,
}

/// Inputs of one run.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) batch: usize,
    pub(crate) time: usize,
    /// Lengths that are not T, by [`Role::Length`].
    pub(crate) others: Vec<usize>,
    /// By link, in the shape of the first file.
    pub(crate) data: Vec<Tensor>,
    /// By state; `None`: the initial ones.
    pub(crate) states: Option<Vec<Tensor>>,
    /// Steps of each row; `None`: all T.
    pub(crate) lengths: Option<Vec<usize>>,
    /// By length that is not T, how much each row has of it; empty: all.
    pub(crate) ends: Vec<Vec<usize>>,
    /// Inputs of which both files have a default are not given: each file has its own.
    pub(crate) own: bool,
    /// How its floats are drawn.
    pub(crate) draw: Draw,
}

/// What came out: outputs, whole, then last states, where a file has them.
#[derive(Debug, Clone)]
pub(crate) struct Ran {
    pub(crate) outputs: Vec<Tensor>,
    pub(crate) states: Vec<Option<Tensor>>,
}

/// The shape of an input: `others` are the lengths that are not T.
pub(super) fn shape(roles: &[Role], batch: usize, time: usize, others: &[usize]) -> Vec<usize> {
    let one = |r: &Role| match r {
        Role::Batch => batch,
        Role::Time => time,
        Role::Fixed(n) => *n,
        Role::Length(i) => others.get(*i).copied().unwrap_or(1),
    };
    roles.iter().map(one).collect()
}

impl Case {
    /// What a run takes, about in proportion to its time.
    pub(super) fn work(&self) -> usize {
        1 + self.batch * self.time
    }

    /// With lengths that are not T as usual.
    ///
    /// # Errors
    /// What would take more memory than a run may.
    pub(crate) fn random(two: &Two, size: (usize, usize), rng: &mut Rng) -> Result<Self> {
        Self::sized(two, size, two.face.usual(size.1), rng)
    }

    /// With lengths that are not T of these sizes.
    ///
    /// # Errors
    /// What would take more memory than a run may.
    pub(crate) fn sized(
        two: &Two,
        (batch, time): (usize, usize),
        others: Vec<usize>,
        rng: &mut Rng,
    ) -> Result<Self> {
        let others = two.face.completed(time, others);
        two.room(&[((batch, time), &others)])?;
        let drawn = two.face.drawn(time, &others);
        let data = two
            .face
            .links
            .iter()
            .map(|link| draw(link, shape(&link.roles, batch, time, &drawn), rng))
            .collect::<Result<_>>()?;
        let lengths = draw_lengths(two, (batch, time), rng);
        Ok(Self {
            batch,
            time,
            ends: draw_ends(two, batch, &others, rng),
            others,
            data,
            states: None,
            lengths,
            own: true,
            draw: Draw::Usual,
        })
    }

    /// The steps `from..to` of every row, beginning with `states`.
    pub(crate) fn cut(
        &self,
        two: &Two,
        from: usize,
        to: usize,
        states: Option<Vec<Tensor>>,
    ) -> Result<Self> {
        let others = match &states {
            Some(states) => two.face.others_of(to - from, &self.others, states),
            None => two.face.completed(to - from, self.others.clone()),
        };
        let drawn = two.face.drawn(to - from, &others);
        let part = |(link, t): (&Link, &Tensor)| {
            let t = two.face.grown(link, t.clone(), &drawn)?;
            match link.time() {
                Some(axis) => t.cut(axis, from, to),
                None => Ok(t),
            }
        };
        let data = two.face.links.iter().zip(&self.data).map(part);
        Ok(Self {
            batch: self.batch,
            time: to - from,
            others,
            data: data.collect::<Result<_>>()?,
            states,
            lengths: None,
            ends: self.ends.clone(),
            own: self.own,
            draw: self.draw,
        })
    }

    /// The longest of all lengths.
    pub(crate) fn longest(&self) -> usize {
        self.others.iter().copied().fold(self.time, usize::max)
    }

    pub(crate) fn name(&self) -> String {
        let states = if self.states.is_some() {
            "random"
        } else {
            "initial"
        };
        let lengths = match &self.lengths {
            Some(all) => format!(", lengths {all:?}"),
            None => String::new(),
        };
        let own = match self.own {
            true => "",
            false => ", other values than the defaults",
        };
        let others: String = self.others.iter().map(|n| format!(", {n}")).collect();
        let others = match others.strip_prefix(", ") {
            Some(list) => format!(", other lengths {list}"),
            None => String::new(),
        };
        format!(
            "B={}, T={}{others}, {states} states{lengths}{own}{}",
            self.batch,
            self.time,
            self.draw.words()
        )
    }
}

fn draw(link: &Link, shape: Vec<usize>, rng: &mut Rng) -> Result<Tensor> {
    let count: usize = shape.iter().product();
    let (low, high) = link.range;
    let span = i128::from(high) - i128::from(low) + 1;
    let span = usize::try_from(span).unwrap_or(usize::MAX);
    if !link.elem.is_float() || link.whole {
        let mut one = || i128::from(low) + rng.below(span) as i128;
        let mut values: Vec<i128> = (0..count).map(|_| one()).collect();
        // Both ends of the range are drawn, wherever there is room for them.
        if span > 2 && count > 2 {
            let at = rng.below(count);
            values[at] = low.into();
            values[(at + 1 + rng.below(count - 1)) % count] = high.into();
        }
        return link
            .integers(&shape, &values)
            .with_context(|| format!("input `{}`", link.names[0]));
    }
    if let Some((low, high)) = link.floats {
        let mut one = || (low + (high - low) * rng.range(0.0, 1.0)).clamp(low, high);
        let mut values: Vec<f64> = (0..count).map(|_| one()).collect();
        if count > 2 {
            let at = rng.below(count);
            values[at] = low;
            values[(at + 1 + rng.below(count - 1)) % count] = high;
        }
        return Tensor::floats(link.elem, &shape, &values);
    }
    let mut one = || match link.elem {
        // Numbers that every narrower float type has too.
        Elem::F16 | Elem::BF16 => (rng.normal() * 256.0).round() / 256.0,
        _ => f64::from(rng.normal() as f32),
    };
    let values: Vec<f64> = (0..count).map(|_| one()).collect();
    Tensor::floats(link.elem, &shape, &values)
}

/// Lengths of rows, one of them T and of three or more one 0, by chance which; `None`: all T.
fn draw_lengths(two: &Two, (batch, time): (usize, usize), rng: &mut Rng) -> Option<Vec<usize>> {
    let given = two.face.filled.iter().any(Filled::ends_rows);
    (given && two.rows_apart() && batch > 1 && time > 1).then(|| {
        let least = two.least_row.min(time);
        let others = (1..batch).map(|_| two.face.steps((1 + rng.below(time)).max(least)));
        let mut all: Vec<usize> = std::iter::once(time).chain(others).collect();
        if let (Some(last), true) = (all.get_mut(2), two.empty_rows) {
            *last = 0;
        }
        all.rotate_right(rng.below(batch));
        all
    })
}

/// How much each row has of the lengths that are not T, where inputs say it: one all, by chance which, others some.
fn draw_ends(two: &Two, batch: usize, others: &[usize], rng: &mut Rng) -> Vec<Vec<usize>> {
    let one = |(k, size): (usize, &usize)| {
        let mut filled = two.face.filled.iter();
        if batch == 1 || !filled.any(|f| f.fill == Fill::Lengths && f.of == Ends::Length(k)) {
            return vec![];
        }
        let rest = (1..batch).map(|_| 1 + rng.below(*size));
        let mut all: Vec<usize> = std::iter::once(*size).chain(rest).collect();
        all.rotate_right(rng.below(batch));
        all
    };
    others.iter().enumerate().map(one).collect()
}

/// The state before the first step, for `batch` rows.
pub(crate) fn initial(state: &State, batch: usize, others: &[usize]) -> Result<Tensor> {
    let shape = shape(&state.shape, batch, 1, others);
    let count: usize = shape.iter().product();
    let values = match &state.init {
        Init::Fill(v) => vec![*v; count],
        Init::Values(row) => {
            let axis = state.shape.iter().position(|r| *r == Role::Batch);
            let inner: usize = axis.map_or(count, |a| shape[a + 1..].iter().product());
            let rows = axis.map_or(1, |_| batch);
            row.chunks(inner.max(1))
                .flat_map(|c| std::iter::repeat_n(c, rows))
                .flatten()
                .copied()
                .collect()
        }
    };
    // Given in the type that the file declares.
    Tensor::floats(Elem::F64, &shape, &values)
}

/// Bytes that an element of an input is held in: drawn, in the readings of both files, and beside the result.
const HELD: u64 = 64;
/// And while it waits for its case.
const WAITING: u64 = 16;

impl Two {
    /// Whether the inputs of cases of these sizes, all drawn at one time and run one after the other, can be held.
    ///
    /// # Errors
    /// The bytes that they would take, and those that there are; which input is the largest one.
    pub(super) fn room<O: AsRef<[usize]>>(&self, sizes: &[((usize, usize), O)]) -> Result<()> {
        let mut most = (0, ((0, 0), &[][..]));
        let mut all = 0u64;
        for (size, others) in sizes {
            let others = others.as_ref();
            let elements = self.inputs_of(*size, others).map(|(_, n)| n);
            let elements = elements.fold(0u64, u64::saturating_add);
            most = most.max((elements, (*size, others)));
            all = all.saturating_add(elements.saturating_mul(WAITING));
        }
        let (elements, ((batch, time), others)) = most;
        let wanted = all.saturating_add(elements.saturating_mul(HELD));
        if wanted <= BYTES {
            return Ok(());
        }
        let largest = self
            .inputs_of((batch, time), others)
            .max_by_key(|(_, n)| *n);
        let (name, count) = largest.unwrap_or_default();
        bail!(
            "the inputs of {} with B = {batch} and T = {time} would take {wanted:.1e} bytes, and {BYTES:.1e} is the most; the largest is `{name}` with {count:.1e} values: \
             give smaller sizes by --dim, --input or --max-len",
            match sizes {
                [_] => "a case".to_owned(),
                many => format!("{} cases, the largest", many.len()),
            },
            wanted = wanted as f64,
            BYTES = BYTES as f64,
            count = count as f64,
        )
    }

    /// Everything that is given for a case of this size, with the number of its values.
    fn inputs_of<'a>(
        &'a self,
        (batch, time): (usize, usize),
        others: &'a [usize],
    ) -> impl Iterator<Item = (&'a str, u64)> {
        let drawn = self.face.drawn(time, others);
        let count = move |roles: &[Role]| {
            let dims = shape(roles, batch, time, &drawn);
            dims.iter().fold(1u64, |n, d| n.saturating_mul(*d as u64))
        };
        let face = &self.face;
        let links = face.links.iter().map(|l| (l.names[0].as_str(), &l.roles));
        let filled = face.filled.iter().map(|f| (f.name.as_str(), &f.roles));
        let states = face.states.iter().map(|s| (s.second.0.as_str(), &s.shape));
        let all = links.chain(filled).chain(states);
        all.map(move |(name, roles)| (name, count(roles)))
    }

    /// The states to begin with.
    pub(crate) fn start(&self, case: &Case) -> Result<Vec<Tensor>> {
        match &case.states {
            Some(states) => Ok(states.clone()),
            None => self
                .face
                .states
                .iter()
                .map(|s| initial(s, case.batch, &case.others))
                .collect(),
        }
    }
}
