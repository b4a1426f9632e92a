//! Ports and the imperative shell: load, decide, append, relay, batches, timers. Domain-free.
