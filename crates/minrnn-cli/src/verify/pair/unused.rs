//! What was said of two files and is of neither, or of nothing that is compared: refused by name.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::file::GraphFile;
use super::interface::{Interface, less};
use super::port::{Dim, Port};
use super::spec::{Fill, Request, Role};
use crate::nearest::{nearest, there_is};

/// Refuses the first name that the files do not have.
///
/// # Errors
/// The option, the file, the names that there are, and the nearest of them.
pub(super) fn refuse_strangers(files: &[GraphFile; 2], request: &Request) -> Result<()> {
    maps(files, request)?;
    let both = |ports: fn(&GraphFile) -> &[Port]| -> Vec<String> {
        let mut names: Vec<String> = vec![];
        for port in files.iter().flat_map(ports) {
            if !names.contains(&port.name) {
                names.push(port.name.clone());
            }
        }
        names
    };
    let (inputs, outputs) = (both(GraphFile::inputs), both(GraphFile::outputs));
    let said = request.inputs.keys().map(|name| ("--input", name));
    let mut said = said.chain(request.values.keys().map(|name| ("--value", name)));
    if let Some((flag, name)) = said.find(|(_, name)| !inputs.contains(name)) {
        let output = match outputs.contains(name) {
            true => " (it is an output)",
            false => "",
        };
        bail!(
            "{flag} {name}: neither {} nor {} has an input `{name}`{output}; {}",
            files[0].name(),
            files[1].name(),
            there_is(name, &inputs)
        );
    }
    if let Some(name) = request.ignored.iter().find(|name| !outputs.contains(name)) {
        bail!(
            "--ignore-output {name}: neither {} nor {} has an output `{name}`; {}",
            files[0].name(),
            files[1].name(),
            there_is(name, &outputs)
        );
    }
    let known = symbols(files.iter().flat_map(GraphFile::inputs));
    if let Some(name) = request.dims.keys().find(|name| !known.contains(name)) {
        let all = symbols(files.iter().flat_map(GraphFile::outputs));
        let why = match all.contains(name) {
            true => "is a dimension of outputs alone, whose sizes come of running",
            false => "is no named dimension of an input of either file",
        };
        bail!("--dim {name}: `{name}` {why}; {}", there_is(name, &known));
    }
    Ok(())
}

fn symbols<'a>(ports: impl Iterator<Item = &'a Port>) -> Vec<String> {
    let mut names = vec![];
    for dim in ports.filter_map(|port| port.dims.as_ref()).flatten() {
        match dim {
            Dim::Symbol(name) if !names.contains(name) => names.push(name.clone()),
            _ => {}
        }
    }
    names
}

/// Names that belong together: one of each file, both of inputs or both of outputs, each in one pair alone.
fn maps(files: &[GraphFile; 2], request: &Request) -> Result<()> {
    let names = |ports: &[Port]| -> Vec<String> { ports.iter().map(|p| p.name.clone()).collect() };
    let inputs = files.each_ref().map(|f| names(f.inputs()));
    let outputs = files.each_ref().map(|f| names(f.outputs()));
    for (i, (a, b)) in request.names.iter().enumerate() {
        let flag = format!("--map {a}={b}");
        for (side, name) in [a, b].into_iter().enumerate() {
            if !inputs[side].contains(name) && !outputs[side].contains(name) {
                let all = [&inputs[side][..], &outputs[side]].concat();
                let other = inputs[1 - side].contains(name) || outputs[1 - side].contains(name);
                let swap = match other && nearest(name, &all).is_none_or(|n| n != name) {
                    true => format!(
                        " (the other file has; the name of {} comes first)",
                        files[0].name()
                    ),
                    false => String::new(),
                };
                bail!(
                    "{flag}: {} has no input and no output `{name}`{swap}; {}",
                    files[side].name(),
                    there_is(name, &all)
                );
            }
        }
        let both = |of: &[Vec<String>; 2]| of[0].contains(a) && of[1].contains(b);
        if !both(&inputs) && !both(&outputs) {
            bail!(
                "{flag}: one is an input and the other an output; name two inputs or two outputs"
            );
        }
        let again = |(c, d): &&(String, String)| (c == a) != (d == b) || (c == a && d == b);
        if let Some((c, d)) = request.names[..i].iter().find(again) {
            // An input and an output may share a name.
            let sort =
                |x: &String, side: usize| (inputs[side].contains(x), outputs[side].contains(x));
            if sort(a, 0) == sort(c, 0) || sort(b, 1) == sort(d, 1) {
                bail!("{flag} and --map {c}={d} name one tensor twice; leave one of them out");
            }
        }
    }
    Ok(())
}

