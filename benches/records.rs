//! Nanoseconds per record of the two hot paths: appending to a batch and reading one.
//!
//! `cargo bench --bench records`. Each figure is the best of several rounds by the wall clock:
//! compare it with the CRC's, which other load slows down alike.

use std::hint::black_box;
use std::time::{Duration, Instant};

use samsa::protocol::record::{
    BatchBuilder, BatchIter, Compression, Format, NewRecord, RawBatch, RecordSpan, SealedBatch,
};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(150);

/// The 80 bytes that the C API gives out for each message.
#[derive(Clone, Copy)]
#[repr(C)]
struct View {
    offset: i64,
    next_offset: i64,
    timestamp: i64,
    key: usize,
    value: usize,
    headers: usize,
    lengths: [u32; 4],
    run: u32,
    flags: u32,
    reserved: [u32; 2],
}

fn main() {
    if std::env::args().any(|arg| arg == "--read") {
        return read_only();
    }
    println!("{:38} {:>10} {:>10}", "", "ns/record", "GB/s");
    for (name, size) in [("100 B", 100), ("1 kB", 1000)] {
        let value = text(size);
        let batch = fill(&value, 16 * 1024, Compression::None);
        report(&format!("append, {name}, 16 kB batches"), batch.count, batch.bytes.len(), || {
            append(&value, 16 * 1024).size()
        });
        report(
            &format!("append + seal (CRC), {name}, 16 kB"),
            batch.count,
            batch.bytes.len(),
            || fill(&value, 16 * 1024, Compression::None).bytes.len(),
        );
        let big = fill(&value, 1024 * 1024, Compression::None);
        report(&format!("append + seal (CRC), {name}, 1 MB"), big.count, big.bytes.len(), || {
            fill(&value, 1024 * 1024, Compression::None).bytes.len()
        });
        let raw = raw(&batch);
        report(&format!("CRC alone, {name}, 16 kB"), batch.count, batch.bytes.len(), || {
            raw.verify().is_ok().into()
        });
        let mut views = Vec::new();
        report(&format!("read to views, {name}, 16 kB"), batch.count, batch.bytes.len(), || {
            read(&batch, false, &mut views)
        });
        report(
            &format!("read to views + CRC, {name}, 16 kB"),
            batch.count,
            batch.bytes.len(),
            || read(&batch, true, &mut views),
        );
        report(&format!("decode to a Vec, {name}, 16 kB"), batch.count, batch.bytes.len(), || {
            raw.clone().decode(false, usize::MAX).map_or(0, |batch| batch.records.len())
        });
    }
    codecs();
}

fn codecs() {
    let lines = text(100);
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let plain = fill(&lines, 64 * 1024, Compression::None);
        let batch = fill(&lines, 64 * 1024, codec);
        report(
            &format!("append + seal {codec}, 100 B, 64 kB"),
            batch.count,
            plain.bytes.len(),
            || fill(&lines, 64 * 1024, codec).bytes.len(),
        );
        let mut views = Vec::new();
        report(
            &format!("read {codec} to views, 100 B, 64 kB"),
            batch.count,
            plain.bytes.len(),
            || read(&batch, true, &mut views),
        );
    }
}

/// A value that compresses as text does: about 2.5 times by LZ4.
fn text(size: usize) -> Vec<Vec<u8>> {
    let mut state = 1_u64;
    (0..997)
        .map(|index| {
            let mut line =
                format!("{{\"id\":{index},\"name\":\"user-{}\",\"tags\":[", index * 7919);
            while line.len() < size {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let word = ["alpha", "beta", "gamma", "delta"][(state >> 33) as usize % 4];
                line += &format!("\"{word}-{:x}\",", (state >> 40) % 4096);
            }
            line.truncate(size);
            line.into_bytes()
        })
        .collect()
}

// Not inlined: the front door calls it once per record too.
#[inline(never)]
fn append_one(batch: &mut BatchBuilder, timestamp: i64, value: &[u8]) -> bool {
    let record = NewRecord { timestamp, key: None, value: Some(value), headers: &() };
    batch.append(&record).is_ok()
}

fn append(values: &[Vec<u8>], size: usize) -> BatchBuilder {
    open(values, size, Compression::None)
}

fn open(values: &[Vec<u8>], size: usize, codec: Compression) -> BatchBuilder {
    let Ok(mut batch) = BatchBuilder::new(Format::V2, codec, None, 512) else { unreachable!() };
    for (index, value) in values.iter().cycle().enumerate() {
        if batch.size() + value.len() + 24 > size {
            break;
        }
        assert!(append_one(&mut batch, 1_700_000_000_000 + index as i64 / 100, value));
    }
    batch
}

fn fill(values: &[Vec<u8>], size: usize, codec: Compression) -> SealedBatch {
    let Ok(sealed) = open(values, size, codec).seal() else { unreachable!() };
    sealed
}

fn raw(batch: &SealedBatch) -> RawBatch {
    let Some(Ok(raw)) = BatchIter::new(batch.bytes.clone()).next() else { unreachable!() };
    raw
}

#[inline(never)]
fn read(batch: &SealedBatch, crc: bool, views: &mut Vec<View>) -> usize {
    views.clear();
    for raw in BatchIter::new(batch.bytes.clone()) {
        let Ok(mut records) = raw.and_then(|raw| raw.open(crc, usize::MAX)) else { unreachable!() };
        let base = records.buffer().as_ptr() as usize;
        views.reserve(records.remaining() as usize);
        let read = records.visit(u32::MAX, &mut |record| views.push(view(base, &record)));
        assert!(read.is_ok());
    }
    black_box(&views);
    views.len()
}

fn view(base: usize, record: &RecordSpan) -> View {
    View {
        offset: record.offset,
        next_offset: record.offset + 1,
        timestamp: record.timestamp,
        key: if record.key.is_null() { 0 } else { base + record.key.start as usize },
        value: if record.value.is_null() { 0 } else { base + record.value.start as usize },
        headers: base + record.headers.start as usize,
        lengths: [record.key.len, record.value.len, record.headers.len, record.headers_count],
        run: 0,
        flags: 0,
        reserved: [0; 2],
    }
}

fn report(name: &str, records: u32, bytes: usize, mut body: impl FnMut() -> usize) {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let (begin, mut turns) = (Instant::now(), 0_u32);
        while begin.elapsed() < ROUND {
            for _ in 0..16 {
                black_box(body());
            }
            turns += 16;
        }
        let each = begin.elapsed().as_secs_f64() / f64::from(turns);
        best = best.min(each);
    }
    let (ns, rate) = (best * 1e9 / f64::from(records), bytes as f64 / best / 1e9);
    println!("{name:38} {ns:>10.2} {rate:>10.2}");
}

/// For a profiler: nothing but the read path.
fn read_only() {
    let batch = fill(&text(100), 16 * 1024, Compression::None);
    let mut views = Vec::new();
    report("read to views, 100 B, 16 kB", batch.count, batch.bytes.len(), || {
        read(&batch, false, &mut views)
    });
}
