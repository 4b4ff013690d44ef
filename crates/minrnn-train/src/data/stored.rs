//! An array in a file, of which pieces are read as they are needed.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::array::{Array, Values};
use super::npy::{Item, head};
use super::plain::Plain;
use crate::error::{Result, TrainError};

/// Bytes of a piece while a file is gone through.
pub(crate) const PIECE: u64 = 1 << 20;
/// Values of such a piece.
const VALUES: usize = 1 << 18;
/// What an npy header fits into.
const HEAD: u64 = 128 << 10;

/// How the bytes of values are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Code {
    Npy(Item),
    /// Of two bytes each, by what makes numbers of them.
    Half(fn(&[u8]) -> std::result::Result<Values, String>),
}

impl Code {
    fn size(self) -> usize {
        match self {
            Self::Npy(item) => item.size(),
            Self::Half(_) => 2,
        }
    }

    fn decode(self, bytes: &[u8]) -> std::result::Result<Values, String> {
        match self {
            Self::Npy(item) => item.decode(bytes),
            Self::Half(decode) => decode(bytes),
        }
    }
}

/// The array, in row-major order.
#[derive(Debug)]
pub(crate) struct Stored {
    file: Arc<Plain>,
    /// In messages of its values, and of the whole of it.
    place: String,
    name: String,
    shape: Vec<usize>,
    dtype: String,
    code: Code,
    /// Where its first value begins.
    begin: u64,
    /// How many values it has.
    count: usize,
}

impl Stored {
    pub(super) fn new(
        file: &Arc<Plain>,
        begin: u64,
        (shape, dtype): (Vec<usize>, String),
        (code, place): (Code, String),
    ) -> Result<Self> {
        let count = shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d));
        let Some(count) = count else {
            let message = format!("has shape {shape:?}, which no file holds");
            return Err(TrainError::data(file.path(), place, message));
        };
        Ok(Self {
            file: file.clone(),
            name: place.clone(),
            place,
            shape,
            dtype,
            code,
            begin,
            count,
        })
    }

    /// A plain `.npy` file.
    ///
    /// # Errors
    /// Those of [`read_npy`](super::read_npy); an array in Fortran order.
    pub(super) fn open_npy(path: &Path) -> Result<Self> {
        let file = Arc::new(Plain::open(path)?);
        let end = file.size();
        Self::npy(&file, (0, end), String::new())
    }

    /// The bytes of a file from one place to another as an npy file.
    ///
    /// # Errors
    /// As [`Stored::open_npy`].
    pub(super) fn npy(file: &Arc<Plain>, (begin, end): (u64, u64), place: String) -> Result<Self> {
        let bytes = file.bytes(begin, end.min(begin + HEAD))?;
        let fault = |message: String| TrainError::data(file.path(), place.clone(), message);
        let head = head(&bytes).map_err(fault)?;
        let code = Code::Npy(head.item);
        let begin = begin + head.len;
        let (shape, size) = (head.shape, code.size());
        if head.fortran && shape.len() > 1 {
            let message = "is in Fortran order, so that no rows of it lie together; write numpy.ascontiguousarray of it, or leave task.from_disk out";
            return Err(fault(message.into()));
        }
        let values = shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d));
        let wanted = values.and_then(|n| n.checked_mul(size));
        if wanted.map(|n| n as u64) != end.checked_sub(begin) {
            return Err(fault(format!(
                "the header says shape {shape:?} of {size} bytes each, but {} bytes follow it",
                end.saturating_sub(begin)
            )));
        }
        Self::new(file, begin, (shape, head.dtype), (code, place))
    }

    pub(super) fn file(&self) -> &Plain {
        &self.file
    }

    /// What it is called where its shape or its values are not those of what it is used for.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn called(self, name: &str) -> Self {
        let name = format!("array '{name}'");
        Self { name, ..self }
    }

    /// How many values there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Some of the values.
    ///
    /// # Errors
    /// Those of the file; a value that cannot be used.
    pub(super) fn read(&self, range: Range<usize>) -> Result<Values> {
        let size = self.code.size() as u64;
        let [from, to] = [range.start, range.end].map(|i| self.begin + i as u64 * size);
        let bytes = self.file.bytes(from, to)?;
        let values = self.code.decode(&bytes);
        values.map_err(|message| TrainError::data(self.file.path(), self.place.clone(), message))
    }

    /// The same as float32; integers are rounded.
    ///
    /// # Errors
    /// As [`Stored::read`].
    pub(super) fn floats(&self, range: Range<usize>) -> Result<Vec<f32>> {
        let array = self.array(self.read(range)?);
        Ok(array.into_floats().unwrap_or_default())
    }

    /// The whole of it.
    ///
    /// # Errors
    /// As [`Stored::read`].
    pub(super) fn whole(&self) -> Result<Array> {
        Ok(self.array(self.read(0..self.count)?))
    }

    /// Its shape and type without a value.
    ///
    /// # Errors
    /// As [`Stored::read`].
    pub(super) fn outline(&self) -> Result<Array> {
        Ok(self.array(self.read(0..0)?))
    }

    fn array(&self, values: Values) -> Array {
        Array {
            shape: self.shape.clone(),
            values,
            dtype: self.dtype.clone(),
        }
    }
}

/// How a piece of an array is read.
type Load<'a, T> = Box<dyn Fn(Range<usize>) -> Result<Vec<T>> + Send + 'a>;

/// Values of an array in turn: what is asked for next is read with what is asked for now.
pub(crate) struct Ahead<'a, T> {
    load: Load<'a, T>,
    count: usize,
    begin: usize,
    values: Vec<T>,
}

impl<T> std::fmt::Debug for Ahead<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ahead({} values from {})", self.values.len(), self.begin)
    }
}

impl<'a, T> Ahead<'a, T> {
    /// Of an array of `count` values.
    pub(super) fn new(
        count: usize,
        load: impl Fn(Range<usize>) -> Result<Vec<T>> + Send + 'a,
    ) -> Self {
        Self {
            load: Box::new(load),
            count,
            begin: 0,
            values: vec![],
        }
    }

    /// The values of a range in parts, each with its place in the range: `see` gets whole rows of `width` values.
    ///
    /// # Errors
    /// Those of the file, and of `see`.
    pub(crate) fn each(
        &mut self,
        range: Range<usize>,
        width: usize,
        see: &mut dyn FnMut(usize, &[T]) -> Result<()>,
    ) -> Result<()> {
        let most = (VALUES / width.max(1)).max(1) * width.max(1);
        let mut at = range.start;
        while at < range.end {
            let to = range.end.min(at + most);
            let part = self.get(at..to, most)?;
            see((at - range.start) / width.max(1), part)?;
            at = to;
        }
        Ok(())
    }

    fn get(&mut self, range: Range<usize>, most: usize) -> Result<&[T]> {
        let end = self.begin + self.values.len();
        if range.start < self.begin || range.end > end {
            // The old values go before new ones come.
            self.values = vec![];
            let to = self.count.min(range.end.max(range.start + most));
            self.values = (self.load)(range.start..to)?;
            self.begin = range.start;
        }
        let from = range.start - self.begin;
        Ok(&self.values[from..from + range.len()])
    }
}
