//! What agents say that devices know of others: checked, and written down if it is news.

use std::sync::Arc;
use std::time::Duration;

use bellwether_proto::record::v1::{NeighborhoodSeen, record};
use bellwether_proto::v1::Neighborhood;
use tokio::sync::OwnedSemaphorePermit;

use super::uplink::Uplink;
use crate::figures;
use crate::neighborhoods;
use crate::state::{State, StateError};

/// How long a record that the journal does not take just now is held, and how often it is offered.
const STORE_PAUSE: Duration = Duration::from_secs(1);
const STORE_TRIES: usize = 30;

/// Hears one, as long as not too many are being heard already: the agent says it again with its next stream.
pub(super) fn hear(uplink: &Arc<Uplink>, agent: &str, said: Neighborhood) {
    let Ok(place) = Arc::clone(&uplink.hearing).try_acquire_owned() else {
        return figures::refused("neighborhood_busy");
    };
    tokio::spawn(take(Arc::clone(uplink), agent.to_owned(), said, place));
}

async fn take(uplink: Arc<Uplink>, agent: String, said: Neighborhood, _place: OwnedSemaphorePermit) {
    let state = Arc::clone(&uplink.state);
    let asked = agent.clone();
    let news = match tokio::task::spawn_blocking(move || news(&state, &asked, said)).await {
        Ok(Ok(Some(news))) => news,
        Ok(Ok(None)) => return,
        Ok(Err(error)) => return tracing::error!(agent, %error, "what a device knows of others could not be checked"),
        Err(error) => return tracing::error!(agent, %error, "what a device knows of others could not be checked"),
    };
    for _ in 0..STORE_TRIES {
        match uplink.ingest.append(record::Body::Neighborhood(news.clone())) {
            Ok(receipt) => {
                if let Err(error) = receipt.await {
                    tracing::error!(agent, %error, "what a device knows of others could not be stored");
                }
                return;
            }
            Err(_) => tokio::time::sleep(STORE_PAUSE).await,
        }
    }
    figures::refused("neighborhood_journal");
}

/// The record, if it is of a device that this agent may speak of and says something new. What is nobody's is out of it.
fn news(state: &State, agent: &str, said: Neighborhood) -> Result<Option<NeighborhoodSeen>, StateError> {
    let is_own = said.target_id.is_empty() || said.target_id == agent;
    let device_id = if is_own { agent.to_owned() } else { said.target_id.clone() };
    let neighborhood = if is_own {
        neighborhoods::own(said)
    } else {
        let watched = state.device(&device_id)?.and_then(|device| device.watch);
        if watched.is_none_or(|watch| watch.agent != agent) {
            figures::refused("neighborhood_target");
            return Ok(None);
        }
        let (neighborhood, dropped) = neighborhoods::watched(said, &state.managed_wire_macs()?);
        figures::refused_many("neighborhood_unmanaged", dropped);
        neighborhood
    };
    let known = state.neighborhood(&device_id)?;
    let is_news = known.is_none_or(|(_, known)| known != neighborhood);
    Ok(is_news.then_some(NeighborhoodSeen { device_id, neighborhood: Some(neighborhood) }))
}
