//! Which of the requests that fit a fault it meets: after those that pass, so many.

/// Takes one request that fits into account; whether the fault meets it. `u32::MAX` times have no end.
pub(super) fn has_come(skip: &mut u32, times: &mut u32) -> bool {
    if *times == 0 {
        return false;
    }
    if *skip > 0 {
        *skip -= 1;
        return false;
    }
    if *times != u32::MAX {
        *times -= 1;
    }
    true
}
