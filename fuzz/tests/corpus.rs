//! Every input that is kept, through the same functions that the fuzzer calls.

use std::path::{Path, PathBuf};
use std::{fs, panic};

use vip_fuzz::TARGETS;
use vip_fuzz::memory::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// One test for all: what an input takes of the memory is seen only while nothing else runs.
#[test]
fn every_kept_input_does_nothing_but_what_it_may() {
    let mut bad = Vec::new();
    for target in TARGETS {
        let inputs = inputs(target.name);
        assert!(!inputs.is_empty(), "no inputs for {}", target.name);
        // The first input pays for what is made once.
        (target.take)(b"");
        for input in inputs {
            let bytes = fs::read(&input).expect("an input");
            if panic::catch_unwind(|| target.check(&bytes)).is_err() {
                bad.push(input);
            }
        }
    }
    assert!(bad.is_empty(), "see above: {bad:#?}");
}

#[test]
fn every_directory_of_inputs_is_of_a_target() {
    let known = TARGETS.map(|target| target.name);
    for directory in fs::read_dir(corpus()).expect("the inputs") {
        let name = directory.expect("a directory").file_name();
        let name = name.to_string_lossy().into_owned();
        assert!(known.contains(&name.as_str()), "{name} is no target");
    }
}

fn inputs(target: &str) -> Vec<PathBuf> {
    let mut inputs: Vec<PathBuf> = fs::read_dir(corpus().join(target))
        .expect("a directory of inputs for each target")
        .map(|entry| entry.expect("an input").path())
        .collect();
    inputs.sort();
    inputs
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}
