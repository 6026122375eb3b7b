//! How much memory something takes.

pub use peak_alloc::PeakAlloc as Allocator;

/// Runs `work` and returns how many bytes more were allocated at once meanwhile than before, by all
/// threads; 0 in a program that has another allocator.
pub fn taken_by(work: impl FnOnce()) -> usize {
    let before = Allocator.current_usage();
    Allocator.reset_peak_usage();
    work();
    Allocator.peak_usage().saturating_sub(before)
}
