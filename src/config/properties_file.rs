//! Java's `.properties` format, in UTF-8.
//!
//! Comments (`#`, `!`), continuation lines, `=`, `:` or blanks between name and value, and the escapes
//! `\t \n \r \f \uXXXX`; any other escaped character is itself.

use std::io::Read;
use std::path::Path;

use crate::error::{Code, Error, Result};

/// No configuration is larger; a file that is was meant for something else.
const SIZE_MAX: u64 = 1 << 20;

/// A name and a value, with the line that they begin on (from 1).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) value: String,
}

/// What is wrong, and in which line.
#[derive(Debug, PartialEq, Eq)]
struct Malformed {
    line: usize,
    why: &'static str,
}

impl Malformed {
    fn at(&self, place: &str) -> Error {
        Error::new(Code::INVALID_PROPERTY, format!("{place}:{}: {}", self.line, self.why))
    }
}

/// What a `.properties` file says, read and parsed; nothing of it is checked yet.
#[derive(Debug)]
pub struct PropertiesFile {
    /// What errors call it.
    pub(super) place: String,
    pub(super) entries: Vec<Entry>,
}

impl PropertiesFile {
    /// Reads a file. `IO` when it cannot be read, `INVALID_PROPERTY` names the line that makes no sense.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let place = path.display().to_string();
        let text = read(path).map_err(|error| {
            Error::new(Code::IO, format!("{place}: cannot be read")).caused_by(error)
        })?;
        Self::parse(&place, &text)
    }

    pub(super) fn parse(place: &str, text: &str) -> Result<Self> {
        let entries = parse(text).map_err(|error| error.at(place))?;
        Ok(Self { place: place.to_owned(), entries })
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    if file.take(SIZE_MAX + 1).read_to_string(&mut text)? as u64 > SIZE_MAX {
        return Err(std::io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}

fn parse(text: &str) -> Result<Vec<Entry>, Malformed> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut entries = Vec::new();
    let mut lines = natural_lines(text).enumerate();
    while let Some((index, first)) = lines.next() {
        let first = trim_start(first);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while is_continued(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, more)) => logical.push_str(trim_start(more)),
                None => break,
            }
        }
        entries.push(entry(index + 1, &logical)?);
    }
    Ok(entries)
}

/// Lines end by `\n`, `\r` or both.
fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\n', '\r']) else {
            rest = None;
            return Some(text);
        };
        let (line, after) = text.split_at(end);
        rest = after.strip_prefix("\r\n").or_else(|| after.get(1..));
        Some(line)
    })
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

fn trim_start(line: &str) -> &str {
    line.trim_start_matches(is_blank)
}

/// An odd number of backslashes at the end: the last one escapes the line's end.
fn is_continued(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn entry(line: usize, logical: &str) -> Result<Entry, Malformed> {
    let mut escaped = false;
    let end = logical.find(|c| {
        let ends = !escaped && (is_blank(c) || c == '=' || c == ':');
        escaped = c == '\\' && !escaped;
        ends
    });
    let (name, rest) = logical.split_at(end.unwrap_or(logical.len()));
    let rest = trim_start(rest);
    let value = trim_start(rest.strip_prefix(['=', ':']).unwrap_or(rest));
    let name = unescape(name).map_err(|why| Malformed { line, why })?;
    if name.is_empty() {
        return Err(Malformed { line, why: "there is no name before the separator" });
    }
    let value = unescape(value).map_err(|why| Malformed { line, why })?;
    Ok(Entry { line, name, value })
}

fn unescape(text: &str) -> Result<String, &'static str> {
    const BAD: &str = "\\u must be followed by four hexadecimal digits of a character";
    let mut out = String::with_capacity(text.len());
    let mut units = Vec::new(); // UTF-16, for pairs of surrogates
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let plain = match c {
            '\\' => match chars.next() {
                Some('u') => {
                    let digits: String = chars.by_ref().take(4).collect();
                    let hexadecimal =
                        digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
                    let unit = u16::from_str_radix(&digits, 16).ok().filter(|_| hexadecimal);
                    units.push(unit.ok_or(BAD)?);
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\x0c',
                Some(other) => other,
                None => break,
            },
            c => c,
        };
        flush(&mut units, &mut out).ok_or(BAD)?;
        out.push(plain);
    }
    flush(&mut units, &mut out).ok_or(BAD)?;
    Ok(out)
}

fn flush(units: &mut Vec<u16>, out: &mut String) -> Option<()> {
    for c in char::decode_utf16(units.drain(..)) {
        out.push(c.ok()?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(usize, String, String)> {
        parse(text).unwrap().into_iter().map(|e| (e.line, e.name, e.value)).collect()
    }

    #[test]
    fn java_s_separators_comments_and_blanks_are_read() {
        let text =
            "# comment\n! another\n\n  acks = all  \nlinger.ms:5\r\nbatch.size 100\rempty=\nbare\n";
        let read = pairs(text);
        let expected = [
            (4, "acks", "all  "),
            (5, "linger.ms", "5"),
            (6, "batch.size", "100"),
            (7, "empty", ""),
            (8, "bare", ""),
        ];
        let expected: Vec<_> =
            expected.iter().map(|(l, n, v)| (*l, (*n).to_owned(), (*v).to_owned())).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn continued_lines_are_one_and_keep_the_first_number() {
        let read = pairs("a=1,\\\n   2,\\\n\t3\nb=x\\\\\nc=end\\");
        assert_eq!(read[0], (1, "a".into(), "1,2,3".into()));
        assert_eq!(
            read[1],
            (4, "b".into(), "x\\".into()),
            "an escaped backslash continues nothing"
        );
        assert_eq!(read[2], (5, "c".into(), "end".into()));
        assert_eq!(pairs("a=1\\\n# no comment inside")[0].2, "1# no comment inside");
    }

    #[test]
    fn escapes_are_undone_in_names_and_values() {
        let read = pairs(r"na\=me\ x = \t\n\r\f\u00e9\ud83d\ude00\q\:");
        assert_eq!(read[0].1, "na=me x");
        assert_eq!(read[0].2, "\t\n\r\x0cé😀q:");
        assert_eq!(pairs("\u{feff}a==b")[0].2, "=b", "only one separator is taken");
    }

    #[test]
    fn what_cannot_be_read_names_its_line() {
        for bad in
            ["ok=1\nx=\\u12", "ok=1\nx=\\u12g4", "ok=1\nx=\\ud83d", "ok=1\n=value", "ok=1\n:"]
        {
            let error = parse(bad).unwrap_err().at("f.properties");
            assert!(error.message().starts_with("f.properties:2: "), "{bad:?}: {error}");
        }
    }
}

#[cfg(test)]
mod properties_of_the_parser {
    use super::*;
    use proptest::prelude::*;

    /// As `java.util.Properties.store` would, with every special character escaped.
    fn escape(text: &str) -> String {
        let mut out = String::new();
        for c in text.chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\x0c' => out.push_str("\\f"),
                ' ' | '=' | ':' | '#' | '!' | '\\' => out.extend(['\\', c]),
                c if c.is_ascii() => out.push(c),
                c => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
            }
        }
        out
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "(?s).{0,200}") {
            let _ = parse(&text);
        }

        #[test]
        fn special_characters_never_panic(text in "[ab\\\\u0d8=: \n\r\t#!]{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_java_would_write_is_read_back(name in "(?s).{1,40}", value in "(?s).{0,40}") {
            let read = parse(&format!("{}={}\n", escape(&name), escape(&value))).unwrap();
            prop_assert_eq!(read, [Entry { line: 1, name, value }]);
        }
    }
}
