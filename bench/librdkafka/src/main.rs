//! librdkafka's side of the bench: the same work as `bench/samsa.c`, by its fastest calls.
//!
//! `bench-librdkafka produce|consume BOOTSTRAP TOPIC COUNT SIZE` prints one JSON object.

use std::ffi::{CStr, CString, c_void};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rdkafka_sys::bindings::*;
use rdkafka_sys::types::*;

static DELIVERED: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);

/// Properties that make the comparison fair: outcomes for every message, checksums verified, and
/// no pause when the queue was full (librdkafka's default stalls a fast reader for a second).
const COMMON: &[(&str, &str)] = &[("log_level", "3")];
const PRODUCER: &[(&str, &str)] =
    &[("linger.ms", "5"), ("acks", "all"), ("queue.buffering.max.messages", "100000")];
const CONSUMER: &[(&str, &str)] = &[
    ("group.id", "bench"),
    ("enable.auto.commit", "false"),
    ("check.crcs", "true"),
    ("fetch.queue.backoff.ms", "10"),
];

unsafe extern "C" fn delivered(
    _: *mut rd_kafka_t,
    message: *const rd_kafka_message_t,
    _: *mut c_void,
) {
    // SAFETY: librdkafka hands out a valid message for the length of the call.
    let failed = unsafe { (*message).err } != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
    (if failed { &FAILED } else { &DELIVERED }).fetch_add(1, Ordering::Relaxed);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, bootstrap, topic, count, size] = &arguments[..] else {
        eprintln!("usage: bench-librdkafka produce|consume BOOTSTRAP TOPIC COUNT SIZE");
        std::process::exit(2);
    };
    let (count, size) = (count.parse().expect("a count"), size.parse().expect("a size"));
    let client = Client::new(what == "produce", bootstrap);
    let topic = CString::new(topic.as_str()).expect("a topic name");
    let (cpu, wall) = match what.as_str() {
        "produce" => client.produce(&topic, count, size),
        _ => client.consume(&topic, count),
    };
    // SAFETY: a static string of the library.
    let version = unsafe { CStr::from_ptr(rd_kafka_version_str()) }.to_string_lossy();
    let (per_message, per_second) = (cpu * 1e9 / count as f64, count as f64 / wall);
    println!(
        "{{\"client\":\"librdkafka\",\"version\":\"{version}\",\"broker\":\"embedded\",\
         \"case\":\"{what} {size} B\",\"cpu_ns\":{per_message:.1},\"per_second\":{per_second:.0}}}"
    );
}

struct Client(*mut rd_kafka_t);

impl Client {
    fn new(producer: bool, bootstrap: &str) -> Client {
        let (kind, own) = if producer {
            (rd_kafka_type_t::RD_KAFKA_PRODUCER, PRODUCER)
        } else {
            (rd_kafka_type_t::RD_KAFKA_CONSUMER, CONSUMER)
        };
        // SAFETY: the configuration is given to rd_kafka_new, which owns it on success.
        unsafe {
            let config = rd_kafka_conf_new();
            for (name, value) in COMMON.iter().chain(own).chain(&[("bootstrap.servers", bootstrap)])
            {
                set(config, name, value);
            }
            if producer {
                rd_kafka_conf_set_dr_msg_cb(config, Some(delivered));
            }
            let mut text = [0; 512];
            let handle = rd_kafka_new(kind, config, text.as_mut_ptr(), text.len());
            assert!(!handle.is_null(), "{:?}", CStr::from_ptr(text.as_ptr()));
            Client(handle)
        }
    }

