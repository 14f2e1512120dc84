//! What a number means, without an object; the library's version; strings that the caller owns.

use std::ffi::{CString, c_char};

use super::guard::plain;
use super::samsa_code;
use crate::cluster::{ANY_OF_BROKER, partition_broker, partition_number, partition_within};
use crate::error::Code;

/// The name of a code as C spells it, such as SAMSA_ERR_TIMED_OUT; SAMSA_ERR_UNKNOWN for a number that
/// this version does not know. Never NULL.
///
/// Borrowed: static, never freed. Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn samsa_code_name(code: samsa_code) -> *const c_char {
    let unknown = c"SAMSA_ERR_UNKNOWN".as_ptr();
    plain(unknown, || Code(code).info().map_or(unknown, |found| found.c_name.as_ptr()))
}

/// One sentence on a code, in English. Never NULL.
///
/// Borrowed: static, never freed. Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn samsa_code_text(code: samsa_code) -> *const c_char {
    let unknown = c"An error that this version of the library does not know".as_ptr();
    plain(unknown, || Code(code).info().map_or(unknown, |found| found.c_text.as_ptr()))
}

/// Whether a code is an error: neither 0 nor a condition (-100 to -109). True for unknown numbers.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn samsa_code_is_error(code: samsa_code) -> bool {
    plain(true, || Code(code).is_error() && !Code(code).is_condition())
}

/// The version of the library, such as 1.2.3. Never NULL.
///
/// Borrowed: static, never freed. Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn samsa_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The version of the library as a number that grows: major * 1000000 + minor * 1000 + patch.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn samsa_version_number() -> u32 {
    plain(0, || {
        let part = |text: &str| text.parse::<u32>().unwrap_or(0);
        part(env!("CARGO_PKG_VERSION_MAJOR")) * 1_000_000
            + part(env!("CARGO_PKG_VERSION_MINOR")) * 1_000
            + part(env!("CARGO_PKG_VERSION_PATCH"))
    })
}

/// Frees a string that the library gave to the caller. NULL is fine; borrowed strings are not passed
/// here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_string_free(string: *mut c_char) {
    if !string.is_null() {
        // SAFETY: owned strings all come from CString::into_raw, and the caller gives each back once.
        drop(unsafe { CString::from_raw(string) });
    }
}

/// The number by which a partition of Kafka 0.7, which is a broker and a number there, stands in this
/// API: `broker << 32 | number`. A negative number leaves the choice to that broker, which makes sense
/// for publishing alone. -1 for a negative broker.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn samsa_partition_of(broker: i32, number: i32) -> i64 {
    if broker < 0 { -1 } else { partition_number(broker, number.max(ANY_OF_BROKER)) }
}

/// The broker of a partition of Kafka 0.7; 0 for partitions of later versions, -1 for -1.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn samsa_partition_broker(partition: i64) -> i32 {
    if partition < 0 { -1 } else { partition_broker(partition) }
}

/// The number of a partition within its broker on Kafka 0.7; the partition itself on later versions;
/// -1 for -1, and where the choice is left to the broker.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn samsa_partition_number(partition: i64) -> i32 {
    if partition < 0 { -1 } else { partition_within(partition) }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    fn name(code: Code) -> &'static str {
        // SAFETY: static strings.
        unsafe { CStr::from_ptr(samsa_code_name(code.0)) }.to_str().unwrap()
    }

    #[test]
    fn names_are_those_of_the_header() {
        assert_eq!(name(Code::NONE), "SAMSA_OK");
        assert_eq!(name(Code::WOULD_BLOCK), "SAMSA_WOULD_BLOCK");
        assert_eq!(name(Code::TIMED_OUT), "SAMSA_ERR_TIMED_OUT");
        assert_eq!(name(Code::REQUEST_TIMED_OUT), "SAMSA_ERR_REQUEST_TIMED_OUT");
        assert_eq!(name(Code(31_999)), "SAMSA_ERR_UNKNOWN");
    }

    #[test]
    fn texts_and_version_are_those_of_rust() {
        // SAFETY: static strings.
        let text = |string| unsafe { CStr::from_ptr(string) }.to_str().unwrap();
        for info in Code::ALL {
            assert_eq!(text(samsa_code_text(info.code.0)), info.text);
            assert!(name(info.code).ends_with(if info.code.0 == 0 { "OK" } else { info.name }));
        }
        assert_eq!(text(samsa_version()), env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn success_and_conditions_are_no_errors_and_all_else_is() {
        for code in [0, -100, -101, -102, -103, -109] {
            assert!(!samsa_code_is_error(code), "{code}");
        }
        for code in [1, 7, -1, -110, -137, 31_999, i32::MIN, i32::MAX] {
            assert!(samsa_code_is_error(code), "{code}");
        }
    }

    #[test]
    fn a_partition_of_0_7_is_broker_and_number() {
        assert_eq!(samsa_partition_broker(3 << 32 | 2), 3);
        assert_eq!(samsa_partition_number(3 << 32 | 2), 2);
        assert_eq!((samsa_partition_broker(7), samsa_partition_number(7)), (0, 7));
        assert_eq!((samsa_partition_broker(-1), samsa_partition_number(-1)), (-1, -1));
        assert_eq!(samsa_partition_broker(i64::MAX), i32::MAX);
        assert_eq!(samsa_partition_of(3, 2), 3 << 32 | 2);
        for number in [-1, i32::MIN] {
            let any = samsa_partition_of(3, number);
            assert_eq!((samsa_partition_broker(any), samsa_partition_number(any)), (3, -1));
        }
        assert_eq!((samsa_partition_of(-1, 2), samsa_partition_of(i32::MIN, -1)), (-1, -1));
    }
}
