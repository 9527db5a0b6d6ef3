//! What a watched device is: what an admin would write on its label.

/// What a device is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What kind of thing.
    pub kind: Option<Kind>,
    /// Who made it.
    pub vendor: Option<String>,
    /// The model, as the vendor writes it.
    pub model: Option<String>,
    /// Its serial number: the first choice to know it again.
    pub serial: Option<String>,
    /// The version of its software.
    pub firmware: Option<String>,
    /// The name that the admin gave it.
    pub name: Option<String>,
    /// Where the admin says that it is.
    pub location: Option<String>,
    /// Its base MAC address, written with colons: the second choice to know it again.
    pub mac: Option<String>,
    /// How many sockets for a cable it has.
    pub ports: Option<u32>,
}

macro_rules! closed_list {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// All of them.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// The word in files and tags.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The one of this word.
            #[must_use]
            pub fn named(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|known| known.as_str() == word)
            }
        }
    };
}

closed_list! {
    /// What kind of thing a device is.
    Kind {
        /// An access point.
        AccessPoint = "access_point",
        /// The remote hands of a server: a small computer of its own.
        Bmc = "bmc",
        /// A camera or what records cameras.
        Camera = "camera",
        /// A firewall or what else stands between inside and outside.
        Firewall = "firewall",
        /// A store of files.
        Nas = "nas",
        /// Switched or measured sockets.
        Pdu = "pdu",
        /// A telephone.
        Phone = "phone",
        /// A printer or copier.
        Printer = "printer",
        /// A projector or display.
        Projector = "projector",
        /// A router.
        Router = "router",
        /// A probe for temperature, humidity and the like.
        Sensor = "sensor",
        /// A server or another computer.
        Server = "server",
        /// A switch.
        Switch = "switch",
        /// An uninterruptible power supply.
        Ups = "ups",
        /// What manages access points.
        WirelessController = "wireless_controller",
    }
}

closed_list! {
    /// What can be known of a device.
    FactName {
        /// Its kind.
        Kind = "kind",
        /// Its maker.
        Vendor = "vendor",
        /// Its model.
        Model = "model",
        /// Its serial number.
        Serial = "serial",
        /// The version of its software.
        Firmware = "firmware",
        /// Its name.
        Name = "name",
        /// Its place.
        Location = "location",
        /// Its base MAC address.
        Mac = "mac",
        /// The number of its sockets.
        Ports = "ports",
    }
}

impl Facts {
    /// Whether this is known already.
    #[must_use]
    pub const fn has(&self, name: FactName) -> bool {
        match name {
            FactName::Kind => self.kind.is_some(),
            FactName::Vendor => self.vendor.is_some(),
            FactName::Model => self.model.is_some(),
            FactName::Serial => self.serial.is_some(),
            FactName::Firmware => self.firmware.is_some(),
            FactName::Name => self.name.is_some(),
            FactName::Location => self.location.is_some(),
            FactName::Mac => self.mac.is_some(),
            FactName::Ports => self.ports.is_some(),
        }
    }

    /// Notes one of them; a word that is no kind and a text that is no number say nothing.
    pub fn put(&mut self, name: FactName, text: &str) {
        let place = match name {
            FactName::Kind => {
                self.kind = Kind::named(text);
                return;
            }
            FactName::Ports => {
                self.ports = text.parse().ok();
                return;
            }
            FactName::Vendor => &mut self.vendor,
            FactName::Model => &mut self.model,
            FactName::Serial => &mut self.serial,
            FactName::Firmware => &mut self.firmware,
            FactName::Name => &mut self.name,
            FactName::Location => &mut self.location,
            FactName::Mac => &mut self.mac,
        };
        *place = Some(text.to_owned());
    }
}
