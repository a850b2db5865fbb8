//! The few calls to the operating system that the standard library lacks. All `unsafe` of this program is here.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// A line of the user database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passwd {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// How a file is locked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lock {
    Shared,
    Exclusive,
}

/// What a PostgreSQL server understands as a request to stop.
#[derive(Debug, Clone, Copy)]
pub(super) enum Signal {
    /// Roll back what is open, write a checkpoint, stop.
    FastShutdown,
    /// Stop now; the next start recovers from the write-ahead log. Nothing committed is lost.
    ImmediateShutdown,
}

/// Whether this process acts as root.
pub(crate) fn is_root() -> bool {
    #[allow(unsafe_code)]
    // SAFETY: takes nothing, cannot fail, touches no memory of ours.
    let uid = unsafe { libc::geteuid() };
    uid == 0
}

/// Sends a signal. `Ok` also when the process is gone already.
pub(super) fn signal(pid: u32, signal: Signal) -> io::Result<()> {
    let number = match signal {
        Signal::FastShutdown => libc::SIGINT,
        Signal::ImmediateShutdown => libc::SIGQUIT,
    };
    match kill(pid, number) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        result => result,
    }
}

/// Whether a process has this id: ours or somebody else's.
pub(super) fn is_alive(pid: u32) -> bool {
    match kill(pid, 0) {
        Ok(()) => true,
        Err(error) => error.raw_os_error() == Some(libc::EPERM),
    }
}

