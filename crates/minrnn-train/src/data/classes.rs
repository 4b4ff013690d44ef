//! Class labels as they stand in a file: numbers from 0 on, or names, whose sorted order gives the numbers. Digits padded with zeros
//! to one width (01, 02, 10) are names too.

use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a name.
const LONGEST: usize = 256;

/// Of which kind all labels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Numbers,
    /// Digits, padded with zeros to one width: names such as 01, which their values stand for until the end.
    Padded,
    Names,
}

/// Reads labels one by one; all must be of one kind.
#[derive(Debug, Default)]
pub(super) struct Classes {
    ids: Vec<u32>,
    /// The names in order of appearance, and the number of each.
    names: BTreeMap<String, u32>,
    /// The first label, and the kind of all.
    first: Option<(String, Kind)>,
    /// A label of digits that has another width than the first one.
    other_width: Option<String>,
}

impl Classes {
    /// The number of a label: of a name the place of its first appearance, of digits their value. Where labels are names, or padded with zeros, the
    /// last numbers are known when all labels are.
    ///
    /// # Errors
    /// A label that is no class, or of another kind than the first.
    pub(super) fn number(&mut self, label: &str) -> Result<u32, String> {
        // `01` and `+1` are not how the number 1 is written: taken for it, they would be one class with it.
        let digits = label.bytes().all(|b| b.is_ascii_digit());
        let number = label.parse::<u32>().ok().filter(|_| digits);
        let kind = match number {
            Some(number) if number.to_string() == label => Kind::Numbers,
            Some(_) => Kind::Padded,
            None => {
                check_name(label)?;
                Kind::Names
            }
        };
        let (first, all) = match &self.first {
            Some((first, all)) => (first.as_str(), *all),
            None => {
                self.first = Some((label.to_owned(), kind));
                (label, kind)
            }
        };
        let same_width = first.len() == label.len();
        let padded = Kind::Padded;
        match (number, kind, all) {
            (None, _, Kind::Names) => {
                let next = self.names.len() as u32;
                Ok(*self.names.entry(label.to_owned()).or_insert(next))
            }
            (Some(number), Kind::Numbers, Kind::Numbers) => {
                if !same_width && self.other_width.is_none() {
                    self.other_width = Some(label.to_owned());
                }
                Ok(number)
            }
            // 10 is as wide as 01: padded it is 10 too.
            (Some(number), _, Kind::Numbers | Kind::Padded)
                if same_width && self.other_width.is_none() =>
            {
                if kind == padded || all == padded {
                    self.first = Some((first.to_owned(), padded));
                }
                Ok(number)
            }
            (Some(_), _, Kind::Numbers | Kind::Padded) => {
                let other = self
                    .other_width
                    .as_deref()
                    .filter(|other| other.len() != label.len());
                let other = other.unwrap_or(first);
                Err(format!(
                    "'{label}' beside '{other}': numbers are written 0, 1, 2, ..., names of digits all padded with zeros to one width"
                ))
            }
            (None, _, Kind::Padded) => Err(format!(
                "'{label}' is not of digits as wide as the first label '{first}'; labels are all numbers or all names"
            )),
            (None, _, Kind::Numbers) => Err(format!(
                "'{label}' is not a class number 0, 1, 2, ... as the first label '{first}' is; labels are all numbers or all names"
            )),
            (Some(_), _, Kind::Names) => Err(format!(
                "'{label}' is a number, the first label '{first}' is a name; labels are all numbers or all names"
            )),
        }
    }

    /// Keeps a number.
    pub(super) fn keep(&mut self, number: u32) {
        self.ids.push(number);
    }

    /// The number kept last.
    pub(super) fn last(&self) -> Option<u32> {
        self.ids.last().copied()
    }

    /// The numbers kept and, where labels are names, the sorted names that they number.
    pub(super) fn finish(mut self) -> (Vec<u32>, Option<Vec<String>>) {
        if let Some((first, Kind::Padded)) = &self.first {
            let all: BTreeSet<u32> = self.ids.iter().copied().collect();
            let all: Vec<u32> = all.into_iter().collect();
            for id in &mut self.ids {
                *id = all.binary_search(id).map_or(0, |place| place as u32);
            }
            let width = first.len();
            let names = all.iter().map(|value| format!("{value:0width$}"));
            return (self.ids, Some(names.collect()));
        }
        if self.names.is_empty() {
            return (self.ids, None);
        }
        let mut place = vec![0; self.names.len()];
        for (sorted, first) in self.names.values().enumerate() {
            place[*first as usize] = sorted as u32;
        }
        self.ids.iter_mut().for_each(|id| *id = place[*id as usize]);
        (self.ids, Some(self.names.into_keys().collect()))
    }
}

