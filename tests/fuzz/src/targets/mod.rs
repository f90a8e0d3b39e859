//! One module a target: `run` feeds and checks, `seeds` gives inputs to start from.

pub mod agent_settings;
pub mod agent_state;
pub mod apt_policy;
pub mod apt_simulation;
pub mod backup;
pub mod certificate;
pub mod controller_settings;
pub mod dpkg_files;
pub mod dpkg_status;
pub mod enrolment;
pub mod journal;
pub mod operator_request;
pub mod policy;
pub mod rollout_event;
pub mod rollout_plan;
pub mod rollout_step;
mod samples;
pub mod selector;
pub mod store_record;
pub mod store_row;
pub mod tool_output;
pub mod values;
pub mod versions;
pub mod wire_from_agent;
pub mod wire_to_agent;
