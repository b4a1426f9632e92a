//! The data centre's deciders and sagas: pure state machines and policies.
