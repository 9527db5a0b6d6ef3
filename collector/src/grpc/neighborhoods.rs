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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::fresh;
    use bellwether_logic::time::Timestamp;
    use bellwether_proto::record::v1::{DeviceChanged, Watch};
    use bellwether_proto::v1::{Learned, Port};

    #[test]
    fn an_agent_speaks_of_itself_and_of_what_it_watches_and_names_no_address_that_nobody_manages() {
        let (_folder, state) = fresh();
        let device = |id: &str, agent: &str, mac: &str| DeviceChanged {
            device_id: id.into(),
            class: "switch".into(),
            state: "in_use".into(),
            mac: mac.into(),
            watch: (!agent.is_empty()).then(|| Watch { agent: agent.into(), ..Watch::default() }),
            ..DeviceChanged::default()
        };
        state
            .commit_engine(|tx| {
                tx.put_device(Timestamp(1), &device("closet", "", "8c:04:ba:00:00:01"))?;
                tx.put_device(Timestamp(1), &device("switch", "closet", "8c:04:ba:00:00:02"))
            })
            .unwrap();
        let learned = |mac: &str| Learned { port: "7".into(), mac: mac.into(), vlan: 0 };
        let said = |target: &str| Neighborhood {
            target_id: target.into(),
            ports: vec![Port { name: "7".into(), others: 1, ..Port::default() }],
            learned: vec![learned("8c:04:ba:00:00:01"), learned("3c:22:fb:00:00:77")],
            ..Neighborhood::default()
        };
        let record = news(&state, "closet", said("switch")).unwrap().unwrap();
        let kept = record.neighborhood.clone().unwrap();
        assert_eq!((record.device_id.as_str(), kept.learned.len(), kept.ports[0].others), ("switch", 1, 1));
        assert!(!format!("{record:?}").contains("3c:22:fb"));
        for (agent, target) in [("other", "switch"), ("closet", "nobody"), ("other", "closet")] {
            assert_eq!(news(&state, agent, said(target)).unwrap(), None, "{agent} of {target}");
        }
        let own = news(&state, "closet", said("")).unwrap().unwrap();
        assert_eq!((own.device_id.as_str(), own.neighborhood), ("closet", Some(Neighborhood::default())));
        state.commit_engine(|tx| tx.put_neighborhood(Timestamp(2), &record)).unwrap();
        assert_eq!(news(&state, "closet", said("switch")).unwrap(), None, "it is no news");
    }
}
