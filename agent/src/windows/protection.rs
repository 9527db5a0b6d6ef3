//! Antivirus and drive encryption.

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;

use super::facts::{Facts, Row, flag, number, text};
use crate::reading::{Problem, Reading, sample};

pub(super) fn read(facts: &dyn Facts, time: Timestamp) -> Reading {
    let mut reading = Reading::default();
    for part in [antivirus, encryption] {
        match part(facts, time) {
            Ok(samples) => reading.samples.extend(samples),
            Err(problem) => reading.problems.push(problem),
        }
    }
    reading
}

/// The system's own antivirus program, and on clients what others have told the security center.
fn antivirus(facts: &dyn Facts, time: Timestamp) -> Result<Vec<Sample>, Problem> {
    let properties = "AMServiceEnabled, AntivirusEnabled, AntivirusSignatureAge, RealTimeProtectionEnabled";
    let own = facts.rows(r"ROOT\Microsoft\Windows\Defender", "MSFT_MpComputerStatus", properties);
    // Servers have no security center.
    let others = facts.rows(r"ROOT\SecurityCenter2", "AntiVirusProduct", "displayName, productState");
    if let (Err(problem), Err(_)) = (&own, &others) {
        return Err(problem.clone());
    }
    let mut samples: Vec<Sample> = own.iter().flatten().filter_map(|row| defender(row, time)).collect();
    let others = others.iter().flatten().filter(|row| !text(row, "displayName").is_some_and(|name| is_defender(&name)));
    samples.extend(others.filter_map(|row| product(row, time)));
    if samples.is_empty() {
        let fields = vec![("on", Value::Boolean(false)), ("present", Value::Boolean(false))];
        samples.push(sample("antivirus", Vec::new(), time, fields));
    }
    Ok(samples)
}

const DEFENDER: &str = "Microsoft Defender";

fn is_defender(name: &str) -> bool {
    name.contains("Windows Defender") || name.contains(DEFENDER)
}

/// Where another program watches, it is there and switched off; then the other one is what counts.
fn defender(row: &Row, time: Timestamp) -> Option<Sample> {
    /// What it says before it has ever got definitions.
    const NEVER: u64 = 65_535;
    let on = flag(row, "AntivirusEnabled")? && flag(row, "RealTimeProtectionEnabled")?;
    let present = flag(row, "AMServiceEnabled").unwrap_or(on);
    let age = number(row, "AntivirusSignatureAge").filter(|days| *days < NEVER);
    let mut fields = vec![("on", Value::Boolean(on)), ("present", Value::Boolean(present))];
    let age = age.and_then(|days| i64::try_from(days).ok());
    fields.extend(age.filter(|_| on).map(|days| ("definitions_age_days", Value::Integer(days))));
    crate::reading::by_name(&mut fields);
    (present || on).then(|| sample("antivirus", vec![("product", DEFENDER.to_owned())], time, fields))
}

/// The state is a number of three bytes that Microsoft does not document; everyone reads the middle one so: its upper
/// half is 1 when the program is on.
fn product(row: &Row, time: Timestamp) -> Option<Sample> {
    let state = number(row, "productState")?;
    let fields = vec![("on", Value::Boolean(state >> 12 & 0xf == 1)), ("present", Value::Boolean(true))];
    Some(sample("antivirus", vec![("product", text(row, "displayName")?)], time, fields))
}

/// <https://learn.microsoft.com/en-us/windows/win32/secprov/win32-encryptablevolume>
fn encryption(facts: &dyn Facts, time: Timestamp) -> Result<Vec<Sample>, Problem> {
    const NAMESPACE: &str = r"ROOT\CIMV2\Security\MicrosoftVolumeEncryption";
    const METHODS: &[&str] =
        &["none", "aes128_diffuser", "aes256_diffuser", "aes128", "aes256", "hardware", "xts_aes128", "xts_aes256"];
    /// `VolumeType` of a stick or card.
    const CARRIED: u64 = 2;
    let properties = "DriveLetter, EncryptionMethod, ProtectionStatus, VolumeType";
    let rows = facts.rows(NAMESPACE, "Win32_EncryptableVolume", properties)?;
    let ours = rows.iter().filter(|row| number(row, "VolumeType") != Some(CARRIED));
    let told = ours.filter_map(|row| {
        // A volume without a letter is the system's own, and 2 is one that is locked: nobody can tell.
        let device = text(row, "DriveLetter")?;
        let on = match number(row, "ProtectionStatus")? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let mut fields = vec![("on", Value::Boolean(on))];
        let method = number(row, "EncryptionMethod").and_then(|method| METHODS.get(usize::try_from(method).ok()?));
        fields.extend(method.map(|method| ("method", Value::Text((*method).to_owned()))));
        crate::reading::by_name(&mut fields);
        Some(sample("encryption", vec![("device", device)], time, fields))
    });
    Ok(told.collect())
}
