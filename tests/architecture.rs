//! The drawing in `docs/architecture.md` is kept by the code: who may import whom, and how long a
//! file may grow.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and the rooms that it may import. `error` may be imported by all and is left out.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("protocol", &[]),
    ("os", &[]),
    ("log", &["os"]),
    ("runtime", &["os", "log"]),
    ("config", &["protocol", "log"]),
    ("net", &["protocol", "runtime", "os", "config", "log"]),
    ("discovery", &["net", "protocol", "runtime", "os", "config", "log"]),
    ("cluster", &["discovery", "net", "protocol", "runtime", "os", "config", "log"]),
    ("producer", &["cluster", "net", "protocol", "runtime", "os", "config", "log"]),
    ("consumer", &["group", "cluster", "net", "protocol", "runtime", "os", "config", "log"]),
    ("group", &["cluster", "discovery", "net", "protocol", "runtime", "os", "config", "log"]),
    ("embedded", &["discovery", "protocol", "runtime", "os", "log"]),
    (
        "ffi",
        &[
            "cluster",
            "config",
            "consumer",
            "discovery",
            "embedded",
            "group",
            "log",
            "net",
            "os",
            "producer",
            "protocol",
            "runtime",
        ],
    ),
];

const LONGEST_FILE: usize = 600;

#[test]
fn imports_point_one_way() {
    let mut wrong = Vec::new();
    for (room, allowed) in MAY_IMPORT {
        // Tests beside the code may meet the embedded broker.
        for file in files_of(room).iter().filter(|f| !is_test(f)) {
            for imported in imports(file) {
                let own = imported == *room || imported == "error";
                if !own && !allowed.contains(&imported.as_str()) {
                    wrong.push(format!("{} imports {imported}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "against docs/architecture.md:\n{}", wrong.join("\n"));
}

#[test]
fn every_room_has_its_row() {
    let rooms: BTreeSet<&str> = MAY_IMPORT.iter().map(|(room, _)| *room).collect();
    for entry in fs::read_dir(source()).expect("src") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default().to_owned();
        assert!(name == "lib" || rooms.contains(name.as_str()), "{name} has no row in MAY_IMPORT");
    }
}

#[test]
fn the_drawing_names_every_room() {
    let drawing = fs::read_to_string(root().join("docs/architecture.md")).expect("the drawing");
    for (room, _) in MAY_IMPORT {
        assert!(drawing.contains(&format!("`{room}`")), "docs/architecture.md lacks `{room}`");
    }
}

#[test]
fn no_file_outgrows_its_concept() {
    let mut long = Vec::new();
    for folder in ["src", "tests", "examples-c", "bench", "benches", "examples"] {
        for file in walk(&root().join(folder)) {
            let wanted = ["rs", "c", "h", "cpp", "py", "sh", "rb", "go", "java"];
            let extension = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
            let lines = fs::read_to_string(&file).unwrap_or_default().lines().count();
            if wanted.contains(&extension) && lines > LONGEST_FILE {
                long.push(format!("{}: {lines} lines", file.display()));
            }
        }
    }
    assert!(long.is_empty(), "over {LONGEST_FILE} lines:\n{}", long.join("\n"));
}

#[test]
fn the_tests_and_functions_that_the_heritage_names_are_there() {
    let text = fs::read_to_string(root().join("docs/heritage.md")).expect("docs/heritage.md");
    let sections = text.split("\n## ");
    let old = sections.filter(|part| ["samsa\n", "PyKafka\n"].iter().any(|s| part.starts_with(s)));
    let is_name = |word: &&str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        (word.starts_with("samsa_") || word.len() > 24) && word.chars().all(plain)
    };
    let rows = old.flat_map(str::lines).filter(|line| line.starts_with('|'));
    let words = rows.flat_map(|line| line.split('`').skip(1).step_by(2));
    let names = words.map(|word| word.split_once('(').map_or(word, |(name, _)| name));
    let named: BTreeSet<&str> = names.filter(is_name).collect();
    let folders = ["src", "tests"].map(|folder| walk(&root().join(folder)));
    let code = folders.iter().flatten().filter(|file| file.extension().is_some_and(|e| e == "rs"));
    let code: String = code.map(|file| fs::read_to_string(file).expect("a source file")).collect();
    // A test or a function, a type, a case's name.
    let says = |line: &&str| ["fn ", "struct ", "(\""].iter().any(|form| line.contains(form));
    let in_a_word = |c: char| c.is_alphanumeric() || c == '_';
    let known: BTreeSet<&str> =
        code.lines().filter(says).flat_map(|line| line.split(|c| !in_a_word(c))).collect();
    let missing: Vec<&&str> = named.difference(&known).collect();
    assert!(named.len() > 60 && missing.is_empty(), "{} names, missing {missing:?}", named.len());
}

/// The rooms that a file names by `crate::room`.
fn imports(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).expect("a source file");
    let code: Vec<&str> =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        // `use crate::{a::B, c}` names several rooms at once.
        let names = rest.strip_prefix('{').map_or_else(|| vec![rest], top_level);
        for name in names {
            let in_a_word = |c: &char| c.is_alphanumeric() || *c == '_';
            let word: String = name.trim_start().chars().take_while(in_a_word).collect();
            if MAY_IMPORT.iter().any(|(room, _)| *room == word) {
                found.insert(word);
            }
        }
    }
    found
}

/// The parts of a `{…}` group, split at the commas that are not inside a nested group.
fn top_level(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_i32, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&group[start..at]);
                return parts;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts
}

fn is_test(file: &Path) -> bool {
    let stem = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    stem == "tests" || stem.ends_with("_tests")
}

fn files_of(room: &str) -> Vec<PathBuf> {
    let file = source().join(format!("{room}.rs"));
    let mut files = walk(&source().join(room));
    files.extend(file.exists().then_some(file));
    assert!(!files.is_empty(), "the room {room} is empty");
    files
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}

fn source() -> PathBuf {
    root().join("src")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
