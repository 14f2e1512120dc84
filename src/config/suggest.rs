//! The nearest known name to one that is not known.

/// The candidate with the smallest edit distance, if it is near enough to be a slip of the pen.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    // A name is user input: a comparison is quadratic, so it is bounded.
    if name.len() > 128 {
        return None;
    }
    let name = name.to_ascii_lowercase();
    let (distance, best) =
        candidates.map(|candidate| (distance(&name, candidate), candidate)).min()?;
    (distance <= 2.max(name.len() / 3)).then_some(best)
}

/// Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let other = usize::from(a[i - 1] != b[j - 1]);
            let mut least =
                (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + other);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["linger.ms", "acks", "batch.size"];

    #[test]
    fn slips_find_their_property_and_nonsense_finds_none() {
        for (slip, meant) in [
            ("linger_ms", "linger.ms"),
            ("lingerms", "linger.ms"),
            ("LINGER.MS", "linger.ms"),
            ("ligner.ms", "linger.ms"),
            ("ack", "acks"),
            ("batch.sizes", "batch.size"),
        ] {
            assert_eq!(nearest(slip, NAMES.into_iter()), Some(meant), "{slip}");
        }
        assert_eq!(nearest("completely.different", NAMES.into_iter()), None);
        assert_eq!(nearest("", NAMES.into_iter()), None);
        assert_eq!(nearest(&"x".repeat(100_000), NAMES.into_iter()), None);
    }

    #[test]
    fn the_distance_counts_single_edits_and_swaps() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("abc", "acb"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
