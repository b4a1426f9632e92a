//! What a replay says of pools.
