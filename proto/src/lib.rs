//! Wire and stored formats, and the one place where they meet domain types.
//!
//! [`agent`] turns messages of untrusted peers into domain types, with bounds on every list and string; nothing else may. [`operator`]
//! holds the operator service, whose messages are views to be shown and are never taken for domain types.

pub mod agent;
pub mod codec;

/// Messages and services between agents and the controller, as generated.
pub mod fleet {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::pedantic)]
    pub mod v1 {
        tonic::include_proto!("patchwave.fleet.v1");
    }
}

/// The operator service, as generated.
pub mod operator {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::pedantic)]
    pub mod v1 {
        tonic::include_proto!("patchwave.operator.v1");
    }
}

/// Stored formats, as generated. The controller's store turns them into its records and back.
pub mod store {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::pedantic)]
    pub mod v1 {
        tonic::include_proto!("patchwave.store.v1");
    }

    /// Plans and logs of rollouts.
    pub mod rollout {
        /// Version 1.
        #[allow(missing_docs, clippy::all, clippy::pedantic)]
        pub mod v1 {
            tonic::include_proto!("patchwave.store.rollout.v1");
        }
    }
}

/// The compiled descriptors of every .proto file, as an encoded `FileDescriptorSet`: tests enumerate services and methods from it.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
