//! Topics made and deleted.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::mem::offset_of;

use super::args;
use super::cluster::samsa_cluster;
use super::error::samsa_error;
use super::guard::guard;
use super::samsa_code;
use crate::cluster::NewTopic;
use crate::error::{Code, Error, Result};
use crate::runtime::deadline;

/// A name and a value, 16 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct samsa_property {
    /// NUL-terminated UTF-8.
    pub name: *const c_char,
    /// NUL-terminated UTF-8.
    pub value: *const c_char,
}

/// `samsa_new_topic.flags`: the brokers only check, nothing is made.
pub const SAMSA_NEW_TOPIC_VALIDATE: u32 = 1;

/// A topic to be made. All zero but struct_size and name: as the brokers have it by default.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct samsa_new_topic {
    /// sizeof(samsa_new_topic).
    pub struct_size: usize,
    /// The name.
    pub name: *const c_char,
    /// Its configuration by Kafka's names, such as retention.ms; NULL for none.
    pub properties: *const samsa_property,
    /// How many properties.
    pub properties_count: usize,
    /// How many partitions; 0 leaves it to the brokers, which those below 2.4 refuse.
    pub partitions: i32,
    /// How many replicas of each; 0 leaves it to the brokers, which those below 2.4 refuse.
    pub replication_factor: i32,
    /// SAMSA_NEW_TOPIC_VALIDATE.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<samsa_property>() == 16);
    assert!(size_of::<samsa_new_topic>() == 48);
    assert!(offset_of!(samsa_new_topic, name) == 8);
    assert!(offset_of!(samsa_new_topic, properties) == 16);
    assert!(offset_of!(samsa_new_topic, properties_count) == 24);
    assert!(offset_of!(samsa_new_topic, partitions) == 32);
    assert!(offset_of!(samsa_new_topic, replication_factor) == 36);
    assert!(offset_of!(samsa_new_topic, flags) == 40);
};

/// # Safety
/// The pointers of `topic` are NULL or as the header says.
unsafe fn read_new_topic(topic: &samsa_new_topic) -> Result<NewTopic> {
    let refuse = |why: String| Err(Error::new(Code::INVALID_ARGUMENT, why));
    if topic.partitions < 0 || topic.replication_factor < 0 {
        return refuse(format!(
            "topic.partitions is {} and topic.replication_factor {}: less than 0",
            topic.partitions, topic.replication_factor
        ));
    }
    if topic.flags & !SAMSA_NEW_TOPIC_VALIDATE != 0 {
        return refuse(format!("topic.flags has unknown bits: {:#x}", topic.flags));
    }
    let unset = |number: i32| (number > 0).then_some(number);
    let mut config = BTreeMap::new();
    // SAFETY: by the contract of this function.
    let name = unsafe {
        for property in args::array("topic.properties", topic.properties, topic.properties_count)? {
            let name = args::text("the name of a property", property.name)?;
            let value = args::text("the value of a property", property.value)?;
            config.insert(name.to_owned(), value.to_owned());
        }
        args::text("topic.name", topic.name)?
    };
    Ok(NewTopic {
        name: name.to_owned(),
        partitions: unset(topic.partitions),
        replication_factor: unset(topic.replication_factor),
        config,
        validate_only: topic.flags & SAMSA_NEW_TOPIC_VALIDATE != 0,
    })
}

/// Makes a topic and waits until the controller says that it is made. Brokers below 0.10.1 have no call
/// for it: there a topic that is given nothing but its name is asked for, which makes it with the brokers'
/// own defaults if allow.auto.create.topics is true here and auto.create.topics.enable there.
///
/// NULL: cluster, topic and its name are required. Thread: any. Borrowed: everything is copied. On
/// error: SAMSA_ERR_TOPIC_ALREADY_EXISTS, SAMSA_ERR_INVALID_PARTITIONS and other errors of the
/// broker; SAMSA_ERR_UNSUPPORTED_FEATURE by brokers that are too old for what is asked, and Kafka 0.7;
/// SAMSA_ERR_TIMED_OUT. Condition: SAMSA_WOKEN. After these two the topic may be made all the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_cluster_create_topic(
    cluster: *mut samsa_cluster,
    topic: *const samsa_new_topic,
    timeout_ms: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, cluster, |handle| {
            let deadline = deadline(timeout_ms)?;
            let topic = read_new_topic(&args::sized("topic", topic)?)?;
            handle.cluster.create_topic(&topic, deadline)
        })
    }
}

/// Deletes a topic with all that it holds and waits until the controller says that it is deleted.
///
/// NULL: cluster and name are required. Thread: any. On error: SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION and
/// other errors of the broker; SAMSA_ERR_UNSUPPORTED_FEATURE by brokers below 0.10.1;
/// SAMSA_ERR_TIMED_OUT. Condition: SAMSA_WOKEN. After these two it may be deleted all the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_cluster_delete_topic(
    cluster: *mut samsa_cluster,
    name: *const c_char,
    timeout_ms: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, cluster, |handle| {
            let deadline = deadline(timeout_ms)?;
            let name = args::text("name", name)?;
            handle.cluster.delete_topic(name, deadline)
        })
    }
}
