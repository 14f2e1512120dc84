//! Record formats against Kafka's own classes: what Java wrote is read as Java reads it, and what
//! we write Java reads. `tests/golden/GoldenRecords.java` is the other side; the lines printed here
//! and there are the same.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use samsa::protocol::record::{
    BatchBuilder, BatchIter, Compression, DecodedBatch, Format, Header, NewRecord, RawBatch,
    RecordSpan, SealedBatch, TimestampType, read_headers,
};

/// Above this many records only a checksum of their lines is printed.
const PRINTED: usize = 20;
const CAP: usize = 1 << 24;
const TIME: i64 = 1_700_000_000_000;

#[test]
fn what_java_3_9_2_wrote_is_read_as_java_reads_it() {
    read_golden(include_str!("golden/records-3.9.2.txt"));
}

#[test]
fn what_java_4_3_1_wrote_is_read_as_java_reads_it() {
    read_golden(include_str!("golden/records-4.3.1.txt"));
}

fn read_golden(golden: &str) {
    let mut cases = 0;
    for case in golden.split("case ").skip(1) {
        let (name, rest) = case.split_once('\n').expect("a name");
        let (bytes, expected) = rest.split_once('\n').expect("a line of bytes");
        let bytes = from_hex(bytes.strip_prefix("bytes ").expect("bytes"));
        assert_eq!(describe(&bytes), expected, "{name}");
        cases += 1;
    }
    assert!(cases > 60, "{cases} cases");
}

#[test]
fn uncompressed_batches_come_out_as_java_wrote_them_byte_for_byte() {
    let golden = include_str!("golden/records-4.3.1.txt");
    let mut compared = 0;
    for case in golden.split("case ").skip(1) {
        let (name, rest) = case.split_once('\n').expect("a name");
        let wanted = ["none-mixed", "none-times", "none-headers", "none-many"];
        if !wanted.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        let bytes = rest.lines().next().and_then(|line| line.strip_prefix("bytes "));
        let java = from_hex(bytes.expect("bytes"));
        assert_eq!(to_hex(&written_again(&java)), to_hex(&java), "{name}");
        compared += 1;
    }
    assert_eq!(compared, 9);
}

/// Decodes, encodes with our builder, and puts Java's offsets in.
fn written_again(java: &Bytes) -> Vec<u8> {
    let mut batches = BatchIter::new(java.clone()).map(|batch| batch.expect("a batch"));
    let batch = batches.next().expect("at least one");
    assert!(batches.next().is_none(), "one batch, or one run of messages");
    let (format, base_offset) = (batch.format, batch.base_offset);
    let mut builder = BatchBuilder::new(format, Compression::None, None, 0).expect("a builder");
    let batch = batch.decode(true, CAP).expect("records");
    for record in &batch.records {
        append(&mut builder, &batch, record);
    }
    let mut bytes = builder.seal().expect("sealed").bytes.to_vec();
    let mut at = 0;
    for offset in base_offset.. {
        let Some(head) = bytes.get_mut(at..at + 12) else { break };
        head[..8].copy_from_slice(&offset.to_be_bytes());
        at += 12 + u32::from_be_bytes(head[8..].try_into().expect("four bytes")) as usize;
    }
    bytes
}

fn append(builder: &mut BatchBuilder, batch: &DecodedBatch, record: &RecordSpan) {
    let raw = record.headers.of(&batch.buffer).expect("header bytes");
    let headers: Result<Vec<Header<'_>>, _> = read_headers(raw, record.headers_count).collect();
    let record = NewRecord {
        timestamp: record.timestamp,
        key: record.key.of(&batch.buffer),
        value: record.value.of(&batch.buffer),
        headers: &headers.expect("headers"),
    };
    builder.append(&record).expect("appended");
}

// ---- what we write, read by Java ----

struct Owned {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

#[test]
fn what_we_write_is_read_by_java() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut input = String::new();
    let mut expected = String::new();
    for (name, sealed, text) in ours() {
        writeln!(input, "{name} {}", to_hex(&sealed.bytes)).expect("to a string");
        write!(expected, "case {name}\n{text}").expect("to a string");
        assert_eq!(describe(&sealed.bytes), text, "{name} read by ourselves");
    }
    if !java_is_there(&golden) {
        return;
    }
    for version in ["3.9.2", "4.3.1"] {
        assert_eq!(verified_by_java(&golden, version, &input), expected, "kafka-clients {version}");
    }
}

