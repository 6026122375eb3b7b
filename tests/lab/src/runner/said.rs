//! Pure: what a test said, taken out of what its process printed around it.

/// Returns whether exactly one test ran, and passed: a process may also end well without having run any.
pub(super) fn passed(printed: &str) -> bool {
    printed
        .lines()
        .any(|line| line.starts_with("test result: ok. 1 passed; 0 failed; 0 ignored;"))
}

/// Returns what a failed test itself said, and what it was failed with; nothing where the process did not
/// get so far.
pub(super) fn of_failed(name: &str, printed: &str) -> Option<String> {
    let (_, from_test) = printed.split_once(&format!("test {name} ... "))?;
    let verdict = format!("FAILED\n\nfailures:\n\n---- {name} ----\n");
    let (said, from_message) = from_test.rsplit_once(&verdict)?;
    let (message, _) = from_message.rsplit_once("\n\nfailures:\n")?;
    Some(format!("{said}{}", message.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSED: &str = "\nrunning 1 test\ntest it ... ok\n\ntest result: ok. 1 passed; 0 failed; \
                          0 ignored; 0 measured; 9 filtered out; finished in 0.00s\n\n";

    fn failed(said: &str, message: &str) -> String {
        format!(
            "\nrunning 1 test\ntest it ... {said}FAILED\n\nfailures:\n\n---- it ----\n{message}\n\n\
             \nfailures:\n    it\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; \
             9 filtered out; finished in 0.00s\n\n"
        )
    }

    #[test]
    fn only_one_test_that_ran_has_passed() {
        assert!(passed(PASSED));
        let result = |counts: &str| PASSED.replace("1 passed; 0 failed; 0 ignored", counts);
        for counts in [
            "0 passed; 0 failed; 0 ignored",
            "0 passed; 0 failed; 1 ignored",
            "1 passed; 0 failed; 1 ignored",
            "2 passed; 0 failed; 0 ignored",
            "10 passed; 0 failed; 0 ignored",
        ] {
            assert!(!passed(&result(counts)), "{counts}");
        }
        assert!(!passed(&failed("", "no")));
        assert!(!passed(""));
    }

    #[test]
    fn a_failure_is_told_in_the_tests_own_words() {
        for (said, message, told) in [
            ("", "it is wrong", "it is wrong"),
            ("one\ntwo\n", "three\nfour", "one\ntwo\nthree\nfour"),
            ("it panicked\n", "", "it panicked\n"),
            (
                "failures:\n\nno\n",
                "\n\nfailures:\nmany",
                "failures:\n\nno\n\n\nfailures:\nmany",
            ),
        ] {
            assert_eq!(
                of_failed("it", &failed(said, message)).as_deref(),
                Some(told)
            );
        }
    }

    #[test]
    fn a_process_that_died_gave_no_verdict() {
        for printed in [
            "",
            "\nrunning 1 test\n",
            "\nrunning 1 test\ntest it ... dying",
            PASSED,
        ] {
            assert_eq!(of_failed("it", printed), None, "{printed:?}");
        }
        assert_eq!(of_failed("another", &failed("", "no")), None);
    }
}
