//! The scheduler: one queue of events in true time, everything that happens comes out of it, and after each event the witness looks.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use patchwave::records::{HostRecord, HostState, Serial};
use patchwave::store::{Change, Write};
use patchwave_agent::patching::machine::{JobId, TransactionName};
use patchwave_common::domain::{FromAgent, HostMode, Labels, Timestamp, ToAgent, TokenId};

use crate::agent::Question;
use crate::choices::Choices;
use crate::clock::START;
use crate::controller::{Controller, at_once};
use crate::host::{Host, facts};
use crate::network::{Message, Network, StreamId};
use crate::packages::Versions;
use crate::setting::Setting;
use crate::witness::Witness;

/// No life is longer: one that has not come to its end by then never will.
const MAX_EVENTS: u64 = 400_000;

#[derive(Debug)]
pub enum Event {
    Arrives {
        stream: StreamId,
        message: Box<Message>,
    },
    /// An order is said again long after, on whatever stream the host has by then.
    Haunts {
        host: usize,
        message: Box<ToAgent>,
    },
    AgentLosesStream {
        host: usize,
        run: u32,
        stream: StreamId,
    },
    ControllerLosesStream {
        stream: StreamId,
    },
    Dial {
        host: usize,
        run: u32,
    },
    AgentDue {
        host: usize,
        run: u32,
    },
    Answer {
        host: usize,
        run: u32,
        job: JobId,
        question: Question,
    },
    Work {
        host: usize,
        name: TransactionName,
        boot: u32,
    },
    StartAgent {
        host: usize,
    },
    Boot {
        host: usize,
    },
    Mend {
        host: usize,
    },
    Unhold {
        host: usize,
    },
    Room {
        host: usize,
    },
    RightClock {
        host: usize,
    },
    Turn,
    StartController,
    KillController,
    Trouble,
    Operator,
    Calm,
    Look,
}

struct Entry(u64, u64, Event);

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

