//! Outputs without a counterpart: asked for, unless one file alone has more.

use minrnn_onnx::ir::Graph;

use super::graphs::{Folder, floats, node, noted, request};
use super::*;

/// `-x` and more outputs of these names.
fn graph(outputs: &[&str]) -> Graph {
    Graph {
        inputs: vec![floats("x", "B,T,3")],
        outputs: outputs.iter().map(|name| floats(name, "B,T,3")).collect(),
        nodes: outputs
            .iter()
            .map(|name| node("Neg", &["x"], &[name], &[]))
            .collect(),
        ..Graph::default()
    }
}

fn pair(outputs: [&[&str]; 2], request: &Request) -> Result<Pair> {
    Folder::new().pair(Kind::Same, outputs.map(graph), request)
}

#[test]
fn outputs_that_both_files_have_left_are_asked_for() {
    let both: [&[&str]; 2] = [&["y", "h_out", "c_out"], &["y", "hn", "cn"]];
    let error = pair(both, &request()).unwrap_err().to_string();
    assert!(error.contains("--map h_out=hn --map c_out=cn"), "{error}");
    let mapped = Request {
        names: ["h_out=hn", "c_out=cn"]
            .map(|m| map_spec(m).unwrap())
            .to_vec(),
        ..request()
    };
    let held = pair(both, &mapped).unwrap();
    assert!(
        held.holds && held.rows.iter().any(|r| r.tensor == "cn"),
        "{held:?}"
    );
    let ignored = Request {
        ignored: ["h_out", "c_out", "hn", "cn"].map(str::to_owned).to_vec(),
        ..request()
    };
    let held = pair(both, &ignored).unwrap();
    assert!(held.holds);
    noted(&held, "is not compared, as --ignore-output says");
}

#[test]
fn so_is_the_first_output_of_a_file() {
    let error = pair([&["y", "z"], &["z"]], &request())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`y`") && error.contains("--ignore-output y"),
        "{error}"
    );
    let held = pair([&["y", "z"], &["y"]], &request()).unwrap();
    assert!(held.holds);
    noted(&held, "has no counterpart and is not compared");
}

#[test]
fn an_output_that_no_file_has_is_refused() {
    let request = Request {
        ignored: vec!["yy".into()],
        ..request()
    };
    let error = pair([&["y"], &["y"]], &request).unwrap_err().to_string();
    assert!(error.contains("--ignore-output yy"), "{error}");
}
