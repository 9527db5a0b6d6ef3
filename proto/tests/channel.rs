//! There is no way to have an agent do anything: what a collector can say to an agent is a closed list, and nothing on it
//! is a command, a script, a program, a file or a place to write to.

use std::collections::{BTreeMap, BTreeSet};

/// Everything that a collector can say over a stream, as `Message.field: type`.
///
/// `Configuration.toml` is a text; what it can say is a closed list, too, which the agent's own parser keeps: see
/// `the_configuration_has_no_channel_either` in `agent/src/config.rs`. `Assignments` name devices to be read: an agent asks
/// them with the credentials of its configuration, and SNMP's SET is not in it.
const SAYINGS: &[&str] = &[
    "Ack.receipts: Receipt",
    "Assignment.address: string",
    "Assignment.credential: string",
    "Assignment.device_id: string",
    "Assignment.mac: string",
    "Assignment.serial: string",
    "Assignment.witness: bool",
    "Assignments.assignments: Assignment",
    "Assignments.managed_macs: string",
    "CollectorMessage.ack: Ack",
    "CollectorMessage.assignments: Assignments",
    "CollectorMessage.configuration: Configuration",
    "CollectorMessage.contacts: Contacts",
    "CollectorMessage.slow_down: SlowDown",
    "CollectorMessage.welcome: Welcome",
    "Configuration.revision: uint64",
    "Configuration.toml: string",
    "Contacts.cas: bytes",
    "Contacts.endpoints: string",
    "Range.first: uint64",
    "Range.last: uint64",
    "Receipt.generation: fixed64",
    "Receipt.ranges: Range",
    "SlowDown.backfill_per_s: uint32",
    "SlowDown.backfill_window: uint32",
    "Welcome.backfill_per_s: uint32",
    "Welcome.backfill_window: uint32",
    "Welcome.clock_offset_ms: sint64",
    "Welcome.collector_version: string",
    "Welcome.now_unix_ms: sint64",
    "Welcome.received: Receipt",
];

/// The calls, each with what it takes and gives.
const CALLS: &[&str] =
    &["Enrol(EnrolRequest) EnrolReply", "Renew(RenewRequest) RenewReply", "Uplink(AgentMessage) CollectorMessage"];

/// Words that no field or message has.
const CHANNELS: &[&str] = &[
    "cmd", "command", "exec", "file", "folder", "path", "program", "run", "script", "shell", "spawn", "upload", "url",
    "write",
];

/// Each message's fields, by name and type.
fn messages() -> BTreeMap<String, Vec<(String, String)>> {
    let set = protox::compile(["uplink.proto"], ["."]).expect("uplink.proto compiles");
    let of_file = set.file.iter().flat_map(|file| &file.message_type);
    let fields = |message: &protox::prost_reflect::prost_types::DescriptorProto| {
        let named = |field: &protox::prost_reflect::prost_types::FieldDescriptorProto| {
            let own = field.type_name().rsplit('.').next().unwrap_or_default().to_owned();
            let plain = field.r#type().as_str_name().trim_start_matches("TYPE_").to_lowercase();
            (field.name().to_owned(), if own.is_empty() { plain } else { own })
        };
        message.field.iter().map(named).collect()
    };
    of_file.map(|message| (message.name().to_owned(), fields(message))).collect()
}

#[test]
fn what_a_collector_can_say_is_a_closed_list() {
    let messages = messages();
    let mut said = BTreeSet::new();
    let mut to_see = vec!["CollectorMessage".to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(message) = to_see.pop() {
        for (field, kind) in messages.get(&message).into_iter().flatten() {
            said.insert(format!("{message}.{field}: {kind}"));
            if messages.contains_key(kind) && seen.insert(kind.clone()) {
                to_see.push(kind.clone());
            }
        }
    }
    let said: Vec<String> = said.into_iter().collect();
    assert_eq!(
        said, SAYINGS,
        "whoever adds to what a collector can say writes it down here, and asks what it makes possible"
    );
}

#[test]
fn no_message_either_way_has_a_command_a_script_or_a_file() {
    for (message, fields) in messages() {
        for word in fields.iter().flat_map(|(field, kind)| [field, kind]).chain([&message]) {
            let words: Vec<String> = word.to_lowercase().split('_').map(str::to_owned).collect();
            let channel = words.iter().find(|word| CHANNELS.contains(&word.as_str()));
            assert_eq!(channel, None, "{message}: {word}");
        }
    }
}

#[test]
fn there_are_no_other_calls() {
    let set = protox::compile(["uplink.proto"], ["."]).unwrap();
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let methods = set.file.iter().flat_map(|file| &file.service).flat_map(|service| &service.method);
    let calls: Vec<String> = methods
        .map(|method| format!("{}({}) {}", method.name(), last(method.input_type()), last(method.output_type())))
        .collect();
    assert_eq!(calls, CALLS);
}
