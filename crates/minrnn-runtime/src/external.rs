//! Weights that lie beside the graph: read here, and only from plain files of the graph's own folder.
//!
//! What is held against a location: it is the name of one file, without any path; that file is plain (no symlink, no other
//! name on disk, no pipe, no device) and still the same one once it is open; it is as long as the tensor needs before a
//! byte is taken into memory. The folder is the caller's choice and may be reached by a symlink.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use crate::proto::{
    DataType, EXTERNAL, GraphProto, ModelProto, StringStringEntryProto, TensorProto,
};

use crate::error::Breach;
use crate::metadata::short;

/// What may stand in a tensor's `external_data`. Of the keys of ONNX `checksum` is missing: nothing here verifies it, and a
/// checksum that nobody looks at says that somebody did.
const KEYS: [&str; 3] = ["location", "offset", "length"];

/// Names that are devices on some systems, in any folder and with any ending.
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];

/// Moves weights of other files into the graph; how many bytes that were. `folder`: where they may be; none: nowhere.
pub(crate) fn read(model: &mut ModelProto, folder: Option<&Path>) -> Result<u64, Breach> {
    let mut files = Files {
        folder,
        sizes: BTreeMap::new(),
        taken: 0,
    };
    if let Some(graph) = &mut model.graph {
        files.graph(graph)?;
    }
    Ok(files.taken)
}

/// The bytes of a plain file at a path of the caller's choice. A pipe or a device has no end to wait for.
pub(crate) fn plain(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = if std::fs::metadata(path)?.is_file() {
        File::open(path)?
    } else {
        return Err(std::io::Error::other("is no plain file"));
    };
    let size = usize::try_from(file.metadata()?.len()).map_err(std::io::Error::other)?;
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(size)
        .map_err(std::io::Error::other)?;
    file.take(size as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The files beside a graph.
struct Files<'a> {
    folder: Option<&'a Path>,
    /// Sizes of those read so far.
    sizes: BTreeMap<String, u64>,
    /// Bytes read so far.
    taken: u64,
}

impl Files<'_> {
    /// Also the tensors in the nodes' attributes. Messages nest no deeper than `proto::read` lets them.
    fn graph(&mut self, graph: &mut GraphProto) -> Result<(), Breach> {
        for tensor in &mut graph.initializer {
            self.tensor(tensor)?;
        }
        for attr in graph.node.iter_mut().flat_map(|n| &mut n.attribute) {
            for tensor in attr.t.iter_mut().chain(&mut attr.tensors) {
                self.tensor(tensor)?;
            }
            for body in attr.g.iter_mut().chain(&mut attr.graphs) {
                self.graph(body)?;
            }
        }
        Ok(())
    }

    fn tensor(&mut self, tensor: &mut TensorProto) -> Result<(), Breach> {
        if tensor.data_location == EXTERNAL {
            let place = format!("initializer `{}`", short(&tensor.name));
            let data = self.data(tensor);
            tensor.raw_data = data.map_err(|what| Breach::new(place, what))?;
            tensor.data_location = 0;
            tensor.external_data.clear();
        }
        widen(tensor);
        Ok(())
    }

    fn data(&mut self, tensor: &TensorProto) -> Result<Vec<u8>, String> {
        if !tensor.raw_data.is_empty() {
            return Err("has data in the file as well as beside it".into());
        }
        let entries = Entries::of(&tensor.external_data)?;
        let location = entries.location;
        let Some(folder) = self.folder else {
            return Err(format!(
                "keeps its data in `{}`; open the file by its path",
                short(location)
            ));
        };
        let want = bytes(tensor).ok_or("has dimensions or a type that no weights have")?;
        let offset = entries.offset.unwrap_or(0);
        if entries.length.is_some_and(|n| n != want) {
            return Err("has another length in its file than its dimensions say".into());
        }
        let file = open(folder, location)?;
        let size = file.metadata().map_err(|e| e.to_string())?.len();
        if offset.checked_add(want).is_none_or(|end| end > size) {
            let name = short(location);
            return Err(format!(
                "is at {offset}, {want} bytes, of `{name}`, which has {size}"
            ));
        }
        self.sizes.insert(location.into(), size);
        self.taken = self.taken.saturating_add(want);
        // Tensors may share bytes; a small file may not fill the memory by being named often.
        let all = self.sizes.values().fold(0u64, |n, s| n.saturating_add(*s));
        if self.taken > all.saturating_mul(2) {
            return Err("reads the same bytes as others, and all of them more than twice".into());
        }
        load(file, offset, want)
            .map_err(|e| format!("cannot be read from `{}`: {e}", short(location)))
    }
}

/// The entries of `external_data`, each at most once, none that is not known.
struct Entries<'a> {
    location: &'a str,
    offset: Option<u64>,
    length: Option<u64>,
}

