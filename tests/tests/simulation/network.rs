//! The network: streams that delay, break, and lose what was on its way; hosts that are cut off; and, in some lives, messages that are
//! dropped, repeated and overtake one another within a stream, which no transport of ours does.

use std::collections::BTreeMap;

use patchwave_agent::patching::machine::Input;
use patchwave_agent::session::protocol::Event as Told;
use patchwave_common::domain::{FromAgent, ToAgent};

use crate::world::{Event, World};

pub type StreamId = u64;

#[derive(Debug, Clone)]
pub enum Message {
    ToController(FromAgent),
    ToAgent(ToAgent),
}

#[derive(Debug)]
pub struct Stream {
    pub host: usize,
    pub run: u32,
    /// What is on its way while the host is cut off: it arrives when the cut ends before anybody gives up.
    held: Vec<Message>,
    /// When the newest message of each direction arrives.
    arrives_ms: [u64; 2],
}

#[derive(Debug, Default)]
pub struct Network {
    pub streams: BTreeMap<StreamId, Stream>,
    next: StreamId,
}

impl World {
    pub fn dial_later(&mut self, host: usize, at_most_ms: u64) {
        if let Some(run) = self.hosts[host].agent.as_ref().map(|agent| agent.run) {
            let pause = self.choices.between(100, at_most_ms);
            self.later(pause, Event::Dial { host, run });
        }
    }

    /// The agent tries to reach the controller.
    pub fn dial(&mut self, host: usize, run: u32) {
        let is_reachable = self.controller.is_up() && !self.hosts[host].is_cut;
        let it = &mut self.hosts[host];
        let Some(agent) = it.agent.as_mut().filter(|agent| agent.run == run && agent.stream.is_none()) else { return };
        if !is_reachable {
            self.dial_later(host, 60_000);
            return;
        }
        self.network.next += 1;
        let stream = self.network.next;
        agent.stream = Some(stream);
        self.network.streams.insert(stream, Stream { host, run, held: Vec::new(), arrives_ms: [0; 2] });
        self.input(host, Input::Connected);
        let Some(agent) = self.hosts[host].agent.as_ref() else { return };
        let (directive, newest) = (agent.machine.history().cloned(), agent.machine.newest_generation());
        self.told(host, Told::Connected { directive, newest });
    }

    /// The agent leaves its stream.
    pub fn hang_up(&mut self, host: usize) {
        if let Some(stream) = self.hosts[host].agent.as_mut().and_then(|agent| agent.stream.take()) {
            self.lose_stream(stream);
            self.dial_later(host, 60_000);
        }
    }

    /// A stream breaks: what is on its way is lost, and each end notices at once or when it has heard nothing for too long.
    pub fn lose_stream(&mut self, stream: StreamId) {
        let Some(Stream { host, run, .. }) = self.network.streams.remove(&stream) else { return };
        let pause = if self.choices.one_in(4) { 0 } else { self.choices.between(0, 90_000) };
        self.later(pause, Event::ControllerLosesStream { stream });
        let pause = self.choices.between(0, 5_000);
        self.later(pause, Event::AgentLosesStream { host, run, stream });
    }

    pub fn agent_loses_stream(&mut self, host: usize, run: u32, stream: StreamId) {
        let lost = |agent: &&mut crate::host::Agent| agent.run == run && agent.stream == Some(stream);
        if let Some(agent) = self.hosts[host].agent.as_mut().filter(lost) {
            agent.stream = None;
            self.told(host, Told::Disconnected);
            self.dial_later(host, 30_000);
        }
    }

    pub fn say_to_controller(&mut self, stream: StreamId, message: FromAgent) {
        self.send(stream, Message::ToController(message));
    }

    pub fn send(&mut self, stream: StreamId, message: Message) {
        let is_loose = self.setting.loose && !self.is_calm;
        if is_loose && self.choices.one_in(40) {
            self.witness.seen("message dropped");
            return;
        }
        if is_loose && self.choices.one_in(2) {
            self.say_again_later(stream, &message);
        }
        let times = if is_loose && self.choices.one_in(40) { 2 } else { 1 };
        for _ in 0..times {
            let delay = self.delay();
            let Some(it) = self.network.streams.get_mut(&stream) else { return };
            let direction = usize::from(matches!(message, Message::ToAgent(_)));
            let overtakes = is_loose && delay > 30;
            let at = if overtakes { self.now_ms + delay } else { (self.now_ms + delay).max(it.arrives_ms[direction]) };
            it.arrives_ms[direction] = at;
            self.at(at, Event::Arrives { stream, message: Box::new(message.clone()) });
        }
    }

    fn say_again_later(&mut self, stream: StreamId, message: &Message) {
        let (Some(it), Message::ToAgent(order @ ToAgent::Directive(_))) = (self.network.streams.get(&stream), message) else { return };
        let (host, message) = (it.host, Box::new(order.clone()));
        let pause = self.choices.between(60_000, 3_600_000);
        self.later(pause, Event::Haunts { host, message });
    }

    pub fn haunts(&mut self, host: usize, message: ToAgent) {
        if self.hosts[host].agent.as_ref().is_some_and(|agent| agent.stream.is_some()) && !self.hosts[host].is_cut {
            self.witness.seen("old order repeated");
            self.told(host, Told::Heard(message));
        }
    }

    /// Mostly milliseconds; once in a while a line stands still for longer than a lease lasts.
    fn delay(&mut self) -> u64 {
        if !self.is_calm && self.choices.one_in(300) {
            self.choices.between(20_000, 200_000)
        } else if self.choices.one_in(30) {
            self.choices.between(500, 20_000)
        } else {
            self.choices.between(1, 40)
        }
    }

    pub fn arrives(&mut self, stream: StreamId, message: Message) {
        let Some(it) = self.network.streams.get_mut(&stream) else { return };
        let host = it.host;
        if self.hosts[host].is_cut {
            it.held.push(message);
            return;
        }
        match message {
            Message::ToController(message) => self.controller_hears(stream, message),
            Message::ToAgent(message) => {
                let run = it.run;
                if self.hosts[host].agent.as_ref().is_some_and(|agent| agent.run == run && agent.stream == Some(stream)) {
                    self.told(host, Told::Heard(message));
                }
            }
        }
    }

    pub fn cut(&mut self, host: usize) {
        self.hosts[host].is_cut = true;
    }

    pub fn mend(&mut self, host: usize) {
        if !std::mem::take(&mut self.hosts[host].is_cut) {
            return;
        }
        let streams: Vec<StreamId> = self.network.streams.iter().filter(|(_, it)| it.host == host).map(|(id, _)| *id).collect();
        for stream in streams {
            let held = self.network.streams.get_mut(&stream).map(|it| std::mem::take(&mut it.held)).unwrap_or_default();
            for message in held {
                self.send(stream, message);
            }
        }
    }
}
