//! The process-wide I/O threads: start, share, fork rule.
