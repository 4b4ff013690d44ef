//! What the graph declares of its inputs and outputs, by name, and what all of them share: the batch and the time.

use std::collections::{BTreeMap, BTreeSet};

use super::{BATCH, SEQ_LEN};
use crate::error::Breach;
use crate::metadata::short;
use crate::proto::{DataType, Dimension, ValueInfoProto};

/// One dimension as the file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dim {
    Fixed(usize),
    Symbol(String),
    Unnamed,
}

impl std::fmt::Display for Dim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(n) => write!(f, "{n}"),
            Self::Symbol(name) => write!(f, "`{}`", short(name)),
            Self::Unnamed => f.write_str("not stated"),
        }
    }
}

/// A graph input or output with its declared type.
pub(super) struct Port<'a> {
    pub(super) place: String,
    elem: i32,
    pub(super) dims: Vec<Dim>,
    pub(super) info: &'a ValueInfoProto,
}

/// The inputs or the outputs of a graph by name.
pub(super) struct Ports<'a> {
    side: &'static str,
    pub(super) by_name: BTreeMap<&'a str, Port<'a>>,
}

impl<'a> Ports<'a> {
    pub(super) fn of(
        infos: impl IntoIterator<Item = &'a ValueInfoProto>,
        side: &'static str,
    ) -> Result<Self, Breach> {
        let mut by_name = BTreeMap::new();
        for info in infos {
            let port = Port::read(info, side)?;
            let place = port.place.clone();
            if by_name.insert(info.name.as_str(), port).is_some() {
                return Err(Breach::new(place, "stands there twice"));
            }
        }
        Ok(Self { side, by_name })
    }

    pub(super) fn get(&self, name: &str) -> Result<&Port<'a>, Breach> {
        let missing = || {
            let place = format!("{} `{}`", self.side, short(name));
            Breach::new(place, "is named in the metadata and missing in the graph")
        };
        self.by_name.get(name).ok_or_else(missing)
    }

    /// Nothing but the data and the states.
    pub(super) fn exactly<'s>(
        &self,
        data: &'s str,
        states: impl Iterator<Item = &'s str> + Clone,
    ) -> Result<(), Breach> {
        for name in states.clone() {
            self.get(name)?;
            if name == data {
                let place = format!("{} `{name}`", self.side);
                return Err(Breach::new(
                    place,
                    "is data, and `minrnn.states` calls it a state",
                ));
            }
        }
        let known: BTreeSet<&str> = states.chain([data]).collect();
        match self
            .by_name
            .values()
            .find(|p| !known.contains(p.info.name.as_str()))
        {
            Some(p) => Err(Breach::new(
                &p.place,
                "is neither the data nor one of `minrnn.states`",
            )),
            None => Ok(()),
        }
    }

    /// The one of two names that the graph has.
    pub(super) fn one_of(&self, names: [&'static str; 2]) -> Result<&'static str, Breach> {
        let [a, b] = names.map(|n| self.by_name.contains_key(n));
        match (a, b) {
            (true, false) => Ok(names[0]),
            (false, true) => Ok(names[1]),
            _ => {
                let place = format!("graph {}s", self.side);
                let what = format!("need exactly one of `{}` and `{}`", names[0], names[1]);
                Err(Breach::new(place, what))
            }
        }
    }
}

impl<'a> Port<'a> {
    pub(super) fn read(info: &'a ValueInfoProto, side: &str) -> Result<Self, Breach> {
        let place = format!("{side} `{}`", short(&info.name));
        let Some(tensor) = info.tensor_type() else {
            return Err(Breach::new(place, "has no tensor type"));
        };
        let Some(shape) = &tensor.shape else {
            return Err(Breach::new(place, "has no shape"));
        };
        let dims = shape.dim.iter().map(|d| match d {
            Dimension::Value(n) => match usize::try_from(*n) {
                Ok(n) if n > 0 => Ok(Dim::Fixed(n)),
                _ => Err(Breach::new(&place, format!("has a dimension of {n}"))),
            },
            Dimension::Param(s) if !s.is_empty() => Ok(Dim::Symbol(s.clone())),
            _ => Ok(Dim::Unnamed),
        });
        let dims = dims.collect::<Result<_, _>>()?;
        Ok(Self {
            place,
            elem: tensor.elem_type,
            dims,
            info,
        })
    }

    pub(super) fn is(&self, wanted: DataType) -> Result<(), Breach> {
        if self.elem == wanted as i32 {
            return Ok(());
        }
        let found = DataType::try_from(self.elem).map_or("unknown", |t| t.as_str_name());
        let what = format!("is {found}, not {}", wanted.as_str_name());
        Err(Breach::new(&self.place, what))
    }

    pub(super) fn rank(&self, rank: usize, wanted: &str) -> Result<(), Breach> {
        if self.dims.len() == rank {
            return Ok(());
        }
        let what = format!(
            "has {} dimensions; the contract wants {wanted}",
            self.dims.len()
        );
        Err(Breach::new(&self.place, what))
    }

    /// The last dimension, which must be a number.
    pub(super) fn width(&self) -> Result<usize, Breach> {
        match self.dims.last() {
            Some(Dim::Fixed(n)) => Ok(*n),
            _ => Err(Breach::new(&self.place, "has no fixed last dimension")),
        }
    }
}

/// The batch and the time that all ports share: a symbol, or one fixed number.
#[derive(Default)]
pub(super) struct Dims {
    pub(super) batch: Option<Dim>,
    pub(super) time: Option<Dim>,
}

impl Dims {
    pub(super) fn batch(&mut self, port: &Port) -> Result<(), Breach> {
        agree(&mut self.batch, BATCH, port, 0)
    }

    pub(super) fn time(&mut self, port: &Port) -> Result<(), Breach> {
        agree(&mut self.time, SEQ_LEN, port, 1)
    }
}

fn agree(seen: &mut Option<Dim>, symbol: &str, port: &Port, axis: usize) -> Result<(), Breach> {
    let Some(dim) = port.dims.get(axis) else {
        return Err(Breach::new(&port.place, format!("has no dimension {axis}")));
    };
    let known = match dim {
        Dim::Symbol(s) => s == symbol,
        Dim::Fixed(_) => true,
        Dim::Unnamed => false,
    };
    if !known {
        let what = format!("dimension {axis} is {dim}; it must be `{symbol}` or a number");
        return Err(Breach::new(&port.place, what));
    }
    match seen {
        None => *seen = Some(dim.clone()),
        Some(other) if other == dim => {}
        Some(other) => {
            let what = format!("dimension {axis} is {dim}, elsewhere {other}");
            return Err(Breach::new(&port.place, what));
        }
    }
    Ok(())
}

pub(super) fn fixed(dim: Option<Dim>) -> Option<usize> {
    match dim {
        Some(Dim::Fixed(n)) => Some(n),
        _ => None,
    }
}
