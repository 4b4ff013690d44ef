use std::fs;

use super::*;

fn said(outputs: Outputs) -> String {
    outputs.check().unwrap_err().to_string()
}

#[test]
fn two_outputs_on_one_path_are_one_too_many() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    let two = |a: &Path, b: &Path| Outputs::new().writes("--a", Some(a)).writes("--b", Some(b));
    two(&at("x"), &at("y")).check().unwrap();
    assert!(said(two(&at("x"), &at("x"))).contains("--a and --b both write"));
    fs::create_dir(at("deep")).unwrap();
    // Not there yet, under another path.
    assert!(two(&at("deep/../x"), &at("./x")).check().is_err());
    assert!(two(&at("new/x"), &at("new/./x")).check().is_err());
    two(Path::new("-"), Path::new("-")).check().unwrap();
    assert!(said(two(&at("x"), &at("deep"))).contains("is a folder"));
}

#[cfg(unix)]
#[test]
fn links_are_seen_and_devices_are_not() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    let two = |a: &Path, b: &Path| Outputs::new().reads("IN", Some(a)).writes("--b", Some(b));
    fs::write(at("x"), "1").unwrap();
    std::os::unix::fs::symlink("x", at("soft")).unwrap();
    std::os::unix::fs::symlink("absent", at("loose")).unwrap();
    fs::hard_link(at("x"), at("hard")).unwrap();
    fs::write(at("copy"), "1").unwrap();
    for other in ["soft", "hard", "x"] {
        let error = said(two(&at("x"), &at(other)));
        assert!(
            error.contains("what the same command reads (IN)"),
            "{error}"
        );
    }
    assert!(two(&at("loose"), &at("absent")).check().is_err());
    two(&at("x"), &at("copy")).check().unwrap();
    for device in ["/dev/null", "/dev/stdout"] {
        let device = Path::new(device);
        two(device, device).check().unwrap();
        let twice = Outputs::new().writes("--a", Some(device));
        twice.writes("--b", Some(device)).check().unwrap();
    }
}

#[test]
fn files_of_a_folder_are_its_own_by_name() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    fs::create_dir(dir.join("best")).unwrap();
    fs::write(dir.join("Copy.ONNX"), "").unwrap();
    fs::write(dir.join("report.json"), "").unwrap();
    let over = |name: &str| {
        let outputs = Outputs::new().reads_folder("DIR", Some(dir));
        outputs.writes("--json", Some(&dir.join(name))).check()
    };
    for name in [
        "manifest.json",
        "golden.safetensors",
        "best/model.safetensors",
        "Copy.ONNX",
    ] {
        assert!(over(name).is_err(), "{name}");
    }
    for name in ["report.json", "new.json", "best/report.md"] {
        over(name).unwrap();
    }
}

#[test]
fn nothing_that_is_read_lies_in_a_folder_that_is_written() {
    let temp = tempfile::tempdir().unwrap();
    let (file, out) = (temp.path().join("out/w.pt"), temp.path().join("out"));
    let outputs = |file: &Path| {
        Outputs::new()
            .reads("FILE", Some(file))
            .writes_folder("--out", &out)
    };
    assert!(said(outputs(&file)).contains("choose another folder"));
    assert!(outputs(&out).check().is_err());
    outputs(&temp.path().join("out.pt")).check().unwrap();
}
