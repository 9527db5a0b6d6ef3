//! What `nl80211` says of one wireless interface: numbers of `linux/nl80211.h`, which are for ever.
//!
//! Three questions, none of which makes a card scan: the interface, the station that it is connected to, and what was
//! noticed of the channel in use while it was used.

use std::io;
use std::path::Path;

use super::netlink::{self, Question, attribute, objects};
use crate::host::Host;

/// The family that knows the others (`genetlink.h`).
const CONTROL_FAMILY: u16 = 0x10;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

const GET_INTERFACE: u8 = 5;
const GET_STATION: u8 = 17;
const GET_SURVEY: u8 = 50;

const ATTR_IFINDEX: u16 = 3;
const ATTR_IFTYPE: u16 = 5;
const ATTR_STA_INFO: u16 = 21;
const ATTR_WIPHY_FREQ: u16 = 38;
const ATTR_SSID: u16 = 52;
const ATTR_SURVEY_INFO: u16 = 84;
const ATTR_CHANNEL_WIDTH: u16 = 159;

const IFTYPE_STATION: u32 = 2;

const STA_SIGNAL: u16 = 7;
const STA_TX_BITRATE: u16 = 8;
const STA_TX_RETRIES: u16 = 11;
const STA_TX_FAILED: u16 = 12;
const STA_SIGNAL_AVG: u16 = 13;
const STA_RX_BITRATE: u16 = 14;
const STA_BEACON_LOSS: u16 = 18;

const RATE_16: u16 = 1;
const RATE_32: u16 = 5;

const SURVEY_NOISE: u16 = 2;
const SURVEY_IN_USE: u16 = 3;

/// The present link of an interface; what the driver does not tell is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub ssid: Option<Vec<u8>>,
    pub frequency_mhz: Option<u32>,
    pub width_mhz: Option<u32>,
    /// Mean of the last packets, in dBm.
    pub signal_dbm: Option<i8>,
    pub noise_dbm: Option<i8>,
    /// In 100 kbit/s.
    pub tx_rate: Option<u32>,
    /// In 100 kbit/s.
    pub rx_rate: Option<u32>,
    pub tx_retries: Option<u32>,
    pub tx_failed: Option<u32>,
    pub beacon_loss: Option<u32>,
}

/// Asks about an interface; none if it is connected to nothing, or is no station (whoever is connected to an access point
/// is nobody's business).
pub(super) fn link(host: &Host, index: u32) -> io::Result<Option<Link>> {
    let answer = |name, command, of_all| {
        if host.root() == Path::new("/") { from_kernel(index, command, of_all) } else { captured(host, index, name) }
    };
    let interface = answer("interface", GET_INTERFACE, false)?;
    let Some(mut link) = of_interface(&interface) else { return Ok(None) };
    let station = answer("station", GET_STATION, true)?;
    if !add_station(&mut link, &station) {
        return Ok(None);
    }
    // Many drivers keep no survey; the link is told without the noise then.
    if let Ok(survey) = answer("survey", GET_SURVEY, true) {
        link.noise_dbm = noise(&survey);
    }
    Ok(Some(link))
}

fn from_kernel(index: u32, command: u8, of_all: bool) -> io::Result<Vec<u8>> {
    let name = vec![(FAMILY_NAME, b"nl80211\0".to_vec())];
    let question = Question { family: CONTROL_FAMILY, command: GET_FAMILY, of_all: false, attributes: name };
    let answer = netlink::ask(&question)?;
    let family = objects(&answer).find_map(|object| number(object, FAMILY_ID));
    let family = family.and_then(|number| u16::try_from(number).ok()).ok_or(io::ErrorKind::NotFound)?;
    let attributes = vec![(ATTR_IFINDEX, index.to_ne_bytes().to_vec())];
    netlink::ask(&Question { family, command, of_all, attributes })
}

/// On a captured machine an answer is a file of hexadecimal digits: `netlink/NAME-INDEX`.
fn captured(host: &Host, index: u32, name: &str) -> io::Result<Vec<u8>> {
    let text = std::fs::read_to_string(host.path(&format!("netlink/{name}-{index}")))?;
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    data_encoding::HEXLOWER_PERMISSIVE.decode(&digits).map_err(io::Error::other)
}

