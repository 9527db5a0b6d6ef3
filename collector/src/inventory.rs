//! The identities that ingest stamps on series, kept at hand so that a batch costs no question to the database.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use bellwether_proto::record::v1::{DeviceChanged, Identity};

use crate::state::{State, StateError};

/// The identity of every device. The engine reader alone changes it, after it has committed the change.
#[derive(Debug, Default)]
pub struct Inventory(RwLock<HashMap<String, Arc<Identity>>>);

impl Inventory {
    /// As the inventory's table has it.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn load(state: &State) -> Result<Self, StateError> {
        let identities = state.all_devices()?.into_iter().map(|device| {
            let identity = Identity {
                device_id: device.id.clone(),
                host: device.name,
                site: device.site,
                room: device.room,
                class: device.class.as_str().into(),
            };
            (device.id, Arc::new(identity))
        });
        Ok(Self(RwLock::new(identities.collect())))
    }

    /// The identity of a device, if it is known.
    #[must_use]
    pub fn get(&self, device: &str) -> Option<Arc<Identity>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(device).cloned()
    }

    /// The inventory changed.
    pub fn put(&self, device: &DeviceChanged) {
        let identity = Identity {
            device_id: device.device_id.clone(),
            host: device.name.clone(),
            site: device.site.clone(),
            room: device.room.clone(),
            class: device.class.clone(),
        };
        let mut devices = self.0.write().unwrap_or_else(PoisonError::into_inner);
        devices.insert(device.device_id.clone(), Arc::new(identity));
    }
}
