//! What comes in from C and what goes out: strings, bytes, structs, arrays, out-parameters.
//!
//! Everything here borrows from the caller for the length of the call; nothing is kept.

use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;

use super::guard::ErrorOut;
use crate::error::{Code, Error, Result};

/// An out-parameter, already set to its neutral value.
#[derive(Debug)]
pub struct Out<T> {
    pointer: *mut T,
}

impl<T> Clone for Out<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Out<T> {}

impl<T: Copy> Out<T> {
    /// Sets the out-parameter to `absent` (NULL, 0, −1): the first thing that a call does.
    ///
    /// # Safety
    /// `pointer` is NULL or writable until the call returns.
    pub unsafe fn new(pointer: *mut T, absent: T) -> Self {
        let out = Self { pointer };
        out.set(absent);
        out
    }

    /// Refuses NULL, for outs that the call is made for.
    pub fn required(self, name: &str) -> Result<Self> {
        if self.pointer.is_null() { Err(null_argument(name)) } else { Ok(self) }
    }

    /// Whether the caller does not want it.
    pub fn is_null(self) -> bool {
        self.pointer.is_null()
    }

    /// Writes the value; does nothing for NULL.
    pub fn set(self, value: T) {
        if !self.pointer.is_null() {
            // SAFETY: by the contract of `new`.
            unsafe { *self.pointer = value };
        }
    }
}

/// # Safety
/// `err` is NULL or writable.
pub(super) unsafe fn clear_error(err: ErrorOut) {
    if !err.is_null() {
        // SAFETY: by the contract of this function.
        unsafe { *err = ptr::null_mut() };
    }
}

/// A NUL-terminated UTF-8 string; NULL is an error.
///
/// # Safety
/// `pointer` is NULL or a NUL-terminated string that lives during the call.
pub unsafe fn text<'a>(name: &str, pointer: *const c_char) -> Result<&'a str> {
    // SAFETY: by the contract of this function.
    unsafe { optional_text(name, pointer) }?.ok_or_else(|| null_argument(name))
}

/// A NUL-terminated UTF-8 string; NULL is none.
///
/// # Safety
/// As [`text`].
pub unsafe fn optional_text<'a>(name: &str, pointer: *const c_char) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: by the contract of this function.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    let text = bytes.to_str().map_err(|error| {
        let at = error.valid_up_to();
        Error::new(Code::INVALID_ARGUMENT, format!("{name} is not UTF-8 at byte {at}"))
    })?;
    Ok(Some(text))
}

/// Bytes by pointer and length: NULL with length 0 is none, a pointer with length 0 is empty.
///
/// # Safety
/// `pointer` is NULL or points to `length` bytes that live during the call.
pub unsafe fn bytes<'a>(
    name: &str,
    pointer: *const c_void,
    length: usize,
) -> Result<Option<&'a [u8]>> {
    if pointer.is_null() {
        return if length == 0 { Ok(None) } else { Err(null_with_length(name, length)) };
    }
    if isize::try_from(length).is_err() {
        return Err(Error::new(
            Code::INVALID_ARGUMENT,
            format!("the length of {name}, {length}, is out of range"),
        ));
    }
    // SAFETY: by the contract of this function.
    Ok(Some(unsafe { std::slice::from_raw_parts(pointer.cast(), length) }))
}

/// A plain array: NULL is allowed for no elements only.
///
/// # Safety
/// `pointer` is NULL or points to `count` elements that live during the call.
pub unsafe fn array<'a, T>(name: &str, pointer: *const T, count: usize) -> Result<&'a [T]> {
    // SAFETY: an array whose stride is the size of its elements.
    let strided = unsafe { Strided::new(name, pointer, count, size_of::<T>()) }?;
    if strided.count == 0 {
        return Ok(&[]);
    }
    // SAFETY: `Strided::new` checked pointer, alignment and size.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// An array of structs from C, which may be longer than ours (a newer program): read by its stride.
pub struct Strided<'a, T> {
    base: *const u8,
    count: usize,
    stride: usize,
    elements: PhantomData<&'a T>,
}

