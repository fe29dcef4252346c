//! Devices and where their states come from: a peer's registration and calls, a mailbox, or a command.
//!
//! In: facts about each device, given by whoever knows them. Out: one [`DeviceState`] per device with its source and
//! since when. Which lamps a device moves is kept here too; composing them is not.

use crate::device_state::{DeviceName, DeviceState};
use crate::map::{Map, Maps};
use crate::resource::ResourceId;
use crate::slots::Slots;
use crate::time::UnixTime;
use crate::timers::TimerToken;

/// Index of a device in the table; dense, not stored.
pub(crate) type DeviceId = u32;

/// A state set by command: what a device without a provider shows, and an override on one that has one.
#[derive(Clone, Debug)]
pub(crate) struct Manual {
    /// The state.
    pub(crate) state: DeviceState,
    /// When it ends, if it does.
    pub(crate) until: Option<UnixTime>,
    /// When it was set.
    pub(crate) set_at: UnixTime,
    /// Its row in the store.
    pub(crate) slot: u32,
    /// The timer of its end.
    pub(crate) timer: Option<TimerToken>,
}

/// Who knows the state of a device when nobody has set it by command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Provider {
    /// Nobody.
    #[default]
    Nobody,
    /// The registration and calls of the peer with this name.
    Peer(String),
    /// The message counts of this mailbox (`MWI:100@default`).
    Mailbox(String),
}

impl Provider {
    /// The peer, where it is one.
    pub(crate) fn peer(&self) -> Option<&str> {
        if let Self::Peer(name) = self { Some(name) } else { None }
    }
}

/// A device.
pub(crate) struct Device {
    /// Its name.
    pub(crate) name: DeviceName,
    /// Who knows its state.
    pub(crate) provider: Provider,
    /// What the provider says.
    pub(crate) provided: DeviceState,
    /// What a command says.
    pub(crate) manual: Option<Manual>,
    /// What it shows.
    pub(crate) state: DeviceState,
    /// Since when.
    pub(crate) since: UnixTime,
    /// The resources whose lamps it moves.
    pub(crate) resources: Vec<ResourceId>,
}

impl Device {
    /// What it should show: the command's word, else the provider's.
    pub(crate) fn decided(&self) -> DeviceState {
        self.manual.as_ref().map_or(self.provided, |manual| manual.state)
    }
}

/// All devices that are configured, hinted or were set by command.
pub(crate) struct Devices {
    slots: Slots<Device>,
    by_name: Map<DeviceName, DeviceId>,
}

impl Devices {
    /// An empty table.
    pub(crate) fn new(maps: Maps) -> Self {
        Self { slots: Slots::default(), by_name: maps.map() }
    }

    /// The device with this name, if it is in the table.
    pub(crate) fn find(&self, name: &DeviceName) -> Option<DeviceId> {
        self.by_name.get(name).copied()
    }

    /// The device with this name, added without a provider where it is new.
    pub(crate) fn find_or_add(&mut self, name: &DeviceName, now: UnixTime) -> DeviceId {
        if let Some(id) = self.find(name) {
            return id;
        }
        let state = unprovided(name);
        let id = self.slots.insert(Device {
            name: name.clone(),
            provider: Provider::Nobody,
            provided: state,
            manual: None,
            state,
            since: now,
            resources: Vec::new(),
        });
        self.by_name.insert(name.clone(), id);
        id
    }

    /// The device.
    pub(crate) fn get(&self, id: DeviceId) -> Option<&Device> {
        self.slots.get(id)
    }

    /// The device, to change.
    pub(crate) fn get_mut(&mut self, id: DeviceId) -> Option<&mut Device> {
        self.slots.get_mut(id)
    }

    /// All, in the order they were added.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (DeviceId, &Device)> {
        self.slots.iter()
    }

    /// Stops tracking which resources depend on any device; a reload builds the relation anew.
    pub(crate) fn unlink_all(&mut self) {
        let ids: Vec<_> = self.slots.iter().map(|(id, _)| id).collect();
        for id in ids {
            if let Some(device) = self.slots.get_mut(id) {
                device.resources.clear();
                device.provider = Provider::Nobody;
            }
        }
    }
}

/// What a device shows that nobody provides: a SIP-like technology has no such peer, anything else is not known.
pub(crate) fn unprovided(name: &DeviceName) -> DeviceState {
    if ["SIP", "PJSIP", "IAX2"].iter().any(|tech| name.is_tech(tech)) {
        DeviceState::Invalid
    } else {
        DeviceState::Unknown
    }
}
