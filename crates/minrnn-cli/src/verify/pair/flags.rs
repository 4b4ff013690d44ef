//! What the caller says about files, as flags write it.

use std::path::Path;
use std::str::FromStr;

use super::interface::less;
use super::spec::{BEYOND, Fill, Init, InputSpec, Role, StateSpec};

/// `IN=OUT[:batch=AXIS,axis=AXIS,init=zero|NUMBER|FILE.npy,first=IN=OUT,counts=true]`, where `A+B` stands for two tensors that are one in the other file
impl FromStr for StateSpec {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (names, options) = split_options(text, &["batch", "axis", "init", "first", "counts"]);
        let (input, output) = names
            .split_once('=')
            .filter(|(i, o)| !i.is_empty() && !o.is_empty())
            .ok_or("expected IN=OUT, perhaps with :batch=AXIS,init=VALUE behind it")?;
        let mut state = Self::new(input, output);
        let mut told: Vec<&str> = vec![];
        for option in options.split(',').filter(|o| !o.is_empty()) {
            let key = option.split('=').next().unwrap_or(option);
            if told.contains(&key) {
                return Err(format!(
                    "`{key}` is given twice for {names}; leave one of them out"
                ));
            }
            told.push(key);
            match option.split_once('=') {
                Some((key @ ("batch" | "axis"), axis)) => {
                    let number = axis.parse();
                    let number = number.map_err(|_| format!("{key}={axis} is no axis"))?;
                    match key {
                        "batch" => state.batch = Some(number),
                        _ => state.axis = Some(number),
                    }
                }
                Some(("init", value)) => state.init = init(value)?,
                Some(("first", names)) => {
                    let pair = names
                        .split_once('=')
                        .filter(|(i, o)| !i.is_empty() && !o.is_empty());
                    let pair = pair
                        .ok_or_else(|| format!("first={names} is no IN=OUT of the first file"))?;
                    state.first = Some((pair.0.into(), pair.1.into()));
                }
                Some(("counts", "true")) => state.counts = true,
                _ => {
                    return Err(format!(
                        "`{option}` is neither batch=AXIS, axis=AXIS, init=VALUE, first=IN=OUT nor counts=true"
                    ));
                }
            }
        }
        Ok(state)
    }
}

/// Names may hold colons, so options begin at the last colon that one of their keys follows.
fn split_options<'a>(text: &'a str, keys: &[&str]) -> (&'a str, &'a str) {
    let begins = |at: usize| {
        keys.iter()
            .any(|k| text[at + 1..].starts_with(&format!("{k}=")))
    };
    match text
        .match_indices(':')
        .map(|(at, _)| at)
        .find(|at| begins(*at))
    {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    }
}

fn init(value: &str) -> std::result::Result<Init, String> {
    if value == "zero" {
        return Ok(Init::Fill(0.0));
    }
    if let Ok(number) = value.parse::<f64>() {
        let whole = value.parse::<i128>().ok();
        return match whole.is_some_and(|n| number as i128 != n) {
            true => Err(format!("init={value}: {BEYOND}")),
            false => Ok(Init::Fill(number)),
        };
    }
    if !value.ends_with(".npy") {
        return Err(format!(
            "init={value} is neither zero, a number nor a .npy file"
        ));
    }
    // The message of a file that cannot be read has its cause.
    Init::from_npy(Path::new(value)).map_err(|e| e.to_string())
}

/// Whether a word may name a length that is not T.
pub(super) fn is_length(word: &str) -> bool {
    is_word(word) && !["b", "t"].contains(&word.to_lowercase().as_str())
}

fn is_word(word: &str) -> bool {
    let mut all = word.chars();
    all.next().is_some_and(char::is_alphabetic) && all.all(|c| c.is_alphanumeric() || c == '_')
}

/// Whether a word may be a length that is the sum of others: `P+T`.
fn is_sum(word: &str) -> bool {
    let one = |part: &str| is_word(part) && part != "B" || part.parse::<usize>().is_ok();
    word.contains('+') && word.split('+').all(|part| one(part.trim()))
}

/// Whether a word is a length with a whole number taken away, or a sum with such ones in it: `P+T-1`.
fn is_less(word: &str) -> bool {
    let mut taken = false;
    let mut parts = word.split('+').map(str::trim);
    let all = parts.all(|part| {
        let mut part = part;
        while let (rest, 1..) = less(part) {
            (part, taken) = (rest, true);
        }
        is_word(part) && part != "B" || part.parse::<usize>().is_ok()
    });
    all && taken
}

