//! Files of an export's folder.

use std::io::Read;
use std::path::{Component, Path};

use sha2::{Digest, Sha256};

use super::{Result, broken};

/// The bytes of a plain file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let unread = |e: std::io::Error| broken(path, format!("cannot be read: {e}"));
    // A pipe or a device has no end to wait for.
    if !std::fs::metadata(path).map_err(unread)?.is_file() {
        return Err(broken(path, "is no plain file"));
    }
    std::fs::read(path).map_err(unread)
}

/// Whether a manifest's word names a file of the folder: no path, not the folder itself or the one above, no link; of the letters
/// that every system takes.
pub(super) fn is_own(dir: &Path, name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let plain = matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(_)), None)
    );
    let link = || {
        dir.join(name)
            .symlink_metadata()
            .is_ok_and(|m| !m.is_file())
    };
    let letter = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let usual = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(letter);
    plain && usual && !link()
}

/// What a manifest's word must be, where [`is_own`] refuses it.
pub(super) fn must_be(dir: &Path, name: &str) -> String {
    let mut parts = Path::new(name).components();
    let plain = matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(_)), None)
    );
    let about = dir.join(name).symlink_metadata();
    match about {
        Ok(about) if plain && about.is_symlink() => {
            "is a link, and what it leads to is no part of the folder; put the file itself in its place".into()
        }
        Ok(about) if plain && !about.is_file() => "must be a file, and is none".into(),
        _ => "must be a file of the folder, with a name of letters, digits, `.`, `_` and `-`".into(),
    }
}

/// In lower-case hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes).as_slice())
}

/// Of a file of the folder, with its size. Read in pieces: it may be large.
pub(super) fn sha256_of(path: &Path) -> std::io::Result<(String, u64)> {
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut file = std::fs::File::open(path)?;
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok((hex(hash.finalize().as_slice()), size)),
            n => {
                hash.update(&piece[..n]);
                size += n as u64;
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_names_files_of_its_own_folder() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("export");
        std::fs::create_dir_all(dir.join("sub")).unwrap();
        for file in ["a.onnx", "sub/b.onnx", "../c.onnx"] {
            std::fs::write(dir.join(file), b"x").unwrap();
        }
        assert!(is_own(&dir, "a.onnx") && is_own(&dir, "not_there-1.onnx"));
        for name in [
            "",
            ".",
            "..",
            "/",
            "../c.onnx",
            "sub/b.onnx",
            "sub",
            "sub/../../c.onnx",
            "/etc/passwd",
            ".hidden",
            "sub\\b.onnx",
            "C:a.onnx",
            "a.onnx\0",
            "a b.onnx",
            "\u{e4}.onnx",
            "_a.onnx",
        ] {
            assert!(!is_own(&dir, name), "{name}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("../c.onnx", dir.join("link.onnx")).unwrap();
            assert!(!is_own(&dir, "link.onnx"));
            assert!(must_be(&dir, "link.onnx").starts_with("is a link"));
            assert!(must_be(&dir, "sub").contains("is none"));
            assert!(must_be(&dir, "../c.onnx").contains("of the folder"));
            assert!(must_be(&dir, "_a.onnx").contains("letters"));
        }
    }
}
