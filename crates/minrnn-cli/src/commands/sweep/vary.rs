//! The values that a sweep gives to a key, in the words of the configuration.

use anyhow::{Result, bail};
use minrnn_model::rng::Rng;
use serde::Deserialize;
use toml::{Table, Value};

/// A key of the configuration and what it may be.
#[derive(Debug)]
pub(super) struct Vary {
    /// Dotted, as `--set` has it.
    pub(super) key: String,
    pub(super) choices: Choices,
}

#[derive(Debug)]
pub(super) enum Choices {
    /// One of these, each as the configuration writes it.
    List(Vec<String>),
    /// A number between two, both included.
    Span(Span),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Span {
    from: Value,
    to: Value,
    #[serde(default)]
    scale: Scale,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Scale {
    #[default]
    Linear,
    Log,
}

/// All keys of `[vary]`, in the order of their names.
pub(super) fn all(table: &Table) -> Result<Vec<Vary>> {
    let mut found = vec![];
    walk("", table, &mut found)?;
    if found.is_empty() {
        bail!("[vary] names no key: a sweep varies at least one");
    }
    found.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(found)
}

fn walk(before: &str, table: &Table, found: &mut Vec<Vary>) -> Result<()> {
    for (name, value) in table {
        let key = format!("{before}{name}");
        let choices = match value {
            Value::Array(list) => Choices::List(list_of(&key, list)?),
            Value::Table(span) if span.contains_key("from") || span.contains_key("to") => {
                Choices::Span(span_of(&key, span)?)
            }
            Value::Table(inner) => {
                walk(&format!("{key}."), inner, found)?;
                continue;
            }
            value => bail!(
                "vary.{key} is the one value {value}: give a list, [{value}, ..], or {{ from = .., to = .. }}; \
                 what all runs share stands in the configuration, or behind --set"
            ),
        };
        found.push(Vary { key, choices });
    }
    Ok(())
}

fn list_of(key: &str, list: &[Value]) -> Result<Vec<String>> {
    let texts: Vec<String> = list.iter().map(short).collect();
    if texts.is_empty() {
        bail!("vary.{key} is an empty list: it has to have at least one value");
    }
    for (i, text) in texts.iter().enumerate() {
        if texts[..i].contains(text) {
            bail!("vary.{key} has {text} twice");
        }
    }
    Ok(texts)
}

/// A value as the configuration writes it; a float without the zeros of its size.
fn short(value: &Value) -> String {
    match value {
        Value::Float(x) if x.is_finite() => format!("{x:?}"),
        value => value.to_string(),
    }
}

fn span_of(key: &str, table: &Table) -> Result<Span> {
    let span: Span = table
        .clone()
        .try_into()
        .map_err(|e: toml::de::Error| anyhow::anyhow!("vary.{key}: {}", e.message()))?;
    let ends = [&span.from, &span.to].map(number);
    let [Some(from), Some(to)] = ends else {
        bail!("vary.{key}: from and to are numbers");
    };
    if !(from < to && from.is_finite() && to.is_finite()) {
        bail!("vary.{key}: from = {from} is not below to = {to}");
    }
    if span.scale == Scale::Log && from <= 0.0 {
        bail!("vary.{key}: from = {from} is not above 0, as scale = \"log\" needs it");
    }
    Ok(span)
}

fn number(value: &Value) -> Option<f64> {
    match value {
        // Beyond that not every integer is a float64.
        Value::Integer(n) if n.unsigned_abs() <= 1 << 53 => Some(*n as f64),
        Value::Float(x) => Some(*x),
        _ => None,
    }
}

impl Choices {
    /// One of them by chance; of a span four digits, so that people can read them.
    pub(super) fn draw(&self, rng: &mut Rng) -> String {
        match self {
            Self::List(texts) => texts[rng.below(texts.len())].clone(),
            Self::Span(span) => span.draw(rng),
        }
    }
}

impl Span {
    fn draw(&self, rng: &mut Rng) -> String {
        let [from, to] = [&self.from, &self.to].map(|v| number(v).unwrap_or_default());
        let whole = matches!(
            (&self.from, &self.to),
            (Value::Integer(_), Value::Integer(_))
        );
        // Each whole number has a unit around it, so that the ends are drawn as often as the others.
        let (low, high) = match whole {
            true => (from - 0.5, to + 0.5),
            false => (from, to),
        };
        let drawn = match self.scale {
            Scale::Linear => rng.range(low, high),
            Scale::Log => rng.range(low.ln(), high.ln()).exp(),
        };
        let drawn = drawn.clamp(from, to);
        match whole {
            true => format!("{}", drawn.round().clamp(from, to)),
            false => {
                let short: f64 = format!("{drawn:.3e}").parse().unwrap_or(drawn);
                format!("{:?}", short.clamp(from, to))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Vec<Vary>> {
        all(&text.parse::<Table>().unwrap())
    }

    fn refused(text: &str) -> String {
        of(text).unwrap_err().to_string()
    }

    #[test]
    fn keys_are_those_of_the_configuration() {
        let all = of("train.lr = [1e-3, 3e-3]\n\"train.optimizer.beta2\" = { from = 0.9, to = 0.999 }\nmodel.cell.time_scale = [[1.0, 10.0]]").unwrap();
        let keys: Vec<&str> = all.iter().map(|v| v.key.as_str()).collect();
        assert_eq!(
            keys,
            ["model.cell.time_scale", "train.lr", "train.optimizer.beta2"]
        );
        let Choices::List(texts) = &all[0].choices else {
            panic!("a list")
        };
        assert_eq!(texts, &["[1.0, 10.0]"]);
    }

    #[test]
    fn draws_lie_between_the_ends_and_reach_them() {
        let all = of("a = { from = 1, to = 4 }\nb = { from = 1e-4, to = 1e-2, scale = \"log\" }\nc = { from = 1, to = 8, scale = \"log\" }").unwrap();
        let mut rng = Rng::named(0, "draws");
        let mut seen = std::collections::BTreeMap::<String, usize>::new();
        let mut below = 0;
        for _ in 0..2000 {
            *seen.entry(all[0].choices.draw(&mut rng)).or_default() += 1;
            let b: f64 = all[1].choices.draw(&mut rng).parse().unwrap();
            assert!((1e-4..=1e-2).contains(&b), "{b}");
            below += usize::from(b < 1e-3);
            let c: u32 = all[2].choices.draw(&mut rng).parse().unwrap();
            assert!((1..=8).contains(&c), "{c}");
        }
        assert_eq!(seen.keys().collect::<Vec<_>>(), ["1", "2", "3", "4"]);
        assert!(seen.values().all(|n| (400..600).contains(n)), "{seen:?}");
        assert!(
            (900..1100).contains(&below),
            "{below} of 2000 below the middle of a logarithmic span"
        );
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for (text, wanted) in [
            ("", "names no key"),
            ("train.lr = 0.1", "is the one value 0.1"),
            ("train.lr = []", "an empty list"),
            ("train.lr = [0.1, 0.1]", "0.1 twice"),
            ("train.lr = { from = 1 }", "missing field `to`"),
            (
                "train.lr = { from = 1, to = 2, step = 1 }",
                "unknown field `step`",
            ),
            ("train.lr = { from = 2, to = 1 }", "not below"),
            (
                "train.lr = { from = 0.0, to = 1.0, scale = \"log\" }",
                "not above 0",
            ),
            ("train.lr = { from = nan, to = 1.0 }", "not below"),
            ("train.lr = { from = \"a\", to = 1.0 }", "are numbers"),
        ] {
            let said = refused(text);
            assert!(said.contains(wanted), "{text}: {said}");
        }
    }
}
