//! What `torch.save` writes: a zip archive with a pickle, `data.pkl`, and one member of raw values for each storage.

use std::collections::BTreeMap;

use super::pickle::{Id, Node, Pickle};
use super::zip::Zip;
use super::{Argument, Dtype, Info, Place};
use crate::import::error::{ImportProblem, Result};

const PICKLE: &str = "data.pkl";
/// The pickle of a model with a thousand tensors and its optimizer has some 0.5 MB.
const MAX_PICKLE: usize = 8 << 20;
/// Entries in which training scripts keep the weights beside other things.
const KEYS: [&str; 3] = ["model", "state_dict", "model_state_dict"];

/// The entry in which nanoGPT keeps what its model is made by.
const ARGUMENTS: &str = "model_args";

/// The tensors of an archive, in words where they were, and the arguments beside them.
type Found = (BTreeMap<String, Info>, String, Vec<(String, Argument)>);

pub(super) fn tensors(bytes: &[u8], key: Option<&str>) -> Result<Found> {
    let zip = Zip::open(bytes)?;
    let folder = folder(&zip)?;
    if zip
        .get(&format!("{folder}byteorder"))?
        .is_some_and(|order| order != b"little")
    {
        let message = "the values are not little-endian; save the file again on a common machine";
        return Err(ImportProblem::format(message));
    }
    let program = zip.get(&format!("{folder}{PICKLE}"))?.unwrap_or_default();
    if program.len() > MAX_PICKLE {
        return Err(ImportProblem::format(format!(
            "member {folder}{PICKLE} has {} bytes, at most {MAX_PICKLE} are read; save the model's state_dict alone",
            program.len()
        )));
    }
    let pickle = Pickle::read(program)?;
    let (dictionary, path) = state_dict(&pickle, key)?;
    let mut tensors = BTreeMap::new();
    for (name, value) in pickle.items(dictionary).unwrap_or_default() {
        let Some(name) = pickle.text(*name) else {
            let what = pickle.describe(*name);
            return Err(ImportProblem::format(format!(
                "the weights have {what} for a name"
            )));
        };
        let info = info(&pickle, *value, &folder).map_err(|m| ImportProblem::tensor(name, m))?;
        if tensors.insert(name.to_owned(), info).is_some() {
            return Err(ImportProblem::tensor(name, "occurs twice"));
        }
    }
    let place = path.map(|p| format!(", entry {p}")).unwrap_or_default();
    let format = format!("PyTorch archive{place}");
    Ok((tensors, format, arguments(&pickle)))
}

fn arguments(pickle: &Pickle) -> Vec<(String, Argument)> {
    let items = |id: Id| pickle.items(id).unwrap_or_default();
    let mut entries = items(pickle.root()).iter();
    let entry = entries.find(|(name, _)| pickle.text(*name) == Some(ARGUMENTS));
    let all = entry.map_or(&[][..], |(_, value)| items(*value)).iter();
    let name = |id: Id| {
        let text = pickle.text(id).map(str::to_owned);
        text.unwrap_or_else(|| pickle.describe(id))
    };
    all.map(|(key, value)| (name(*key), argument(pickle, *value)))
        .collect()
}

fn argument(pickle: &Pickle, id: Id) -> Argument {
    match (pickle.node(id), pickle.count(id)) {
        (_, Some(n)) => Argument::Count(n),
        (Node::Bool(said), _) => Argument::Flag(*said),
        (Node::Int(n), _) => Argument::Other(n.to_string()),
        (Node::Text(text), _) => Argument::Other(format!("{text:?}")),
        (Node::Other, _) => Argument::Other("(None, a number with a point, or a list)".into()),
        _ => Argument::Other(format!("({})", pickle.describe(id))),
    }
}

