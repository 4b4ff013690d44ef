//! Hyena's first values, and the combinations of blocks and mixers of the paper's Table 2.

use crate::config::ModelConfig;
use crate::model::Model;
use crate::params::{Params, Role};

fn model(rest: &str) -> Model {
    let good = "width = 8\nlayers = 1\n[input]\nvocab = 5\n[head]\nwidth = 5\n";
    let mut table: toml::Table = good.parse().expect("it is TOML");
    let more: toml::Table = rest.parse().expect(rest);
    table.extend(more);
    let config: ModelConfig = table.try_into().expect(rest);
    Model::from_config(&config).expect(rest)
}

/// The paper's Table 2: an architecture and a layer are a block and a mixer.
#[test]
fn the_combinations_of_the_papers_table_are_traced() {
    use crate::graph::{Fused, Law, Op};
    let has = |rest: &str, wanted: &dyn Fn(&Op) -> bool| {
        let model = model(rest);
        model.graph().nodes().iter().any(|n| wanted(&n.op))
    };
    let convolved = |op: &Op| matches!(op, Op::Conv { .. });
    let complex = |op: &Op| {
        let law = Law::Complex;
        matches!(op, Op::Recur { law: l, .. } if *l == law)
    };
    let recurs = |op: &Op| matches!(op, Op::Recur { .. });
    for block in ["plain", "mamba"] {
        let text = |cell: &str| format!("block = '{block}'\ncell = {{ {cell} }}\n");
        let short = "kind = 'hyena', longest = 30, filter_width = 4";
        assert!(has(&text(short), &convolved), "{block}");
        assert!(has(&text("kind = 's4d', states = 4"), &complex), "{block}");
        let h3 = "kind = 'h3', states = 4, taps = 3";
        assert!(has(&text(h3), &complex), "{block}");
        for cell in ["mamba", "min_gru", "min_lstm"] {
            assert!(has(&text(&format!("kind = '{cell}'")), &recurs), "{block}");
        }
        let selective = model(&text("kind = 'mamba'"));
        let scan = |r: &crate::graph::Region| matches!(r.fused, Fused::SelectiveScan { .. });
        assert!(selective.graph().regions().iter().any(scan), "{block}");
    }
}

/// The code of positions runs from 0 to 1, the window's rates from slow to fast, and frequencies begin with 1.
#[test]
fn hyena_begins_as_the_papers_code_does() {
    let hyena = model("[cell]\nkind = 'hyena'\nlongest = 5\nfilter_width = 4\n");
    let values = |name: &str| {
        let name = format!("layers.0.mixer.hyena.filter.{name}");
        let params = hyena.graph().params();
        let at = params
            .iter()
            .position(|p| p.name == name)
            .expect("is there");
        Params::init(hyena.graph(), 3).get(at).to_vec()
    };
    let code = values("code");
    let places: Vec<f32> = code.chunks(3).map(|row| row[0]).collect();
    assert_eq!(places, [0.0, 0.25, 0.5, 0.75, 1.0]);
    let angle = 2.0 * std::f64::consts::PI * 1e-4 * 2.0 / 5.0;
    assert_eq!(code[7..9], [angle.cos() as f32, -angle.sin() as f32]);
    let rates = values("rate");
    let ends = [rates[0], rates[7]].map(f64::from);
    let whole = 100f64.ln();
    assert!((ends[0] - whole / 1.5).abs() < 1e-6 && (ends[1] - whole / 0.3).abs() < 1e-5);
    assert!(rates.windows(2).all(|w| w[0] < w[1]), "{rates:?}");
    assert_eq!(values("frequency"), [1.0; 4]);
    let code = hyena.graph().params().iter();
    let fixed = code.filter(|p| matches!(p.role, Role::Buffer { .. }));
    let fixed: Vec<&str> = fixed.filter_map(|p| p.name.rsplit('.').next()).collect();
    assert_eq!(fixed, ["code", "rate"]);
}
