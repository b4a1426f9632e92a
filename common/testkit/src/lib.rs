//! For tests only: in-memory ports, given/when/then and one contract suite per port.
