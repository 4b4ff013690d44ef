//! Windows over spatial axes, of convolutions and pools.

use super::{Array, Call, Fault, offsets, strides};

/// Where a window goes along each spatial axis.
pub(super) struct Window {
    pub(super) kernel: Vec<usize>,
    pub(super) strides: Vec<usize>,
    pub(super) dilations: Vec<usize>,
    pub(super) before: Vec<i64>,
    pub(super) after: Vec<i64>,
    pub(super) output: Vec<usize>,
}

/// No stride, dilation or width is as large.
pub(super) const LARGE: usize = 1 << 31;

/// Numbers above 0, one for each axis; 1 where none are given.
pub(super) fn positive(call: &Call, name: &str, n: usize) -> Result<Vec<usize>, Fault> {
    let all = call.opt_ints(name)?.map_or(vec![1; n], <[i64]>::to_vec);
    let good: Option<Vec<usize>> = all
        .iter()
        .map(|d| usize::try_from(*d).ok().filter(|d| (1..LARGE).contains(d)))
        .collect();
    good.filter(|v| v.len() == n)
        .ok_or_else(|| Fault::attribute(name, format!("{all:?} for {n} axes")))
}

/// Widths before and after each axis.
pub(super) type Widths = (Vec<i64>, Vec<i64>);

/// Widths of padding; `None` if they follow from `auto_pad`.
pub(super) fn pads<'a>(call: &Call<'a>, n: usize) -> Result<(Option<Widths>, &'a str), Fault> {
    let auto = call.word("auto_pad", "NOTSET")?;
    let given = call.opt_ints("pads")?;
    match (auto, given) {
        ("NOTSET", None) => Ok((Some((vec![0; n], vec![0; n])), auto)),
        ("NOTSET", Some(p))
            if p.len() == 2 * n && p.iter().all(|d| (0..LARGE as i64).contains(d)) =>
        {
            Ok((Some((p[..n].to_vec(), p[n..].to_vec())), auto))
        }
        ("NOTSET", Some(p)) => Err(Fault::attribute("pads", format!("{p:?} for {n} axes"))),
        ("VALID", _) => Ok((Some((vec![0; n], vec![0; n])), auto)),
        ("SAME_UPPER" | "SAME_LOWER", _) => Ok((None, auto)),
        (word, _) => Err(super::wrong_word("auto_pad", word)),
    }
}

impl Window {
    pub(super) fn new(
        call: &Call,
        size: &[usize],
        kernel: Vec<usize>,
        dilates: bool,
        ceil: bool,
    ) -> Result<Self, Fault> {
        let n = size.len();
        let by = positive(call, "strides", n)?;
        let dilations = if dilates {
            positive(call, "dilations", n)?
        } else {
            vec![1; n]
        };
        let (given, auto) = pads(call, n)?;
        let (mut before, mut after) = given.clone().unwrap_or((vec![0; n], vec![0; n]));
        let mut output = vec![];
        for i in 0..n {
            let extent = kernel[i]
                .checked_sub(1)
                .and_then(|k| k.checked_mul(dilations[i]))
                .filter(|k| *k < 1 << 48)
                .ok_or_else(|| Fault::Shape(format!("a window of {:?}", kernel)))?
                as i64
                + 1;
            if given.is_none() {
                let out = size[i].div_ceil(by[i]);
                let pad = ((out as i64 - 1).saturating_mul(by[i] as i64) + extent - size[i] as i64)
                    .max(0);
                before[i] = if auto == "SAME_LOWER" {
                    pad - pad / 2
                } else {
                    pad / 2
                };
                after[i] = pad - before[i];
                output.push(out);
                continue;
            }
            let padded = (size[i] as i64)
                .saturating_add(before[i])
                .saturating_add(after[i]);
            let way = padded - extent;
            if way < 0 {
                return Err(Fault::Shape(format!(
                    "a window of {extent} in {padded} entries"
                )));
            }
            let steps = match ceil {
                true => (way as u64).div_ceil(by[i] as u64) as i64,
                false => way / by[i] as i64,
            };
            // A window that would begin in the padding after the end does not count.
            let beyond = ceil && steps * by[i] as i64 >= size[i] as i64 + before[i];
            output.push((steps + 1 - i64::from(beyond)) as usize);
        }
        Ok(Self {
            kernel,
            strides: by,
            dilations,
            before,
            after,
            output,
        })
    }

    /// Flat positions that one window covers, each with its place in the kernel; what lies outside is left out.
    pub(super) fn covers(&self, size: &[usize], at: &[usize]) -> Vec<(usize, usize)> {
        let steps = strides(size);
        let mut all = vec![(0usize, 0usize)];
        for i in 0..size.len() {
            let begin = (at[i] * self.strides[i]) as i64 - self.before[i];
            let mut next = vec![];
            for (flat, k) in &all {
                for j in 0..self.kernel[i] {
                    let p = begin + (j * self.dilations[i]) as i64;
                    if (0..size[i] as i64).contains(&p) {
                        next.push((
                            flat + p as usize * steps[i] as usize,
                            k * self.kernel[i] + j,
                        ));
                    }
                }
            }
            all = next;
        }
        all
    }

    /// Positions of all windows.
    pub(super) fn places(&self) -> Vec<Vec<usize>> {
        let steps = strides(&self.output);
        let all = offsets(0, &self.output, &steps);
        let one = |flat: usize| {
            let each = self.output.iter().zip(&steps);
            each.map(|(d, s)| flat / *s as usize % d).collect()
        };
        all.into_iter().map(one).collect()
    }
}

/// `[N, C, ..]` with at least one spatial axis.
pub(super) fn spatial(x: &Array) -> Result<(usize, usize, &[usize]), Fault> {
    match x.dims() {
        [n, c, rest @ ..] if !rest.is_empty() => Ok((*n, *c, rest)),
        dims => Err(Fault::Shape(format!("{dims:?}, wanted [N, C, ..]"))),
    }
}
