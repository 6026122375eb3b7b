//! Captures log lines of the current thread.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Once;

thread_local! {
    static CAPTURE: RefCell<Option<Lines>> = const { RefCell::new(None) };
}

/// Log lines at INFO and above, without their time.
#[derive(Clone, Default)]
pub(crate) struct Lines(Rc<RefCell<Vec<u8>>>);

/// Ends the capture when dropped.
pub(crate) struct Capture;

/// Captures until the guard is dropped.
///
/// One subscriber serves all threads: with one for each, whether a line is wanted would be decided
/// by whichever test comes to it first.
pub(crate) fn capture(lines: &Lines) -> Capture {
    static SUBSCRIBER: Once = Once::new();
    SUBSCRIBER.call_once(|| {
        tracing_subscriber::fmt()
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .with_writer(|| ThreadWriter)
            .init();
    });
    CAPTURE.set(Some(lines.clone()));
    Capture
}

impl Drop for Capture {
    fn drop(&mut self) {
        CAPTURE.set(None);
    }
}

impl Lines {
    pub(crate) fn all(&self) -> Vec<String> {
        let bytes = self.0.borrow().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }
}

struct ThreadWriter;

impl io::Write for ThreadWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        CAPTURE.with_borrow(|capture| {
            if let Some(Lines(lines)) = capture {
                lines.borrow_mut().extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