/// Dimensions between commas (B, T and numbers also between `x`), and the lengths that they name.
fn dimensions(list: &str) -> std::result::Result<(Vec<Role>, Vec<String>), String> {
    let plain = |n: &str| ["B", "T"].contains(&n) || n.parse::<usize>().is_ok();
    let numbers = |part: &&str| part.split('x').all(plain);
    let mut lengths: Vec<String> = vec![];
    let mut roles = vec![];
    for part in list.split(',') {
        let words: Vec<&str> = match numbers(&part) {
            true => part.split('x').collect(),
            false => vec![part],
        };
        for word in words {
            roles.push(match (word, word.parse()) {
                ("B", _) => Role::Batch,
                ("T", _) => Role::Time,
                (_, Ok(n)) => Role::Fixed(n),
                (name, _) if is_length(name) || is_sum(name) => {
                    let known = lengths.iter().position(|l| l == name);
                    Role::Length(known.unwrap_or_else(|| {
                        lengths.push(name.into());
                        lengths.len() - 1
                    }))
                }
                (n, _) => {
                    return Err(format!(
                        "`{n}` is neither B, T, a number, the name of another length nor a sum such as P+T"
                    ));
                }
            });
        }
    }
    Ok((roles, lengths))
}

/// `NAME=DIMS[:int=LOW..HIGH]` or `:float=LOW..HIGH`, dimensions separated by commas: `B`, `T`, a number, or another length by its name.
pub(crate) fn input_spec(text: &str) -> std::result::Result<(String, InputSpec), String> {
    let (named, range) = split_options(text, &["int", "float"]);
    let (name, dims) = named
        .split_once('=')
        .ok_or("expected NAME=DIMS, e.g. x=B,T,64")?;
    let (dims, lengths) = match dims {
        "" => (None, vec![]),
        list => {
            let (roles, lengths) = dimensions(list)?;
            (Some(roles), lengths)
        }
    };
    let mut spec = InputSpec {
        dims,
        lengths,
        ..InputSpec::default()
    };
    match range.split_once('=') {
        Some(("int", range)) => spec.range = Some(ends(range, "int")?),
        Some((_, range)) => {
            let (low, high): (f64, f64) = ends(range, "float")?;
            if !(low.is_finite() && high.is_finite()) {
                return Err(format!("float={range} has an end that is no finite number"));
            }
            spec.floats = Some((low, high));
        }
        None => {}
    }
    if spec.dims.is_none() && range.is_empty() {
        return Err(
            "expected NAME=DIMS, NAME=:int=LOW..HIGH, NAME=:float=LOW..HIGH, or DIMS and one of these".into(),
        );
    }
    Ok((name.into(), spec))
}

/// Both ends of a range.
fn ends<N: std::str::FromStr + PartialOrd>(
    range: &str,
    kind: &str,
) -> std::result::Result<(N, N), String> {
    let ends = range
        .split_once("..")
        .and_then(|(l, h)| Some((l.parse().ok()?, h.parse().ok()?)));
    ends.filter(|(l, h): &(N, N)| l <= h)
        .ok_or(format!("{kind}={range} is no range LOW..HIGH"))
}

/// `NAME=N|T|P+T|lengths`
pub(crate) fn value_spec(text: &str) -> std::result::Result<(String, Fill), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("expected NAME=NUMBER, NAME=T, NAME=P+T or NAME=lengths")?;
    let fill = match value {
        "T" => Fill::Time,
        "lengths" => Fill::Lengths,
        n => match n.parse() {
            Ok(number) => Fill::Number(number),
            Err(_) if is_sum(n) || is_length(n) || is_less(n) => Fill::Sum(n.into()),
            Err(_) => {
                return Err(format!(
                    "`{n}` is no number, nor T, nor a length such as P+T or P+T-1, nor lengths"
                ));
            }
        },
    };
    Ok((name.into(), fill))
}

/// `A=B`
pub(crate) fn map_spec(text: &str) -> std::result::Result<(String, String), String> {
    let (a, b) = text
        .split_once('=')
        .filter(|(a, b)| !a.is_empty() && !b.is_empty())
        .ok_or("expected A=B, a name of the first file and one of the second")?;
    Ok((a.into(), b.into()))
}