fn of_interface(answer: &[u8]) -> Option<Link> {
    let object = objects(answer).next()?;
    (number(object, ATTR_IFTYPE)? == IFTYPE_STATION).then(|| Link {
        ssid: attribute(object, ATTR_SSID).map(<[u8]>::to_vec),
        frequency_mhz: number(object, ATTR_WIPHY_FREQ),
        width_mhz: number(object, ATTR_CHANNEL_WIDTH).and_then(width_mhz),
        ..Link::default()
    })
}

/// Adds what is known of the access point; false if there is none.
fn add_station(link: &mut Link, answer: &[u8]) -> bool {
    let Some(info) = objects(answer).find_map(|object| attribute(object, ATTR_STA_INFO)) else { return false };
    let dbm = |kind| attribute(info, kind)?.first().map(|byte| byte.cast_signed());
    let rate = |kind| {
        let rate = attribute(info, kind)?;
        number(rate, RATE_32).or_else(|| number(rate, RATE_16)).filter(|rate| *rate > 0)
    };
    link.signal_dbm = dbm(STA_SIGNAL_AVG).filter(is_signal).or_else(|| dbm(STA_SIGNAL).filter(is_signal));
    link.tx_rate = rate(STA_TX_BITRATE);
    link.rx_rate = rate(STA_RX_BITRATE);
    link.tx_retries = number(info, STA_TX_RETRIES);
    link.tx_failed = number(info, STA_TX_FAILED);
    link.beacon_loss = number(info, STA_BEACON_LOSS);
    true
}

/// Of the channel in use, where a driver tells it.
fn noise(answer: &[u8]) -> Option<i8> {
    let mut surveys = objects(answer).filter_map(|object| attribute(object, ATTR_SURVEY_INFO));
    let survey = surveys.find(|survey| attribute(survey, SURVEY_IN_USE).is_some())?;
    attribute(survey, SURVEY_NOISE)?.first().map(|byte| byte.cast_signed()).filter(is_noise)
}

/// Drivers that do not know say 0 or -128.
const fn is_signal(dbm: &i8) -> bool {
    -110 <= *dbm && *dbm < 0
}

/// No receiver has less (-114 is what heat makes in 20 MHz at best), and with more there is no link.
const fn is_noise(dbm: &i8) -> bool {
    -120 <= *dbm && *dbm <= -40
}

/// `enum nl80211_chan_width`.
const fn width_mhz(width: u32) -> Option<u32> {
    Some(match width {
        0 | 1 => 20,
        2 => 40,
        3 => 80,
        4 | 5 => 160,
        6 => 5,
        7 => 10,
        13 => 320,
        _ => return None,
    })
}

/// The number of a channel, as access points and their planners call it.
pub(super) const fn channel(frequency_mhz: u32) -> Option<u32> {
    match frequency_mhz {
        2_484 => Some(14),
        2_412..=2_472 => Some((frequency_mhz - 2_407) / 5),
        5_935 => Some(2),
        5_955..=7_115 => Some((frequency_mhz - 5_950) / 5),
        5_160..=5_885 => Some((frequency_mhz - 5_000) / 5),
        _ => None,
    }
}

/// A number of one, two or four bytes.
fn number(attributes: &[u8], wanted: u16) -> Option<u32> {
    let value = attribute(attributes, wanted)?;
    match *value {
        [byte] => Some(byte.into()),
        [a, b] => Some(u16::from_ne_bytes([a, b]).into()),
        [a, b, c, d] => Some(u32::from_ne_bytes([a, b, c, d])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_have_the_numbers_that_planners_use() {
        for (frequency, number) in [
            (2_412, Some(1)),
            (2_472, Some(13)),
            (2_484, Some(14)),
            (5_180, Some(36)),
            (5_825, Some(165)),
            (5_955, Some(1)),
            (7_115, Some(233)),
            (900, None),
            (60_480, None),
        ] {
            assert_eq!(channel(frequency), number, "{frequency}");
        }
    }
}
