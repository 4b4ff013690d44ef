//! Reading of files that may have no end: a device, a pipe, a file of somebody else.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The most that is read of data from what is no plain file, bytes.
const STREAM: u64 = 256 << 20;

/// A reader that fails behind `left` more bytes, and does not pretend that the content ends there.
#[derive(Debug)]
pub(crate) struct AtMost<R> {
    reader: R,
    left: u64,
    most: u64,
}

impl<R: Read> AtMost<R> {
    pub(crate) fn new(reader: R, most: u64) -> Self {
        Self {
            reader,
            left: most,
            most,
        }
    }
}

impl<R: Read> Read for AtMost<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if end == 0 && !buffer.is_empty() {
            // At the end of the allowance the content must end too.
            return match self.reader.read(&mut [0])? {
                0 => Ok(0),
                _ => Err(too_long(self.most)),
            };
        }
        let n = self.reader.read(&mut buffer[..end])?;
        self.left -= n as u64;
        Ok(n)
    }
}

/// A bound in words.
pub(super) fn said(most: u64) -> String {
    match most {
        m if m.is_multiple_of(1 << 20) => format!("{} MiB", m >> 20),
        m => format!("{m} bytes"),
    }
}

fn too_long(most: u64) -> io::Error {
    let size = said(most);
    let message = format!("it goes on behind {size}, the most that is read here");
    io::Error::new(io::ErrorKind::FileTooLarge, message)
}

/// The bytes of a file of at most `most` bytes, whatever kind of file it is.
///
/// # Errors
/// Those of the system; [`io::ErrorKind::FileTooLarge`] for a file that goes on behind `most` bytes.
pub fn read_at_most(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    AtMost::new(File::open(path)?, most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A data file: a plain one may be of any size, of a pipe or a device 256 MiB are read.
pub(crate) fn open_data(path: &Path) -> io::Result<AtMost<File>> {
    open_within(path, STREAM)
}

/// The same with so many bytes of a pipe or a device.
fn open_within(path: &Path, stream: u64) -> io::Result<AtMost<File>> {
    let file = File::open(path)?;
    let most = match file.metadata()?.is_file() {
        true => u64::MAX,
        false => stream,
    };
    Ok(AtMost::new(file, most))
}

/// The bytes of a data file: of a plain one all, of a pipe or a device 256 MiB at most.
///
/// # Errors
/// Those of the system; [`io::ErrorKind::FileTooLarge`] for a pipe or a device that goes on.
pub fn read_data(path: &Path) -> io::Result<Vec<u8>> {
    read_all(open_data(path)?)
}

fn read_all(mut file: AtMost<File>) -> io::Result<Vec<u8>> {
    let size = file.reader.metadata().map_or(0, |about| about.len());
    let mut bytes = vec![];
    // A size that the memory does not hold is an error here and no abort.
    bytes.try_reserve_exact(usize::try_from(size).unwrap_or(usize::MAX))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_no_short_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, [7; 1000]).unwrap();
        assert_eq!(read_at_most(&path, 1000).unwrap(), [7; 1000]);
        let error = read_at_most(&path, 999).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(error.to_string().contains("999 bytes"), "{error}");
        assert_eq!(read_data(&path).unwrap().len(), 1000);
        std::fs::write(&path, "").unwrap();
        assert_eq!(read_at_most(&path, 0).unwrap(), b"");
    }

    #[cfg(unix)]
    #[test]
    fn a_device_without_end_ends() {
        let zero = Path::new("/dev/zero");
        let error = read_at_most(zero, 4 << 20).unwrap_err();
        assert!(error.to_string().contains("4 MiB"), "{error}");
        assert_eq!(open_data(zero).unwrap().most, 256 << 20);
        let error = read_all(open_within(zero, 4 << 20).unwrap()).unwrap_err();
        assert!(error.to_string().contains("4 MiB"), "{error}");
    }
}
