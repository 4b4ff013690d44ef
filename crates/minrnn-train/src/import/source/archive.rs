//! What `torch.save` writes: a zip archive with a pickle, `data.pkl`, and one member of raw values for each storage.
//! PyTorch packs nothing, so a packed member is refused: no member is then larger than the file.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use zip::{CompressionMethod, ZipArchive};

use super::pickle::{Id, Node, Pickle};
use super::{Dtype, Info, Place};
use crate::import::error::{ImportProblem, Result};

const PICKLE: &str = "data.pkl";
/// The pickle of a model with a thousand tensors and its optimizer has some 0.5 MB.
const MAX_PICKLE: u64 = 8 << 20;
/// Entries in which training scripts keep the weights beside other things.
const KEYS: [&str; 3] = ["model", "state_dict", "model_state_dict"];

type Zip<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// The tensors of an archive, and in words where they were.
pub(super) fn tensors(bytes: &[u8], key: Option<&str>) -> Result<(BTreeMap<String, Info>, String)> {
    let mut zip = open(bytes)?;
    let folder = folder(&zip)?;
    if let Some(order) = optional(&mut zip, &format!("{folder}byteorder"))?
        && order != b"little"
    {
        let message = "the values are not little-endian; save the file again on a common machine";
        return Err(ImportProblem::format(message));
    }
    let program = member(&mut zip, &format!("{folder}{PICKLE}"), MAX_PICKLE)?;
    let pickle = Pickle::read(&program)?;
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
    Ok((tensors, format!("PyTorch archive{place}")))
}

fn open(bytes: &[u8]) -> Result<Zip<'_>> {
    ZipArchive::new(Cursor::new(bytes)).map_err(|e| {
        ImportProblem::format(format!("a zip archive that is damaged or cut off: {e}"))
    })
}

/// The folder in the archive that everything is in, with its slash.
fn folder(zip: &Zip) -> Result<String> {
    let mut names: Vec<String> = (0..zip.len())
        .filter_map(|i| Some(zip.name_for_index(i)?.ok()?.into_owned()))
        .collect();
    names.sort();
    let mut folders = names.iter().filter_map(|n| n.strip_suffix(PICKLE));
    let none = "a zip archive, but not of torch.save: it has no data.pkl";
    let folder = folders.next().ok_or_else(|| ImportProblem::format(none))?;
    if let Some(other) = folders.next() {
        return Err(ImportProblem::format(format!(
            "the archive has two pickles, {folder}{PICKLE} and {other}{PICKLE}"
        )));
    }
    if names.contains(&format!("{folder}constants.pkl")) {
        return Err(ImportProblem::Unsupported {
            what: "a TorchScript file".into(),
            message: "load it with torch.jit.load and save its state_dict()".into(),
        });
    }
    Ok(folder.to_owned())
}

fn optional(zip: &mut Zip, name: &str) -> Result<Option<Vec<u8>>> {
    match zip.index_for_name(name) {
        Some(_) => member(zip, name, 64).map(Some),
        None => Ok(None),
    }
}

/// The bytes of a member of at most `limit`.
fn member(zip: &mut Zip, name: &str, limit: u64) -> Result<Vec<u8>> {
    let fail = |what: String| Err(ImportProblem::format(format!("member {name}: {what}")));
    let mut file = match zip.by_name(name) {
        Ok(file) => file,
        Err(e) => return fail(format!("cannot be read: {e}")),
    };
    if file.compression() != CompressionMethod::Stored || file.size() != file.compressed_size() {
        return fail(
            "is packed, which torch.save never does; save the file again in PyTorch".into(),
        );
    }
    let size = file.size();
    if size > limit {
        return fail(format!("has {size} bytes, expected at most {limit}"));
    }
    let mut content = vec![];
    match (&mut file).take(size + 1).read_to_end(&mut content) {
        Ok(_) if content.len() as u64 == size => Ok(content),
        Ok(_) => fail(format!(
            "is cut off after {} of {size} bytes",
            content.len()
        )),
        Err(e) => fail(format!("is damaged: {e}")),
    }
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
            // A script may keep a loss, too, as a tensor beside the weights: hence tensors only where no entry is.
            [] if items.iter().any(|(_, v)| is_tensor(pickle, *v)) => {
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
            "no tensors found; the file has {names}; name the entry with the weights by --key"
        )),
    }
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
    let stored = match member(&mut open(bytes)?, path, u64::MAX - 1) {
        Ok(stored) => stored,
        Err(e) => return fail(format!("has no values: {e}")),
    };
    if Some(stored.len()) != numel.checked_mul(size) {
        return fail(format!(
            "has a storage of {} bytes, expected {numel} values of {size} bytes",
            stored.len()
        ));
    }
    let all = info.dtype.decode(&stored);
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
