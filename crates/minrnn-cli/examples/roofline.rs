//! A roofline of the recurrences' kernels: operations a second over operations a byte.
//!
//! `cargo run --example roofline -- scan.json OUT.svg`, where `minrnn bench scan --device cuda --json scan.json`
//! wrote the figures. The same figures give the same file.
//!
//! A kernel below the slanted roof waits for memory, one below the flat roof for arithmetic.

mod bench_json;

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use bench_json::{Kernel, Scan};

/// Operations an element. An exponential, a reciprocal, a minimum or a maximum is one, a fused multiply-add two;
/// signs, absolute values, comparisons, choices and conversions between types are none. Each element is counted
/// once, though the shipped kernel runs its steps twice: to find the state before each stretch, and from that state.
///
/// Forward:
/// - `linear_scan`: `a h + b`, 2.
/// - `min_gru`: `e^-k` 2, `e^min(v,0)` 3, one more than that 1, the product of both denominators 2, its
///   reciprocal 1, z 1, a 1, z c 4; the recurrence 2.
/// - `min_lstm`: `e^min(v,0)` and one more 4; both gates times a common factor: 2 minima, 3 exponentials of 2,
///   2 differences, 2 sums, 12; their share by one reciprocal 4; a 2; i' c 4; the recurrence 2.
///
/// Backward, everything recomputed from the inputs:
/// - `linear_scan`: d 1, da 1, what is handed to the step before 1.
/// - `min_gru`: both exponentials limited 6, denominators 3, reciprocal 1, z, a and the candidate's part 3,
///   the factor of dk 6 and of dv 2; d 1, two gradients 2, handed on 1.
/// - `min_lstm`: three exponentials and one more than each 10, the gates' factor 12, the denominators and one
///   reciprocal for all 7, both sigmoids 6, the candidate 4, i' and a 3, factors 9; d 1, three gradients 3, handed on 1.
fn operations(row: &Kernel) -> Result<f64> {
    Ok(match (row.op.as_str(), row.pass.as_str()) {
        ("linear_scan", "forward") => 2.0,
        ("linear_scan", "backward") => 3.0,
        ("min_gru", "forward") => 17.0,
        ("min_gru", "backward") => 25.0,
        ("min_lstm", "forward") => 28.0,
        ("min_lstm", "backward") => 56.0,
        (op, pass) => bail!("no count of operations for {op} {pass}"),
    })
}

/// FP32 outside tensor cores, GFLOP/s, from the data sheets of the SXM modules.
fn fp32_roof(device: &str) -> Option<f64> {
    let known = ["H100 80GB HBM3", "H200"];
    known
        .iter()
        .any(|name| device.contains(name))
        .then_some(67_000.0)
}

/// One kernel in the plot.
struct Point {
    /// Operations a byte.
    intensity: f64,
    gflops: f64,
}

impl Point {
    fn of(row: &Kernel) -> Result<Self> {
        let elements: usize = row.shape.iter().product();
        // The bytes that the benchmark counts: each input read once, each output written once.
        let bytes = row.gbps * row.ms * 1e6;
        let intensity = operations(row)? * elements as f64 / bytes;
        Ok(Self {
            intensity,
            gflops: intensity * row.gbps,
        })
    }
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 560.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 60.0;

/// Powers of ten at the ends of the axes.
struct Axes {
    x: (i32, i32),
    y: (i32, i32),
}

impl Axes {
    fn around(points: &[Point], roof: Option<f64>) -> Self {
        let ends = |values: &mut dyn Iterator<Item = f64>| {
            let (low, high) = values.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
            (low.log10().floor() as i32, high.log10().ceil() as i32)
        };
        let x = ends(&mut points.iter().map(|p| p.intensity));
        let y = ends(&mut points.iter().map(|p| p.gflops).chain(roof));
        // At least two decades to the right of the kernels, so that both roofs meet inside.
        Self {
            x: (x.0, x.1.max(x.0 + 3)),
            y: (y.0, y.1.max(y.0 + 1)),
        }
    }

    fn x(&self, v: f64) -> f64 {
        let (from, to) = (f64::from(self.x.0), f64::from(self.x.1));
        LEFT + (v.log10() - from) / (to - from) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, v: f64) -> f64 {
        let (from, to) = (f64::from(self.y.0), f64::from(self.y.1));
        HEIGHT - BOTTOM - (v.log10() - from) / (to - from) * (HEIGHT - TOP - BOTTOM)
    }

