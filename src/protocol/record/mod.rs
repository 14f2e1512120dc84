//! Record formats: message v0 and v1, record batch v2, compression, checksums.
