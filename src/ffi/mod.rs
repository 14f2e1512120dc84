//! The C ABI: one file per handle; the only place with C types and almost the only unsafe.
//!
//! The rules that C sees stand at the head of `include/samsa.h`. The grammar that keeps them is four
//! files: [`handle`] (what a C pointer points to), [`guard`] (what every exported function runs in),
//! [`args`] (what comes in and goes out), [`callback`] (who may call what inside a callback).
//!
//! # How to write an exported function
//!
//! A type is declared once, beside its functions. Its number (`TAG`) comes from its name.
//!
//! ```ignore
//! /// A topic of a cluster. …                        (becomes the type's comment in samsa.h)
//! pub struct samsa_topic { _private: [u8; 0] }       (no repr(C): cbindgen then makes it opaque)
//!
//! impl Opaque for samsa_topic {
//!     type Inner = TopicHandle;                      // Send + Sync; what `&Inner` gives the body
//!     const NAME: &'static str = "samsa_topic";
//!     const BOUND: bool = true;                      // false: plain memory, of use in a forked child too
//!     // fn poisoned(inner, error): wake whoever waits on `inner`; called after a panic in a call
//! }
//! ```
//!
//! Every function has the same shape: outs first, then one `guard` with the whole body.
//!
//! ```ignore
//! /// Gives a handle for the topic `name` and notes that the cluster is to keep its metadata.
//! ///
//! /// Who frees: the caller, `*topic` by samsa_topic_free. NULL: `cluster`, `name` and `topic` are
//! /// required. Thread: any. Borrowed: `name` is copied. On error: `*topic` is NULL; …
//! #[unsafe(no_mangle)]
//! pub unsafe extern "C" fn samsa_cluster_topic(
//!     cluster: *mut samsa_cluster, name: *const c_char, topic: *mut *mut samsa_topic,
//!     err: *mut *mut samsa_error,
//! ) -> samsa_code {
//!     // SAFETY: the caller keeps the header's rules.
//!     unsafe {
//!         let topic = Out::new(topic, ptr::null_mut());            // written before any check
//!         guard(err, cluster, |cluster| {
//!             let topic = topic.required("topic")?;
//!             let name = args::text("name", name)?;
//!             topic.set(handle::give::<samsa_topic>(cluster.topic(name)?));
//!             Ok(())                                               // Err(Error): code + error object
//!         })
//!     }
//! }
//! ```
//!
//! - [`guard::guard`]: with a handle. [`guard::poll_like`]: the same for calls that run application
//!   callbacks (refused inside one of the same handle). [`guard::call`]: no handle (constructors).
//!   [`guard::read`]: accessors without a code, `read(handle, absent_value, |inner| …)`.
//!   [`guard::plain`]: neither handle nor code.
//!   [`guard::signal`]: `_wakeup`, no allocation, no lock. [`guard::free`]: every `_free`.
//! - A condition (`NOTHING`, `WOKEN`, `EVENT`, `WOULD_BLOCK`) is an `Err(Error::bare(…))` like any
//!   other: guard makes no object of it. Several outs on failure (`accepted`) are simply set before
//!   the `Err` is returned.
//! - Another handle in an argument or a struct: `handle::look::<samsa_topic>(ptr)?.inner()?`.
//! - Application callbacks are called as `callback::inside(handle, || call(…))`.
//! - A handle that is lent to C (the event that a callback gets) is a [`handle::Lent`].
//! - The fixed signatures: `void samsa_X_free(X *)`, `void samsa_X_wakeup(X *)`,
//!   `samsa_code samsa_X_fd(X *, intptr_t *fd, samsa_error **)` (−1 first),
//!   `samsa_code samsa_X_close(X *, int32_t timeout_ms, samsa_error **)`.
//! - A callback setter is one line with `config::set_callback`; the callback travels inside `Config`
//!   (`attached::<Registered<DeliveryCall>>()`), so that children inherit it.
//! - A new file gets its line in `header/generate.rs` (place and heading in samsa.h), a new function a
//!   row in `tests/c/abuse.py`; then `scripts/header.sh`. Tests fail until all three are done.
//! - Comments of exported items go into the header: no double quotes, no Rust links, plain ASCII
//!   where C programmers will grep. Constants are `pub const SAMSA_…: i32/u32/i64`: the header
//!   turns them into enumerators of unnamed enums.

// The types carry their C names.
#![allow(non_camel_case_types, reason = "the names that C sees")]
#![allow(clippy::missing_safety_doc, reason = "the contract of all is the head of samsa.h")]

pub mod admin;
pub mod args;
pub mod assignor;
pub mod batch;
pub mod callback;
pub mod cluster;
pub mod code;
pub mod commit;
pub mod config;
pub mod consumer;
pub mod deliveries;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "embedded")]
pub mod embedded_group;
#[cfg(feature = "embedded")]
pub mod embedded_legacy;
#[cfg(feature = "embedded")]
pub mod embedded_zookeeper;
pub mod error;
pub mod event;
#[cfg(feature = "embedded")]
pub mod fault;
pub mod group_admin;
pub mod guard;
pub mod handle;
pub mod header;
pub mod logging;
pub mod membership;
pub mod message;
#[cfg(feature = "panic-injection")]
pub mod panic_injection;
pub mod partitioner;
pub mod position;
pub mod producer;
pub mod publish;
pub mod record;
pub mod snapshot;
pub mod subscribe;
pub mod topic;
pub mod unpack;

/// The result of a call: 0 ok; from 1 and −1 Kafka's own error numbers; −100 … −109 conditions,
/// which are no errors; from −110 down the library's errors (SAMSA_ERR_…).
pub type samsa_code = i32;
