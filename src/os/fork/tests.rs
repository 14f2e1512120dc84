use super::*;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `check` in a forked child and says whether it returned true. The child ends by `_exit`, or by
/// SIGALRM if it hangs.
pub(crate) fn in_child(check: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child calls only `check` and _exit; the callers' checks take no lock that another
    // thread of the test process may hold (glibc makes malloc usable after fork).
    unsafe {
        let child = libc::fork();
        assert!(child >= 0, "fork failed");
        if child == 0 {
            libc::alarm(30);
            let held = catch_unwind(AssertUnwindSafe(check)).unwrap_or(false);
            libc::_exit(i32::from(!held));
        }
        let mut status = -1;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
    }
}

#[test]
fn the_era_is_the_same_for_every_thread_of_a_process() {
    let here = era();
    assert!(here >= 1);
    let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(era)).collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), here);
    }
}

#[test]
fn a_child_and_a_grandchild_have_eras_of_their_own() {
    let parent = Era::current();
    assert!(in_child(|| {
        let child = Era::current();
        let forked = parent.check().is_err_and(|error| error.code() == Code::FORKED);
        let grandchild = in_child(|| Era::current() != child && Era::current() != parent);
        forked && child != parent && child.check().is_ok() && grandchild
    }));
    assert!(parent.check().is_ok(), "the parent's era goes on");
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_made_without_fork_handlers_is_noticed_too() {
    let parent = Era::current();
    // SAFETY: a raw clone without CLONE_VM is a fork that glibc does not see; the child leaves at once.
    let status = unsafe {
        let child = libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0);
        if child == 0 {
            libc::_exit(i32::from(parent.is_current()));
        }
        let mut status = -1;
        libc::waitpid(libc::pid_t::try_from(child).unwrap(), &mut status, 0);
        status
    };
    assert_eq!(status, 0);
}

#[test]
fn a_process_wide_value_is_made_once_per_era_and_the_parent_s_is_forgotten() {
    static VALUE: PerEra<u64> = PerEra::new();
    assert!(VALUE.get().is_none());
    assert_eq!(VALUE.get_or_try_init(|| Err("not yet")), Err("not yet"));
    let threads: Vec<_> = (0..8)
        .map(|n| std::thread::spawn(move || *VALUE.get_or_try_init(|| Ok::<_, ()>(n)).unwrap()))
        .collect();
    let made = *VALUE.get().unwrap_or(&u64::MAX);
    for thread in threads {
        let value = thread.join().unwrap();
        assert_eq!(Some(&value), VALUE.get(), "everybody has the one that was made first");
    }
    assert!(made == u64::MAX || Some(&made) == VALUE.get());
    assert!(in_child(|| {
        VALUE.get().is_none() && VALUE.get_or_try_init(|| Ok::<_, ()>(99)) == Ok(&99)
    }));
    assert_ne!(VALUE.get(), Some(&99), "the child's value is the child's");
}

#[test]
fn a_child_does_not_wait_for_a_value_that_a_thread_of_the_parent_was_making() {
    static VALUE: PerEra<u8> = PerEra::new();
    let (begun, wait_begun) = std::sync::mpsc::channel();
    let (finish, wait_finish) = std::sync::mpsc::channel::<()>();
    let maker = std::thread::spawn(move || {
        let _ = VALUE.get_or_try_init(|| {
            begun.send(()).unwrap();
            wait_finish.recv().unwrap();
            Ok::<_, ()>(1)
        });
    });
    wait_begun.recv().unwrap();
    let child = in_child(|| VALUE.get_or_try_init(|| Ok::<_, ()>(2)) == Ok(&2));
    finish.send(()).unwrap();
    maker.join().unwrap();
    assert!(child);
    assert_eq!(VALUE.get(), Some(&1));
}