fn kill(pid: u32, signal: i32) -> io::Result<()> {
    // 0 and negative numbers name groups of processes, which is never meant here.
    let Some(pid) = i32::try_from(pid).ok().filter(|pid| *pid > 0) else {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    };
    #[allow(unsafe_code)]
    // SAFETY: two integers go in; the kernel checks the right to signal.
    let result = unsafe { libc::kill(pid, signal) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Locks the file until it is closed, at the latest by the death of the process. `false`: another holds it.
pub(super) fn try_lock(file: &File, lock: Lock) -> io::Result<bool> {
    let operation = match lock {
        Lock::Shared => libc::LOCK_SH,
        Lock::Exclusive => libc::LOCK_EX,
    };
    #[allow(unsafe_code)]
    // SAFETY: the descriptor is open as long as `file` is borrowed.
    let result = unsafe { libc::flock(file.as_raw_fd(), operation | libc::LOCK_NB) };
    if result == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    let is_held = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
    if is_held { Ok(false) } else { Err(error) }
}

/// Waits for the lock, and has it until the file is closed.
pub(crate) fn lock_exclusively(file: &File) -> io::Result<()> {
    loop {
        #[allow(unsafe_code)]
        // SAFETY: the descriptor is open as long as `file` is borrowed.
        let result = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) };
        if result == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Fills the buffer with what begins at `at` in the file, where the system has that in memory. False where a disk would have
/// to be waited for, where the file ends before, and where the system cannot tell: then the buffer holds anything.
pub(crate) fn read_from_memory(file: &File, buffer: &mut [u8], at: u64) -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let (mut rest, mut at) = (buffer, at);
        while !rest.is_empty() {
            let Ok(offset) = libc::off_t::try_from(at) else {
                return false;
            };
            let part = libc::iovec {
                iov_base: rest.as_mut_ptr().cast(),
                iov_len: rest.len(),
            };
            #[allow(unsafe_code)]
            // SAFETY: the descriptor is open as long as `file` is borrowed, and the one part is `rest`, borrowed for us alone.
            let read = unsafe { libc::preadv2(file.as_raw_fd(), &raw const part, 1, offset, libc::RWF_NOWAIT) };
            let read = usize::try_from(read).unwrap_or_default();
            if read == 0 || read > rest.len() {
                return false;
            }
            rest = rest.split_at_mut(read).1;
            at += read as u64;
        }
        true
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    {
        let _ = (file, buffer, at);
        false
    }
}

/// Stops the child by `SIGINT` when the **thread** that spawns it ends, however it ends (Linux; elsewhere nothing).
pub(super) fn stop_with_parent(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        let parent = std::process::id();
        #[allow(unsafe_code)]
        // SAFETY: the closure runs between fork and exec and makes two system calls, both async-signal-safe, and
        // allocates nothing. The standard library runs it after the change of user, which would clear the signal.
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGINT) != 0 {
                    return Err(io::Error::last_os_error());
                }
                // The parent may have died before the call above.
                if u32::try_from(libc::getppid()) != Ok(parent) {
                    return Err(io::Error::from_raw_os_error(libc::ESRCH));
                }
                Ok(())
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

/// Whether the C library knows this locale.
pub(super) fn has_locale(name: &CStr) -> bool {
    #[allow(unsafe_code)]
    // SAFETY: the name is a C string, no base locale is given, and what is made is freed once.
    unsafe {
        let locale = libc::newlocale(libc::LC_CTYPE_MASK, name.as_ptr(), std::ptr::null_mut());
        if locale.is_null() {
            return false;
        }
        libc::freelocale(locale);
        true
    }
}

/// The user of this name.
pub(super) fn user_named(name: &str) -> io::Result<Option<Passwd>> {
    let name = CString::new(name)?;
    passwd(|entry, buffer, found| {
        #[allow(unsafe_code)]
        // SAFETY: `passwd` gives pointers that are valid for the call, and the buffer's true length.
        unsafe {
            libc::getpwnam_r(name.as_ptr(), entry, buffer.as_mut_ptr().cast(), buffer.len(), found)
        }
    })
}

/// The user of this id.
pub(super) fn user_of_id(uid: u32) -> io::Result<Option<Passwd>> {
    passwd(|entry, buffer, found| {
        #[allow(unsafe_code)]
        // SAFETY: `passwd` gives pointers that are valid for the call, and the buffer's true length.
        unsafe {
            libc::getpwuid_r(uid, entry, buffer.as_mut_ptr().cast(), buffer.len(), found)
        }
    })
}

/// Lines of the user database longer than this are no users of ours.
const PASSWD_BYTES_MAX: usize = 64 * 1024;

fn passwd(
    look_up: impl Fn(*mut libc::passwd, &mut [u8], *mut *mut libc::passwd) -> libc::c_int,
) -> io::Result<Option<Passwd>> {
    let mut buffer = vec![0_u8; PASSWD_BYTES_MAX];
    let mut entry = MaybeUninit::<libc::passwd>::zeroed();
    let mut found = std::ptr::null_mut();
    let code = look_up(entry.as_mut_ptr(), &mut buffer, &raw mut found);
    if found.is_null() {
        return match code {
            // Which of these says "no such user" depends on the C library.
            0 | libc::ENOENT | libc::ESRCH => Ok(None),
            code => Err(io::Error::from_raw_os_error(code)),
        };
    }
    #[allow(unsafe_code)]
    // SAFETY: a non-null result points to `entry`, now filled, whose name is a C string inside `buffer`, still alive.
    let user = unsafe {
        let entry = &*found;
        Passwd {
            name: CStr::from_ptr(entry.pw_name).to_string_lossy().into_owned(),
            uid: entry.pw_uid,
            gid: entry.pw_gid,
        }
    };
    Ok(Some(user))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use super::*;

    #[test]
    fn what_is_read_from_memory_is_what_the_file_has() {
        let path = std::env::temp_dir().join(format!("nexus-mint-os-{}", uuid::Uuid::now_v7()));
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        let bytes: Vec<u8> = (0..200_000_u32)
            .map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1])
            .collect();
        file.write_all(&bytes).unwrap();
        file.rewind().unwrap();
        for (at, length) in [(0, 1), (0, 200_000), (70_001, 65_552), (199_999, 1)] {
            let mut buffer = vec![1; length];
            if read_from_memory(&file, &mut buffer, at as u64) {
                assert_eq!(buffer, bytes[at..at + length], "{at}");
            }
        }
        let mut buffer = [0; 2];
        assert!(
            !read_from_memory(&file, &mut buffer, 199_999),
            "one of the two is not there"
        );
        assert!(!read_from_memory(&file, &mut buffer, u64::MAX));
        std::fs::remove_file(path).unwrap();
    }
}
