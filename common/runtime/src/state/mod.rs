//! How state is kept: load, decide, append; histories, snapshots, items.

pub mod catch_up;
pub mod causes;
pub mod control;
pub mod history;
pub mod item;
pub mod pack;
pub mod shell;
pub mod vault;
