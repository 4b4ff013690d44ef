//! Forms that only other engines run: what can be done about one, with the forms that there are.

use super::Export;

impl Export {
    /// What a form has that no engine here has, what compares it all the same, and what runs here.
    pub(super) fn elsewhere(&self, form: &str) -> String {
        let path = |name: &str| Some(self.forms.get(name)?.path.display().to_string());
        let own = path(form).unwrap_or_default();
        let sequence = || path("scan").or_else(|| path("parallel"));
        let how = match (form, sequence(), path("step"), path("scan")) {
            ("step", Some(other), ..) => {
                format!(
                    "`minrnn verify --sequence {other} --step {own}` holds it to that file in float64"
                )
            }
            ("step", None, ..) => {
                format!(
                    "with the form scan too `minrnn verify --sequence FILE --step {own}` would hold it to that in float64"
                )
            }
            (_, _, Some(step), _) => {
                format!(
                    "`minrnn verify --sequence {own} --step {step}` holds it to that file in float64"
                )
            }
            (_, _, None, Some(scan)) => {
                format!("`minrnn verify --against {scan} {own}` holds it to that file in float64")
            }
            (_, _, None, None) => {
                format!(
                    "with the form scan too `minrnn verify --against FILE {own}` would hold it to that in float64"
                )
            }
        };
        let all = ["parallel", "scan", "step"].into_iter();
        let here: Vec<&str> = all
            .filter(|name| self.forms.contains_key(*name) && !self.is_for_other_engines(name))
            .collect();
        let here = match here.as_slice() {
            [] => "no form of this export runs here: export it with the form scan too".to_owned(),
            [one] => format!("the form {one} runs here"),
            some => format!("the forms {} run here", some.join(" and ")),
        };
        format!(
            "has the operator LinearAttention, which neither minrnn-runtime nor tract has; {how}, and {here}"
        )
    }
}
