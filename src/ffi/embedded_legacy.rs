//! Brokers of Kafka 0.7 behind a `samsa_embedded`, and which of its functions they have.

use std::ffi::c_char;
use std::ptr;
use std::time::Instant;

use super::args::{self, Out};
use super::embedded::{EmbeddedHandle, refused, samsa_embedded};
use super::error::{c_string, samsa_error};
use super::guard::call;
use super::handle;
use super::samsa_code;
use crate::cluster::{partition_broker, partition_within};
use crate::embedded::legacy::{self, Options};
use crate::embedded::{Cluster, Fault, FaultId, FaultKind};
use crate::error::{Code, Error, Result};
use crate::protocol::legacy::RequestId;

/// How much of an answer is written before the connection closes in its middle: less than its header.
const HALF: usize = 5;

/// Starts brokers of Kafka 0.7 (1 to 100) with the ids 0, 1, ..., each with `partitions` partitions of
/// every topic. They register themselves in the ZooKeeper, `host:port,host:port/chroot`: a real one,
/// where the chroot must be there, or a samsa_embedded_zookeeper. Clients find them by
/// zookeeper.connect, by nothing else. A topic is made by writing to it.
///
/// Of the functions of samsa_embedded they have samsa_embedded_address (of the brokers themselves),
/// _stop_broker, _start_broker, _close_connections, _log_end, _wait_requests (Produce, Fetch,
/// MultiFetch, MultiProduce, Offsets), _free, and faults by request and broker: SAMSA_FAULT_ERROR_CODE
/// (of fetches), _DISCONNECT_BEFORE, _DISCONNECT_AFTER, _SILENCE, _CLOSE_MID_FRAME. The others give
/// SAMSA_ERR_UNSUPPORTED_FEATURE.
///
/// Who frees: the caller, `*embedded` by samsa_embedded_free, before the ZooKeeper. NULL: `zookeeper`
/// and `embedded` are required. Thread: any. Borrowed: the string is copied. On error: `*embedded` is
/// NULL; SAMSA_ERR_INVALID_ARGUMENT for another number, SAMSA_ERR_IO when no port can be had,
/// SAMSA_ERR_INVALID_PROPERTY, SAMSA_ERR_TIMED_OUT or SAMSA_ERR_ZOOKEEPER when they cannot register.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_start_legacy(
    brokers: i32,
    partitions: i32,
    zookeeper: *const c_char,
    embedded: *mut *mut samsa_embedded,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let embedded = Out::new(embedded, ptr::null_mut());
        call(err, || {
            let embedded = embedded.required("embedded")?;
            let zookeeper = Some(args::text("zookeeper", zookeeper)?.to_owned());
            let brokers = usize::try_from(brokers).unwrap_or(0);
            let options = Options { brokers, partitions, zookeeper, ..Options::default() };
            let cluster = legacy::Cluster::start(options)?;
            let address = (0..).map_while(|id| cluster.address(id).ok());
            let address: Vec<String> = address.map(|address| address.to_string()).collect();
            let address = c_string(&address.join(","));
            let handle = EmbeddedHandle { brokers: Brokers::Legacy(cluster), address };
            embedded.set(handle::give::<samsa_embedded>(handle));
            Ok(())
        })
    }
}

/// What a `samsa_embedded` is made of.
#[derive(Debug)]
pub enum Brokers {
    /// Of today, or of an earlier release since 0.8.
    Modern(Cluster),
    /// Of 0.7.
    Legacy(legacy::Cluster),
}

impl Brokers {
    /// The brokers, for what 0.7 does not have.
    pub(super) fn modern(&self) -> Result<&Cluster> {
        match self {
            Self::Modern(cluster) => Ok(cluster),
            Self::Legacy(_) => Err(unsupported("this")),
        }
    }

    /// The number of a kind of request.
    pub(super) fn api(&self, name: &str) -> Result<i16> {
        match self {
            Self::Modern(_) => super::embedded::api_key(name).map(i16::from),
            Self::Legacy(_) => request(name).map(|id| id as i16),
        }
    }

    pub(super) fn stop_broker(&self, broker: i32) -> Result<()> {
        match self {
            Self::Modern(cluster) => cluster.stop_broker(broker),
            Self::Legacy(cluster) => cluster.stop_broker(broker),
        }
    }

