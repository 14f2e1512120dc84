//! Gives the shared library its soname and pins it in memory; on request generates the C headers.
//!
//! The I/O thread outlives `dlclose`, so the library must never be unmapped (`nodelete`).

#[cfg(feature = "header")]
#[path = "header/generate.rs"]
mod header;

fn main() {
    let major = std::env::var("CARGO_PKG_VERSION_MAJOR").unwrap_or_default();
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libsamsa.so.{major}");
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    println!("cargo:rerun-if-changed=build.rs");
    // Nothing is written unless the run asks for it: scripts/header.sh names a folder.
    #[cfg(feature = "header")]
    header::main();
}
