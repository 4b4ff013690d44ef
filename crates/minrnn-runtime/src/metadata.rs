//! Reads `metadata_props` into typed values. Looks at no node of the graph.

use std::collections::BTreeMap;

use crate::proto::ModelProto;
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::Value;

use crate::error::{Breach, plain};
use crate::info::{Dtype, Form, Head, Init, Law, Lowering, Recurrence, StateSpec};
use crate::json::object;

/// The versions of the contract that this crate reads: the second has other laws than the linear one.
const CONTRACTS: [&str; 2] = ["1", "2"];

/// Values that one row of one state may hold; far above any model, far below an overflow.
const MAX_STATE_LEN: usize = 1 << 24;

/// The typed metadata of one file.
pub(crate) struct Metadata {
    pub(crate) form: Form,
    pub(crate) lowering: Lowering,
    pub(crate) head: Head,
    pub(crate) states: Vec<StateSpec>,
    pub(crate) max_seq_len: Option<usize>,
    pub(crate) recurrences: Vec<Recurrence>,
    pub(crate) padded: bool,
    pub(crate) weights_sha256: String,
    pub(crate) dtype: Dtype,
    pub(crate) config: Value,
    pub(crate) vocabulary: Option<String>,
    pub(crate) end_of_stream: Option<u32>,
}

/// `Ok(None)`: the file carries no `minrnn.*` key at all.
pub(crate) fn read(model: &ModelProto) -> Result<Option<Metadata>, Breach> {
    let mut props = BTreeMap::new();
    for entry in &model.metadata_props {
        let ours = entry.key.starts_with("minrnn.");
        if ours
            && props
                .insert(entry.key.as_str(), entry.value.as_str())
                .is_some()
        {
            return Err(Breach::new(place(&entry.key), "stands there twice"));
        }
    }
    if props.is_empty() {
        return Ok(None);
    }
    Props(props).typed().map(Some)
}

fn place(key: &str) -> String {
    format!("metadata `{key}`")
}

struct Props<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Props<'a> {
    fn typed(&self) -> Result<Metadata, Breach> {
        self.version()?;
        let (form, lowering) = self.form()?;
        Ok(Metadata {
            form,
            lowering,
            head: self.one_of("minrnn.head", &[Head::PerStep, Head::Last], |h| h.as_str())?,
            states: self.states()?,
            max_seq_len: self.max_seq_len()?,
            recurrences: self.recurrences()?,
            padded: self.one_of("minrnn.padded", &[true, false], |p| {
                if *p { "true" } else { "false" }
            })?,
            weights_sha256: self.weights()?,
            dtype: self.dtype()?,
            config: self.config()?,
            vocabulary: self.0.get("minrnn.vocabulary").map(|v| (*v).to_owned()),
            end_of_stream: self.end_of_stream()?,
        })
    }

    fn get(&self, key: &str) -> Result<&'a str, Breach> {
        let found = self.0.get(key).copied();
        found.ok_or_else(|| Breach::new(place(key), "is missing"))
    }

    fn one_of<T: Copy>(
        &self,
        key: &str,
        all: &[T],
        word: impl Fn(&T) -> &'static str,
    ) -> Result<T, Breach> {
        let value = self.get(key)?;
        let words: Vec<_> = all.iter().map(&word).collect();
        let at = words.iter().position(|w| *w == value);
        at.map(|at| all[at]).ok_or_else(|| {
            let what = format!("is `{}`, not one of {}", short(value), words.join(", "));
            Breach::new(place(key), what)
        })
    }

    fn json<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Result<T, Breach> {
        serde_json::from_str(self.get(key)?)
            .map_err(|e| Breach::new(place(key), format!("does not parse: {}", plain(&e))))
    }

    fn version(&self) -> Result<(), Breach> {
        let version = self.get("minrnn.contract")?;
        if CONTRACTS.contains(&version) {
            return Ok(());
        }
        let what = format!(
            "is `{}`, and this runtime reads the versions {}",
            short(version),
            CONTRACTS.join(" and ")
        );
        let mend = "use a runtime and an exporter of the same version";
        Err(Breach::new(place("minrnn.contract"), what).mend(mend))
    }

    fn recurrences(&self) -> Result<Vec<Recurrence>, Breach> {
        let key = "minrnn.recurrences";
        let old = self.get("minrnn.contract")? == CONTRACTS[0];
        let all: Vec<RawRecurrence> = self.json(key)?;
        let known = all.into_iter().enumerate().map(|(at, raw)| {
            let breach = |what: String| Breach::new(place(key), format!("{at}.{what}"));
            if let Some(law) = raw.law.as_ref().filter(|_| old) {
                let law = short(law);
                return Err(breach(format!(
                    "law is `{law}`: the contract 1 has no laws"
                )));
            }
            raw.checked().map_err(breach)
        });
        known.collect()
    }

    fn form(&self) -> Result<(Form, Lowering), Breach> {
        let lowerings = [
            Lowering::Blocked,
            Lowering::BlockedScan,
            Lowering::KoggeStone,
            Lowering::KoggeStoneConcat,
            Lowering::OddEven,
            Lowering::LinearAttention,
            Lowering::Scan,
            Lowering::Step,
        ];
        let form = self.one_of("minrnn.form", &Form::ALL, |f| f.as_str())?;
        let lowering = self.one_of("minrnn.lowering", &lowerings, |l| l.as_str())?;
        // An operator may be whole sequences, and one step of them.
        let both = lowering == Lowering::LinearAttention && form == Form::Step;
        if lowering.form() == form || both {
            return Ok((form, lowering));
        }
        let what = format!(
            "is `{}`, which no `{}` graph has",
            lowering.as_str(),
            form.as_str()
        );
        Err(Breach::new(place("minrnn.lowering"), what))
    }

    fn max_seq_len(&self) -> Result<Option<usize>, Breach> {
        let key = "minrnn.max_seq_len";
        let Some(text) = self.0.get(key) else {
            return Ok(None);
        };
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse::<usize>() {
            Ok(n) if digits && n > 0 => Ok(Some(n)),
            _ => {
                let what = format!("is `{}`, not a decimal number above 0", short(text));
                Err(Breach::new(place(key), what))
            }
        }
    }

    fn end_of_stream(&self) -> Result<Option<u32>, Breach> {
        let key = "minrnn.end_of_stream";
        let Some(text) = self.0.get(key) else {
            return Ok(None);
        };
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(token) if digits => Ok(Some(token)),
            _ => {
                let what = format!("is `{}`, not the number of a token", short(text));
                Err(Breach::new(place(key), what))
            }
        }
    }

    /// Files of the time before narrow weights do not say.
    fn dtype(&self) -> Result<Dtype, Breach> {
        let key = "minrnn.dtype";
        match self.0.contains_key(key) {
            true => self.one_of(key, &Dtype::ALL, |d| d.as_str()),
            false => Ok(Dtype::F32),
        }
    }

    fn weights(&self) -> Result<String, Breach> {
        let hash = self.get("minrnn.weights")?;
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if hash.len() == 64 && hash.bytes().all(hex) {
            return Ok(hash.into());
        }
        let what = "is not a sha256 in 64 lower-case hex digits";
        Err(Breach::new(place("minrnn.weights"), what))
    }

    fn config(&self) -> Result<Value, Breach> {
        let config: Value = self.json("minrnn.config")?;
        if config.is_object() {
            return Ok(config);
        }
        Err(Breach::new(place("minrnn.config"), "is not a JSON object"))
    }

    fn states(&self) -> Result<Vec<StateSpec>, Breach> {
        let raw: Vec<RawState> = self.json("minrnn.states")?;
        let states: Vec<_> = raw
            .into_iter()
            .map(RawState::checked)
            .collect::<Result<_, _>>()?;
        let mut names: Vec<&str> = states.iter().map(|s| s.input.as_str()).collect();
        names.extend(states.iter().map(|s| s.output.as_str()));
        names.sort_unstable();
        match names.windows(2).find(|w| w[0] == w[1]) {
            None => Ok(states),
            Some(w) => {
                let what = format!("names `{}` twice", w[0]);
                Err(Breach::new(place("minrnn.states"), what))
            }
        }
    }
}

