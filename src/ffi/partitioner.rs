//! A partitioner of the application.

use std::ffi::{c_char, c_void};
use std::ptr;

use super::callback::Registered;
use super::config::{samsa_config, samsa_release_callback};
use super::error::samsa_error;
use super::guard::guard;
use super::samsa_code;
use crate::producer::{CustomPartitioner, Record};

/// Chooses the partition of a record that names none: a number below `partitions`, or -1 to leave the
/// choice to the property partitioner. Another number refuses the record. On Kafka 0.7 it is a place in the
/// list that samsa_topic_partitions gives, in order of broker and number.
///
/// Runs on the sending thread, on several at once if several send; it must return and may call
/// nothing of the library. The name is pointer and length, not NUL-terminated; key and value are NULL
/// where there is none. All is borrowed until it returns.
pub type samsa_partitioner_callback = Option<
    unsafe extern "C" fn(
        topic: *const c_char,
        topic_length: usize,
        key: *const c_void,
        key_length: usize,
        value: *const c_void,
        value_length: usize,
        partitions: i64,
        user: *mut c_void,
    ) -> i64,
>;

/// Has a callback choose partitions, for producers that are made with this configuration, and for
/// samsa_topic_publish of a cluster that is opened with it. call NULL takes the callback back.
///
/// Who frees: release(user), if not NULL, is called once after the last use; when this call fails, it
/// is not called. NULL: config is required. Thread: any. Borrowed: nothing. On error: nothing is
/// changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_config_set_partitioner_callback(
    config: *mut samsa_config,
    call: samsa_partitioner_callback,
    user: *mut c_void,
    release: samsa_release_callback,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, config, |config| {
            config.edit(|config| {
                let set = Registered::new(call, user, release);
                let choose = move |record: &Record<'_>, partitions| ask(&set, record, partitions);
                config.attach(CustomPartitioner::new(choose).into());
            })
        })
    }
}

fn ask(
    set: &Registered<samsa_partitioner_callback>,
    record: &Record<'_>,
    partitions: u32,
) -> Option<i64> {
    let call = set.call?;
    let bytes = |bytes: Option<&[u8]>| match bytes {
        Some(bytes) => (bytes.as_ptr().cast::<c_void>(), bytes.len()),
        None => (ptr::null(), 0),
    };
    let topic = record.topic.name();
    let (key, key_length) = bytes(record.key);
    let (value, value_length) = bytes(record.value);
    // SAFETY: the application's function, with the pointer it gave; what it is lent lives meanwhile.
    let chosen = unsafe {
        call(
            topic.as_ptr().cast(),
            topic.len(),
            key,
            key_length,
            value,
            value_length,
            i64::from(partitions),
            set.user(),
        )
    };
    (chosen != -1).then_some(chosen)
}
