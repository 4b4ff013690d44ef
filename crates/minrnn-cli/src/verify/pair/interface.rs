//! What belongs to what in two files: inputs, outputs, states, and the axis of time.

mod axes;

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use minrnn_runtime::{Dim, Elem, Port};

use super::file::GraphFile;
use super::spec::{Fill, Init, Request, Role, StateSpec};

/// An input that both files have.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// Names in the first and the second file.
    pub(crate) names: [String; 2],
    pub(crate) elem: Elem,
    /// In the first file.
    pub(crate) roles: Vec<Role>,
    /// Whether the second file, a step file, keeps the axis of time with one entry.
    pub(crate) kept: bool,
    /// Integers are drawn from this range.
    pub(crate) range: (i64, i64),
}

impl Link {
    /// The axis of time in the first file.
    pub(crate) fn time(&self) -> Option<usize> {
        self.roles.iter().position(|r| *r == Role::Time)
    }
}

/// A state, by its names in the first file (where it has them) and in the second.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) first: (Option<String>, Option<String>),
    pub(crate) second: (String, String),
    pub(crate) shape: Vec<Role>,
    pub(crate) init: Init,
    pub(crate) any_value: bool,
}

/// An input that one value fills.
#[derive(Debug, Clone)]
pub(crate) struct Filled {
    /// 0 for the first file, 1 for the second.
    pub(crate) side: usize,
    pub(crate) name: String,
    pub(crate) roles: Vec<Role>,
    pub(crate) fill: Fill,
}

/// Two files side by side.
#[derive(Debug, Clone)]
pub(crate) struct Interface {
    pub(crate) links: Vec<Link>,
    pub(crate) states: Vec<State>,
    pub(crate) filled: Vec<Filled>,
    /// Names in the first and the second file.
    pub(crate) outputs: Vec<[String; 2]>,
    /// The only batch and the only length that the files take, where there is only one.
    pub(crate) batch: Option<usize>,
    pub(crate) length: Option<usize>,
    pub(crate) notes: Vec<String>,
}

/// What the second file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One step of the first.
    Step,
    /// The same as the first.
    Same,
}

/// Finds what belongs together.
///
/// # Errors
/// Whatever cannot be found without guessing, with the option that says it.
pub(crate) fn interface(
    first: &GraphFile,
    second: &GraphFile,
    kind: Kind,
    request: &Request,
) -> Result<Interface> {
    let mut finder = Finder {
        files: [first, second],
        kind,
        request,
        batch: None,
        length: None,
        notes: vec![],
    };
    let specs = finder.specs()?;
    let states = finder.states(&specs)?;
    let (links, filled) = finder.inputs(&states)?;
    let outputs = finder.outputs(&states)?;
    if links.is_empty() {
        bail!(
            "{} and {} have no input in common; name a pair with --map A=B",
            first.name(),
            second.name()
        );
    }
    if !links.iter().any(|l| l.time().is_some()) {
        bail!(
            "no input of {} was found to have an axis of time; say which by --input NAME=B,T,..",
            first.name()
        );
    }
    Ok(Interface {
        links,
        states,
        filled,
        outputs,
        batch: finder.batch,
        length: finder.length,
        notes: finder.notes,
    })
}

struct Finder<'a> {
    files: [&'a GraphFile; 2],
    kind: Kind,
    request: &'a Request,
    batch: Option<usize>,
    length: Option<usize>,
    notes: Vec<String>,
}