/// The folder in the archive that everything is in, with its slash.
fn folder(zip: &Zip) -> Result<String> {
    let mut folders = zip.names().filter_map(|n| n.strip_suffix(PICKLE));
    let none = "a zip archive, but not of torch.save: it has no data.pkl";
    let folder = folders.next().ok_or_else(|| ImportProblem::format(none))?;
    if let Some(other) = folders.next() {
        return Err(ImportProblem::format(format!(
            "the archive has two pickles, {folder}{PICKLE} and {other}{PICKLE}"
        )));
    }
    if zip.names().any(|n| n == format!("{folder}constants.pkl")) {
        return Err(ImportProblem::Unsupported {
            what: "a TorchScript file".into(),
            message: "load it with torch.jit.load and save its state_dict()".into(),
        });
    }
    Ok(folder.to_owned())
}

/// The dictionary of tensors, and the keys that led there.
fn state_dict(pickle: &Pickle, key: Option<&str>) -> Result<(Id, Option<String>)> {
    let (mut at, mut path) = (pickle.root(), vec![]);
    // Deeper than anybody nests.
    for _ in 0..4 {
        let Some(items) = pickle.items(at) else {
            break;
        };
        let wanted = |name: &str| match key.filter(|_| path.is_empty()) {
            Some(key) => name == key,
            None => KEYS.contains(&name),
        };
        let found: Vec<(&str, Id)> = items
            .iter()
            .filter_map(|(k, v)| Some((pickle.text(*k)?, *v)))
            .filter(|(k, v)| wanted(k) && pickle.items(*v).is_some())
            .collect();
        match found[..] {
            [(name, value)] => {
                path.push(format!("\"{name}\""));
                at = value;
            }
            [(first, _), (second, _), ..] => {
                return Err(ImportProblem::Ambiguous {
                    what: format!("the file has weights at \"{first}\" and at \"{second}\""),
                    flag: "--key",
                });
            }
            // A script may keep a loss, too, as a tensor beside the weights: those of a model are not beside other dictionaries.
            [] if (key.is_none() || !path.is_empty()) && is_weights(pickle, items) => {
                return Ok((at, (!path.is_empty()).then(|| path.join("."))));
            }
            [] => return Err(no_weights(pickle, items, key)),
        }
    }
    Err(ImportProblem::Unsupported {
        what: pickle.describe(at),
        message: "the weights of a model are wanted, as torch.save(model.state_dict(), \"weights.pt\") writes them".into(),
    })
}

fn no_weights(pickle: &Pickle, items: &[(Id, Id)], key: Option<&str>) -> ImportProblem {
    let names = items.iter().filter_map(|(k, _)| pickle.text(*k)).take(8);
    let names = names
        .map(|n| format!("{n:?}"))
        .collect::<Vec<_>>()
        .join(", ");
    match key {
        Some(key) => {
            let message = format!("there are no tensors at {key:?}; the file has {names}");
            ImportProblem::option("--key", message)
        }
        None => ImportProblem::format(format!(
            "no weights found; the file has {names}; name the entry with them by --key"
        )),
    }
}

/// Whether there are tensors, and no dictionaries.
fn is_weights(pickle: &Pickle, items: &[(Id, Id)]) -> bool {
    items.iter().any(|(_, v)| is_tensor(pickle, *v))
        && items.iter().all(|(_, v)| pickle.items(*v).is_none())
}

fn is_tensor(pickle: &Pickle, id: Id) -> bool {
    let Node::Made { callable, .. } = pickle.node(id) else {
        return false;
    };
    let global = pickle.global(*callable);
    global.is_some_and(|(module, name)| {
        matches!(module, "torch._utils" | "torch._tensor") && name.starts_with("_rebuild_")
    })
}

/// What the pickle says of a tensor; the error in words.
fn info(pickle: &Pickle, id: Id, folder: &str) -> Result<Info, String> {
    let mut at = id;
    // A parameter wraps a tensor, a subclass wraps either.
    for _ in 0..3 {
        let Node::Made { callable, args, .. } = pickle.node(at) else {
            break;
        };
        let args = pickle.tuple(*args).unwrap_or_default();
        match (pickle.global(*callable), args) {
            (Some(("torch._utils", "_rebuild_tensor_v2")), _) => {
                return rebuilt(pickle, args, folder);
            }
            (
                Some(("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state")),
                [inner, ..],
            ) => at = *inner,
            _ => break,
        }
    }
    Err(format!(
        "is {}, not a plain tensor; save it as one",
        pickle.describe(at)
    ))
}