/// A recurrence as it stands in the JSON.
struct RawRecurrence {
    b: String,
    h0: String,
    h: String,
    h_last: String,
    a: Option<String>,
    law: Option<String>,
}

object!(RawRecurrence { b, h0, h, h_last; a, law });

impl RawRecurrence {
    fn checked(self) -> Result<Recurrence, String> {
        let law = match self.law.as_deref() {
            None => Law::Linear,
            Some("max") => Law::Max,
            Some("complex") => Law::Complex,
            Some(other) => {
                return Err(format!("law is `{}`, not max or complex", short(other)));
            }
        };
        if self.a.is_none() && law != Law::Max {
            return Err(format!("a is missing, and the law is {}", law.as_str()));
        }
        Ok(Recurrence {
            law,
            a: self.a,
            b: self.b,
            h0: self.h0,
            h: self.h,
            h_last: self.h_last,
        })
    }
}

/// A state as it stands in the JSON.
struct RawState {
    input: String,
    output: String,
    shape: Vec<usize>,
    init: RawInit,
    counts: Option<bool>,
}

object!(RawState { input, output, shape, init; counts });

enum RawInit {
    Word(String),
    Values(Vec<f32>),
}

impl<'de> Deserialize<'de> for RawInit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Init;

        impl<'de> Visitor<'de> for Init {
            type Value = RawInit;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`zero` or a list of numbers")
            }

            fn visit_str<E>(self, word: &str) -> Result<RawInit, E> {
                Ok(RawInit::Word(word.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawInit, A::Error> {
                let mut values = vec![];
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(RawInit::Values(values))
            }
        }

        from.deserialize_any(Init)
    }
}

impl RawState {
    fn checked(self) -> Result<StateSpec, Breach> {
        let breach = |what: String| {
            let what = format!("state `{}`: {what}", short(&self.input));
            Err(Breach::new(place("minrnn.states"), what))
        };
        let len = self.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let len = match len {
            Some(n) if n > 0 && n <= MAX_STATE_LEN && !self.shape.is_empty() => n,
            _ => return breach(format!("shape {:?} is empty or out of reach", self.shape)),
        };
        let init = match self.init {
            RawInit::Word(w) if w == "zero" => Init::Zero,
            RawInit::Word(w) => return breach(format!("init `{}` is not `zero`", short(&w))),
            RawInit::Values(v) if v.len() != len => {
                return breach(format!("init has {} values, its shape {len}", v.len()));
            }
            RawInit::Values(v) if v.iter().any(|x| !x.is_finite()) => {
                return breach("init holds a value that is not finite".into());
            }
            RawInit::Values(v) => Init::Values(v),
        };
        let counts = match self.counts {
            None => false,
            Some(true) if init == Init::Zero => true,
            Some(true) => return breach("counts steps, and does not begin with zero".into()),
            Some(false) => {
                return breach("counts is `false`: it is `true`, or is not there".into());
            }
        };
        Ok(StateSpec {
            counts,
            input: self.input,
            output: self.output,
            shape: self.shape,
            init,
        })
    }
}

/// Text of a file in a message: never longer than 40 characters.
pub(crate) fn short(text: &str) -> String {
    if text.chars().count() <= 40 {
        return text.into();
    }
    text.chars().take(40).chain("...".chars()).collect()
}
