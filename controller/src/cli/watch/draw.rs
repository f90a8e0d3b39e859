//! What a rollout looks like: a head, one bar for each wave with its counts, what it waits for, and the hosts that came to harm.

use patchwave_proto::operator::v1::{Rollout, RolloutDetail, RolloutHost, WaveProgress};
use unicode_width::UnicodeWidthStr as _;

use super::bar::{bar, counts};
use super::line::{Line, cut, wrap, wrap_whole};
use crate::cli::text::{Paint, Tone, elapsed, one_line};

/// Names of waves are cut to this; a policy's are a word or two.
const NAME_MAX: usize = 20;
/// Narrower than this a bar says nothing.
const BAR_MIN: usize = 8;
/// Wider than this it says nothing more.
const BAR_MAX: usize = 30;
/// Hosts that are named as harmed; the others are in the counts and in `rollout show`.
const HARMED_SHOWN: usize = 5;

/// How a drawing is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canvas {
    /// Columns.
    pub width: usize,
    /// Lines at most; waves that passed, then waves that wait, are folded to fit.
    pub height: Option<usize>,
    /// Whether colours show.
    pub paint: Paint,
}

/// Draws a rollout without colour and as high as it takes; no line is wider than `width`.
#[must_use]
pub fn draw(detail: &RolloutDetail, width: usize) -> Vec<String> {
    paint(detail, Canvas { width, height: None, paint: Paint::No })
}

/// Draws the waves alone.
#[must_use]
pub fn waves(detail: &RolloutDetail, canvas: Canvas) -> Vec<String> {
    folded(&detail.waves, canvas.width, canvas.height).iter().map(|line| line.show(canvas.width, canvas.paint)).collect()
}

/// Draws a rollout on a canvas.
#[must_use]
pub fn paint(detail: &RolloutDetail, canvas: Canvas) -> Vec<String> {
    let rollout = detail.rollout.clone().unwrap_or_default();
    let mut above = head(&rollout, detail, canvas.width);
    above.push(Line::new());
    let below = foot(&rollout, detail, canvas.width);
    let room = canvas.height.map(|height| height.saturating_sub(above.len() + below.len()));
    let waves = folded(&detail.waves, canvas.width, room);
    let mut lines: Vec<String> = above.iter().chain(&waves).chain(&below).map(|line| line.show(canvas.width, canvas.paint)).collect();
    if let Some(height) = canvas.height
        && lines.len() > height
    {
        lines.truncate(height.saturating_sub(1));
        lines.push(Line::new().put("… more: `patchwave rollout show`", Tone::Dim).show(canvas.width, canvas.paint));
    }
    lines
}

fn head(rollout: &Rollout, detail: &RolloutDetail, width: usize) -> Vec<Line> {
    let state = one_line(&rollout.state);
    let running = if rollout.started_at.is_empty() && detail.elapsed_ms == 0 { String::new() } else { elapsed(detail.elapsed_ms) };
    let first = Line::new()
        .then(one_line(&rollout.id), Tone::Strong)
        .then(one_line(&rollout.policy), Tone::Plain)
        .then(state, Tone::of_state(&rollout.state))
        .then(running, Tone::Dim);
    let tone = |number: u32, tone: Tone| if number == 0 { Tone::Dim } else { tone };
    let charged = format!("failures {} of {}", detail.failures_charged, detail.failure_limit);
    let mut counts = vec![
        (format!("{} hosts:", rollout.hosts), Tone::Plain),
        (format!("{} updated,", rollout.updated), tone(rollout.updated, Tone::Good)),
        (format!("{} harmed,", rollout.harmed), tone(rollout.harmed, Tone::Bad)),
        (format!("{} taken back,", rollout.taken_back), tone(rollout.taken_back, Tone::Bad)),
        (format!("{} untouched;", rollout.untouched), Tone::Plain),
        (charged, tone(detail.failures_charged, Tone::Bad)),
    ];
    if rollout.needs_attention > 0 {
        counts.insert(4, (format!("{} need attention,", rollout.needs_attention), Tone::Bad));
    }
    std::iter::once(first).chain(wrap_whole(&counts, width, 0)).collect()
}