/// Fetches the jars if they are missing. Without java or jars the test is skipped, but not in CI.
fn java_is_there(golden: &Path) -> bool {
    let jars = golden.join("../../target/kafka-clients/jars");
    // The last one that the script fetches.
    let fetched = || jars.join("zstd-jni-1.5.6-10.jar").exists();
    let java = Command::new("java").arg("-version").stderr(Stdio::null()).status();
    let java = java.is_ok_and(|status| status.success());
    if java && !fetched() {
        let script = golden.join("fetch-clients.sh");
        eprintln!("{}: {:?}", script.display(), Command::new(&script).status());
    }
    let there = java && fetched();
    assert!(there || std::env::var_os("CI").is_none(), "no java, or fetch-clients.sh failed");
    if !there {
        eprintln!("skipped: no java, or no jars (tests/golden/fetch-clients.sh brings them)");
    }
    there
}

fn verified_by_java(golden: &Path, version: &str, input: &str) -> String {
    let mut java = Command::new(golden.join("golden-records.sh"))
        .args([version, "verify"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the script starts");
    let mut stdin = java.stdin.take().expect("a pipe");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = java.wait_with_output().expect("the script ends");
    writer.join().expect("no panic").expect("java reads all lines");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("text")
}

/// Our batches: every format, codec and kind of record, with what Java must find in them.
fn ours() -> Vec<(String, SealedBatch, String)> {
    let mut cases = Vec::new();
    for format in [Format::V0, Format::V1, Format::V2] {
        for codec in Compression::ALL {
            if codec == Compression::Zstd && format != Format::V2 {
                continue;
            }
            for (kind, records) in kinds(format) {
                let sealed = seal(format, codec, &records);
                let text = text_of(format, codec, &records, &sealed);
                cases.push((format!("{format}-{codec}-{kind}"), sealed, text));
            }
        }
    }
    let records = &kinds(Format::V2)[0].1;
    let mut stamped = seal(Format::V2, Compression::Lz4, records);
    stamped.stamp(77, 3, 9, true);
    let text = text_of(Format::V2, Compression::Lz4, records, &stamped)
        .replace("producer=-1/-1/-1", "producer=77/3/9")
        .replace("transactional=false", "transactional=true");
    cases.push(("v2-stamped".to_owned(), stamped, text));
    cases
}

fn seal(format: Format, codec: Compression, records: &[Owned]) -> SealedBatch {
    let mut builder = BatchBuilder::new(format, codec, None, 64).expect("a builder");
    for record in records {
        let headers: Vec<_> = record
            .headers
            .iter()
            .map(|(name, value)| Header { name, value: value.as_deref() })
            .collect();
        let record = NewRecord {
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        };
        builder.append(&record).expect("appended");
    }
    builder.seal().expect("sealed")
}

fn kinds(format: Format) -> Vec<(&'static str, Vec<Owned>)> {
    let time = if format == Format::V0 { -1 } else { TIME };
    let record = |delta: i64, key: Option<&[u8]>, value: Option<&[u8]>| Owned {
        timestamp: if time < 0 { time } else { time + delta },
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        headers: Vec::new(),
    };
    let mixed = vec![
        record(0, Some(b"key"), Some(b"value")),
        record(-70_000, None, Some(b"no key")),
        record(3_000_000_000, Some(b"no value"), None),
        record(1, Some(b""), Some(b"")),
        record(-3_000_000_000, None, None),
        record(0, Some(b"\x00\xff\x7f\x80"), Some("ü€".as_bytes())),
    ];
    let line = |n: usize| format!("line {} of a text that can be compressed", n % 17).into_bytes();
    // Several xerial chunks and LZ4 blocks; and noise, which no codec makes smaller.
    let count = if format == Format::V2 { 2500 } else { 2000 };
    let many = (0..count).map(|n| record(n as i64, Some(&line(n)), Some(&line(n * 3)))).collect();
    let mut state = 1_u64;
    let mut noise = |length: usize| -> Vec<u8> {
        (0..length)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect()
    };
    let noisy = vec![record(0, None, Some(&noise(150_000))), record(0, None, Some(&noise(10)))];
    let mut kinds = vec![("mixed", mixed), ("many", many), ("noise", noisy)];
    if format == Format::V2 {
        let mut headers = record(0, Some(b"k"), Some(b"v"));
        headers.headers = [("a", Some("1")), ("a", Some("2")), ("b", None), ("", Some(""))]
            .map(|(name, value)| (name.into(), value.map(|value| value.as_bytes().to_vec())))
            .to_vec();
        kinds.push(("headers", vec![headers, record(0, None, None)]));
    }
    kinds
}

/// What Java must print, made from the records and not from our own decoder.
fn text_of(format: Format, codec: Compression, records: &[Owned], sealed: &SealedBatch) -> String {
    let batch_line = |last: i64, max: i64| {
        let kind = if format == Format::V0 { "none" } else { "create" };
        format!(
            "batch {format} codec={codec} last={last} next={} epoch=-1 producer=-1/-1/-1 \
             time={kind}/{max} horizon=- transactional=false control=false\n",
            last + 1
        )
    };
    let lines: Vec<String> = records
        .iter()
        .enumerate()
        .map(|(offset, record)| {
            let mut line = format!("record {offset} {} ", record.timestamp);
            line += if format == Format::V0 { "none" } else { "create" };
            write!(line, " {} {}", hex(record.key.as_deref()), hex(record.value.as_deref()))
                .expect("to a string");
            for (name, value) in &record.headers {
                write!(line, " {}={}", hex(Some(name)), hex(value.as_deref())).expect("a string");
            }
            line + "\n"
        })
        .collect();
    if format != Format::V2 && codec == Compression::None {
        let each = records.iter().zip(&lines).enumerate();
        return each.map(|(n, (r, line))| batch_line(n as i64, r.timestamp) + line).collect();
    }
    let max = if format == Format::V0 { -1 } else { sealed.max_timestamp };
    batch_line(records.len() as i64 - 1, max) + &printed(&lines)
}

// ---- what is in some bytes, as GoldenRecords.java prints it ----

fn describe(bytes: &Bytes) -> String {
    let mut out = String::new();
    for batch in BatchIter::new(bytes.clone()) {
        let batch = batch.expect("a batch");
        let decoded = batch.clone().decode(true, CAP).expect("records");
        let lines: Vec<_> =
            decoded.records.iter().map(|record| record_line(&decoded, record)).collect();
        let codec = batch.compression().expect("a known codec");
        if batch.format == Format::V2 || codec != Compression::None {
            out += &(batch_line(&batch) + &printed(&lines));
            continue;
        }
        // To Java each plain message is a batch.
        for (record, line) in decoded.records.iter().zip(lines) {
            let (last_offset, max_timestamp) = (record.offset, record.timestamp);
            out += &batch_line(&RawBatch { last_offset, max_timestamp, ..batch.clone() });
            out += &line;
        }
    }
    out
}

fn batch_line(batch: &RawBatch) -> String {
    let horizon = batch.delete_horizon().map_or("-".to_owned(), |horizon| horizon.to_string());
    format!(
        "batch {} codec={} last={} next={} epoch={} producer={}/{}/{} time={}/{} horizon={horizon} \
         transactional={} control={}\n",
        batch.format,
        batch.compression().expect("a known codec"),
        batch.last_offset,
        batch.next_offset(),
        batch.partition_leader_epoch,
        batch.producer_id,
        batch.producer_epoch,
        batch.base_sequence,
        kind(batch.timestamp_type()),
        batch.max_timestamp,
        batch.is_transactional(),
        batch.is_control(),
    )
}

fn record_line(batch: &DecodedBatch, record: &RecordSpan) -> String {
    let bytes = |span: samsa::protocol::record::Span| hex(span.of(&batch.buffer));
    let mut line = format!("record {} {} ", record.offset, record.timestamp);
    line += kind(record.timestamp_type);
    write!(line, " {} {}", bytes(record.key), bytes(record.value)).expect("to a string");
    let raw = record.headers.of(&batch.buffer).expect("header bytes");
    for header in read_headers(raw, record.headers_count) {
        let header = header.expect("a header");
        write!(line, " {}={}", hex(Some(header.name)), hex(header.value)).expect("to a string");
    }
    line + "\n"
}

fn printed(lines: &[String]) -> String {
    if lines.len() <= PRINTED {
        return lines.concat();
    }
    let crc = crc32fast::hash(lines.concat().as_bytes());
    format!("records {} crc32={crc:08x}\n", lines.len())
}

fn kind(kind: TimestampType) -> &'static str {
    match kind {
        TimestampType::None => "none",
        TimestampType::CreateTime => "create",
        TimestampType::LogAppendTime => "append",
    }
}

fn hex(bytes: Option<&[u8]>) -> String {
    bytes.map_or("-".to_owned(), |bytes| format!("x{}", to_hex(bytes)))
}

fn to_hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(out, "{byte:02x}").expect("to a string");
    }
    out
}

fn from_hex(text: &str) -> Bytes {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex digits");
    (0..text.len()).step_by(2).map(digit).collect()
}
