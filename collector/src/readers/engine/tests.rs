//! Replay and crash.