/// Refuses what was said of tensors that the files have, but that nothing asks it of.
///
/// # Errors
/// The option, and which one says it.
pub(super) fn refuse_idle(face: &Interface, request: &Request) -> Result<()> {
    let state = |name: &String| {
        let mut states = face.states.iter();
        states.any(|s| s.second.0 == *name || s.first.0.as_ref() == Some(name))
    };
    let drawn = face
        .states
        .iter()
        .all(|s| s.first.0.is_some() && s.first.1.is_some());
    if let Some(spec) = request.states.iter().find(|s| s.counts && !drawn) {
        bail!(
            "--state {}={}:counts=true would change nothing: the first file takes and gives not all states, so that none is drawn at \
             random; leave counts out",
            spec.input,
            spec.output
        );
    }
    let becomes = |name: &String| {
        let mut states = face.states.iter();
        states.any(|s| s.second.1 == *name || s.first.1.as_ref() == Some(name))
    };
    if let Some(name) = request.ignored.iter().find(|name| becomes(name)) {
        bail!(
            "--ignore-output {name}: `{name}` is what a state becomes, which is always compared; leave it out"
        );
    }
    for name in request.values.keys() {
        if !face.filled.iter().any(|f| f.name == *name) {
            let mend = match state(name) {
                true => "it is a state; its value is given as --state ..:init=VALUE",
                false => "it is paired with an input of the other file",
            };
            bail!("--value {name} would change nothing: {mend}");
        }
    }
    for (name, spec) in &request.inputs {
        let link = face.links.iter().find(|l| l.names.contains(name));
        if let (Some(link), Some(_)) = (link.filter(|l| l.names[0] != *name), &spec.dims) {
            let first = &link.names[0];
            bail!(
                "--input {name} would change nothing: the two files' input is named by `{first}`; give --input {first}=.."
            );
        }
        let drawn = link.is_some_and(|l| l.elem != super::port::Elem::Bool);
        let ends = face.filled.iter().any(|f| f.name == *name && f.ends_rows());
        if spec.range.is_some() && !drawn && !ends {
            bail!(
                "--input {name}=:int= would change nothing: `{name}` is no input that random integers are drawn for; leave the range out"
            );
        }
        if spec.floats.is_some() && !link.is_some_and(|l| l.elem.is_float()) {
            bail!(
                "--input {name}=..:float= would change nothing: `{name}` is no input that random floats are drawn for; leave the range out"
            );
        }
        let filled = || face.filled.iter().any(|f| f.name == *name);
        let shaped = || face.states.iter().any(|s| s.second.0 == *name);
        if spec.dims.is_some() && link.is_none() && !filled() && !shaped() {
            bail!("--input {name} would change nothing: nothing asks for its shape; leave it out");
        }
    }
    Ok(())
}

/// Refuses sizes of dimensions of which every input has its shape from `--input`.
///
/// # Errors
/// The option, and the input that says it.
pub(super) fn refuse_idle_dims(
    files: &[GraphFile; 2],
    face: &Interface,
    request: &Request,
) -> Result<()> {
    // By its own name, or by that of the same input or state in the other file.
    let given = |port: &Port| {
        let link = face.links.iter().find(|l| l.names.contains(&port.name));
        let linked = link.map(|l| &l.names[0]);
        let mut states = face.states.iter();
        let state = states.find(|s| s.first.0.as_ref() == Some(&port.name));
        let names = [Some(&port.name), linked, state.map(|s| &s.second.0)];
        let mut names = names.into_iter().flatten();
        let whole = |name: &&String| request.inputs.get(*name).is_some_and(|s| s.dims.is_some());
        names.find(whole).cloned()
    };
    for name in request.dims.keys() {
        let part = |text: &String| {
            text.split('+')
                .any(|p| [p.trim(), less(p.trim()).0].contains(&name.as_str()))
        };
        let words = request.inputs.values().flat_map(|s| &s.lengths);
        let value = |fill: &Fill| matches!(fill, Fill::Sum(text) if part(text));
        if words.clone().any(part) || request.values.values().any(value) {
            continue;
        }
        let symbol = Dim::Symbol(name.clone());
        let has = |p: &&Port| p.dims.iter().flatten().any(|d| *d == symbol);
        let ports: Vec<&Port> = files
            .iter()
            .flat_map(GraphFile::inputs)
            .filter(has)
            .collect();
        let by: Vec<Option<String>> = ports.iter().map(|p| given(p)).collect();
        if let (Some(Some(first)), true) = (by.first(), by.iter().all(Option::is_some)) {
            bail!(
                "--dim {name} would change nothing: --input {first} says the shape of what has that dimension; leave one of them out"
            );
        }
    }
    Ok(())
}

/// Refuses two words about one thing.
///
/// # Errors
/// The option and the name.
pub(crate) fn once<T>(flag: &str, all: &[(String, T)]) -> Result<BTreeMap<String, T>>
where
    T: Clone,
{
    let mut map = BTreeMap::new();
    for (name, value) in all {
        if map.insert(name.clone(), value.clone()).is_some() {
            bail!(
                "{flag} {name} is given twice; the second would replace the first: leave one of them out"
            );
        }
    }
    Ok(map)
}

/// Refuses a shape that says other than the sizes of dimensions.
///
/// # Errors
/// The input, the axis and both sizes.
pub(super) fn agree(name: &str, roles: &[Role], sizes: &[Option<usize>]) -> Result<()> {
    for (axis, (role, size)) in roles.iter().zip(sizes).enumerate() {
        match (role, size) {
            (Role::Fixed(m), Some(n)) if m != n => {
                bail!("--input {name}: says {m} entries along axis {axis}, where there are {n}")
            }
            _ => {}
        }
    }
    Ok(())
}
