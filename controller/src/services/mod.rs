//! The gRPC services: thin shells that find the caller, turn messages into domain values and ask the parts that decide.

pub mod agent;
pub mod enrolment;
pub mod operator;
mod session;
