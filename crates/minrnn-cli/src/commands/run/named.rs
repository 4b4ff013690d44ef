//! Sequences of files that name what is in them: CSV by its columns, npz and safetensors by their arrays.

use std::path::Path;

use anyhow::{Result, bail};
use minrnn_runtime::{InputSpec, Model};
use minrnn_train::data::{
    ARRAY_NAMES, Array, CsvFormat, Delimiter, NAMED_ARRAYS, SequenceSet, Values, csv_columns,
    named_arrays, read_csv_features, read_named_features,
};

use super::data::Data;
use crate::args::Run;
use crate::ui::{Ui, visible};
use crate::verify::Export;

/// The output of a model of classes.
const LOGITS: &str = "logits";
/// What a column may be that the model does not take.
const ID_COLUMN: &str = ", or with --id-column if it tells sequences apart";

/// Sequences one by one, and what they are called.
pub(super) struct Sequences {
    pub(super) data: Vec<Data>,
    /// T of an array with all of them: that of the file, or the longest.
    pub(super) time: usize,
    /// The column that tells them apart, and what stands in it; none: numbers from 0 on.
    pub(super) ids: Option<(String, Vec<String>)>,
}

fn ends_in(path: &Path, ending: &str) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case(ending))
}

/// Whether a file names what is in it.
pub(super) fn is_named(path: &Path) -> bool {
    let mut endings = std::iter::once("csv").chain(NAMED_ARRAYS);
    endings.any(|ending| ends_in(path, ending))
}

/// Training reads Parquet, `run` does not.
fn refuse_parquet(input: &Path) -> Result<()> {
    if ends_in(input, "parquet") {
        bail!(
            "--input {} is Parquet, of which training alone reads sequences; give the columns that the model takes as .csv, or its features as .npz",
            input.display()
        );
    }
    Ok(())
}

/// Flags that would change nothing with such an input.
pub(super) fn refuse_unused(args: &Run, named: bool) -> Result<()> {
    refuse_parquet(&args.input)?;
    let of_csv = [
        ("--id-column", args.id_column.is_some()),
        ("--delimiter", args.delimiter.is_some()),
        ("--no-header", args.no_header),
    ];
    if let Some((flag, _)) = of_csv.iter().find(|(_, given)| *given)
        && !ends_in(&args.input, "csv")
    {
        bail!(
            "{flag} would change nothing: --input {} is no CSV file; leave it out",
            args.input.display()
        );
    }
    if !named && !args.ignore.is_empty() {
        bail!(
            "--ignore would change nothing: --input {} has neither columns nor arrays with names; leave it out",
            args.input.display()
        );
    }
    if named && args.lengths.is_some() {
        bail!(
            "--lengths would change nothing: sequences of {} have their own lengths; leave it out",
            args.input.display()
        );
    }
    Ok(())
}

impl Sequences {
    /// Reads what the model takes.
    pub(super) fn read(args: &Run, export: &Export, model: &Model, ui: &Ui) -> Result<Self> {
        match ends_in(&args.input, "csv") {
            true => Self::csv(args, export, model, ui),
            false => Self::npz(args, model),
        }
    }

    /// For messages.
    pub(super) fn called(&self, i: usize) -> String {
        match &self.ids {
            Some((_, ids)) => format!("'{}'", ids[i]),
            None => format!("{i} (counted from 0)"),
        }
    }

    fn csv(args: &Run, export: &Export, model: &Model, ui: &Ui) -> Result<Self> {
        let path = &args.input;
        if let InputSpec::Tokens { .. } = model.info().input {
            bail!(
                "{}: the model takes token ids, which are no columns; give an .npz file with x [N, T], an .npy file, or - for stdin",
                path.display()
            );
        }
        let Some(features) = export.feature_names() else {
            bail!(
                "{}: the model of {} has no names for its features, by which columns would be found; give an .npz or .npy file, or train with names (model.input.names)",
                path.display(),
                export.dir().display()
            );
        };
        let format = CsvFormat {
            delimiter: args.delimiter.unwrap_or_default(),
            header: !args.no_header,
        };
        let columns = csv_columns(path, format)?;
        if columns.iter().all(String::is_empty) {
            bail!("{}: is empty", path.display());
        }
        // Of classes the names are none of columns.
        let values = model.info().output.name != LOGITS;
        let predicted = export.output_names().filter(|_| values).unwrap_or_default();
        let id = args.id_column.as_deref();
        let used = |name: &String| features.contains(name) || id == Some(name.as_str());
        if let Some(id) = id.filter(|id| features.iter().any(|f| f == id)) {
            bail!(
                "--id-column {id} is a feature of the model; a column has one meaning, copy it under another name"
            );
        }
        let known = |name: &String| used(name) || predicted.contains(name);
        let missing = features.iter().find(|f| !columns.contains(f));
        if let Some(name) = missing {
            let found = Delimiter::of(columns[0].as_bytes()).filter(|_| columns.len() == 1);
            let hint = found.map_or(String::new(), |found| {
                format!("; --delimiter '{}', perhaps", found.written())
            });
            bail!(
                "{}: there is no column '{name}', which is a feature of the model; it takes {}, and the file has {}{hint}",
                path.display(),
                features.join(", "),
                columns.join(", ")
            );
        }
        let hint = match values {
            true => ID_COLUMN.to_owned(),
            false => format!(
                "{ID_COLUMN}; the column of the classes is one of those, since an export does not say what it is called"
            ),
        };
        refuse_strangers(
            path,
            &args.ignore,
            &columns,
            ("column", used, known),
            (&features, &hint),
        )?;
        let given = |name: &&String| predicted.contains(name) && !used(name);
        if let Some(name) = columns.iter().find(given) {
            ui.note(&format!(
                "note: column '{}' is what the model predicts: it is not read",
                visible(name)
            ));
        }
        let (ids, set) = read_csv_features(path, format, id, &features)?;
        let data: Vec<Data> = (0..set.len()).map(|i| one(&set, i)).collect();
        Ok(Self {
            time: data.iter().map(|one| one.time).max().unwrap_or(0),
            data,
            ids: id.map(|id| (id.to_owned(), ids)),
        })
    }

