//! Taking a proposed device into the inventory, by a person's click or by the rule of `collector.toml`.

use std::sync::Arc;

use bellwether_logic::device::{Class, LifeState};
use bellwether_logic::discovery;
use bellwether_logic::topology::{self, How};
use bellwether_proto::record::v1::{DeviceChanged, LinkSet, ProposalJudged, Record, Watch, record};
use sha2::{Digest, Sha256};

use crate::app::{Clicks, SubmitError};
use crate::state::devices::Presence;
use crate::state::proposals::{Proposal, Reach};
use crate::state::{State, StateError};

/// Where a device comes to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The building.
    pub site: String,
    /// The room; may be empty.
    pub room: String,
}

/// Why a device was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// It is no proposal, or not any more: somebody was faster.
    #[error("this device is not proposed any more")]
    Gone,
    /// The database.
    #[error(transparent)]
    State(#[from] StateError),
    /// The journal.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The task that asked the database.
    #[error("cannot ask the state database")]
    Asked(#[from] tokio::task::JoinError),
}

/// Takes a proposed device in, at `place` or else where the agent stands that will ask it. Returns its id.
///
/// # Errors
/// When it is not proposed any more, or can't be stored.
pub async fn accept(
    state: &Arc<State>,
    clicks: &Clicks,
    key: String,
    place: Option<Place>,
    actor: &str,
) -> Result<String, AcceptError> {
    let _alone = clicks.alone().await;
    let asked = Arc::clone(state);
    let (proposal, reach, place) = tokio::task::spawn_blocking(move || {
        let proposal = asked.proposal(&key)?.ok_or(AcceptError::Gone)?;
        let reach = best(&asked, &proposal)?.ok_or(AcceptError::Gone)?;
        let place = match place {
            Some(place) => place,
            None => probable_place(&asked, &proposal, &reach)?,
        };
        Ok::<_, AcceptError>((proposal, reach, place))
    })
    .await??;
    let changed = describe(&proposal, reach, place, actor);
    let id = changed.device_id.clone();
    clicks.submit(Record { body: Some(record::Body::Device(changed)) }).await?;
    if let Some(heard) = proposal.heard.filter(|heard| heard.how == How::Power) {
        // Nothing but its port tells it from others.
        let topology::Place { switch: switch_id, port } = heard.on;
        let link = LinkSet { device_id: id.clone(), switch_id, port, actor: actor.to_owned() };
        clicks.submit(Record { body: Some(record::Body::Link(link)) }).await?;
    }
    Ok(id)
}

/// Dismisses a proposal, or takes that back.
///
/// # Errors
/// When it can't be stored.
pub async fn judge(clicks: &Clicks, key: String, dismissed: bool, actor: &str) -> Result<(), SubmitError> {
    let judged = ProposalJudged { key, dismissed, actor: actor.to_owned() };
    clicks.submit(Record { body: Some(record::Body::Judged(judged)) }).await
}

/// Whose building and room a proposed device probably shares: the switch's on which it hangs, or the agent's that reaches it.
#[must_use]
fn standing<'a>(proposal: &'a Proposal, reach: &'a Reach) -> &'a str {
    proposal.heard.as_ref().map_or(&reach.agent, |heard| &heard.on.switch)
}

/// Where a proposed device probably stands: in the building of the closet that found it or of the switch that tells of it; in
/// the room that the device itself names, else in theirs.
///
/// # Errors
/// When the database fails.
pub fn probable_place(state: &State, proposal: &Proposal, reach: &Reach) -> Result<Place, StateError> {
    let near = of_agent(state, standing(proposal, reach))?;
    let said = proposal.facts.location.trim();
    // "Lincoln High, IDF 210" in Lincoln High is IDF 210.
    let said =
        said.strip_prefix(near.site.as_str()).map_or(said, |rest| rest.trim_start_matches([',', ' ', '-', '/', ':']));
    Ok(if said.is_empty() { near } else { Place { room: said.to_owned(), ..near } })
}

/// The building and the room of a device.
///
/// # Errors
/// When the database fails.
pub fn of_agent(state: &State, agent: &str) -> Result<Place, StateError> {
    let device = state.device(agent)?;
    Ok(device.map_or_else(
        || Place { site: String::new(), room: String::new() },
        |device| Place { site: device.site, room: device.room },
    ))
}

/// Who will ask the device: of the agents that are connected the one that found it last, else whoever did.
///
/// # Errors
/// When the database fails.
pub fn best(state: &State, proposal: &Proposal) -> Result<Option<Reach>, StateError> {
    for reach in &proposal.reaches {
        if state.device(&reach.agent)?.is_some_and(|agent| agent.presence == Presence::Connected) {
            return Ok(Some(reach.clone()));
        }
    }
    Ok(proposal.reaches.first().cloned())
}

fn describe(proposal: &Proposal, reach: Reach, place: Place, actor: &str) -> DeviceChanged {
    let facts = proposal.facts.clone();
    let class: Class = facts.kind.parse().unwrap_or(Class::Other);
    DeviceChanged {
        device_id: device_id(proposal),
        name: discovery::name(&facts, &reach.address),
        kind: if facts.kind.is_empty() { "device".into() } else { facts.kind },
        class: class.to_string(),
        site: place.site,
        room: place.room,
        state: LifeState::InUse.to_string(),
        vendor: facts.vendor,
        model: facts.model,
        serial: facts.serial,
        actor: actor.to_owned(),
        mac: facts.mac,
        watch: Some(Watch {
            agent: reach.agent,
            address: reach.address,
            credential: reach.credential,
            firmware: facts.firmware,
            location: facts.location,
            ports: facts.ports,
            object_id: facts.object_id,
        }),
    }
}

/// Made of the proposal itself: whoever takes it in twice, at once or after an answer that was lost, makes one device.
fn device_id(proposal: &Proposal) -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let digest = Sha256::digest(format!("{}\n{}", proposal.key, proposal.first_at.0));
    let letters = digest.iter().take(9).map(|byte| char::from(LETTERS[usize::from(byte & 31)]));
    std::iter::once('d').chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_logic::discovery::Facts;
    use bellwether_logic::time::Timestamp;

    fn proposal(kind: &str) -> Proposal {
        Proposal {
            key: "serial/aruba/CN1".into(),
            facts: Facts { kind: kind.into(), name: "idf2.school.example".into(), ..Facts::default() },
            first_at: Timestamp(5),
            last_at: Timestamp(5),
            dismissed_by: String::new(),
            reaches: Vec::new(),
            heard: None,
        }
    }

    fn described(kind: &str) -> DeviceChanged {
        let reach = Reach {
            agent: "d1".into(),
            address: "10.0.0.2".into(),
            credential: "district".into(),
            found_at: Timestamp(5),
        };
        describe(&proposal(kind), reach, Place { site: "Lincoln".into(), room: "IDF 2".into() }, "kim")
    }

    #[test]
    fn a_proposal_becomes_one_device_however_often_it_is_accepted() {
        assert_eq!(described("switch"), described("switch"));
        let device = described("switch");
        assert_eq!((device.name.as_str(), device.class.as_str(), device.room.as_str()), ("idf2", "switch", "IDF 2"));
        assert_eq!(device.device_id.len(), 10);
        assert_ne!(device.device_id, device_id(&Proposal { first_at: Timestamp(6), ..proposal("switch") }));
    }

    #[test]
    fn a_kind_that_is_no_class_is_another_thing() {
        assert_eq!(described("toaster").class, "other");
        assert_eq!((described("").class.as_str(), described("").kind.as_str()), ("other", "device"));
    }
}