pub struct World {
    pub now_ms: u64,
    pub setting: Setting,
    pub choices: Choices,
    pub hosts: Vec<Host>,
    pub controller: Controller,
    pub network: Network,
    pub witness: Witness,
    pub archive: Versions,
    pub is_calm: bool,
    pub is_over: bool,
    pub backup: Option<Vec<u8>>,
    pub rollouts: u32,
    /// How often a human still resumes what paused.
    pub patience: u32,
    pub events: u64,
    turn_ms: Option<u64>,
    queue: BinaryHeap<Reverse<Entry>>,
    numbers: u64,
    trace: bool,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut choices = Choices::new(seed);
        let setting = Setting::draw(&mut choices);
        let hosts = (0..setting.hosts)
            .map(|number| {
                let drift_ppm = i64::try_from(choices.below(400)).unwrap() - 200;
                let mut host = Host::new(number, drift_ppm);
                if choices.one_in(setting.bad_one_in) {
                    host.bad.insert(("alpha".to_owned(), "2".to_owned()));
                }
                host
            })
            .collect();
        let archive = [("alpha", "2"), ("beta", "2")].map(|(name, version)| (name.to_owned(), version.to_owned()));
        let mut world = Self {
            now_ms: 0,
            setting,
            choices,
            hosts,
            controller: Controller::new(),
            network: Network::default(),
            witness: Witness::default(),
            archive: archive.into(),
            is_calm: false,
            is_over: false,
            backup: None,
            rollouts: 0,
            patience: 30,
            events: 0,
            turn_ms: None,
            queue: BinaryHeap::new(),
            numbers: 0,
            trace: std::env::var_os("TRACE").is_some(),
        };
        world.enrol_all();
        world
    }

    fn enrol_all(&mut self) {
        assert!(self.controller.start());
        let records = self.hosts.iter().zip(0..).map(|(host, number)| record(host, number));
        let changes = records.map(|record| Change::PutHost(Box::new(record))).collect();
        let process = self.controller.process.as_ref().unwrap();
        at_once(process.store.write(Write::new(changes))).unwrap();
        process.fleet.load(process.store.store().as_ref()).unwrap();
        for host in 0..self.hosts.len() {
            let pause = self.choices.between(0, 30_000);
            self.later(pause, Event::StartAgent { host });
        }
        self.at(90_000, Event::Operator);
        self.wake_controller(1_000);
        if self.setting.trouble_every_ms > 0 {
            self.at(60_000, Event::Trouble);
        }
        self.at(self.setting.calm_from_ms, Event::Calm);
    }

    pub fn at(&mut self, at_ms: u64, event: Event) {
        self.numbers += 1;
        self.queue.push(Reverse(Entry(at_ms.max(self.now_ms), self.numbers, event)));
    }

    pub fn later(&mut self, pause_ms: u64, event: Event) {
        self.at(self.now_ms + pause_ms, event);
    }

    /// Lives until everything has come to an end.
    pub fn live(&mut self) {
        while !self.is_over {
            let Some(Reverse(Entry(at_ms, _, event))) = self.queue.pop() else {
                panic!("EVERYTHING ENDS: nothing happens any more: {}", self.what_is_left());
            };
            self.now_ms = at_ms;
            self.controller.clock.set_true(at_ms);
            self.events += 1;
            assert!(self.events < MAX_EVENTS, "EVERYTHING ENDS: {}", self.what_is_left());
            if self.trace {
                eprintln!("{:>10} {event:?}", self.now_ms);
            }
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrives { stream, message } => self.arrives(stream, *message),
            Event::Haunts { host, message } => self.haunts(host, *message),
            Event::AgentLosesStream { host, run, stream } => self.agent_loses_stream(host, run, stream),
            Event::ControllerLosesStream { stream } => self.controller_loses_stream(stream),
            Event::Dial { host, run } => self.dial(host, run),
            Event::AgentDue { host, run } => self.agent_due(host, run),
            Event::Answer { host, run, job, question } => self.answer(host, run, job, question),
            Event::Work { host, name, boot } => self.work(host, name, boot),
            Event::StartAgent { host } => self.start_agent(host),
            Event::Boot { host } => self.boot(host),
            Event::Mend { host } => self.mend(host),
            Event::Unhold { host } => self.hosts[host].hold = None,
            Event::Room { host } => self.hosts[host].is_full = false,
            Event::RightClock { host } => self.hosts[host].wrong_by_ms = 0,
            Event::Turn => self.turn(),
            Event::StartController => self.start_controller(),
            Event::KillController => self.kill_controller(),
            Event::Trouble => self.trouble(),
            Event::Operator => self.operator(),
            Event::Calm => self.calm(),
            Event::Look => self.look_at_the_end(),
        }
    }

    /// Something was told to the controller: it takes a turn soon, with whatever else comes meanwhile.
    pub fn wake_controller(&mut self, within_ms: u64) {
        let at = self.now_ms + within_ms;
        if self.turn_ms.is_none_or(|turn| at < turn || turn < self.now_ms) {
            self.turn_ms = Some(at);
            self.at(at, Event::Turn);
        }
    }

    fn turn(&mut self) {
        if self.turn_ms != Some(self.now_ms) {
            return;
        }
        self.turn_ms = None;
        if !self.controller.is_up() {
            return;
        }
        match self.controller.with(|process| process.turn()) {
            Some(due) => {
                self.after_controller();
                self.wake_controller(u64::try_from(due.as_millis()).unwrap().max(1));
            }
            None => self.controller_died(),
        }
    }

    /// What the controller says goes out, unless it died before it could, and the witness reads what it wrote.
    pub fn after_controller(&mut self) {
        if let Some(process) = self.controller.process.as_mut() {
            let (messages, closing) = process.outgoing();
            for (stream, message) in messages {
                self.controller_says(stream, message);
            }
            for stream in closing {
                self.controller_loses_stream(stream);
                self.lose_stream(stream);
            }
        }
        self.check_log();
    }

    fn controller_says(&mut self, stream: StreamId, message: ToAgent) {
        if let Some(host) = self.network.streams.get(&stream).map(|it| it.host) {
            self.check_said(host, &message);
            self.send(stream, Message::ToAgent(message));
        }
    }

    pub fn controller_hears(&mut self, stream: StreamId, message: FromAgent) {
        let host = self.network.streams[&stream].host;
        let id = self.hosts[host].id.clone();
        let clock = self.controller.clock.clone();
        let is_up = self.controller.is_up();
        match self.controller.with(|process| process.hears(stream, &id, message, &clock)) {
            Some(true) => {
                let pause = self.choices.between(0, 15);
                self.wake_controller(pause);
            }
            Some(false) => {
                self.controller_loses_stream(stream);
                self.lose_stream(stream);
            }
            None if is_up => self.controller_died(),
            None => {}
        }
    }

    pub fn controller_loses_stream(&mut self, stream: StreamId) {
        let is_up = self.controller.is_up();
        if self.controller.with(|process| process.close(stream)).is_none() && is_up {
            self.controller_died();
        }
        self.wake_controller(5);
    }
}

fn record(host: &Host, number: usize) -> HostRecord {
    let ring = if number < 3 { "ring=test" } else { "ring=broad" };
    let site = if number.is_multiple_of(2) { "site=ams" } else { "site=fra" };
    let labels = [ring, site].map(|pair| Labels::parse_pair(pair).unwrap());
    HostRecord {
        id: host.id.clone(),
        revision: 0,
        mode: HostMode::Managed,
        labels: Labels(labels.into_iter().collect()),
        state: HostState::Active,
        enrolled_at: Timestamp(START),
        token: TokenId::parse("t1").unwrap(),
        certificate: Serial::parse("ab01").unwrap(),
        replaces: None,
        facts: facts(&host.id),
        last_seen: None,
        instance: None,
        clock_offset_ms: 0,
        inventory: None,
        candidates: None,
    }
}