    fn npz(args: &Run, model: &Model) -> Result<Self> {
        let path = &args.input;
        let arrays = named_arrays(path)?;
        let [features, labels, lengths] = ARRAY_NAMES;
        let is = |list: &[&str], name: &String| list.contains(&name.as_str());
        let used = |name: &String| is(features, name) || is(lengths, name);
        let known = |name: &String| used(name) || is(labels, name);
        let wanted = ["x (or features)".to_owned(), "lengths".to_owned()];
        refuse_strangers(
            path,
            &args.ignore,
            &arrays,
            ("array", used, known),
            (&wanted, ""),
        )?;
        let (array, lens) = read_named_features(path)?;
        let time = array.shape.get(1).copied().unwrap_or(0);
        Ok(Self {
            data: rows(array, lens, path, model.info().input)?,
            time,
            ids: None,
        })
    }
}

/// What is in the file and is neither the model's nor ignored, and what is ignored and is not in the file, or is used.
fn refuse_strangers(
    path: &Path,
    ignored: &[String],
    found: &[String],
    (what, used, known): (&str, impl Fn(&String) -> bool, impl Fn(&String) -> bool),
    (takes, hint): (&[String], &str),
) -> Result<()> {
    let all = ignored.iter().any(|name| name == "*");
    for name in ignored.iter().filter(|name| *name != "*") {
        if !found.contains(name) {
            bail!(
                "--ignore {name}: {} has no {what} '{name}'; it has {}",
                path.display(),
                found.join(", ")
            );
        }
        if used(name) {
            bail!("--ignore {name}: the model takes the {what} '{name}'");
        }
    }
    let stranger = |name: &&String| !known(name) && !all && !ignored.contains(name);
    if let Some(name) = found.iter().find(stranger) {
        bail!(
            "{}: nothing uses the {what} '{name}': the model takes {}; name it with --ignore (*: all others){hint}",
            path.display(),
            takes.join(", ")
        );
    }
    Ok(())
}

fn one(set: &SequenceSet, i: usize) -> Data {
    Data::features(set.features_of(i).to_vec(), set.width)
}

/// The rows of an array `[N, T, F]`, `[N, T]` (one feature), or of token ids `[N, T]`, each up to its length.
fn rows(array: Array, lens: Option<Vec<usize>>, path: &Path, spec: InputSpec) -> Result<Vec<Data>> {
    let (n, t, width) = match *array.shape {
        [n, t] => (n, t, 1),
        [n, t, f] => (n, t, f),
        _ => bail!(
            "{}: x has shape {:?}, expected [N, T, F] or [N, T]",
            path.display(),
            array.shape
        ),
    };
    if n * t * width == 0 {
        bail!(
            "{}: x has shape {:?}: there is nothing in it",
            path.display(),
            array.shape
        );
    }
    let length = |i: usize| lens.as_ref().map_or(t, |lens| lens[i]);
    let dtype = array.dtype.clone();
    match spec {
        InputSpec::Tokens { .. } => {
            let bools = array.is_bool();
            let dims = array.shape.len();
            let Values::Ints(ids) = array.values else {
                bail!(
                    "{}: x is {dtype}, and the model takes token ids: integers [N, T]",
                    path.display()
                );
            };
            if bools || dims != 2 {
                bail!(
                    "{}: the model takes token ids: integers [N, T]",
                    path.display()
                );
            }
            let row = |i: usize| Data::tokens(ids[i * t..][..length(i)].to_vec());
            Ok((0..n).map(row).collect())
        }
        InputSpec::Features { width: wanted } => {
            if width != wanted {
                bail!(
                    "{}: x has {width} features a step, and the model takes {wanted}",
                    path.display()
                );
            }
            let Some(values) = array.into_floats() else {
                bail!(
                    "{}: x is {dtype}, and the model takes numbers",
                    path.display()
                );
            };
            let row = |i: usize| {
                Data::features(values[i * t * width..][..length(i) * width].to_vec(), width)
            };
            Ok((0..n).map(row).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parquet_file_is_refused_by_name_with_what_to_do() {
        let error = refuse_parquet(Path::new("a/pump.PARQUET")).unwrap_err();
        let error = error.to_string();
        let of = ["--input a/pump.PARQUET is Parquet", "as .csv", "as .npz"];
        assert!(of.iter().all(|part| error.contains(part)), "{error}");
        refuse_parquet(Path::new("pump.csv")).unwrap();
    }
}
