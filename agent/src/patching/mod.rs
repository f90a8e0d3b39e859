//! Applying staged patches and taking them back: a pure machine, a driver that does the I/O, a journal that makes every step resumable.
pub mod machine;
