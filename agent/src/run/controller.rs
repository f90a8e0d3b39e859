//! Reaches the controller with the host's identity; an expired certificate is renewed first, since with it nothing else is allowed.

use std::sync::Arc;

use patchwave_common::runtime::tls::{ConnectError, connect};
use tonic::transport::Channel;

use crate::identity::{HostIdentityError, Keeper};
use crate::session::link::{Closed, ClosedKind, Dial};

/// The controller of an enrolled host.
pub struct Controller {
    keeper: Arc<Keeper>,
    url: String,
}

impl Controller {
    /// The controller at `url`, for the identity that `keeper` keeps.
    #[must_use]
    pub fn new(keeper: Arc<Keeper>, url: String) -> Self {
        Self { keeper, url }
    }
}

impl Dial for Controller {
    async fn dial(&self) -> Result<Channel, Closed> {
        if self.keeper.expired() {
            tracing::warn!("the host's certificate has expired; renewing it before anything else");
            self.keeper.renew_if_due().await.map_err(|error| not_renewed(&error))?;
        }
        connect(&self.url, self.keeper.identity().tls()).await.map_err(|error| not_connected(&error))
    }
}

fn not_connected(error: &ConnectError) -> Closed {
    // A wrong certificate or address needs somebody; but a name can be moved and a clock be set, so minutes and not hours.
    let kind = if error.is_transient() { ClosedKind::Broken } else { ClosedKind::Refused };
    Closed { kind, text: error.to_string() }
}

fn not_renewed(error: &HostIdentityError) -> Closed {
    let kind = if error.is_transient() { ClosedKind::Broken } else { ClosedKind::Refused };
    Closed { kind, text: format!("the expired certificate could not be renewed: {error}") }
}
