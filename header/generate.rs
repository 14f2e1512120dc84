//! Generates `samsa.h`, `samsa_testing.h` and the list of constants from `src/ffi` (scripts/header.sh).
//!
//! cbindgen turns the exported items into C; this file decides the order and the headings, opens the
//! header with the manual, and makes enumerators of what cbindgen writes as `#define`: cffi, cgo and
//! gdb read the one and not the other.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

// One table of codes serves library and header.
#[allow(dead_code, unreachable_pub, reason = "the library uses the rest")]
#[path = "../src/error/codes.rs"]
mod codes;

/// What goes into a header, in order: file of `src/ffi`, heading over its functions.
const SAMSA: &[(&str, &str)] = &[
    ("mod.rs", "Types"),
    ("error.rs", "Errors"),
    ("code.rs", "Codes"),
    ("config.rs", "Configuration"),
    ("logging.rs", "Log lines"),
    ("cluster.rs", "Cluster"),
    ("snapshot.rs", "What the cluster looks like"),
    ("event.rs", "Events"),
    ("admin.rs", "Topics: create and delete"),
    ("group_admin.rs", "Groups: list, describe, delete"),
    ("topic.rs", "Topic"),
    ("publish.rs", "Publish: synchronous, one partition, in order"),
    ("record.rs", "Records"),
    ("partitioner.rs", "Partitioner of the application"),
    ("producer.rs", "Producer: asynchronous, with deliveries"),
    ("deliveries.rs", "Deliveries: one outcome for each record"),
    ("subscribe.rs", "Subscribe: messages of one topic"),
    ("consumer.rs", "Consumer"),
    ("membership.rs", "Consumer in a group"),
    ("commit.rs", "Offsets of a group"),
    ("assignor.rs", "Assignor of the application"),
    ("position.rs", "Positions"),
    ("message.rs", "Messages, one by one"),
    ("header.rs", "Headers of a message"),
    ("batch.rs", "Batches of messages"),
];
const TESTING: &[(&str, &str)] = &[
    ("embedded.rs", "Embedded broker"),
    ("embedded_group.rs", "Groups"),
    ("fault.rs", "Faults"),
    ("embedded_zookeeper.rs", "Embedded ZooKeeper"),
    ("embedded_legacy.rs", "Embedded brokers of Kafka 0.7"),
];
#[cfg(feature = "panic-injection")]
compile_error!("headers are generated without the test features");

/// Writes the headers into the folder that `SAMSA_HEADER_DIR` names; without it does nothing.
pub(crate) fn main() {
    println!("cargo:rerun-if-env-changed=SAMSA_HEADER_DIR");
    let Some(out) = env::var_os("SAMSA_HEADER_DIR").map(PathBuf::from) else { return };
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    println!("cargo:rerun-if-changed={}", root.join("src/ffi").display());
    println!("cargo:rerun-if-changed={}", root.join("src/error/codes.rs").display());
    println!("cargo:rerun-if-changed={}", root.join("header").display());
    println!("cargo:rerun-if-changed={}", root.join("cbindgen.toml").display());
    let manual = fs::read_to_string(root.join("header/manual.txt")).expect("header/manual.txt");
    let mut constants = code_constants();
    let body = render(&root, SAMSA, &mut constants);
    let samsa = format!(
        "{manual}#ifndef SAMSA_H\n#define SAMSA_H\n\n#include <stdbool.h>\n#include <stddef.h>\n\
         #include <stdint.h>\n\n{OPEN}{versions}{codes}{body}{CLOSE}\n#endif\n",
        versions = versions(&mut constants),
        codes = code_enum(),
    );
    let body = render(&root, TESTING, &mut constants);
    let testing = format!(
        "{}#ifndef SAMSA_TESTING_H\n#define SAMSA_TESTING_H\n\n#include <samsa.h>\n\n\
         {OPEN}{body}{CLOSE}\n#endif\n",
        comment(TESTING_MANUAL)
    );
    let list: String =
        constants.iter().map(|(name, number)| format!("{name} {number}\n")).collect();
    for (name, text) in [("samsa.h", &samsa), ("samsa_testing.h", &testing)] {
        check_for_bindings(name, text);
    }
    for (name, text) in
        [("samsa.h", samsa), ("samsa_testing.h", testing), ("samsa_constants.txt", list)]
    {
        fs::write(out.join(name), text).expect("SAMSA_HEADER_DIR must be writable");
    }
}

