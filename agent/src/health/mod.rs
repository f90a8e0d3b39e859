//! Health checks on the host.
