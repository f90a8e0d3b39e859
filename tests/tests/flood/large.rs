//! Inventories beyond every bound, and the largest within.

use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use patchwave_common::domain::{Digest, FromAgent, InventoryDelta, MAX_PACKAGES, ToAgent};
use patchwave_proto::agent::encode_from_agent;
use patchwave_proto::fleet::v1::AgentMessage;
use patchwave_tests::load::Link;

use super::chatter::{inventory, open};
use super::crowd::PATIENCE;
use super::ground::{FIRST, Ground, flood};

/// What nobody has.
const MILLION: u32 = 1_000_000;
/// Too many packages, in a message that is not too long.
const TOO_MANY: u32 = MAX_PACKAGES as u32 + 50_000;
/// Agents that report the largest inventory at once.
const LARGE: u32 = 3;
/// A package of a long list: about 300 bytes as it is kept, 250 as it is read from the wire and 40 on it. Each of these agents has a list of
/// 200,000 kept, and one on its way; one more goes to the store at a time.
const GROWS_MIB: u64 = LARGE as u64 * (60 + 50 + 16) + 150;

/// An inventory as it goes out.
struct Reported {
    digest: Digest,
    message: AgentMessage,
}

/// Says one thing, and gives how the stream ended.
async fn refusal(mut link: Link, said: AgentMessage) -> Result<String> {
    let Link::Stream { say, .. } = &link else { bail!("not a stream") };
    say.send(said).await?;
    let ending = async {
        loop {
            if let Err(why) = link.hear().await {
                return format!("{why:#}");
            }
        }
    };
    tokio::time::timeout(PATIENCE, ending).await.context("the stream goes on")
}

/// Reports and waits until the controller has it on disk.
async fn report(mut link: Link, said: Reported) -> Result<()> {
    let digest = said.digest;
    let Link::Stream { say, .. } = &link else { bail!("not a stream") };
    say.send(said.message).await?;
    let answer = async {
        while !matches!(link.hear().await?, ToAgent::InventoryAnswer { digest: Some(have), .. } if have == digest) {}
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, answer).await.context("the inventory was not taken in")?
}

async fn beyond(ground: &Ground) -> Result<()> {
    for (packages, reason) in [(MILLION, "message length too large"), (TOO_MANY, "at most 200000 are allowed")] {
        let make = move || anyhow::Ok(encode_from_agent(&FromAgent::Inventory(inventory(FIRST, 0, packages)?.delta_from(None))));
        let said = tokio::task::spawn_blocking(make).await??;
        let told = refusal(open(ground, FIRST).await?, said).await?;
        ensure!(told.contains(reason), "an agent with {packages} packages was told: {told}");
        ground.logged(reason)?;
    }
    Ok(())
}

/// The largest; another one for each agent. Made before the stream is, which must not be silent for long.
async fn largest(agent: u32) -> Result<Reported> {
    let make = move || {
        let delta = inventory(agent, 0, MAX_PACKAGES as u32)?.delta_from(None);
        Ok(Reported { digest: delta.digest, message: encode_from_agent(&FromAgent::Inventory(delta)) })
    };
    tokio::task::spawn_blocking(make).await?
}

#[test]
fn inventories_beyond_the_bounds_end_their_own_stream_and_the_largest_go_one_by_one() -> Result<()> {
    flood("large inventories", GROWS_MIB, async |ground| {
        beyond(ground).await.context("beyond the bounds")?;
        let refused = ground.memory()?.peak >> 20;
        let whole = futures::future::try_join_all((0..LARGE).map(|index| largest(FIRST + index))).await?;
        let first = whole[0].digest;
        let began = Instant::now();
        futures::future::try_join_all((FIRST..).zip(whole).map(async |(agent, said)| report(open(ground, agent).await?, said).await))
            .await?;
        let took = began.elapsed();
        // Full to the brim: one more is one too many.
        let more = inventory(FIRST, 1, 1)?.delta_from(None);
        let new = more.changed.into_iter().map(|mut package| {
            package.id.name = patchwave_common::domain::PackageName::parse("one-more")?;
            anyhow::Ok(package)
        });
        let delta = InventoryDelta { base: Some(first), changed: new.collect::<Result<_>>()?, ..more };
        let told = refusal(open(ground, FIRST).await?, encode_from_agent(&FromAgent::Inventory(delta))).await?;
        ensure!(told.contains("would have 200001 packages"), "an agent with one package too many was told: {told}");
        Ok(format!(
            "{MILLION} and {TOO_MANY} packages are refused at a peak of {refused} MiB; {LARGE} times {MAX_PACKAGES} are stored in {took:?}"
        ))
    })
}
