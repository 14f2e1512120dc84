//! The types of values: what is allowed, and its canonical form.

use std::fmt;

use super::address::Address;
use super::ensemble::Ensemble;
use super::iso_duration;

/// The type of a property's value, with its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`; also `t`, `f`, `1` and `0`, as in librdkafka.
    Boolean,
    /// A whole number.
    Number {
        /// The smallest one allowed.
        min: i64,
        /// The largest one allowed.
        max: i64,
    },
    /// A number of bytes.
    Bytes {
        /// The smallest one allowed.
        min: i64,
        /// The largest one allowed.
        max: i64,
    },
    /// A time in milliseconds.
    Millis {
        /// The smallest one allowed.
        min: i64,
        /// The largest one allowed.
        max: i64,
    },
    /// One of these names; each row is the canonical name, then what is read as it.
    Choice(&'static [&'static [&'static str]]),
    /// One of these names, as with [`Kind::Choice`], or this prefix and a duration of ISO 8601.
    ChoiceOrDuration {
        /// The names.
        choices: &'static [&'static [&'static str]],
        /// What stands before a duration.
        prefix: &'static str,
    },
    /// Any of these names, separated by commas.
    List(&'static [&'static str]),
    /// Some of these names, separated by commas, the best liked first; rows as with [`Kind::Choice`].
    Ranking(&'static [&'static [&'static str]]),
    /// Any text.
    Text,
    /// Addresses, separated by commas; at least one.
    Addresses,
    /// The servers of a ZooKeeper, and perhaps a path.
    Ensemble,
    /// Known and not there: only these values are taken (they ask for what is done anyway), others are
    /// refused with the reason.
    Refused {
        /// What may be given all the same.
        accepts: &'static [&'static str],
        /// Why nothing else may.
        why: &'static str,
    },
}

impl Kind {
    /// The canonical form of `value`, or nothing if it is not allowed.
    pub(super) fn canonical(&self, value: &str) -> Option<String> {
        let value = value.trim();
        match *self {
            Self::Boolean => boolean(value).map(str::to_owned),
            Self::Number { min, max } | Self::Bytes { min, max } | Self::Millis { min, max } => {
                let number: i64 = value.parse().ok()?;
                (min..=max).contains(&number).then(|| number.to_string())
            }
            Self::Choice(rows) => chosen(value, rows),
            Self::ChoiceOrDuration { choices, prefix } => {
                chosen(value, choices).or_else(|| with_duration(value, prefix))
            }
            Self::List(names) => list(value, names),
            Self::Ranking(rows) => ranking(value, rows),
            Self::Text => Some(value.to_owned()),
            Self::Addresses => {
                let some = Address::parse_list(value).is_ok_and(|list| !list.is_empty());
                some.then(|| value.to_owned())
            }
            Self::Ensemble => Ensemble::parse(value).is_ok().then(|| value.to_owned()),
            Self::Refused { accepts, .. } => {
                let is = |value: &str| accepts.iter().find(|name| value.eq_ignore_ascii_case(name));
                is(value).or_else(|| is(boolean(value)?)).map(|&name| name.to_owned())
            }
        }
    }

    /// The type in a word, as in the documentation.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Number { .. } => "number",
            Self::Bytes { .. } => "bytes",
            Self::Millis { .. } => "milliseconds",
            Self::Choice(_) | Self::ChoiceOrDuration { .. } => "name",
            Self::List(_) | Self::Ranking(_) => "list",
            Self::Text => "text",
            Self::Addresses => "list of host:port",
            Self::Ensemble => "list of host:port, with a path",
            Self::Refused { .. } => "refused",
        }
    }
}

/// What is allowed, as it stands in error messages and in the documentation.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("true or false"),
            Self::Number { min, max } | Self::Bytes { min, max } | Self::Millis { min, max } => {
                write!(f, "{min} to {max}")
            }
            Self::Choice(rows) => f.write_str(&names(rows)),
            Self::ChoiceOrDuration { choices, prefix } => {
                write!(f, "{}, {prefix}PnDTnHnMnS", names(choices))
            }
            Self::List(names) => write!(f, "any of {}", names.join(", ")),
            Self::Ranking(rows) => write!(f, "one or more of {}", names(rows)),
            Self::Text => f.write_str("any text"),
            Self::Addresses => {
                f.write_str("host:port or [IPv6]:port, one or more, separated by commas")
            }
            Self::Ensemble => f.write_str("host:port,host:port/path"),
            Self::Refused { accepts, .. } => f.write_str(&accepts.join(", ")),
        }
    }
}

/// `true` or `false`, by any of its spellings.
pub(super) fn boolean(value: &str) -> Option<&'static str> {
    let is = |names: [&str; 3]| names.iter().any(|name| value.eq_ignore_ascii_case(name));
    if is(["true", "t", "1"]) { Some("true") } else { is(["false", "f", "0"]).then_some("false") }
}

