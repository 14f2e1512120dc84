//! The C ABI: one file per handle; the only place with C types and almost the only unsafe.