    pub(super) fn start_broker(&self, broker: i32) -> Result<()> {
        match self {
            Self::Modern(cluster) => cluster.start_broker(broker),
            Self::Legacy(cluster) => cluster.start_broker(broker),
        }
    }

    pub(super) fn close_connections(&self, broker: Option<i32>) -> Result<()> {
        match self {
            Self::Modern(cluster) => cluster.close_connections(broker),
            Self::Legacy(cluster) => cluster.close_connections(broker),
        }
    }

    pub(super) fn log_end(&self, topic: &str, partition: i64) -> Result<i64> {
        match self {
            Self::Modern(cluster) => {
                cluster.log_end_offset(topic, super::embedded::partition_number(partition)?)
            }
            Self::Legacy(cluster) => {
                cluster.log_end(partition_broker(partition), topic, partition_within(partition))
            }
        }
    }

    pub(super) fn wait_requests(&self, api: &str, n: u64, deadline: Option<Instant>) -> Result<()> {
        match self {
            Self::Modern(cluster) => {
                cluster.wait_requests(super::embedded::api_key(api)?, n, deadline)
            }
            Self::Legacy(cluster) => cluster.wait_all_requests(request(api)?, n, deadline),
        }
    }

    pub(super) fn inject(&self, fault: Fault) -> Result<FaultId> {
        match self {
            Self::Modern(cluster) => Ok(cluster.inject(fault)),
            Self::Legacy(cluster) => Ok(cluster.inject(translate(fault)?)),
        }
    }

    pub(super) fn injected(&self, fault: FaultId) -> u64 {
        match self {
            Self::Modern(cluster) => cluster.injected(fault),
            Self::Legacy(cluster) => cluster.injected(fault),
        }
    }

    pub(super) fn wait_injected(
        &self,
        fault: FaultId,
        n: u64,
        deadline: Option<Instant>,
    ) -> Result<()> {
        match self {
            Self::Modern(cluster) => cluster.wait_injected(fault, n, deadline),
            Self::Legacy(cluster) => cluster.wait_injected(fault, n, deadline),
        }
    }

    /// Takes back a fault (None: all).
    pub(super) fn withdraw(&self, fault: Option<FaultId>) {
        match (self, fault) {
            (Self::Modern(cluster), Some(fault)) => cluster.withdraw(fault),
            (Self::Modern(cluster), None) => cluster.withdraw_all(),
            (Self::Legacy(cluster), Some(fault)) => cluster.withdraw(fault),
            (Self::Legacy(cluster), None) => cluster.withdraw_all(),
        }
    }
}

/// A kind of request by its name.
fn request(name: &str) -> Result<RequestId> {
    let found = RequestId::ALL.into_iter().find(|id| format!("{id:?}") == name);
    found.ok_or_else(|| refused(format!("Kafka 0.7 has no request {name}; one is Produce")))
}

/// A fault in the words of 0.7.
fn translate(fault: Fault) -> Result<legacy::Fault> {
    let kind = match fault.kind {
        FaultKind::ErrorCode(code) => legacy::FaultKind::Code(code),
        FaultKind::DisconnectBefore => legacy::FaultKind::CloseBefore,
        FaultKind::DisconnectAfter => legacy::FaultKind::CloseAfter,
        FaultKind::Silence => legacy::FaultKind::Silence,
        FaultKind::CloseMidFrame => legacy::FaultKind::Cut(HALF),
        _ => return Err(unsupported("this kind of fault")),
    };
    if fault.topic.is_some() || fault.partition.is_some() || fault.applied || fault.leader.is_some()
    {
        return Err(unsupported("a fault of a topic, a partition or a leader"));
    }
    let request = fault.api.and_then(RequestId::from_number);
    let (broker, skip, times) = (fault.broker, fault.skip, fault.times);
    Ok(legacy::Fault { kind, request, broker, skip, times })
}