fn names(rows: &[&[&str]]) -> String {
    rows.iter().filter_map(|row| row.first()).copied().collect::<Vec<_>>().join(", ")
}

/// The canonical name of the row that has `value`.
fn chosen(value: &str, rows: &[&[&str]]) -> Option<String> {
    let row = rows.iter().find(|row| row.iter().any(|name| value.eq_ignore_ascii_case(name)))?;
    row.first().map(|&name| name.to_owned())
}

fn with_duration(value: &str, prefix: &str) -> Option<String> {
    let (named, duration) = value.split_at_checked(prefix.len())?;
    let duration = duration.trim();
    let fits = named.eq_ignore_ascii_case(prefix) && iso_duration::parse(duration).is_some();
    fits.then(|| format!("{prefix}{}", duration.to_ascii_uppercase()))
}

/// In the table's order, each once.
fn list(value: &str, names: &[&str]) -> Option<String> {
    let given: Vec<&str> =
        value.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
    let known = |item: &&str| names.iter().any(|name| item.eq_ignore_ascii_case(name));
    if !given.iter().all(known) {
        return None;
    }
    let chosen =
        names.iter().filter(|name| given.iter().any(|item| item.eq_ignore_ascii_case(name)));
    Some(chosen.copied().collect::<Vec<_>>().join(","))
}

/// The canonical names in the order given, each once; at least one.
fn ranking(value: &str, rows: &[&[&str]]) -> Option<String> {
    let mut ranked: Vec<String> = Vec::new();
    for item in value.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let name = chosen(item, rows)?;
        if !ranked.contains(&name) {
            ranked.push(name);
        }
    }
    (!ranked.is_empty()).then(|| ranked.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ranking_keeps_its_order_and_names_each_once() {
        let kind = Kind::Ranking(&[&["range", "java.Range"], &["sticky"]]);
        assert_eq!(kind.canonical("sticky, java.range,range").as_deref(), Some("sticky,range"));
        assert_eq!(kind.canonical("sticky,best"), None);
        assert_eq!(kind.canonical(" , "), None);
    }

    #[test]
    fn values_have_one_canonical_form() {
        let choice = Kind::Choice(&[&["all", "-1"], &["1"]]);
        assert_eq!(choice.canonical(" -1 ").as_deref(), Some("all"));
        assert_eq!(choice.canonical("ALL").as_deref(), Some("all"));
        assert_eq!(choice.canonical("2"), None);
        assert_eq!(Kind::Boolean.canonical("TRUE").as_deref(), Some("true"));
        for (canonical, spellings) in [("true", ["T", "1"]), ("false", ["f", "0"])] {
            for spelling in spellings {
                assert_eq!(Kind::Boolean.canonical(spelling).as_deref(), Some(canonical));
            }
        }
        for bad in ["", "2", "yes", "tru"] {
            assert_eq!(Kind::Boolean.canonical(bad), None, "{bad}");
        }
        let refused = Kind::Refused { accepts: &["false"], why: "" };
        assert_eq!(refused.canonical("0").as_deref(), Some("false"));
        assert_eq!(refused.canonical("1"), None);
        let number = Kind::Refused { accepts: &["0"], why: "" };
        assert_eq!((number.canonical("0").as_deref(), number.canonical("f")), (Some("0"), None));
        let list = Kind::List(&["a", "b"]);
        assert_eq!(list.canonical("b, a,b").as_deref(), Some("a,b"));
        assert_eq!(list.canonical("").as_deref(), Some(""));
        assert_eq!(list.canonical("c"), None);
    }

    #[test]
    fn a_name_with_a_duration_is_one_of_the_names_or_both() {
        let kind =
            Kind::ChoiceOrDuration { choices: &[&["earliest", "-2"]], prefix: "by_duration:" };
        assert_eq!(kind.canonical("-2").as_deref(), Some("earliest"));
        assert_eq!(kind.canonical("By_Duration: pt1h").as_deref(), Some("by_duration:PT1H"));
        for bad in ["by_duration", "by_duration:", "by_duration:-PT1H", "by_duration:1h", "PT1H"] {
            assert_eq!(kind.canonical(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_are_whole_and_in_range() {
        let kind = Kind::Number { min: -1, max: 10 };
        assert_eq!(kind.canonical("007").as_deref(), Some("7"));
        assert_eq!(kind.canonical("-1").as_deref(), Some("-1"));
        for bad in ["", "11", "-2", "1.5", "0x1", "1k", "99999999999999999999"] {
            assert_eq!(kind.canonical(bad), None, "{bad}");
        }
    }
}