impl<'a> Entries<'a> {
    fn of(all: &'a [StringStringEntryProto]) -> Result<Self, String> {
        for (i, entry) in all.iter().enumerate() {
            let key = short(&entry.key);
            if !KEYS.contains(&entry.key.as_str()) {
                return Err(format!(
                    "has the key `{key}` in its external_data, which is none"
                ));
            }
            if all[..i].iter().any(|e| e.key == entry.key) {
                return Err(format!("has the key `{key}` twice in its external_data"));
            }
        }
        let entry = |key: &str| all.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => {
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                let number = text.parse::<u64>().ok().filter(|_| digits);
                let wrong = || format!("has the {key} `{}` in another file", short(text));
                number.map(Some).ok_or_else(wrong)
            }
        };
        Ok(Self {
            location: entry("location").unwrap_or_default(),
            offset: number("offset")?,
            length: number("length")?,
        })
    }
}

/// bf16 as f32, which loses nothing: the engine has no bf16.
fn widen(tensor: &mut TensorProto) {
    if tensor.data_type != DataType::Bfloat16 as i32 || tensor.raw_data.is_empty() {
        return;
    }
    let (pairs, _) = tensor.raw_data.as_chunks::<2>();
    tensor.raw_data = pairs.iter().flat_map(|[a, b]| [0, 0, *a, *b]).collect();
    tensor.data_type = DataType::Float as i32;
}

/// A plain file of the folder, named without any path.
fn inside(folder: &Path, location: &str) -> Result<PathBuf, String> {
    let mut parts = Path::new(location).components();
    let plain = matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(_)), None)
    );
    let sign = |c: char| c.is_control() || "/\\:*?\"<>|".contains(c);
    let stem = location.split('.').next().unwrap_or_default().trim_end();
    let stem = stem.to_ascii_uppercase();
    let port = ["COM", "LPT"].iter().any(|p| {
        let rest = stem.strip_prefix(p);
        rest.is_some_and(|r| r.chars().count() == 1 && !r.starts_with(|c: char| c.is_alphabetic()))
    });
    let name = || short(location);
    if !plain || location.contains(sign) || location.ends_with(['.', ' ']) {
        return Err(format!(
            "keeps its data in `{}`, which is no file of the graph's own folder",
            name()
        ));
    }
    if port || DEVICES.contains(&stem.as_str()) {
        return Err(format!("keeps its data in `{}`, which is a device", name()));
    }
    Ok(folder.join(location))
}

/// Opens what [`inside`] names, without following it anywhere and without waiting for anybody.
fn open(folder: &Path, location: &str) -> Result<File, String> {
    let path = inside(folder, location)?;
    let name = short(location);
    let needs = |e: std::io::Error| format!("needs `{name}`: {e}");
    let before = std::fs::symlink_metadata(&path).map_err(needs)?;
    if !before.is_file() {
        return Err(format!("needs `{name}`, which is no plain file"));
    }
    if names(&before) > 1 {
        let why = "has another name on disk (a hard link), perhaps outside the folder";
        return Err(format!("needs `{name}`, which {why}"));
    }
    let file = File::open(&path).map_err(needs)?;
    // Between the look and the opening it may have been exchanged.
    let after = file.metadata().map_err(needs)?;
    if !after.is_file() || identity(&before) != identity(&after) || names(&after) > 1 {
        return Err(format!(
            "needs `{name}`, which was exchanged while it was opened"
        ));
    }
    Ok(file)
}

/// Under how many names the file is on disk.
#[cfg(unix)]
fn names(about: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(about)
}

#[cfg(not(unix))]
fn names(_: &Metadata) -> u64 {
    1
}

#[cfg(unix)]
fn identity(about: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (about.dev(), about.ino())
}

#[cfg(not(unix))]
fn identity(about: &Metadata) -> (u64, Option<std::time::SystemTime>) {
    (about.len(), about.created().ok())
}

/// `want` is no more than the file has.
fn load(mut file: File, offset: u64, want: u64) -> std::io::Result<Vec<u8>> {
    let size = usize::try_from(want).map_err(std::io::Error::other)?;
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(size)
        .map_err(std::io::Error::other)?;
    file.seek(SeekFrom::Start(offset))?;
    file.take(want).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// How many bytes the tensor takes.
fn bytes(tensor: &TensorProto) -> Option<u64> {
    let size: u64 = match DataType::try_from(tensor.data_type).ok()? {
        DataType::Float | DataType::Int32 => 4,
        DataType::Double | DataType::Int64 => 8,
        DataType::Float16 | DataType::Bfloat16 => 2,
        DataType::Uint8 | DataType::Int8 | DataType::Bool => 1,
        _ => return None,
    };
    let mut dims = tensor.dims.iter();
    dims.try_fold(size, |n, d| n.checked_mul(u64::try_from(*d).ok()?))
}