    fn produce(&self, topic: &CStr, count: u64, size: usize) -> (f64, f64) {
        // SAFETY: handles live for the whole function; the payload is copied by the call.
        unsafe {
            let topic = rd_kafka_topic_new(self.0, topic.as_ptr(), null_mut());
            let mut metadata = null();
            rd_kafka_metadata(self.0, 0, topic, &mut metadata, 10_000);
            let ring = payloads(size);
            let start = (cpu_seconds(), Instant::now());
            for i in 0..count {
                let payload = ring[i as usize % ring.len()].as_ptr().cast_mut().cast();
                while rd_kafka_produce(
                    topic,
                    -1,
                    RD_KAFKA_MSG_F_COPY as i32,
                    payload,
                    size,
                    null(),
                    0,
                    null_mut(),
                ) != 0
                {
                    rd_kafka_poll(self.0, 1);
                }
                if i % 1024 == 0 {
                    rd_kafka_poll(self.0, 0);
                }
            }
            rd_kafka_flush(self.0, 60_000);
            let spent = (cpu_seconds() - start.0, start.1.elapsed().as_secs_f64());
            assert_eq!(
                (DELIVERED.load(Ordering::Relaxed), FAILED.load(Ordering::Relaxed)),
                (count, 0)
            );
            rd_kafka_metadata_destroy(metadata);
            rd_kafka_topic_destroy(topic);
            rd_kafka_destroy(self.0);
            spent
        }
    }

    fn consume(&self, topic: &CStr, count: u64) -> (f64, f64) {
        // SAFETY: every message and list is freed once, the queue before the handle.
        unsafe {
            rd_kafka_poll_set_consumer(self.0);
            let mut metadata = null();
            let handle = rd_kafka_topic_new(self.0, topic.as_ptr(), null_mut());
            rd_kafka_metadata(self.0, 0, handle, &mut metadata, 10_000);
            let list = rd_kafka_topic_partition_list_new(16);
            for partition in 0..(*(*metadata).topics).partition_cnt {
                let entry = rd_kafka_topic_partition_list_add(list, topic.as_ptr(), partition);
                (*entry).offset = i64::from(RD_KAFKA_OFFSET_BEGINNING);
            }
            rd_kafka_assign(self.0, list);
            let queue = rd_kafka_queue_get_consumer(self.0);
            let mut messages = vec![null_mut(); 1000];
            let (mut seen, mut start) = (0, (cpu_seconds(), Instant::now()));
            while seen < count {
                let got = rd_kafka_consume_batch_queue(queue, 1000, messages.as_mut_ptr(), 1000);
                if seen == 0 {
                    start = (cpu_seconds(), Instant::now());
                }
                for &message in &messages[..usize::try_from(got).unwrap_or(0)] {
                    rd_kafka_message_destroy(message);
                }
                seen += u64::try_from(got).unwrap_or(0);
            }
            let spent = (cpu_seconds() - start.0, start.1.elapsed().as_secs_f64());
            rd_kafka_topic_partition_list_destroy(list);
            rd_kafka_metadata_destroy(metadata);
            rd_kafka_topic_destroy(handle);
            rd_kafka_queue_destroy(queue);
            rd_kafka_consumer_close(self.0);
            rd_kafka_destroy(self.0);
            spent
        }
    }
}

/// Text-like payloads that are not all the same.
fn payloads(size: usize) -> Vec<Vec<u8>> {
    (0..1024_usize)
        .map(|i| {
            (0..size).map(|j| b'a' + u8::try_from((i * 31 + j * 7) % 26).unwrap_or(0)).collect()
        })
        .collect()
}

/// # Safety
/// `config` is a live configuration.
unsafe fn set(config: *mut rd_kafka_conf_t, name: &str, value: &str) {
    let (name, value) =
        (CString::new(name).expect("a name"), CString::new(value).expect("a value"));
    let mut text = [0; 512];
    // SAFETY: all pointers live for the length of the call.
    let result = unsafe {
        rd_kafka_conf_set(config, name.as_ptr(), value.as_ptr(), text.as_mut_ptr(), text.len())
    };
    assert_eq!(result, rd_kafka_conf_res_t::RD_KAFKA_CONF_OK, "{name:?}");
}

/// User and system time of the whole process.
fn cpu_seconds() -> f64 {
    // SAFETY: getrusage fills the struct.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
