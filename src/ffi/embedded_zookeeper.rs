//! `samsa_embedded_zookeeper`: a ZooKeeper for C programs' own tests (`samsa_testing.h`).

use std::ffi::{CString, c_char};
use std::ptr;

use super::args::{self, Out};
use super::error::{c_string, samsa_error};
use super::guard::{call, free, guard, read};
use super::handle::{self, Opaque};
use super::samsa_code;
use crate::embedded::zookeeper::Server;

/// A ZooKeeper in this process, on a loopback port, in memory: sessions, ephemeral and sequential
/// nodes, versions and watches, without access lists. Any thread may use it.
#[derive(Debug)]
pub struct samsa_embedded_zookeeper {
    _private: [u8; 0],
}

/// What an embedded ZooKeeper's handle holds.
#[derive(Debug)]
pub struct ZooKeeperHandle {
    server: Server,
    address: CString,
}

impl Opaque for samsa_embedded_zookeeper {
    type Inner = ZooKeeperHandle;
    const NAME: &'static str = "samsa_embedded_zookeeper";
}

/// Starts a ZooKeeper without nodes.
///
/// Who frees: the caller, `*zookeeper` by samsa_embedded_zookeeper_free. NULL: `zookeeper` is required.
/// Thread: any. On error: `*zookeeper` is NULL; SAMSA_ERR_IO when no port can be had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_zookeeper_start(
    zookeeper: *mut *mut samsa_embedded_zookeeper,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        let zookeeper = Out::new(zookeeper, ptr::null_mut());
        call(err, || {
            let zookeeper = zookeeper.required("zookeeper")?;
            let server = Server::start()?;
            let address = c_string(&server.address());
            let handle = ZooKeeperHandle { server, address };
            zookeeper.set(handle::give::<samsa_embedded_zookeeper>(handle));
            Ok(())
        })
    }
}

/// What zookeeper.connect names it by: 127.0.0.1:port. NULL on a pointer that is no live
/// samsa_embedded_zookeeper.
///
/// Borrowed: valid until the handle is freed. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_zookeeper_address(
    zookeeper: *const samsa_embedded_zookeeper,
) -> *const c_char {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(zookeeper, ptr::null(), |z| z.address.as_ptr()) }
}

/// Makes a persistent node and its parents, as far as they are missing, or changes its data. `data` is
/// text; NULL stands for none.
///
/// NULL: `zookeeper` and `path` are required. Thread: any. Borrowed: the strings are copied. On error:
/// SAMSA_ERR_ZOOKEEPER for what is no path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_zookeeper_ensure(
    zookeeper: *mut samsa_embedded_zookeeper,
    path: *const c_char,
    data: *const c_char,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, zookeeper, |z| {
            let data = args::optional_text("data", data)?.unwrap_or_default();
            z.server.ensure(args::text("path", path)?, data.as_bytes())
        })
    }
}

/// How many sessions there are; 0 on a pointer that is no live samsa_embedded_zookeeper. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_zookeeper_sessions(
    zookeeper: *const samsa_embedded_zookeeper,
) -> usize {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(zookeeper, 0, |z| z.server.sessions().len()) }
}

/// Ends every session as if its time were over: ephemeral nodes go, connections are closed. Returns how
/// many there were; 0 on a pointer that is no live samsa_embedded_zookeeper. Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_zookeeper_expire_all(
    zookeeper: *const samsa_embedded_zookeeper,
) -> usize {
    // SAFETY: the caller keeps the header's rules.
    unsafe { read(zookeeper, 0, |z| z.server.expire_all()) }
}

/// Lets nothing pass any more between the ZooKeeper and anybody, without a word (1), or ends that (0).
/// Sessions that are not heard of end in time.
///
/// NULL: `zookeeper` is required. Thread: any. On error: none but that of a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_zookeeper_silence(
    zookeeper: *mut samsa_embedded_zookeeper,
    silent: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, zookeeper, |z| {
            match silent {
                0 => z.server.speak(None),
                _ => z.server.silence(None),
            }
            Ok(())
        })
    }
}

/// Stops the ZooKeeper (0) or starts it again on its port (1), with its nodes and sessions.
///
/// NULL: `zookeeper` is required. Thread: any. On error: SAMSA_ERR_IO if something else took the port.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_zookeeper_run(
    zookeeper: *mut samsa_embedded_zookeeper,
    running: i32,
    err: *mut *mut samsa_error,
) -> samsa_code {
    // SAFETY: the caller keeps the header's rules.
    unsafe {
        guard(err, zookeeper, |z| match running {
            0 => z.server.stop_server(0),
            _ => z.server.start_server(0),
        })
    }
}

/// Stops the ZooKeeper, closes every connection and frees the handle. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_embedded_zookeeper_free(zookeeper: *mut samsa_embedded_zookeeper) {
    // SAFETY: the caller keeps the header's rules.
    unsafe { free(zookeeper) }
}
