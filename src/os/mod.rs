//! What differs between operating systems: fork page, wait word, descriptor, vectored write.
