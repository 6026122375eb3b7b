//! Answers for the C library when a program asks for the wall clock, and is off by the seconds that
//! the file `$VIP_LAB_CLOCK` says at that moment. Compiled by the lab, loaded with `LD_PRELOAD`; it
//! has no dependencies and allocates nothing.

use std::ffi::{c_char, c_int, c_long, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicI64, AtomicPtr, Ordering};

const CLOCK_REALTIME: c_int = 0;
const CLOCK_REALTIME_COARSE: c_int = 5;
#[cfg(target_arch = "x86_64")]
const SYS_CLOCK_GETTIME: c_long = 228;
#[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
const SYS_CLOCK_GETTIME: c_long = 113;
const PROT_READ: c_int = 1;
const MAP_SHARED: c_int = 1;

#[repr(C)]
pub struct Time {
    seconds: i64,
    /// Nanoseconds, or microseconds in what `gettimeofday` fills in.
    fraction: i64,
}

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn getenv(name: *const c_char) -> *const c_char;
    fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    fn close(file: c_int) -> c_int;
    fn mmap(
        at: *mut c_void,
        length: usize,
        protection: c_int,
        flags: c_int,
        file: c_int,
        offset: i64,
    ) -> *mut c_void;
}

/// `clock_gettime(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut Time) -> c_int {
    // SAFETY: passed on as the caller gave it.
    let result = unsafe { syscall(SYS_CLOCK_GETTIME, clock, time) };
    if result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
        // SAFETY: the kernel has just written there.
        unsafe { (*time).seconds += offset() };
    }
    result as c_int
}

/// `gettimeofday(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettimeofday(time: *mut Time, _zone: *mut c_void) -> c_int {
    // SAFETY: the two structures differ in the unit of the second number only.
    unsafe {
        let result = clock_gettime(CLOCK_REALTIME, time);
        if result == 0 {
            (*time).fraction /= 1000;
        }
        result
    }
}

/// `time(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn time(into: *mut i64) -> i64 {
    let mut now = Time {
        seconds: 0,
        fraction: 0,
    };
    // SAFETY: `into` is null or the caller's.
    unsafe {
        clock_gettime(CLOCK_REALTIME, &raw mut now);
        if !into.is_null() {
            *into = now.seconds;
        }
    }
    now.seconds
}

static FILE: AtomicPtr<AtomicI64> = AtomicPtr::new(null_mut());

/// What the file says now; it is mapped at the first question, and never unmapped.
fn offset() -> i64 {
    let mut file = FILE.load(Ordering::Acquire);
    if file.is_null() {
        file = map();
        FILE.store(file, Ordering::Release);
    }
    if file.is_null() {
        return 0;
    }
    // SAFETY: eight bytes of a file that stays mapped.
    unsafe { (*file).load(Ordering::Relaxed) }
}

fn map() -> *mut AtomicI64 {
    // SAFETY: the strings end with a zero, and what cannot be mapped is not used.
    unsafe {
        let path = getenv(c"VIP_LAB_CLOCK".as_ptr());
        if path.is_null() {
            return null_mut();
        }
        let file = open(path, 0);
        if file < 0 {
            return null_mut();
        }
        let mapped = mmap(null_mut(), 8, PROT_READ, MAP_SHARED, file, 0);
        close(file);
        if mapped as isize == -1 {
            null_mut()
        } else {
            mapped.cast()
        }
    }
}
