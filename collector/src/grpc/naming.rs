//! Devices that go by their hostname.
//!
//! Only where the admin's pattern is in force: an agent asks its own copy of the pattern before it sends the name, and
//! here the folder `agents` is asked again, so that no name comes in that nobody wanted.

use bellwether_proto::record::v1::record;

use super::uplink::Uplink;
use crate::figures;

/// Gives a device the name that its agent says, if it may bear it.
pub(super) async fn follow_hostname(uplink: &Uplink, device: &str, hostname: &str) {
    if hostname.is_empty() {
        return;
    }
    let Some(identity) = uplink.ingest.inventory.get(device) else { return };
    if identity.host == hostname {
        return;
    }
    let agents = uplink.agents.borrow().clone();
    if !agents.allows_hostname(&identity.site, &identity.class, hostname) {
        // The name itself stays out of the log.
        figures::refused("hostname");
        tracing::warn!(device, "a hostname was not taken: no pattern of the folder `agents` matches it");
        return;
    }
    let state = std::sync::Arc::clone(&uplink.state);
    let asked = device.to_owned();
    let known = tokio::task::spawn_blocking(move || state.device(&asked)).await;
    let Ok(Ok(Some(known))) = known else { return };
    let mut changed = known.to_change("hostname");
    hostname.clone_into(&mut changed.name);
    let stored = match uplink.ingest.append(record::Body::Device(changed)) {
        Ok(receipt) => receipt.await.map(drop).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match stored {
        Ok(()) => tracing::info!(device, "a device goes by its hostname"),
        Err(why) => tracing::warn!(device, why, "a device's hostname could not be stored"),
    }
}