/// What looks like a number but numbers no class is a mistake rather than a name.
fn check_name(label: &str) -> Result<(), String> {
    if label.is_empty() {
        return Err("is empty, expected a class".into());
    }
    if label.parse::<f64>().is_ok() {
        return Err(format!(
            "'{label}' is not a class number 0, 1, 2, ... (nor a name)"
        ));
    }
    if label.len() > LONGEST {
        let begin: String = label.chars().take(20).collect();
        let bytes = label.len();
        return Err(format!(
            "'{begin}...' has {bytes} bytes, the name of a class at most {LONGEST}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(labels: &[&str]) -> Result<(Vec<u32>, Option<Vec<String>>), String> {
        let mut classes = Classes::default();
        for label in labels {
            let number = classes.number(label)?;
            classes.keep(number);
        }
        Ok(classes.finish())
    }

    #[test]
    fn labels_are_all_numbers_or_all_names() {
        assert_eq!(read(&["2", "0", "7"]).unwrap(), (vec![2, 0, 7], None));
        let names = vec!["rest".to_owned(), "run".into(), "walk".into()];
        assert_eq!(
            read(&["walk", "rest", "walk", "run"]).unwrap(),
            (vec![2, 0, 2, 1], Some(names))
        );
        for (labels, wanted) in [
            (&["0", "x"][..], "'x' is not a class number"),
            (&["x", "0"], "'0' is a number, the first label 'x'"),
            (&["-1"], "'-1' is not a class number"),
            (&["1", "01"], "'01' beside '1': numbers are written"),
            (&["01", "1"], "'1' beside '01'"),
            (&["01", "002"], "'002' beside '01'"),
            (&["10", "9", "01"], "'01' beside '9'"),
            (&["9", "10", "01"], "'01' beside '9'"),
            (
                &["01", "x"],
                "'x' is not of digits as wide as the first label '01'",
            ),
            (&["x", "01"], "'01' is a number, the first label 'x'"),
            (&["01", "0x"], "'0x' is not of digits"),
            (&["+1"], "'+1' is not a class number"),
            (&["1.0"], "'1.0' is not a class number"),
            (&["nan"], "'nan' is not a class number"),
            (&[""], "is empty"),
        ] {
            let found = read(labels).unwrap_err();
            assert!(found.contains(wanted), "wanted {wanted:?} in {found:?}");
        }
        assert!(
            read(&["x".repeat(300).as_str()])
                .unwrap_err()
                .contains("300 bytes")
        );
    }

    /// Names as people give them to classes of a study; no number 1 is among them.
    #[test]
    fn numbers_padded_to_one_width_are_names() {
        let names = |all: &[&str]| Some(all.iter().map(|n| (*n).to_owned()).collect());
        assert_eq!(
            read(&["02", "01", "10", "02"]).unwrap(),
            (vec![1, 0, 2, 1], names(&["01", "02", "10"]))
        );
        // What they are may show late, whatever the order.
        assert_eq!(
            read(&["10", "11", "09"]).unwrap(),
            (vec![1, 2, 0], names(&["09", "10", "11"]))
        );
        assert_eq!(read(&["007"]).unwrap(), (vec![0], names(&["007"])));
        assert_eq!(read(&["10", "11", "10"]).unwrap(), (vec![10, 11, 10], None));
        assert_eq!(read(&["9", "10"]).unwrap(), (vec![9, 10], None));
    }

    proptest! {
        /// The same names in the same order, whichever of them comes first.
        #[test]
        fn padded_labels_are_their_own_names(values in proptest::collection::vec(0_u32..300, 1..20)) {
            let labels: Vec<String> = values.iter().map(|v| format!("{v:03}")).collect();
            let (ids, names) = read(&labels.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
            match names {
                Some(names) => for (id, label) in ids.iter().zip(&labels) {
                    prop_assert_eq!(&names[*id as usize], label);
                },
                None => {
                    prop_assert!(values.iter().all(|v| *v >= 100));
                    prop_assert_eq!(ids, values);
                }
            }
        }

        #[test]
        fn numbers_follow_the_sorted_names(labels in proptest::collection::vec("[a-zé]{1,3} ?[a-z]", 1..30)) {
            let labels: Vec<&str> = labels.iter().map(String::as_str).filter(|l| l.parse::<f64>().is_err()).collect();
            prop_assume!(!labels.is_empty());
            let (ids, names) = read(&labels).unwrap();
            let names = names.unwrap();
            prop_assert!(names.is_sorted_by(|a, b| a < b));
            for (id, label) in ids.iter().zip(&labels) {
                prop_assert_eq!(&names[*id as usize], label);
            }
        }
    }
}
