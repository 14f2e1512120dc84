//! `samsa_header`: record headers, in and out.

use std::ffi::c_void;
use std::mem::offset_of;
use std::ptr;

use super::args::bytes;
use super::batch::samsa_message_view;
use super::guard::plain;
use crate::protocol::record::read_headers;

/// One header of a message, 24 bytes. Names may repeat; their order is kept. Names and values are
/// pointer and length, not NUL-terminated.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct samsa_header {
    /// The name: UTF-8, not NULL unless its length is 0.
    pub name: *const c_void,
    /// The value, or NULL for none; an empty value is not NULL.
    pub value: *const c_void,
    /// Bytes of the name.
    pub name_length: u32,
    /// Bytes of the value.
    pub value_length: u32,
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<samsa_header>() == 24);
    assert!(offset_of!(samsa_header, value) == 8);
    assert!(offset_of!(samsa_header, name_length) == 16);
    assert!(offset_of!(samsa_header, value_length) == 20);
};

/// Takes the headers of a message apart: writes up to `capacity` of them to `headers` and returns how
/// many the message has. With capacity 0 it only counts.
///
/// Who frees: nobody; what they point to is borrowed as long as the view. NULL: `view` NULL gives 0;
/// `headers` may be NULL when `capacity` is 0. Thread: any. On error: 0 when the bytes are no headers,
/// which views of a batch or a message never are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn samsa_headers_read(
    view: *const samsa_message_view,
    headers: *mut samsa_header,
    capacity: usize,
) -> usize {
    plain(0, || {
        if view.is_null() || !view.is_aligned() || (headers.is_null() && capacity > 0) {
            return 0;
        }
        // SAFETY: the caller keeps the header's rules: a view of a batch or message that lives, whose
        // pointer and length belong together.
        let (raw, count) = unsafe {
            let view = &*view;
            (bytes("headers", view.headers, view.headers_length as usize), view.headers_count)
        };
        let Ok(Some(raw)) = raw else { return 0 };
        let mut read = 0;
        for header in read_headers(raw, count) {
            let Ok(header) = header else { return 0 };
            if read < capacity {
                let value = header.value.unwrap_or_default();
                let made = samsa_header {
                    name: header.name.as_ptr().cast(),
                    value: header.value.map_or(ptr::null(), |v| v.as_ptr().cast()),
                    // Within a record, whose lengths are 32 bits.
                    name_length: header.name.len() as u32,
                    value_length: value.len() as u32,
                };
                // SAFETY: the caller gave room for `capacity` headers, and `read` is below it.
                unsafe { headers.add(read).write(made) };
            }
            read += 1;
        }
        read
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(raw: &[u8], count: u32) -> samsa_message_view {
        samsa_message_view {
            offset: 0,
            next_offset: 1,
            timestamp: -1,
            key: ptr::null(),
            value: ptr::null(),
            headers: raw.as_ptr().cast(),
            key_length: 0,
            value_length: 0,
            headers_length: raw.len() as u32,
            headers_count: count,
            run: 0,
            flags: 0,
            delivery_count: 0,
            reserved: [0; 2],
        }
    }

    fn read(view: &samsa_message_view, capacity: usize) -> (usize, Vec<samsa_header>) {
        let empty =
            samsa_header { name: ptr::null(), value: ptr::null(), name_length: 0, value_length: 0 };
        let mut headers = vec![empty; capacity];
        // SAFETY: a live view, and room for `capacity` headers.
        let count = unsafe { samsa_headers_read(view, headers.as_mut_ptr(), capacity) };
        (count, headers)
    }

    #[test]
    fn headers_come_in_order_with_duplicates_and_null_differs_from_empty() {
        // Varints are zigzag: 2 = 1 byte, 1 = null, 0 = empty.
        let raw = [2, b'a', 2, b'x', 2, b'a', 1, 2, b'b', 0];
        let (count, headers) = read(&view(&raw, 3), 4);
        assert_eq!(count, 3);
        assert_eq!((headers[0].name_length, headers[0].value_length), (1, 1));
        assert!(headers[1].value.is_null() && !headers[2].value.is_null());
        assert_eq!(headers[2].value_length, 0);
        assert_eq!(headers[1].name, raw[5..].as_ptr().cast(), "borrowed from the view");
    }

    #[test]
    fn a_short_array_gets_what_fits_and_the_count_is_that_of_the_message() {
        let raw = [2, b'a', 1, 2, b'b', 1];
        assert_eq!(read(&view(&raw, 2), 1).0, 2);
        assert_eq!(read(&view(&raw, 2), 0).0, 2);
        // SAFETY: NULL is allowed for both.
        unsafe {
            assert_eq!(samsa_headers_read(ptr::null(), ptr::null_mut(), 0), 0);
            assert_eq!(samsa_headers_read(&view(&raw, 2), ptr::null_mut(), 3), 0);
        }
        assert_eq!(read(&view(&raw, 9), 0).0, 0, "bytes and count do not fit");
    }
}