impl<'a, T> Strided<'a, T> {
    /// Checks an array of `count` elements that lie `stride` bytes apart.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for NULL with elements, a stride below the struct's size, a stride or a
    /// pointer that is not aligned, a size that no memory has.
    ///
    /// # Safety
    /// `pointer` is NULL or points to `count` elements, `stride` bytes apart, that live during `'a`;
    /// every bit pattern is a valid `T`.
    #[inline]
    pub unsafe fn new(
        name: &str,
        pointer: *const T,
        count: usize,
        stride: usize,
    ) -> Result<Strided<'a, T>> {
        if count > 0 && pointer.is_null() {
            return Err(null_with_length(name, count));
        }
        let bytes = count.checked_mul(stride).and_then(|size| isize::try_from(size).ok());
        let sized = stride >= size_of::<T>() && stride % align_of::<T>() == 0;
        if !sized || !pointer.is_aligned() || bytes.is_none() {
            return Err(bad_array::<T>(name, count, stride, sized && bytes.is_some()));
        }
        Ok(Self { base: pointer.cast(), count, stride, elements: PhantomData })
    }

    /// The number of elements.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The element at `index`, if there is one.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a T> {
        if index >= self.count {
            return None;
        }
        // SAFETY: `new` checked that the whole array is addressable and aligned.
        Some(unsafe { &*self.base.add(index * self.stride).cast::<T>() })
    }

    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a T> + '_ {
        (0..self.count).filter_map(|index| self.get(index))
    }
}

/// A struct passed singly, which begins with its `size_t struct_size`: ours is filled from as much as
/// the program knows of it, the rest is zero. A newer program's further fields must be zero.
///
/// # Safety
/// `pointer` is NULL or points to as many bytes as its `struct_size` says; `T` begins with a
/// `usize` and is valid for every bit pattern.
pub unsafe fn sized<T: Copy>(name: &str, pointer: *const T) -> Result<T> {
    if pointer.is_null() {
        return Err(null_argument(name));
    }
    // SAFETY: by the contract of this function.
    let size = unsafe { pointer.cast::<usize>().read_unaligned() };
    check_struct_size(name, size)?;
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: both sides hold that many bytes; zero bytes are a valid `T`.
    let value = unsafe {
        let known = size.min(size_of::<T>());
        ptr::copy_nonoverlapping(pointer.cast::<u8>(), value.as_mut_ptr().cast::<u8>(), known);
        value.assume_init()
    };
    // SAFETY: the bytes after ours, up to the size that the program gave.
    let unknown = unsafe {
        let rest = size.saturating_sub(size_of::<T>());
        std::slice::from_raw_parts(pointer.cast::<u8>().add(size - rest), rest)
    };
    if unknown.iter().any(|&byte| byte != 0) {
        return Err(Error::new(
            Code::INVALID_ARGUMENT,
            format!("{name} sets a field that this version of the library does not know"),
        ));
    }
    Ok(value)
}

/// A struct that is filled for the program, which says in its first field how much of it it knows.
///
/// # Safety
/// As [`sized`], and the bytes are writable.
pub unsafe fn fill_sized<T: Copy>(name: &str, pointer: *mut T, mut value: T) -> Result<()> {
    if pointer.is_null() {
        return Err(null_argument(name));
    }
    // SAFETY: by the contract of this function; `value` begins with its size too.
    unsafe {
        let size = pointer.cast::<usize>().read_unaligned();
        check_struct_size(name, size)?;
        let known = size.min(size_of::<T>());
        (&raw mut value).cast::<usize>().write_unaligned(size);
        ptr::copy_nonoverlapping((&raw const value).cast::<u8>(), pointer.cast::<u8>(), known);
        ptr::write_bytes(pointer.cast::<u8>().add(known), 0, size - known);
    }
    Ok(())
}

/// No struct of ours comes near this; a larger size is an uninitialised one.
const LARGEST_STRUCT: usize = 4096;

fn check_struct_size(name: &str, size: usize) -> Result<()> {
    if (size_of::<usize>() + 1..=LARGEST_STRUCT).contains(&size) {
        return Ok(());
    }
    Err(Error::new(
        Code::INVALID_ARGUMENT,
        format!("{name}: struct_size is {size}: set it to sizeof the struct"),
    ))
}

/// The error for a required argument that is NULL.
#[cold]
pub fn null_argument(name: &str) -> Error {
    Error::new(Code::INVALID_ARGUMENT, format!("{name} is NULL"))
}