/// Arguments: storage, offset, size, stride, whether it needs gradients, hooks, and in newer files metadata.
fn rebuilt(pickle: &Pickle, args: &[Id], folder: &str) -> Result<Info, String> {
    let strange = || "has a description that PyTorch does not write".to_owned();
    let [storage, offset, size, stride, _, _, rest @ ..] = args else {
        return Err(strange());
    };
    if rest
        .iter()
        .any(|m| pickle.items(*m).is_none_or(|i| !i.is_empty()))
    {
        return Err("is a conjugated or negated view; save a clone of it".into());
    }
    let counts = |id: &Id| -> Option<Vec<usize>> {
        pickle
            .tuple(*id)?
            .iter()
            .map(|n| pickle.count(*n))
            .collect()
    };
    let (shape, stride) = counts(size).zip(counts(stride)).ok_or_else(strange)?;
    let offset = pickle.count(*offset).ok_or_else(strange)?;
    let Node::Persistent(storage) = pickle.node(*storage) else {
        return Err(strange());
    };
    let Some([_, class, key, _, numel]) = pickle.tuple(*storage) else {
        return Err(strange());
    };
    let (_, class) = pickle.global(*class).ok_or_else(strange)?;
    let (key, numel) = pickle
        .text(*key)
        .zip(pickle.count(*numel))
        .ok_or_else(strange)?;
    check(&shape, &stride, offset, numel)?;
    Ok(Info {
        dtype: match class {
            "HalfStorage" => Dtype::F16,
            "BFloat16Storage" => Dtype::Bf16,
            "FloatStorage" => Dtype::F32,
            "DoubleStorage" => Dtype::F64,
            other => Dtype::Other(format!("a {other}")),
        },
        shape,
        place: Place::Storage {
            member: format!("{folder}data/{key}"),
            numel,
            offset,
            stride,
        },
    })
}

/// Every value lies in the storage, and there are not more values than the storage has.
fn check(shape: &[usize], stride: &[usize], offset: usize, numel: usize) -> Result<(), String> {
    let size = shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d));
    let last = shape.iter().zip(stride).try_fold(offset, |at, (d, s)| {
        at.checked_add(d.checked_sub(1)?.checked_mul(*s)?)
    });
    if shape.len() == stride.len()
        && size.is_some_and(|n| n <= numel)
        && last.is_some_and(|l| l < numel)
    {
        return Ok(());
    }
    Err(format!(
        "has shape {shape:?} with strides {stride:?} from {offset} on, which its storage of {numel} values does not hold"
    ))
}

/// The values of a tensor, row-major; its place was checked when it was described.
pub(super) fn values(bytes: &[u8], name: &str, info: &Info) -> Result<Vec<f32>> {
    let fail = |message: String| Err(ImportProblem::tensor(name, message));
    let (
        Place::Storage {
            member: path,
            numel,
            offset,
            stride,
        },
        Some(size),
    ) = (&info.place, info.dtype.size())
    else {
        return fail("has no storage of weights".into());
    };
    let stored = match Zip::open(bytes)?.get(path) {
        Ok(Some(stored)) => stored,
        Ok(None) => return fail(format!("has no values: the archive has no {path}")),
        Err(e) => return fail(format!("has no values: {e}")),
    };
    if Some(stored.len()) != numel.checked_mul(size) {
        return fail(format!(
            "has a storage of {} bytes, expected {numel} values of {size} bytes",
            stored.len()
        ));
    }
    let all = info.dtype.decode(stored);
    let mut values = Vec::with_capacity(info.shape.iter().product());
    let mut index = vec![0; info.shape.len()];
    loop {
        let at: usize = index.iter().zip(stride).map(|(i, s)| i * s).sum();
        values.push(all[offset + at]);
        // The next index, the last axis fastest.
        let Some(axis) = (0..index.len())
            .rev()
            .find(|a| index[*a] + 1 < info.shape[*a])
        else {
            return Ok(values);
        };
        index[axis] += 1;
        index[axis + 1..].fill(0);
    }
}