/// The waves in at most `room` lines if that can be had by folding.
fn folded(waves: &[WaveProgress], width: usize, room: Option<usize>) -> Vec<Line> {
    // Where space is short, names give way first: the order of the waves tells which is which.
    let names = waves.iter().map(|wave| one_line(&wave.name).width()).max().unwrap_or(0).min(NAME_MAX).min(width / 4);
    let blocks: Vec<Vec<Line>> = waves.iter().map(|wave| block(wave, names, width)).collect();
    let room = room.unwrap_or(usize::MAX);
    let total: usize = blocks.iter().map(Vec::len).sum();
    if total <= room {
        return blocks.into_iter().flatten().collect();
    }
    let passed = waves.iter().take_while(|wave| wave.state == "passed").count();
    let waiting = waves.iter().rev().take_while(|wave| wave.state == "waiting").count().min(waves.len() - passed);
    let kept = passed..waves.len() - waiting;
    let summary = |range: std::ops::Range<usize>, word: &str| {
        let hosts: u64 = waves[range.clone()].iter().map(|wave| u64::from(wave.hosts)).sum();
        Line::new().put(format!("  {} waves {word}, {hosts} hosts", range.len()), Tone::Dim)
    };
    let mut lines = Vec::new();
    if passed > 0 {
        lines.push(summary(0..passed, "passed"));
    }
    lines.extend(blocks[kept.clone()].iter().flatten().cloned());
    if waiting > 0 {
        lines.push(summary(kept.end..waves.len(), "wait"));
    }
    lines
}

/// One wave: name, bar, healthy of all, state, elapsed; the counts on the same line where they fit, else below; then what it waits for.
fn block(wave: &WaveProgress, names: usize, width: usize) -> Vec<Line> {
    let name = one_line(&wave.name);
    let name = cut(&name, names);
    let mut line = Line::new().put(format!("  {name}{}", " ".repeat(names - name.width())), Tone::Plain);
    let bar_width = (width / 4).min(BAR_MAX);
    if bar_width >= BAR_MIN {
        line.push("  ", Tone::Plain);
        bar(wave, bar_width).into_iter().for_each(|(text, tone)| line.push(text, tone));
    }
    let running = if wave.elapsed_ms == 0 { String::new() } else { elapsed(wave.elapsed_ms) };
    let mut line = line
        .then(format!("{}/{}", wave.healthy, wave.hosts), Tone::Plain)
        .then(one_line(&wave.state), Tone::of_state(&wave.state))
        .then(running, Tone::Dim);
    let counts = counts(wave);
    let indent = names + 4;
    let counts_width = counts.iter().map(|(text, _)| text.width() + 1).sum::<usize>() + 1;
    let mut lines = Vec::new();
    if line.width() + counts_width <= width {
        for (index, (text, tone)) in counts.into_iter().enumerate() {
            line.push(if index == 0 { "  " } else { " " }, Tone::Plain);
            line.push(text, tone);
        }
        lines.push(line);
    } else {
        lines.push(line);
        lines.extend(wrap_whole(&counts, width, indent));
    }
    if !wave.waiting_for.is_empty() && wave.state != "waiting" {
        lines.extend(wrap(&[("waits for:".to_owned(), Tone::Dim), (one_line(&wave.waiting_for), Tone::Plain)], width, indent));
    }
    lines
}

fn foot(rollout: &Rollout, detail: &RolloutDetail, width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let shown_at_wave = |text: &str| detail.waves.iter().any(|wave| wave.state != "waiting" && wave.waiting_for == text);
    let mut sentences: Vec<(&str, &str, Tone)> = Vec::new();
    if !rollout.reason.is_empty() && rollout.reason != detail.waiting_for && !shown_at_wave(&rollout.reason) {
        sentences.push(("why:", &rollout.reason, Tone::of_state(&rollout.state)));
    }
    if !detail.waiting_for.is_empty() && !shown_at_wave(&detail.waiting_for) {
        sentences.push(("waits for:", &detail.waiting_for, Tone::Plain));
    }
    for (label, text, tone) in sentences {
        lines.extend(wrap(&[(label.to_owned(), Tone::Dim), (one_line(text), tone)], width, 0));
    }
    let harmed: Vec<&RolloutHost> = detail.hosts.iter().filter(|host| is_harmed(&host.state)).collect();
    for host in harmed.iter().take(HARMED_SHOWN) {
        let name = one_line(if host.name.is_empty() { &host.host } else { &host.name });
        let why = one_line(if host.detail.is_empty() { &host.reason } else { &host.detail });
        lines.extend(wrap(&[(name, Tone::Strong), (one_line(&host.state), Tone::Bad), (why, Tone::Plain)], width, 0));
    }
    if harmed.len() > HARMED_SHOWN {
        lines.push(Line::new().put(format!("… and {} more harmed hosts", harmed.len() - HARMED_SHOWN), Tone::Dim));
    }
    if !detail.quarantined.is_empty() {
        let versions: Vec<String> =
            detail.quarantined.iter().map(|entry| one_line(&format!("{} {}", entry.source, entry.version))).collect();
        lines.extend(wrap(&[("quarantined:".to_owned(), Tone::Dim), (versions.join(", "), Tone::Bad)], width, 0));
    }
    if !lines.is_empty() {
        lines.insert(0, Line::new());
    }
    lines
}

/// Whether a host's state in a rollout is one that a person should look at.
#[must_use]
pub fn is_harmed(state: &str) -> bool {
    matches!(state, "harmed" | "failed" | "taking-back" | "taken-back" | "needs-attention")
}
