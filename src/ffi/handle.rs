//! What a C pointer points to: a tagged, fork-aware, poisonable box.
//!
//! C knows each type as an opaque struct; behind the pointer stands a [`Handle`]. The tag tells a
//! `samsa_topic *` passed as a `samsa_cluster *` before anything else of it is read; the era tells a
//! child process before any lock is touched; the poison repeats the panic that broke the handle.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Code, Error, Result};
use crate::os::fork::Era;

/// A type that C holds by an opaque pointer.
pub trait Opaque: Sized {
    /// What the handle holds. Handles are used from any thread, concurrently.
    type Inner: Send + Sync + 'static;
    /// The C name of the type.
    const NAME: &'static str;
    /// Whether the handle belongs to the process that made it. A bound handle gives FORKED in a
    /// child, and its free there releases the box alone: what is inside may hold locks, threads and
    /// sockets of the parent. Plain memory (errors, configurations, snapshots) is not bound.
    const BOUND: bool = true;
    /// The number that stands first in the handle, made from the name.
    const TAG: u64 = tag(Self::NAME);

    /// Called after a panic in a call on this handle: wakes whoever waits on it.
    fn poisoned(_inner: &Self::Inner, _error: &Error) {}
}

/// FNV-1a: different names give different numbers, none of them 0 ([`FREED`]).
const fn tag(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x100_0000_01b3);
        i += 1;
    }
    hash
}

/// The tag of a handle that was freed. Use after free stays undefined; this only makes a lucky
/// read of it fail early.
const FREED: u64 = 0;

/// The memory behind an opaque pointer.
#[repr(C)]
pub struct Handle<T> {
    // First, so that it can be read whatever T the pointer really has.
    tag: AtomicU64,
    era: Option<Era>,
    lent: bool,
    poison: OnceLock<Error>,
    inner: ManuallyDrop<T>,
}

impl<T> std::fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle")
            .field("era", &self.era)
            .field("poison", &self.poison.get())
            .finish()
    }
}

impl<T> Handle<T> {
    fn boxed<H: Opaque<Inner = T>>(inner: T, lent: bool) -> Box<Self> {
        Box::new(Self {
            tag: AtomicU64::new(H::TAG),
            era: H::BOUND.then(Era::current),
            lent,
            poison: OnceLock::new(),
            inner: ManuallyDrop::new(inner),
        })
    }

    /// What the handle holds, unless this is a forked child or a panic broke the handle.
    #[inline]
    pub fn inner(&self) -> Result<&T> {
        if let Some(era) = self.era {
            era.check()?;
        }
        match self.poison.get() {
            None => Ok(&self.inner),
            Some(error) => Err(error.clone()),
        }
    }

    /// Breaks the handle after a panic: every later call gives `error`. The first panic stays.
    pub(super) fn poison<H: Opaque<Inner = T>>(&self, error: &Error) {
        let _ = self.poison.set(error.clone());
        // The hook runs core code that may be what panicked: it gets one try.
        let _ = catch_unwind(AssertUnwindSafe(|| H::poisoned(&self.inner, error)));
    }

    fn is_foreign(&self) -> bool {
        self.era.is_some_and(|era| !era.is_current())
    }

    pub(super) fn is_lent(&self) -> bool {
        self.lent
    }
}

/// Makes a handle and gives it to C, which frees it with the type's `_free`.
pub fn give<H: Opaque>(inner: H::Inner) -> *mut H {
    Box::into_raw(Handle::boxed::<H>(inner, false)).cast()
}

/// What stands behind a pointer that came from C.
///
/// # Errors
/// INVALID_HANDLE for NULL and for a handle of another type.
///
/// # Safety
/// `pointer` is NULL or a handle of this library, of whatever type, not freed during `'a`.
#[inline]
pub unsafe fn look<'a, H: Opaque>(pointer: *const H) -> Result<&'a Handle<H::Inner>> {
    // SAFETY: the caller's contract is that of `tagged`.
    unsafe { tagged(pointer) }.ok_or_else(|| not_a_handle::<H>(pointer.is_null()))
}

/// As [`look`] and [`Handle::inner`], without an error object: takes no lock, allocates nothing.
///
/// # Safety
/// As [`look`].
pub(super) unsafe fn peek<'a, H: Opaque>(pointer: *const H) -> Option<&'a H::Inner> {
    // SAFETY: the caller's contract is that of `tagged`.
    let handle = unsafe { tagged(pointer) }?;
    (!handle.is_foreign() && handle.poison.get().is_none()).then_some(&*handle.inner)
}

#[inline]
unsafe fn tagged<'a, H: Opaque>(pointer: *const H) -> Option<&'a Handle<H::Inner>> {
    let tag = pointer.cast::<AtomicU64>();
    if tag.is_null() || !tag.is_aligned() {
        return None;
    }
    // SAFETY: every handle of the library begins with its tag; the rest is read only when that fits.
    unsafe { ((*tag).load(Ordering::Relaxed) == H::TAG).then(|| &*pointer.cast()) }
}

