//! Asking for memory that will be needed soon: the processor fetches it while other work goes on.
//!
//! It pays where the next step takes the address from a list and the memory behind it was last used long
//! ago, or by another thread. It does not pay for what is read in order: processors see that themselves.

/// What processors of today move between their caches, in bytes.
const LINE: usize = 64;

/// Asks for up to `lines` lines of `place`, the first ones, to be written soon.
#[inline(always)]
pub fn of<T>(place: &T, lines: usize) {
    let (start, size) = (std::ptr::from_ref(place).cast::<u8>(), size_of::<T>());
    each_line(start, size.min(lines * LINE));
}

/// Asks for `bytes`, to be written soon.
#[inline(always)]
pub fn bytes(bytes: &[u8]) {
    each_line(bytes.as_ptr(), bytes.len());
}

#[inline(always)]
fn each_line(start: *const u8, size: usize) {
    let mut at = 0;
    while at < size {
        line(start.wrapping_add(at));
        at += LINE;
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[allow(clippy::pointers_in_nomem_asm_block, reason = "the address is a hint: no memory is used")]
fn line(address: *const u8) {
    // SAFETY: a hint, that neither reads nor writes for the program, and never faults. What does not know
    // it takes it for nothing.
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) address, options(nomem, nostack, preserves_flags));
    }
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
#[allow(clippy::pointers_in_nomem_asm_block, reason = "the address is a hint: no memory is used")]
fn line(address: *const u8) {
    // SAFETY: a hint, that neither reads nor writes for the program, and never faults.
    unsafe {
        std::arch::asm!("prfm pstl1keep, [{}]", in(reg) address, options(nomem, nostack, preserves_flags));
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline(always)]
fn line(_address: *const u8) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_for_memory_changes_nothing_and_any_part_of_it_will_do() {
        let some = [7_u8; 200];
        of(&some, 9);
        of(&(), 1);
        (0..=some.len()).for_each(|at| bytes(&some[at..]));
        assert!(some.iter().all(|byte| *byte == 7));
    }
}
