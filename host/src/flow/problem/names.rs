//! Names for messages: which was meant, and which there are. Not what is wrong with them: see ../problem.rs.

use super::shortened;

/// Most names that a message lists.
const MAX_LISTED: usize = 50;

/// Most names that one is compared with to find what was meant.
const MAX_COMPARED: usize = 200;

/// The known name nearest to what was written, if it is near enough to be meant.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (written.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .take(MAX_COMPARED)
        .filter(|name| name.len().abs_diff(written.len()) <= 4 * allowed)
        .map(|name| (distance(written, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Names for a message: `a, b`, or a word for none.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names = names.into_iter();
    let mut listed: Vec<_> = names.by_ref().take(MAX_LISTED).collect();
    listed.extend(names.next().map(|_| "…"));
    if listed.is_empty() { "(none)".to_owned() } else { shortened(listed.join(", ")) }
}

/// How many characters to insert, remove or replace (Levenshtein). Long names are not compared: the cost is the
/// product of the lengths, and nobody mistypes a name of that length.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 64;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().max(b.len()) > LONGEST {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_one_that_may_have_been_meant() {
        let known = ["inputs", "outputs", "nodes"];
        assert_eq!(nearest("input", known), Some("inputs"));
        assert_eq!(nearest("ouputs", known), Some("outputs"));
        assert_eq!(nearest("node", known), Some("nodes"));
        assert_eq!(nearest("entry", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), ["x"]), None);
    }
}
