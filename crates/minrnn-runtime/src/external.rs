//! Weights that lie beside the graph: read here, and only from plain files of the graph's own folder.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::{ModelProto, TensorProto};

use crate::error::Breach;
use crate::metadata::short;

/// Moves weights of other files into the graph. `folder`: where they may be; none: nowhere.
pub(crate) fn read(model: &mut ModelProto, folder: Option<&Path>) -> Result<(), Breach> {
    let Some(graph) = &mut model.graph else {
        return Ok(());
    };
    for tensor in &mut graph.initializer {
        if tensor.data_location == Some(DataLocation::External as i32) {
            inside_graph(tensor, folder)?;
        }
        widen(tensor);
    }
    Ok(())
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

fn inside_graph(tensor: &mut TensorProto, folder: Option<&Path>) -> Result<(), Breach> {
    let place = format!("initializer `{}`", short(&tensor.name));
    tensor.raw_data = of_tensor(tensor, folder).map_err(|what| Breach::new(place, what))?;
    tensor.data_location = None;
    tensor.external_data.clear();
    Ok(())
}

fn of_tensor(tensor: &TensorProto, folder: Option<&Path>) -> Result<Vec<u8>, String> {
    let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key);
    let location = entry("location").map_or("", |e| e.value.as_str());
    let Some(folder) = folder else {
        return Err(format!(
            "keeps its data in `{}`; open the file by its path",
            short(location)
        ));
    };
    let number = |key: &str| match entry(key) {
        None => Ok(None),
        Some(e) => match e.value.parse::<u64>() {
            Ok(n) => Ok(Some(n)),
            Err(_) => Err(format!(
                "has the {key} `{}` in another file",
                short(&e.value)
            )),
        },
    };
    let want = bytes(tensor).ok_or("has dimensions or a type that no weights have")?;
    let offset = number("offset")?.unwrap_or(0);
    if number("length")?.is_some_and(|n| n != want) {
        return Err("has another length in its file than its dimensions say".into());
    }
    let path = inside(folder, location)?;
    let file = File::open(&path).map_err(|e| format!("needs `{}`: {e}", short(location)))?;
    let size = file.metadata().map_err(|e| e.to_string())?.len();
    if offset.checked_add(want).is_none_or(|end| end > size) {
        return Err(format!(
            "is at {offset}, {want} bytes, of `{}`, which has {size}",
            short(location)
        ));
    }
    load(file, offset, want).map_err(|e| format!("cannot be read from `{}`: {e}", short(location)))
}

/// A plain file of the folder, named without any path.
fn inside(folder: &Path, location: &str) -> Result<PathBuf, String> {
    let mut parts = Path::new(location).components();
    let plain = matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(_)), None)
    );
    if !plain || location.contains(['/', '\\', '\0']) {
        return Err(format!(
            "keeps its data in `{}`, which is no file of the graph's own folder",
            short(location)
        ));
    }
    let path = folder.join(location);
    match std::fs::symlink_metadata(&path) {
        Ok(about) if about.is_file() => Ok(path),
        Ok(_) => Err(format!(
            "needs `{}`, which is no plain file",
            short(location)
        )),
        Err(e) => Err(format!("needs `{}`: {e}", short(location))),
    }
}

fn load(mut file: File, offset: u64, want: u64) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
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
