//! Instruction counts: the same on every run, so that noise does not decide.
//!
//! A benchmark that is asked for one path runs it within [`measured_path`], which is all that callgrind counts.

/// How often a path is walked before it is counted.
const WARM: usize = 3;

/// Prepares a path, warms it, and walks it once to be counted.
pub fn measured(prepare: impl FnOnce() -> Box<dyn FnMut()>) {
    let mut path = prepare();
    (0..WARM).for_each(|_| path());
    measured_path(&mut path);
}

/// What callgrind is told to count: `--toggle-collect=*measured_path*`.
#[inline(never)]
pub fn measured_path(path: &mut dyn FnMut()) {
    path();
}
