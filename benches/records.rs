//! Record batches: encoding, checksum, decoding, codecs. `make microbench` runs it.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use samsa::protocol::record::{
    BatchBuilder, BatchIter, Compression, Format, NewRecord, RawBatch, RecordSpan, SealedBatch,
};

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
    let mut criterion = Criterion::default().configure_from_args();
    plain(&mut criterion);
    codecs(&mut criterion);
    criterion.final_summary();
}

/// Without a codec; records of two bytes are nearly all varints.
fn plain(criterion: &mut Criterion) {
    for (name, size) in [("2 B", 2), ("100 B", 100), ("1 kB", 1000)] {
        let values = text(size);
        let batch = fill(&values, 16 * 1024, Compression::None);
        let mut group = criterion.benchmark_group(format!("batch of {name}"));
        group.throughput(Throughput::Elements(batch.count.into()));
        group.bench_function("append", |b| b.iter(|| append(&values, 16 * 1024).size()));
        group.bench_function("seal, CRC included", |b| {
            b.iter_batched(|| append(&values, 16 * 1024), seal, BatchSize::SmallInput);
        });
        let raw = raw(&batch);
        group.bench_function("CRC alone", |b| b.iter(|| raw.verify().is_ok()));
        let mut views = Vec::new();
        for crc in [false, true] {
            let what = if crc { "read to views, CRC checked" } else { "read to views" };
            group.bench_function(what, |b| b.iter(|| read(&batch, crc, &mut views)));
        }
        group.bench_function("decode to a Vec", |b| {
            b.iter(|| raw.clone().decode(false, usize::MAX).map_or(0, |batch| batch.records.len()));
        });
        group.finish();
    }
}

fn codecs(criterion: &mut Criterion) {
    let values = text(100);
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let batch = fill(&values, 64 * 1024, codec);
        let mut group = criterion.benchmark_group(format!("batch of 100 B, {codec}"));
        group.throughput(Throughput::Elements(batch.count.into()));
        group.bench_function("append and seal", |b| {
            b.iter(|| fill(&values, 64 * 1024, codec).bytes.len());
        });
        let mut views = Vec::new();
        group.bench_function("read to views", |b| b.iter(|| read(&batch, true, &mut views)));
        group.finish();
    }
}

/// Values that compress as text does: about 2.5 times by LZ4.
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

fn seal(batch: BatchBuilder) -> SealedBatch {
    let Ok(sealed) = batch.seal() else { unreachable!() };
    sealed
}

fn fill(values: &[Vec<u8>], size: usize, codec: Compression) -> SealedBatch {
    seal(open(values, size, codec))
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