const OPEN: &str = "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n";
const CLOSE: &str = "\n#ifdef __cplusplus\n}\n#endif\n";
const TESTING_MANUAL: &str = "An embedded broker for tests of programs that use libsamsa.

Outside the ABI promise: names here may change with any release. Present when the library was
built with its feature embedded, as the installed one is. The rules are those of samsa.h.
";

fn comment(text: &str) -> String {
    let mut out = String::from("/*\n");
    for line in text.lines() {
        let _ = writeln!(out, "{}", format!(" * {line}").trim_end());
    }
    out + " */\n"
}

/// Names and numbers of all codes, as C spells them.
fn code_constants() -> Vec<(String, i64)> {
    codes::Code::ALL.iter().map(|info| (c_name(info).to_owned(), info.code.0.into())).collect()
}

fn c_name(info: &codes::CodeInfo) -> &'static str {
    info.c_name.to_str().expect("names are ASCII")
}

fn code_enum() -> String {
    let mut out = comment(
        "Codes. 0 is success; -100 to -109 are conditions, which are no errors; the other numbers\n\
         from -1 up are Kafka's own, those below are the library's.\n",
    );
    out.push_str("enum {\n");
    for info in codes::Code::ALL {
        let _ = writeln!(out, "  /* {} */\n  {} = {},", info.text, c_name(info), info.code.0);
    }
    out + "};\n\n"
}

fn versions(constants: &mut Vec<(String, i64)>) -> String {
    let mut out =
        comment("The version of this header; samsa_version_number() tells the library's.\n");
    out.push_str("enum {\n");
    for part in ["MAJOR", "MINOR", "PATCH"] {
        let value = env::var(format!("CARGO_PKG_VERSION_{part}")).expect("cargo sets it");
        let _ = writeln!(out, "  SAMSA_VERSION_{part} = {value},");
        constants.push((format!("SAMSA_VERSION_{part}"), value.parse().expect("a number")));
    }
    out + "};\n\n"
}

/// What cbindgen makes of these files, with headings, and with enumerators for constants.
fn render(root: &Path, files: &[(&str, &str)], constants: &mut Vec<(String, i64)>) -> String {
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    let mut builder = cbindgen::Builder::new().with_config(config);
    let mut headings = BTreeMap::new();
    for (file, heading) in files {
        let path = root.join("src/ffi").join(file);
        let Ok(source) = fs::read_to_string(&path) else { continue };
        if let Some(function) = first_export(&source) {
            headings.insert(function, *heading);
        }
        if *file == "mod.rs" {
            // cbindgen follows `mod` items; the order here is ours.
            let plain: String = source
                .lines()
                .filter(|l| !l.starts_with("pub mod"))
                .fold(String::new(), |t, l| t + l + "\n");
            let copy = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join(file);
            fs::write(&copy, plain).expect("OUT_DIR is writable");
            builder = builder.with_src(copy);
        } else {
            builder = builder.with_src(path);
        }
    }
    let mut raw = Vec::new();
    builder.generate().expect("cbindgen").write(&mut raw);
    arrange(&String::from_utf8(raw).expect("cbindgen writes UTF-8"), &headings, constants)
}

/// Puts cbindgen's items under headings, and its `#define`s into enums.
fn arrange(
    raw: &str,
    headings: &BTreeMap<String, &str>,
    constants: &mut Vec<(String, i64)>,
) -> String {
    let mut out = String::new();
    let mut items = raw.split("\n\n").map(|item| item.trim_matches('\n')).peekable();
    while let Some(item) = items.next() {
        if item.is_empty() {
            continue;
        }
        if let Some(constant) = Constant::parse(item) {
            let family = constant.family();
            out.push_str("enum {\n");
            constant.write(&mut out, constants);
            while let Some(next) = items.peek().and_then(|item| Constant::parse(item)) {
                if next.family() != family {
                    break;
                }
                next.write(&mut out, constants);
                items.next();
            }
            out.push_str("};\n\n");
            continue;
        }
        if let Some(heading) = declared(item).and_then(|name| headings.get(name)) {
            let _ = writeln!(out, "/* ---- {heading} {} */\n", "-".repeat(86 - heading.len()));
        }
        let _ = writeln!(out, "{}\n", plain_names(item));
    }
    out
}