    fn draw(&self, svg: &mut String) -> std::fmt::Result {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for i in self.x.0..=self.x.1 {
            let x = self.x(10f64.powi(i));
            line(svg, (x, TOP), (x, bottom), "#e2e2e2", 1.0)?;
            text(svg, (x, bottom + 18.0), "middle", &power(i))?;
        }
        for i in self.y.0..=self.y.1 {
            let y = self.y(10f64.powi(i));
            line(svg, (LEFT, y), (right, y), "#e2e2e2", 1.0)?;
            text(svg, (LEFT - 8.0, y + 4.0), "end", &power(i))?;
        }
        let middle = (LEFT + right) / 2.0;
        text(svg, (middle, HEIGHT - 16.0), "middle", "operations a byte")?;
        text(svg, (LEFT, TOP - 10.0), "middle", "GFLOP/s")
    }

    /// The slanted roof up to the flat one, or to the edge.
    fn roofs(&self, svg: &mut String, copy: f64, flat: Option<f64>) -> std::fmt::Result {
        let (first, last) = (10f64.powi(self.x.0), 10f64.powi(self.x.1));
        let lowest = first.max(10f64.powi(self.y.0) / copy);
        let edge = last.min(10f64.powi(self.y.1) / copy);
        let corner = flat.map_or(edge, |flat| edge.min(flat / copy));
        let at = |v: f64| (self.x(v), self.y(v * copy));
        line(svg, at(lowest), at(corner), "#333", 2.0)?;
        let place = (at(corner).0 + 10.0, at(corner).1 + 24.0);
        text(svg, place, "start", &format!("a copy: {copy:.0} GB/s"))?;
        if let Some(flat) = flat {
            let y = self.y(flat);
            line(svg, (self.x(corner), y), (self.x(last), y), "#333", 2.0)?;
            let name = format!("FP32, data sheet: {:.0} TFLOP/s", flat / 1e3);
            text(svg, (WIDTH - RIGHT, y - 8.0), "end", &name)?;
        }
        Ok(())
    }
}

fn power(i: i32) -> String {
    match i {
        -3..=5 => format!("{}", 10f64.powi(i)),
        _ => format!("1e{i}"),
    }
}

fn line(
    svg: &mut String,
    a: (f64, f64),
    b: (f64, f64),
    colour: &str,
    width: f64,
) -> std::fmt::Result {
    let ((x1, y1), (x2, y2)) = (a, b);
    writeln!(
        svg,
        r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}" stroke-width="{width}"/>"#
    )
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) -> std::fmt::Result {
    let words = escape(words);
    writeln!(
        svg,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#
    )
}

fn escape(words: &str) -> String {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    words.replace('>', "&gt;").replace('"', "&quot;")
}

const OPS: [(&str, &str); 3] = [
    ("min_gru", "#0b6e99"),
    ("min_lstm", "#c4501b"),
    ("linear_scan", "#4d7c2a"),
];

/// Forward a circle, backward a square, of area alike; a simple rung is hollow.
fn mark(row: &Kernel, (x, y): (f64, f64)) -> String {
    let colour = OPS
        .iter()
        .find(|op| op.0 == row.op)
        .map_or("#000", |op| op.1);
    let fill = if row.rung == "simple" {
        "white"
    } else {
        colour
    };
    let look = format!(
        r#"class="{} point" fill="{fill}" fill-opacity="0.6" stroke="{colour}""#,
        escape(&row.rung)
    );
    if row.pass == "forward" {
        format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="4.5" {look}>"#)
    } else {
        let (x, y) = (x - 4.0, y - 4.0);
        format!(r#"<rect x="{x:.1}" y="{y:.1}" width="8" height="8" {look}>"#)
    }
}

fn close(row: &Kernel) -> &'static str {
    if row.pass == "forward" {
        "</circle>"
    } else {
        "</rect>"
    }
}

fn legend(svg: &mut String) -> std::fmt::Result {
    let x = WIDTH - RIGHT + 20.0;
    let mut y = TOP + 40.0;
    let named = |op: &str, rung: &str, pass: &str| Kernel {
        op: op.to_owned(),
        rung: rung.to_owned(),
        pass: pass.to_owned(),
        shape: [1; 3],
        dtype: String::new(),
        ms: 1.0,
        gbps: 1.0,
        copy_fraction: 1.0,
    };
    let entries = OPS
        .iter()
        .flat_map(|op| {
            ["forward", "backward"]
                .map(|pass| (named(op.0, "shipped", pass), format!("{} {pass}", op.0)))
        })
        .chain([(
            named("", "simple", "forward"),
            "hollow: simple rung".to_owned(),
        )]);
    for (row, words) in entries {
        let key = mark(&row, (x, y)).replace(" point", " key");
        writeln!(svg, "{key}{}", close(&row))?;
        text(svg, (x + 12.0, y + 4.0), "start", &words)?;
        y += 22.0;
    }
    for words in [
        "one column a type:",
        "16 bits lie right of f32;",
        "one point a shape",
    ] {
        text(svg, (x - 6.0, y + 10.0), "start", words)?;
        y += 18.0;
    }
    Ok(())
}

