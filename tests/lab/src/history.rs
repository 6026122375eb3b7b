//! Driver: a growing record that others read, and wait on.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::time::Timeout;

/// A record of what happened, in order. Clones are handles on the same one.
#[derive(Debug)]
pub struct History<T>(Arc<(Mutex<Vec<T>>, Condvar)>);

impl<T> Clone for History<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for History<T> {
    fn default() -> Self {
        Self(Arc::new((Mutex::new(Vec::new()), Condvar::new())))
    }
}

impl<T> History<T> {
    /// Adds to the end.
    pub fn push(&self, item: T) {
        self.lock().push(item);
        self.0.1.notify_all();
    }

    /// Looks at everything so far.
    pub fn read<R>(&self, look: impl FnOnce(&[T]) -> R) -> R {
        look(&self.lock())
    }

    /// Returns how much there is so far: a mark from which to look on.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Returns whether nothing has happened.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until `look` finds something; it is asked at every addition.
    ///
    /// # Errors
    /// [`Timeout`] after `limit`.
    pub fn wait<R>(
        &self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut(&[T]) -> Option<R>,
    ) -> Result<R, Timeout> {
        let deadline = Instant::now() + limit;
        let mut items = self.lock();
        loop {
            if let Some(found) = look(&items) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let last = "it did not happen".to_owned();
                return Err(Timeout {
                    what: what.to_owned(),
                    limit,
                    last,
                });
            }
            items = self
                .0
                .1
                .wait_timeout(items, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        // A panic elsewhere does not make what has happened untrue.
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