/// Why an array is refused that is not NULL. `misaligned`: nothing else is wrong with it.
#[cold]
fn bad_array<T>(name: &str, count: usize, stride: usize, misaligned: bool) -> Error {
    let text = if misaligned {
        format!("{name} is not aligned")
    } else if stride < size_of::<T>() || stride % align_of::<T>() != 0 {
        let size = size_of::<T>();
        format!(
            "the size of an element of {name}, {stride}, is not that of samsa.h ({size}): pass sizeof"
        )
    } else {
        format!("the length of {name}, {count}, is out of range")
    };
    Error::new(Code::INVALID_ARGUMENT, text)
}

#[cold]
fn null_with_length(name: &str, length: usize) -> Error {
    Error::new(Code::INVALID_ARGUMENT, format!("{name} is NULL but its length is {length}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_empty_differ() {
        // SAFETY: NULL or live memory.
        unsafe {
            assert_eq!(bytes("key", ptr::null(), 0).unwrap(), None);
            assert_eq!(bytes("key", ptr::dangling(), 0).unwrap(), Some(&[][..]));
            assert!(bytes("key", ptr::null(), 3).unwrap_err().message().contains("key"));
            assert!(bytes("key", ptr::dangling(), usize::MAX).is_err());
        }
    }

    #[test]
    fn text_must_be_utf8_and_the_error_says_where() {
        // SAFETY: NUL-terminated literals.
        unsafe {
            assert_eq!(text("name", c"t\xc3\xb6pic".as_ptr()).unwrap(), "töpic");
            let error = text("name", c"ab\xff".as_ptr()).unwrap_err();
            assert_eq!(error.message(), "name is not UTF-8 at byte 2");
            assert!(text("name", ptr::null()).is_err());
        }
    }

    #[test]
    fn arrays_are_read_by_their_stride_and_bad_ones_are_refused() {
        let longer = [[1_u64, 0], [2, 0], [3, 0]];
        let base = longer.as_ptr().cast::<u64>();
        // SAFETY: the array lives, refused ones are not read.
        unsafe {
            let read = Strided::new("a", base, 3, 16).unwrap();
            assert_eq!(read.iter().copied().collect::<Vec<_>>(), [1, 2, 3]);
            assert!(read.get(3).is_none());
            assert!(Strided::new("a", base, 3, 4).is_err(), "shorter than the struct");
            assert!(Strided::new("a", base, 3, 12).is_err(), "not a multiple of the alignment");
            assert!(Strided::new("a", base, usize::MAX / 8, 16).is_err(), "more than memory");
            assert!(Strided::new("a", ptr::null::<u64>(), 1, 8).is_err());
            assert_eq!(Strided::new("a", ptr::null::<u64>(), 0, 8).unwrap().count(), 0);
        }
    }

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Options {
        struct_size: usize,
        first: u32,
        second: u32,
    }

    #[test]
    fn an_older_programs_struct_is_completed_and_a_newer_ones_extra_fields_must_be_zero() {
        let older = [12_usize, 7 | (9 << 32)];
        let newer = [24_usize, 7 | (9 << 32), 0];
        let unknown = [24_usize, 7, 1];
        // SAFETY: each array holds as many bytes as its first word says.
        unsafe {
            let seen = sized::<Options>("o", older.as_ptr().cast()).unwrap();
            assert_eq!((seen.first, seen.second), (7, 0), "what it cannot know is zero");
            let seen = sized::<Options>("o", newer.as_ptr().cast()).unwrap();
            assert_eq!((seen.first, seen.second), (7, 9));
            assert!(sized::<Options>("o", unknown.as_ptr().cast()).is_err());
            for size in [0_usize, 8, 1 << 40] {
                assert!(sized::<Options>("o", [size].as_ptr().cast()).is_err(), "{size}");
            }
        }
    }

    #[test]
    fn a_filled_struct_ends_where_the_program_says() {
        let mut older = [12_usize, u64::MAX as usize];
        let value = Options { struct_size: 16, first: 1, second: 2 };
        // SAFETY: the array is longer than its first word says.
        unsafe { fill_sized("o", older.as_mut_ptr().cast(), value).unwrap() };
        assert_eq!(older, [12, 1 | (0xffff_ffff << 32)], "bytes after the size are not touched");
    }
}
