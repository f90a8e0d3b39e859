//! A digest over the whole state, by which replays are compared. Names are hashed, not numbers, so that a new value of an enum changes no
//! digest of an old log.

use patchwave_common::domain::{Digest, DigestBuilder, Generation, Timestamp};

use super::{Life, Rollout};

/// Changes when what is hashed changes; golden logs keep it beside their digest.
pub const STATE_HASH_VERSION: u32 = 1;

impl Rollout {
    /// Digest over the whole state: two folds are equal if and only if this is.
    #[must_use]
    pub fn state_hash(&self) -> Digest {
        let mut builder = DigestBuilder::default();
        builder.field(&STATE_HASH_VERSION.to_be_bytes()).field(&self.root.0).field(&self.revision.to_be_bytes());
        instant(&mut builder, Some(self.last_at));
        self.hash_life(&mut builder);
        for wave in &self.waves {
            instant(&mut builder, wave.started);
            instant(&mut builder, Some(wave.limit_from));
            instant(&mut builder, wave.passed.map(|(at, _)| at));
            builder.field(wave.passed.map_or("", |(_, because)| because.as_str()).as_bytes());
            builder.field(&[u8::from(wave.overridden)]).field(&wave.charged.to_be_bytes());
        }
        for window in [self.staging_window, self.catch_up_window] {
            instant(&mut builder, Some(window.start));
            builder.field(&window.used.to_be_bytes());
        }
        self.hash_hosts(&mut builder);
        builder.finish()
    }

    fn hash_life(&self, builder: &mut DigestBuilder) {
        builder.field(self.state().as_str().as_bytes());
        match &self.life {
            Life::New => builder.field(b"new"),
            Life::Planned => builder.field(b"planned"),
            Life::Running => builder.field(b"running"),
            Life::Stopping { reason } => builder.field(b"stopping").field(reason.to_string().as_bytes()),
            Life::Aborting { by, reason } => builder.field(b"aborting").field(by.to_string().as_bytes()).field(reason.as_bytes()),
            Life::Ended { outcome, at, text } => {
                builder.field(b"ended").field(outcome.as_str().as_bytes()).field(&at.0.to_be_bytes()).field(text.as_bytes())
            }
        };
        if let Some((by, at)) = &self.created {
            builder.field(by.to_string().as_bytes()).field(&at.0.to_be_bytes());
        }
        for by in &self.approved_by {
            builder.field(by.as_str().as_bytes());
        }
        instant(builder, self.started_at);
        if let Some(pause) = &self.pause {
            builder.field(pause.by.to_string().as_bytes()).field(pause.reason.as_str().as_bytes()).field(pause.detail.as_bytes());
        }
        builder.field(&self.halt.unwrap_or(0).to_be_bytes()).field(&[u8::from(self.halt.is_some())]);
        builder.field(self.handed_over.as_ref().map_or("", |id| id.as_str()).as_bytes());
        for key in &self.quarantined {
            builder.field(key.manager.as_str().as_bytes()).field(key.origin.as_bytes()).field(key.source.as_str().as_bytes());
            builder.field(key.version.as_str().as_bytes()).field(key.architecture.as_str().as_bytes());
        }
        generation(builder, self.newest);
    }

    fn hash_hosts(&self, builder: &mut DigestBuilder) {
        for host in self.plan.indexes() {
            let hosts = &self.hosts;
            builder.field(hosts.phase(host).as_str().as_bytes()).field(hosts.staging(host).as_str().as_bytes());
            builder.field(hosts.cause(host).as_str().as_bytes());
            builder.field(hosts.not_staged(host).map_or("", |reason| reason.as_str()).as_bytes());
            builder.field(&[hosts.flags(host), hosts.tries(host)]);
            generation(builder, hosts.generation(host));
            builder.field(&hosts.since(host).0.to_be_bytes()).field(&hosts.staging_since(host).0.to_be_bytes());
            builder.field(hosts.detail(host).as_bytes());
        }
        for (host, order) in &self.hosts.take_backs {
            builder.field(&host.0.to_be_bytes()).field(&[order.tries]);
            generation(builder, order.of);
        }
    }
}

fn instant(builder: &mut DigestBuilder, at: Option<Timestamp>) {
    builder.field(&[u8::from(at.is_some())]).field(&at.map_or(0, |at| at.0).to_be_bytes());
}

fn generation(builder: &mut DigestBuilder, generation: Generation) {
    builder.field(&generation.epoch.to_be_bytes()).field(&generation.counter.to_be_bytes());
}
