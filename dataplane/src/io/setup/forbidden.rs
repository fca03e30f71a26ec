//! io_uring forbidden as containers forbid it: by a seccomp filter.

use std::io;
use std::sync::mpsc::sync_channel;
use std::thread;

/// `struct seccomp_data` begins with the number of the system call.
const NUMBER_OFFSET: u32 = 0;
/// `io_uring_setup(2)`, `io_uring_enter(2)` and `io_uring_register(2)`.
pub(crate) const IO_URING_CALLS: [u32; 3] = [425, 426, 427];

/// Runs this in a thread in which, and in whose threads, this system call fails with EPERM. The
/// rest of the program keeps it.
pub(crate) fn without<T: Send>(call: u32, body: impl FnOnce() -> T + Send) -> T {
    let (done, result) = sync_channel(1);
    thread::scope(|scope| {
        scope.spawn(move || {
            forbid(call);
            done.send(body()).unwrap();
        });
    });
    result.recv().unwrap()
}

fn forbid(call: u32) {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: u16::try_from(code).unwrap(),
        jt: 0,
        jf: 0,
        k,
    };
    let forbidden = libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned();
    let mut filter = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, NUMBER_OFFSET),
        libc::sock_filter {
            jf: 1,
            ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call)
        },
        statement(libc::BPF_RET | libc::BPF_K, forbidden),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).unwrap(),
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: takes four numbers; without it the filter would need a privilege.
    let granted = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(granted, 0);
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the program and its statements outlive the call, which copies them.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}