#[cold]
fn not_a_handle<H: Opaque>(null: bool) -> Error {
    let what = if null { "the handle is NULL" } else { "the pointer is a handle of another type" };
    Error::new(Code::INVALID_HANDLE, format!("{what}, a {} is needed", H::NAME))
}

/// Frees the memory of a handle; what it holds too, unless that belongs to the parent of a fork.
///
/// # Safety
/// `handle` came from [`Handle::boxed`] for `H`, and nothing uses it any more.
pub(super) unsafe fn reclaim<H: Opaque>(handle: *mut Handle<H::Inner>) {
    // SAFETY: by the contract of this function the box is ours alone now.
    let mut owned = unsafe { Box::from_raw(handle) };
    owned.tag.store(FREED, Ordering::Relaxed);
    if owned.is_foreign() {
        // A lock in there may be held by a thread that does not exist in this process, and closing
        // a socket would tell the parent's epoll. Leaked on purpose.
        return;
    }
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: dropped here once; the box frees the bare memory afterwards.
        unsafe { ManuallyDrop::drop(&mut owned.inner) };
    }));
}

/// Boxes of freed handles of one type, for the next ones: for a type that comes and goes with every
/// message, at the price of which malloc is dear. For a thread-local; holds no more than a few.
#[derive(Debug)]
pub struct Spares<H: Opaque>(Vec<Box<Handle<H::Inner>>>);

/// The most boxes that a thread keeps.
const MOST_SPARES: usize = 32;

/// A box whose content was dropped.
pub struct Spare<H: Opaque>(Box<Handle<H::Inner>>);

impl<H: Opaque> Spare<H> {
    /// As [`give`].
    #[inline]
    pub fn give(self, inner: H::Inner) -> *mut H {
        let Self(mut handle) = self;
        handle.inner = ManuallyDrop::new(inner);
        handle.era = H::BOUND.then(Era::current);
        handle.tag.store(H::TAG, Ordering::Relaxed);
        Box::into_raw(handle).cast()
    }
}

impl<H: Opaque> Spares<H> {
    /// None yet.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// A box to be filled, if there is one.
    #[inline]
    pub fn take(&mut self) -> Option<Spare<H>> {
        self.0.pop().map(Spare)
    }

    /// As [`reclaim`], but keeps the box.
    ///
    /// # Safety
    /// As [`reclaim`].
    #[inline]
    pub(super) unsafe fn reclaim(&mut self, handle: *mut Handle<H::Inner>) {
        // SAFETY: by the contract of this function the box is ours alone now.
        let reusable = unsafe { &*handle };
        if self.0.len() >= MOST_SPARES || reusable.poison.get().is_some() || reusable.is_foreign() {
            // SAFETY: as above.
            unsafe { reclaim::<H>(handle) };
            return;
        }
        // SAFETY: as above.
        let mut owned = unsafe { Box::from_raw(handle) };
        owned.tag.store(FREED, Ordering::Relaxed);
        let _ = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: dropped here once: a spare's content is not looked at again.
            unsafe { ManuallyDrop::drop(&mut owned.inner) };
        }));
        self.0.push(owned);
    }
}

/// A handle that the library keeps and lends to C: `_free` of it by C does nothing.
pub struct Lent<H: Opaque> {
    handle: NonNull<Handle<H::Inner>>,
    owns: PhantomData<H::Inner>,
}

// SAFETY: the handle is reached by shared reference only, and `Inner` is Send + Sync.
unsafe impl<H: Opaque> Send for Lent<H> {}
// SAFETY: as above.
unsafe impl<H: Opaque> Sync for Lent<H> {}

impl<H: Opaque> Lent<H> {
    /// Makes a handle that lives as long as this value.
    pub fn new(inner: H::Inner) -> Self {
        let handle = NonNull::from(Box::leak(Handle::boxed::<H>(inner, true)));
        Self { handle, owns: PhantomData }
    }

    /// The pointer for C, valid as long as this value.
    pub fn as_ptr(&self) -> *mut H {
        self.handle.as_ptr().cast()
    }

    /// What the handle holds.
    pub fn inner(&self) -> &H::Inner {
        // SAFETY: the handle lives until this value is dropped.
        unsafe { &self.handle.as_ref().inner }
    }
}

impl<H: Opaque> Drop for Lent<H> {
    fn drop(&mut self) {
        // SAFETY: made in `new`, freed here alone: `_free` leaves lent handles alone.
        unsafe { reclaim::<H>(self.handle.as_ptr()) };
    }
}

impl<H: Opaque> std::fmt::Debug for Lent<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lent({} {:p})", H::NAME, self.handle)
    }
}
