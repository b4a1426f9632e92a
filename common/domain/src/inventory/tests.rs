//! Rules of the inventory.
