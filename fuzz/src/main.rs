//! The fuzzer: libFuzzer's `main`, and its arguments. `fuzz/run` builds it with what it needs.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use vip_fuzz::Target;
use vip_fuzz::memory::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// The variable that names the target: libFuzzer's own arguments are files and options.
const VARIABLE: &str = "VIP_FUZZ_TARGET";

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var(VARIABLE).unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| panic!("{VARIABLE} names no target: {name:?}"))
});

fuzz_target!(|input: &[u8]| TARGET.check(input));
