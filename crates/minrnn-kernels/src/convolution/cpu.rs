//! The convolution on the CPU, by Fourier transforms over time.
//!
//! A task has 16 channels and some pairs of sequences. The two of a pair are the real and the imaginary part of one line, since the taps are real
//! for both: one transform forwards and one backwards make two sequences. What a task does depends on sizes alone, and so do all bits.

use rayon::prelude::*;

use super::Size;
use super::transform::{LANES, Point, backwards, forwards, roots};
use crate::dispatch::Level;
use crate::parallel::Shared;

/// Pairs of sequences of a task: the transform of the taps is made once for them.
const PAIRS: usize = 8;

/// Work, in values times the stages of a transform, that is not worth a second thread.
const SERIAL: usize = 1 << 16;

/// What a convolution reads.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// `[B,T,D]`.
    pub x: &'a [f32],
    /// `[B,taps-1,D]`, the rows before the begin; absent: zeros.
    pub window: Option<&'a [f32]>,
    /// `[taps,D]`.
    pub taps: &'a [f32],
    /// Sizes.
    pub size: Size,
}

/// y `[B,T,D]`.
///
/// # Panics
/// If a slice is not as long as the sizes say.
pub fn forward(given: Given<'_>, y: &mut [f32]) {
    assert_eq!(y.len(), given.size.values(), "y");
    let job = Job::new(given);
    let y = Shared::new(y);
    job.each_task(
        #[inline(always)]
        |task, room| {
            let [filter, line] = room.take(job.points());
            job.filter(task, filter);
            for pair in task.pairs.clone() {
                job.line(task, pair, line);
                forwards(line, &job.roots);
                for (z, h) in line.iter_mut().zip(&*filter) {
                    *z = times(z, h);
                }
                backwards(line, &job.roots);
                job.put(task, pair, line, &y);
            }
        },
    );
}

/// Gradients of x and of the taps, given that of y. `work`: memory to work in.
///
/// # Panics
/// If a slice is not as long as the sizes say.
pub fn backward(given: Given<'_>, dy: &[f32], [dx, dtaps]: [&mut [f32]; 2], work: &mut Vec<f32>) {
    let size = given.size;
    assert_eq!(dy.len(), size.values(), "the gradient of y");
    assert_eq!(dx.len(), size.values(), "the gradient of x");
    assert_eq!(dtaps.len(), size.filter(), "the gradient of the taps");
    let job = Job::new(given);
    let of_y = Job {
        given: Given {
            x: dy,
            window: None,
            ..given
        },
        ..job.clone()
    };
    let part = job.reach * size.channels;
    work.clear();
    work.resize(part * job.groups(), 0.0);
    let factor = 1.0 / job.points() as f32;
    let (sums, dx) = (Shared::new(work), Shared::new(dx));
    job.each_task(
        #[inline(always)]
        |task, room| {
            let [filter, line, grads, sum] = room.take(job.points());
            job.filter(task, filter);
            sum.fill(Point::ZERO);
            for pair in task.pairs.clone() {
                job.line(task, pair, line);
                forwards(line, &job.roots);
                of_y.line(task, pair, grads);
                forwards(grads, &job.roots);
                for (((s, z), g), h) in sum.iter_mut().zip(&*line).zip(&mut *grads).zip(&*filter) {
                    *s = plus(s, &times_conjugate(g, z));
                    *g = times_conjugate(g, h);
                }
                backwards(grads, &job.roots);
                job.put(task, pair, grads, &dx);
            }
            backwards(sum, &job.roots);
            for (j, point) in sum[..job.reach].iter().enumerate() {
                let at = (task.group * job.reach + j) * size.channels + task.channel;
                #[allow(
                    unsafe_code,
                    reason = "the channels of one task in one row of its sums"
                )]
                // SAFETY: no other task has this group of pairs and these channels.
                let to = unsafe { sums.part(at, task.lanes) };
                to.iter_mut()
                    .zip(&point.re)
                    .for_each(|(to, v)| *to = v * factor);
            }
        },
    );
    let (first, rest) = dtaps.split_at_mut(part);
    rest.fill(0.0);
    first.copy_from_slice(&work[..part]);
    for more in work[part..].chunks_exact(part) {
        first.iter_mut().zip(more).for_each(|(s, m)| *s += m);
    }
}

/// A convolution under way: every line is the rows before the begin, if there are any, and the steps behind them.
#[derive(Clone)]
struct Job<'a> {
    given: Given<'a>,
    /// Where steps begin in a line.
    begin: usize,
    /// Taps that meet a row.
    reach: usize,
    roots: Vec<[f32; 2]>,
}

/// Some channels of some pairs of sequences.
#[derive(Debug, Clone)]
struct Task {
    group: usize,
    pairs: std::ops::Range<usize>,
    channel: usize,
    lanes: usize,
}

/// Memory of a thread.
#[derive(Default)]
struct Room(Vec<Point>);

impl Room {
    fn take<const N: usize>(&mut self, points: usize) -> [&mut [Point]; N] {
        if self.0.len() < N * points {
            self.0.resize(N * points, Point::ZERO);
        }
        let mut parts = self.0.chunks_exact_mut(points);
        [(); N].map(|()| parts.next().unwrap_or_default())
    }
}

