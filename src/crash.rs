//! Applier: what a panic does. It ends the process, and shows no secret.

use std::any::Any;
use std::io::{self, Write};
use std::panic::Location;

/// From now on, a panic in any thread ends the process at once, by SIGABRT.
///
/// A task that is gone would leave the others with what it said last, and a health that nobody looks
/// after looks good. So nothing is cleaned up: the kernel takes the address off when its lifetime is
/// over, and the next process goes on with the session.
pub fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let _ = writeln!(io::stderr(), "{}", say(panic.location(), panic.payload()));
        std::process::abort();
    }));
}

/// Words that were put together at run time may hold anything, a token too. Others stand in the source.
fn say(location: Option<&Location<'_>>, payload: &(dyn Any + Send)) -> String {
    let place = location.map_or_else(|| "an unknown place".to_owned(), Location::to_string);
    let words = match payload.downcast_ref::<&'static str>() {
        Some(words) => words,
        None => "no words, because they may hold a secret",
    };
    format!("vip-elector: this is a bug, please report it: panicked at {place}: {words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_of_the_source_are_shown() {
        let here = Location::caller();
        let fixed: &(dyn Any + Send) = &"index out of reach";
        let made: &(dyn Any + Send) = &"token s3cr3t".to_owned();
        let said = say(Some(here), fixed);
        assert!(said.contains("src/crash.rs:"), "{said}");
        assert!(said.ends_with("index out of reach"), "{said}");
        assert!(!say(Some(here), made).contains("s3cr3t"));
        assert!(say(None, made).contains("unknown place"));
    }
}