/// The plot.
///
/// # Errors
/// Figures that are none; kernels without a count of operations.
fn draw(scan: &Scan) -> Result<String> {
    scan.check()?;
    let points: Vec<Point> = scan.rows.iter().map(Point::of).collect::<Result<_>>()?;
    let flat = fp32_roof(&scan.device);
    let axes = Axes::around(&points, flat);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    let title = format!("Kernels of the recurrences, {}", scan.device);
    text(&mut svg, (WIDTH / 2.0, 24.0), "middle", &title)?;
    axes.draw(&mut svg)?;
    axes.roofs(&mut svg, scan.copy_gbps, flat)?;
    for (row, point) in scan.rows.iter().zip(&points) {
        let [b, t, d] = row.shape;
        let words = format!(
            "{} {} ({}) [{b},{t},{d}] {}: {:.0} GB/s, {:.0} % of a copy of the same bytes",
            row.op,
            row.pass,
            row.rung,
            row.dtype,
            row.gbps,
            100.0 * row.copy_fraction
        );
        let place = (axes.x(point.intensity), axes.y(point.gflops));
        writeln!(
            svg,
            "{}<title>{}</title>{}",
            mark(row, place),
            escape(&words),
            close(row)
        )?;
    }
    legend(&mut svg)?;
    svg += "</svg>\n";
    Ok(svg)
}

fn main() -> Result<()> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [from, to] = args.as_slice() else {
        bail!("usage: roofline scan.json OUT.svg");
    };
    let svg = draw(&Scan::open(from)?)?;
    std::fs::write(to, svg).with_context(|| format!("writing {}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = r#"{"schema":"minrnn.bench.scan/1","device":"NVIDIA H100 80GB HBM3","copy_gbps":3000.0,"rows":[
        {"op":"min_gru","rung":"simple","pass":"forward","shape":[2,8,4],"dtype":"f32","ms":0.002,"gbps":0.384,"copy_fraction":0.2},
        {"op":"min_gru","rung":"shipped","pass":"forward","shape":[2,8,4],"dtype":"f32","ms":0.001,"gbps":0.768,"copy_fraction":0.9},
        {"op":"min_lstm","rung":"shipped","pass":"backward","shape":[2,8,4],"dtype":"bf16","ms":0.001,"gbps":1.024,"copy_fraction":0.8}]}"#;

    fn read(text: &str) -> Result<Scan> {
        bench_json::parse(text, bench_json::SCAN)
    }

    #[test]
    fn every_row_is_one_point() -> Result<()> {
        let svg = draw(&read(TINY)?)?;
        let points = |rung: &str| svg.matches(&format!("class=\"{rung} point\"")).count();
        assert_eq!((points("shipped"), points("simple")), (2, 1));
        assert!(svg.contains("3000 GB/s") && svg.contains("67 TFLOP/s"));
        assert_eq!(svg, draw(&read(TINY)?)?);
        let other = draw(&read(&TINY.replace("H100 80GB HBM3", "other"))?)?;
        assert!(!other.contains("TFLOP/s"));
        Ok(())
    }

    #[test]
    fn intensity_is_operations_over_bytes() -> Result<()> {
        let scan = read(TINY)?;
        for (row, want) in scan
            .rows
            .iter()
            .zip([17.0 / 12.0, 17.0 / 12.0, 56.0 / 16.0])
        {
            let point = Point::of(row)?;
            assert!((point.intensity - want).abs() < 1e-9, "{row:?}");
            assert!((point.gflops - want * row.gbps).abs() < 1e-9);
        }
        Ok(())
    }

    #[test]
    fn other_files_are_refused() {
        let says = |text: &str, what: &str| {
            let error = read(text).and_then(|scan| draw(&scan)).expect_err(what);
            let error = format!("{error:#}");
            assert!(error.contains(what), "{error}");
        };
        says("op,ms", "not JSON");
        says("[]", "no `schema`");
        says(&TINY.replace("scan/1", "train/1"), "minrnn.bench.train/1");
        says(&TINY.replace("copy_gbps", "other"), "copy_gbps");
        says(&TINY.replace("min_lstm", "lru"), "lru backward");
        says(&TINY.replace("0.384", "0.0"), "figures are positive");
    }
}