/// `NAME=N`
pub(crate) fn dim_spec(text: &str) -> std::result::Result<(String, usize), String> {
    let parsed = text
        .split_once('=')
        .and_then(|(name, n)| Some((name.to_owned(), n.parse().ok()?)));
    parsed.ok_or_else(|| "expected NAME=N, N a whole number".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_from_an_argument() {
        let state: StateSpec = "past.0:h=present.0:h:batch=1,init=-0.5".parse().unwrap();
        assert_eq!(
            (state.input.as_str(), state.output.as_str()),
            ("past.0:h", "present.0:h")
        );
        assert_eq!((state.batch, state.init), (Some(1), Init::Fill(-0.5)));
        assert!(!state.counts);
        let state: StateSpec = "n=n2:counts=true,batch=0".parse().unwrap();
        assert_eq!((state.counts, state.batch), (true, Some(0)));
        let whole: StateSpec = "h=g:init=-9007199254740994".parse().unwrap();
        assert_eq!(whole.init, Init::Fill(-9007199254740994.0));
        for bad in [
            "h",
            "=h",
            "h=",
            "h=g:batch=x",
            "h=g:counts=false",
            "h=g:init=one",
            "h=g:init=none.npy",
            "h=g:init=9007199254740993",
        ] {
            assert!(bad.parse::<StateSpec>().is_err(), "{bad}");
        }
        for twice in [
            "h=g:counts=true,counts=true",
            "h=g:batch=0,init=1,batch=0",
            "h=g:init=zero,init=0.5",
            "h=g:first=a=b,first=a=b",
        ] {
            let error = twice.parse::<StateSpec>().unwrap_err();
            assert!(error.contains("is given twice for h=g"), "{error}");
        }
    }

    #[test]
    fn values_are_read_from_an_argument() {
        for (text, fill) in [
            ("n=3", Fill::Number(3.0)),
            ("n=T", Fill::Time),
            ("n=lengths", Fill::Lengths),
            ("n=P+T", Fill::Sum("P+T".into())),
            ("n=P", Fill::Sum("P".into())),
            ("n=P+T-1", Fill::Sum("P+T-1".into())),
            ("n=T-1", Fill::Sum("T-1".into())),
            ("n=2+P-1+T-3", Fill::Sum("2+P-1+T-3".into())),
            ("n=-1", Fill::Number(-1.0)),
        ] {
            assert_eq!(value_spec(text), Ok(("n".to_owned(), fill)), "{text}");
        }
        for bad in [
            "n", "n=", "n=B", "n=P+", "n=P+B", "n=2T", "n=B-1", "n=T-P", "n=P--1", "n=-T",
        ] {
            assert!(value_spec(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn inputs_are_read_from_an_argument() {
        let (name, spec) = input_spec("ids=B,T:int=0..63").unwrap();
        assert_eq!((name.as_str(), spec.range), ("ids", Some((0, 63))));
        assert_eq!(spec.dims, Some(vec![Role::Batch, Role::Time]));
        let (name, spec) = input_spec("x=:float=1e-3..2.5").unwrap();
        assert_eq!((name.as_str(), spec.floats), ("x", Some((1e-3, 2.5))));
        assert_eq!((spec.dims, spec.range), (None, None));
        assert_eq!(
            input_spec("x=2x7x64").unwrap().1.dims,
            Some([2, 7, 64].map(Role::Fixed).to_vec())
        );
        let memory = input_spec("m=B,S,S2,S,4").unwrap().1;
        assert_eq!(memory.lengths, ["S", "S2"]);
        let of = |i| Role::Length(i);
        assert_eq!(
            memory.dims,
            Some(vec![Role::Batch, of(0), of(1), of(0), Role::Fixed(4)])
        );
        let mask = input_spec("m=B,P+T,P").unwrap().1;
        assert_eq!(mask.lengths, ["P+T", "P"]);
        assert_eq!(mask.dims, Some(vec![Role::Batch, of(0), of(1)]));
        for bad in [
            "x",
            "x=B,T,-1",
            "x=b,T,4",
            "x=B,t,4",
            "x=B,,4",
            "x=B,2T",
            "x=B,P+",
            "x=B,+T",
            "x=B,P+B",
            "x=B:int=3..1",
            "x=B:int=a..b",
            "x=:float=2..1",
            "x=:float=0..inf",
            "x=:float=nan..1",
            "x=:float=1",
        ] {
            assert!(input_spec(bad).is_err(), "{bad}");
        }
    }
}