/// The name of the first exported function of a source file.
fn first_export(source: &str) -> Option<String> {
    // At the start of a line: the page in mod.rs shows one in a comment.
    let at = source.find("\n#[unsafe(no_mangle)]")?;
    let rest = &source[at..];
    let name = &rest[rest.find("fn ")? + 3..];
    Some(name[..name.find('(')?].to_owned())
}

/// The function that an item declares.
fn declared(item: &str) -> Option<&str> {
    let code = item.rsplit("*/").next()?;
    let name = &code[..code.find('(')?];
    name.rsplit([' ', '*', '\n']).next().filter(|name| name.starts_with("samsa_"))
}

/// `const struct samsa_x *` → `const samsa_x *`: each struct has its typedef.
fn plain_names(item: &str) -> String {
    let mut out = String::new();
    let item = one_line_comments(item);
    for line in item.lines() {
        let declares = line.starts_with("typedef struct") || line.starts_with(" *");
        let line = if declares { line.to_owned() } else { line.replace("struct samsa_", "samsa_") };
        let _ = writeln!(out, "{}", line.replace("ptrdiff_t", "intptr_t"));
    }
    out.truncate(out.trim_end().len());
    out
}

/// The comment of a field that is one sentence stands in one line.
fn one_line_comments(item: &str) -> String {
    let lines: Vec<_> = item.lines().collect();
    let mut out = String::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let sentence = lines.get(at + 1).and_then(|l| l.strip_prefix("   * "));
        match sentence {
            Some(text) if *line == "  /**" && lines.get(at + 2) == Some(&"   */") => {
                let _ = writeln!(out, "  /** {text} */");
                at += 3;
            }
            _ => {
                let _ = writeln!(out, "{line}");
                at += 1;
            }
        }
    }
    out
}

struct Constant<'a> {
    comment: &'a str,
    name: &'a str,
    value: &'a str,
}

impl<'a> Constant<'a> {
    fn parse(item: &'a str) -> Option<Self> {
        let at = item.find("#define SAMSA_")?;
        let mut words = item[at..].split_whitespace().skip(1);
        Some(Self { comment: item[..at].trim_end(), name: words.next()?, value: words.next()? })
    }

    /// Neighbours of one family share an enum: SAMSA_RECORD_…, …_PERSISTED, the two offsets.
    fn family(&self) -> &'a str {
        match self.name {
            "SAMSA_EARLIEST" => "LATEST",
            name if name.ends_with("_PERSISTED") => "PERSISTED",
            name => name.split('_').nth(1).unwrap_or_default(),
        }
    }

    fn write(&self, out: &mut String, constants: &mut Vec<(String, i64)>) {
        let lines: Vec<_> = self.comment.lines().collect();
        match lines.as_slice() {
            // One sentence stands in one line.
            ["/**", line, " */"] => {
                let _ = writeln!(out, "  /** {} */", line.trim_start_matches(" * "));
            }
            lines => lines.iter().for_each(|line| {
                let _ = writeln!(out, "  {line}");
            }),
        }
        let _ = writeln!(out, "  {} = {},", self.name, self.value);
        let number = self.value.trim_matches(['(', ')']).parse();
        let number = number.unwrap_or_else(|_| panic!("{} is not a plain number", self.name));
        assert!(i32::try_from(number).is_ok(), "{} does not fit an enumerator", self.name);
        constants.push((self.name.to_owned(), number));
    }
}

/// What cffi, cgo and Ruby's generators stumble over must not come in.
fn check_for_bindings(name: &str, text: &str) {
    for line in text.lines() {
        let bad = (line.contains('"') && line != "extern \"C\" {")
            || line.contains("__attribute__")
            || line.contains("static inline")
            || line.ends_with("...);")
            || (line.starts_with("#define") && !line.ends_with("_H"));
        assert!(!bad, "{name} would break a binding: {line}");
    }
}