impl<'a> Job<'a> {
    fn new(given: Given<'a>) -> Self {
        let size = given.size;
        assert_eq!(given.x.len(), size.values(), "x of {size:?}");
        assert_eq!(given.taps.len(), size.filter(), "taps of {size:?}");
        let before = given.window.map_or(size.window(), <[f32]>::len);
        assert_eq!(before, size.window(), "the window of {size:?}");
        let begin = given.window.map_or(0, |_| size.taps - 1);
        let reach = size.taps.min(begin + size.time);
        // What goes beyond the end of a line comes in at its begin, where nothing is read.
        let points = (size.time + reach - 1).next_power_of_two();
        Self {
            given,
            begin,
            reach,
            roots: roots(points),
        }
    }

    fn points(&self) -> usize {
        self.roots.len()
    }

    /// Groups of pairs.
    fn groups(&self) -> usize {
        self.given.size.batch.div_ceil(2).div_ceil(PAIRS)
    }

    fn each_task(&self, run: impl Fn(&Task, &mut Room) + Sync + Send) {
        let Size {
            batch, channels, ..
        } = self.given.size;
        let pairs = batch.div_ceil(2);
        let groups = self.groups();
        let task = |i: usize| {
            let (group, channel) = (i % groups, i / groups * LANES);
            Task {
                group,
                pairs: group * PAIRS..((group + 1) * PAIRS).min(pairs),
                channel,
                lanes: LANES.min(channels - channel),
            }
        };
        let (tasks, level) = (channels.div_ceil(LANES) * groups, Level::best());
        let run = |room: &mut Room, i: usize| {
            let task = task(i);
            level.run(
                #[inline(always)]
                || run(&task, room),
            );
        };
        let work = pairs * channels * self.points();
        if tasks < 2 || work < SERIAL {
            let mut room = Room::default();
            (0..tasks).for_each(|i| run(&mut room, i));
        } else {
            (0..tasks).into_par_iter().for_each_init(Room::default, run);
        }
    }

    /// The transform of a task's taps, divided by the number of points.
    #[inline(always)]
    fn filter(&self, task: &Task, to: &mut [Point]) {
        let d = self.given.size.channels;
        let factor = 1.0 / self.points() as f32;
        to.fill(Point::ZERO);
        for (j, point) in to[..self.reach].iter_mut().enumerate() {
            let taps = &self.given.taps[j * d + task.channel..][..task.lanes];
            for (to, tap) in point.re.iter_mut().zip(taps) {
                *to = tap * factor;
            }
        }
        forwards(to, &self.roots);
    }

    /// A pair of sequences, as they lie in time.
    #[inline(always)]
    fn line(&self, task: &Task, pair: usize, to: &mut [Point]) {
        let Size {
            batch,
            time,
            channels: d,
            taps,
        } = self.given.size;
        to.fill(Point::ZERO);
        for (part, sequence) in [2 * pair, 2 * pair + 1].into_iter().enumerate() {
            if sequence == batch {
                return;
            }
            let copy = |point: &mut Point, from: &[f32], at: usize| {
                let from = &from[at * d + task.channel..][..task.lanes];
                let to = if part == 0 {
                    &mut point.re
                } else {
                    &mut point.im
                };
                to[..task.lanes].copy_from_slice(from);
            };
            let (before, steps) = to.split_at_mut(self.begin);
            if let Some(window) = self.given.window {
                for (i, point) in before.iter_mut().enumerate() {
                    copy(point, window, sequence * (taps - 1) + i);
                }
            }
            for (t, point) in steps[..time].iter_mut().enumerate() {
                copy(point, self.given.x, sequence * time + t);
            }
        }
    }

    /// The steps of a line to their sequences.
    #[inline(always)]
    fn put(&self, task: &Task, pair: usize, line: &[Point], to: &Shared<'_, f32>) {
        let Size {
            batch,
            time,
            channels: d,
            ..
        } = self.given.size;
        for (part, sequence) in [2 * pair, 2 * pair + 1].into_iter().enumerate() {
            if sequence == batch {
                return;
            }
            for (t, point) in line[self.begin..][..time].iter().enumerate() {
                let from = if part == 0 { &point.re } else { &point.im };
                let at = (sequence * time + t) * d + task.channel;
                #[allow(unsafe_code, reason = "the channels of one task in one row")]
                // SAFETY: no other task has this sequence and these channels.
                let to = unsafe { to.part(at, task.lanes) };
                to.copy_from_slice(&from[..task.lanes]);
            }
        }
    }
}

#[inline(always)]
fn times(a: &Point, b: &Point) -> Point {
    let mut y = Point::ZERO;
    for l in 0..LANES {
        y.re[l] = a.re[l] * b.re[l] - a.im[l] * b.im[l];
        y.im[l] = a.re[l] * b.im[l] + a.im[l] * b.re[l];
    }
    y
}

/// a times the conjugate of b.
#[inline(always)]
fn times_conjugate(a: &Point, b: &Point) -> Point {
    let mut y = Point::ZERO;
    for l in 0..LANES {
        y.re[l] = a.re[l] * b.re[l] + a.im[l] * b.im[l];
        y.im[l] = a.im[l] * b.re[l] - a.re[l] * b.im[l];
    }
    y
}

#[inline(always)]
fn plus(a: &Point, b: &Point) -> Point {
    let mut y = Point::ZERO;
    for l in 0..LANES {
        y.re[l] = a.re[l] + b.re[l];
        y.im[l] = a.im[l] + b.im[l];
    }
    y
}
