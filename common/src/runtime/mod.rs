//! The thin shell that agent and controller share.
