//! What a word that is not known may have meant.

/// The most names that a message lists.
const SHOWN: usize = 24;

/// What names there are, and which of them is nearest to `word`, for the end of a message.
pub(crate) fn there_is<S: AsRef<str>>(word: &str, names: &[S]) -> String {
    if names.is_empty() {
        return "there is none".into();
    }
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let meant = nearest(word, names).map_or(String::new(), |name| format!("; was `{name}` meant?"));
    format!("there is {}{more}{meant}", shown.join(", "))
}

/// The first of the names with the fewest letters to change; none where more than half of it would be others.
pub(crate) fn nearest<'a, S: AsRef<str>>(word: &str, names: &'a [S]) -> Option<&'a str> {
    let far = |name: &&str| changes(&word.to_lowercase(), &name.to_lowercase());
    let best = names.iter().map(AsRef::as_ref).min_by_key(far)?;
    let most = word.chars().count().max(best.chars().count()) / 2;
    (far(&best) <= most).then_some(best)
}

/// Letters to insert, remove or exchange.
fn changes(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let exchanged = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = exchanged.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered() {
        assert_eq!(changes("kitten", "sitting"), 3);
        assert_eq!(changes("", "abc"), 3);
        let names = ["state.0.h", "input_ids", "state.1.h"];
        assert_eq!(nearest("state0.h", &names), Some("state.0.h"));
        assert_eq!(nearest("Input_IDs", &names), Some("input_ids"));
        assert_eq!(nearest("lengths", &names), None);
        assert_eq!(
            there_is("input_id", &names),
            "there is state.0.h, input_ids, state.1.h; was `input_ids` meant?"
        );
        assert_eq!(there_is("x", &[""; 0]), "there is none");
    }
}