impl Finder<'_> {
    /// The states of the second file: as given, else as a file of ours lists them.
    fn specs(&mut self) -> Result<Vec<StateSpec>> {
        if !self.request.states.is_empty() {
            return Ok(self.request.states.clone());
        }
        super::spec::listed(self.files[1])
    }

    /// The name in the first file of what the second calls `name`.
    fn first_name(&self, name: &str, ports: &[Port]) -> Option<String> {
        let mapped = self
            .request
            .names
            .iter()
            .find(|(_, b)| b == name)
            .map(|(a, _)| a.as_str());
        let wanted = mapped.unwrap_or(name);
        ports
            .iter()
            .any(|p| p.name == wanted)
            .then(|| wanted.to_owned())
    }

    fn states(&mut self, specs: &[StateSpec]) -> Result<Vec<State>> {
        let [first, second] = self.files;
        let mut states = vec![];
        for spec in specs {
            let find = |name: &str, ports: &[Port], what: &str| match ports
                .iter()
                .find(|p| p.name == name)
            {
                Some(port) => Ok(port.clone()),
                None => {
                    let names: Vec<&str> = ports.iter().map(|p| p.name.as_str()).collect();
                    bail!(
                        "{} has no {what} `{name}`; it has {}",
                        second.name(),
                        names.join(", ")
                    )
                }
            };
            let input = find(&spec.input, second.inputs(), "input")?;
            find(&spec.output, second.outputs(), "output")?;
            let shape = self.state_roles(&input, spec)?;
            states.push(State {
                first: (
                    self.first_name(&spec.input, first.inputs()),
                    self.first_name(&spec.output, first.outputs()),
                ),
                second: (spec.input.clone(), spec.output.clone()),
                shape,
                init: spec.init.clone(),
                any_value: spec.any_value,
            });
        }
        for state in &states {
            if let Init::Values(values) = &state.init {
                let row: usize = state
                    .shape
                    .iter()
                    .map(|r| if let Role::Fixed(n) = r { *n } else { 1 })
                    .product();
                if values.len() != row {
                    bail!(
                        "state `{}` has {} values a row, {} initial ones are given",
                        state.second.0,
                        row,
                        values.len()
                    );
                }
            }
        }
        Ok(states)
    }

    fn state_roles(&mut self, port: &Port, spec: &StateSpec) -> Result<Vec<Role>> {
        if let Some(dims) = self
            .request
            .inputs
            .get(&port.name)
            .and_then(|s| s.dims.clone())
        {
            return Ok(dims);
        }
        let Some(dims) = &port.dims else {
            bail!(
                "state `{}`: its shape is not declared; give it as --input {}=B,..",
                port.name,
                port.name
            );
        };
        let axis = spec.batch.unwrap_or(0);
        if axis >= dims.len() {
            bail!(
                "state `{}` has {} dimensions and no axis {axis}",
                port.name,
                dims.len()
            );
        }
        let mut roles = vec![];
        for (i, dim) in dims.iter().enumerate() {
            roles.push(match self.fixed(dim) {
                Some(n) if i == axis => {
                    self.batch = Some(n);
                    Role::Batch
                }
                Some(n) => Role::Fixed(n),
                None if i == axis => Role::Batch,
                None => bail!("state `{}`: dimension {i} (`{dim}`) is free; give --dim {dim}=N or --input {}=..", port.name, port.name),
            });
        }
        Ok(roles)
    }

    fn fixed(&self, dim: &Dim) -> Option<usize> {
        match dim {
            Dim::Fixed(n) => Some(*n),
            Dim::Symbol(name) => self.request.dims.get(name).copied(),
            Dim::Unknown => None,
        }
    }

    /// Inputs that are no states: in both files, or filled with a value.
    fn inputs(&mut self, states: &[State]) -> Result<(Vec<Link>, Vec<Filled>)> {
        let [first, second] = self.files;
        let of_states: [BTreeSet<&str>; 2] = [
            states.iter().filter_map(|s| s.first.0.as_deref()).collect(),
            states.iter().map(|s| s.second.0.as_str()).collect(),
        ];
        let left = |side: usize, ports: &'_ [Port]| -> Vec<Port> {
            let is = |p: &&Port| !of_states[side].contains(p.name.as_str());
            ports.iter().filter(is).cloned().collect()
        };
        let (mut a, mut b) = (left(0, first.inputs()), left(1, second.inputs()));
        let filled = self
            .fill(0, &mut a)?
            .into_iter()
            .chain(self.fill(1, &mut b)?)
            .collect();
        let mut links = vec![];
        let pairs = self.pairs(&mut a, &mut b);
        for (side, rest) in [(0, &a), (1, &b)] {
            if let Some(port) = rest.first() {
                let name = &port.name;
                let file = self.files[side].name();
                let hint = if side == 1 && self.kind == Kind::Step {
                    format!("a state is given as --state {name}=OUT, ")
                } else {
                    String::new()
                };
                bail!(
                    "{file}: input `{name}` has no counterpart in the other file; {hint}a pair of inputs as --map A=B, a value for it as --value {name}=N"
                );
            }
        }
        for (x, y) in pairs {
            links.push(self.link(&x, &y)?);
        }
        Ok((links, filled))
    }

    /// Takes what `--value` fills out of the ports.
    fn fill(&mut self, side: usize, ports: &mut Vec<Port>) -> Result<Vec<Filled>> {
        let mut filled = vec![];
        for port in ports.iter() {
            if let Some(fill) = self.request.values.get(&port.name) {
                let roles = self.roles(port, None)?;
                filled.push(Filled {
                    side,
                    name: port.name.clone(),
                    roles,
                    fill: *fill,
                });
            }
        }
        ports.retain(|p| !self.request.values.contains_key(&p.name));
        Ok(filled)
    }

    /// Pairs by `--map`, by name, and the last one on each side. What is paired is taken out.
    fn pairs(&self, a: &mut Vec<Port>, b: &mut Vec<Port>) -> Vec<(Port, Port)> {
        let mut pairs = vec![];
        for port in b.clone() {
            let Some(name) = self.first_name(&port.name, a) else {
                continue;
            };
            if let Some(at) = a.iter().position(|p| p.name == name) {
                pairs.push((a.remove(at), port.clone()));
                b.retain(|p| p.name != port.name);
            }
        }
        if let ([_], [_]) = (a.as_slice(), b.as_slice()) {
            pairs.extend(a.drain(..).zip(b.drain(..)));
        }
        pairs
    }

    fn link(&mut self, x: &Port, y: &Port) -> Result<Link> {
        let (Some(elem), true) = (
            x.elem,
            x.elem.map(Elem::is_float) == y.elem.map(Elem::is_float),
        ) else {
            bail!(
                "`{}` and `{}` are of different element types",
                x.name,
                y.name
            );
        };
        let time = self.time_axis(x, y)?;
        let roles = self.roles(x, time)?;
        let kept = match (&x.dims, &y.dims) {
            (Some(a), Some(b)) => a.len() == b.len(),
            _ => false,
        };
        if let Some(axis) = roles.iter().position(|r| *r == Role::Time) {
            let shown = x
                .dims
                .as_ref()
                .and_then(|d| d.get(axis))
                .map_or(String::new(), |d| format!(" (`{d}`)"));
            self.notes
                .push(format!("time is axis {axis}{shown} of `{}`", x.name));
        } else if self.kind == Kind::Step {
            self.notes.push(format!("input `{}` has no axis of time: every step gets the same (a state is named by --state {}=OUT)", x.name, y.name));
        }
        let range = self.range(x, y, elem)?;
        Ok(Link {
            names: [x.name.clone(), y.name.clone()],
            elem,
            roles,
            kept,
            range,
        })
    }

    /// Outputs that are no states.
    fn outputs(&mut self, states: &[State]) -> Result<Vec<[String; 2]>> {
        let [first, second] = self.files;
        let no_state = |ports: &[Port], names: BTreeSet<&str>| -> Vec<Port> {
            ports
                .iter()
                .filter(|p| !names.contains(p.name.as_str()))
                .cloned()
                .collect()
        };
        let mut a = no_state(
            first.outputs(),
            states.iter().filter_map(|s| s.first.1.as_deref()).collect(),
        );
        let mut b = no_state(
            second.outputs(),
            states.iter().map(|s| s.second.1.as_str()).collect(),
        );
        let pairs = self.pairs(&mut a, &mut b);
        if pairs.is_empty() {
            bail!(
                "{} and {} have no output in common; name a pair with --map A=B",
                first.name(),
                second.name()
            );
        }
        for (file, port) in a
            .iter()
            .map(|p| (first, p))
            .chain(b.iter().map(|p| (second, p)))
        {
            self.notes.push(format!(
                "output `{}` of {} has no counterpart and is not compared",
                port.name,
                file.name()
            ));
        }
        Ok(pairs.into_iter().map(|(x, y)| [x.name, y.name]).collect())
    }
}