fn unsupported(what: &str) -> Error {
    Error::new(
        Code::UNSUPPORTED_FEATURE,
        format!("embedded brokers of Kafka 0.7 do not have {what}"),
    )
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;
    use crate::ffi::cluster::{samsa_cluster_free, samsa_cluster_is_legacy, samsa_cluster_open};
    use crate::ffi::config::{samsa_config_free, samsa_config_new, samsa_config_set};
    use crate::ffi::embedded::{
        samsa_embedded_address, samsa_embedded_create_topic, samsa_embedded_free,
        samsa_embedded_log_end, samsa_embedded_start_broker, samsa_embedded_stop_broker,
        samsa_embedded_wait_requests,
    };
    use crate::ffi::embedded_zookeeper::{
        samsa_embedded_zookeeper_address, samsa_embedded_zookeeper_expire_all,
        samsa_embedded_zookeeper_free, samsa_embedded_zookeeper_sessions,
        samsa_embedded_zookeeper_start,
    };

    #[test]
    fn brokers_of_0_7_and_their_zookeeper_start_and_stop_from_c() {
        let (mut zookeeper, mut embedded, mut err) =
            (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: live out-parameters, handles freed once.
        unsafe {
            assert_eq!(samsa_embedded_zookeeper_start(&raw mut zookeeper, &raw mut err), 0);
            let at = samsa_embedded_zookeeper_address(zookeeper);
            let code = samsa_embedded_start_legacy(2, 3, at, &raw mut embedded, &raw mut err);
            assert_eq!(code, 0);
            assert_eq!(samsa_embedded_zookeeper_sessions(zookeeper), 2);
            let address = CStr::from_ptr(samsa_embedded_address(embedded)).to_str().unwrap();
            assert_eq!(address.split(',').count(), 2);
            assert_eq!(samsa_embedded_stop_broker(embedded, 0, &raw mut err), 0);
            assert_eq!(samsa_embedded_zookeeper_sessions(zookeeper), 1);
            assert_eq!(samsa_embedded_start_broker(embedded, 0, &raw mut err), 0);
            let mut end = 9;
            let (topic, place) = (c"t".as_ptr(), 1 << 32 | 2);
            let code = samsa_embedded_log_end(embedded, topic, place, &raw mut end, &raw mut err);
            assert_eq!((code, end), (0, 0), "nothing was written");
            let code = samsa_embedded_create_topic(embedded, topic, 2, ptr::null_mut());
            assert_eq!(code, Code::UNSUPPORTED_FEATURE.0);
            let api = c"ListOffsets".as_ptr();
            let code = samsa_embedded_wait_requests(embedded, api, 1, 0, ptr::null_mut());
            assert_eq!(code, Code::INVALID_ARGUMENT.0);
            assert_eq!(samsa_embedded_zookeeper_expire_all(zookeeper), 2);
            samsa_embedded_free(embedded);
            samsa_embedded_zookeeper_free(zookeeper);
            samsa_embedded_zookeeper_free(ptr::null_mut());
        }
    }

    #[test]
    fn a_cluster_of_0_7_says_so_and_one_of_today_does_not() {
        let options = Options { brokers: 1, ..Options::default() };
        let server = crate::embedded::zookeeper::Server::start().unwrap();
        let address = Some(server.address());
        let _legacy = legacy::Cluster::start(Options { zookeeper: address, ..options }).unwrap();
        let today = Cluster::start(1).unwrap();
        for (name, value, is_legacy) in [
            (c"zookeeper.connect", server.address(), true),
            (c"bootstrap.servers", today.address(), false),
        ] {
            let value = c_string(&value);
            let (mut cluster, mut err) = (ptr::null_mut(), ptr::null_mut());
            // SAFETY: live out-parameters, handles freed once.
            unsafe {
                assert!(!samsa_cluster_is_legacy(ptr::null()));
                let config = samsa_config_new();
                let code = samsa_config_set(config, name.as_ptr(), value.as_ptr(), &raw mut err);
                assert_eq!(code, 0);
                let code = samsa_cluster_open(config, 30_000, &raw mut cluster, &raw mut err);
                assert_eq!((code, samsa_cluster_is_legacy(cluster)), (0, is_legacy));
                samsa_cluster_free(cluster);
                samsa_config_free(config);
            }
        }
    }

    #[test]
    fn faults_are_translated_as_far_as_0_7_has_them() {
        let fault = Fault { broker: Some(1), ..Fault::new(FaultKind::Silence) };
        let translated = translate(fault).unwrap();
        assert_eq!(translated, legacy::Fault::new(legacy::FaultKind::Silence).broker(1));
        assert!(translate(Fault::new(FaultKind::Garbage)).is_err());
        assert!(translate(Fault::new(FaultKind::Silence).topic("t")).is_err());
    }
}
