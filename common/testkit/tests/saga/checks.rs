//! Definitions are checked before they run.
