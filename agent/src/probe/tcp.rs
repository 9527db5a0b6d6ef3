//! Whether a port takes a connection, as Telegraf's `net_response`. Nothing is said on the connection.

use std::time::Instant;

use bellwether_logic::sample::Value;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};
use serde::Deserialize;

use super::link::{NoLink, dial};
use super::settings::{Address, Bad, Fixed, within};
use super::{Looked, Looking};
use crate::reading::integer;

/// What this probe says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "net_response",
    tags: &["port", "protocol", "server"],
    fields: &[
        Field {
            name: "refused",
            kind: FieldKind::Boolean,
            unit: "",
            description: "The machine answered that nobody listens there.",
        },
        Field { name: "response_time", kind: FieldKind::Float, unit: "s", description: "Until it was connected." },
        Field {
            name: "result_code",
            kind: FieldKind::Integer,
            unit: "",
            description: "0: connected; 1: no answer in time; 2: not connected.",
        },
    ],
    privacy: Privacy::Health,
    description: "Whether a service takes connections. Its address is never sent.",
}];

/// What is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp {
    address: Address,
    port: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    address: String,
    port: u16,
}

impl Tcp {
    /// From its table.
    ///
    /// # Errors
    /// The key that is wrong.
    pub fn build(table: toml::Table, _: &Fixed) -> Result<Self, Bad> {
        let file: File = super::settings::read(table)?;
        Ok(Self {
            address: Address::parse("address", &file.address)?,
            port: within("port", file.port, 1..=u16::MAX, "1 to 65535")?,
        })
    }

    /// Connects and hangs up.
    pub async fn look(&self, looking: &Looking) -> Looked {
        let started = Instant::now();
        let result = dial(&self.address, self.port, looking.timeout).await.map(drop);
        let took = started.elapsed();
        let tags =
            vec![("port", self.port.to_string()), ("protocol", "tcp".to_owned()), ("server", looking.name.to_string())];
        let code = match &result {
            Ok(()) => 0,
            Err(NoLink::Silence(_)) => 1,
            Err(NoLink::NoName | NoLink::Refused | NoLink::NoWay(_)) => 2,
        };
        let mut fields =
            vec![("refused", Value::Boolean(matches!(result, Err(NoLink::Refused)))), ("result_code", integer(code))];
        if result.is_ok() {
            fields.insert(1, ("response_time", super::seconds(took)));
        }
        Looked::row(looking.row("net_response", tags, fields), result.err().and_then(|error| error.unreached()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::{code, look_at, silent_server};

    #[tokio::test]
    async fn a_service_a_closed_port_and_a_name_that_is_none_are_told_apart() {
        let (port, _server) = silent_server();
        let open = look_at("tcp", &format!("address = \"127.0.0.1\"\nport = {port}"), "1s").await;
        assert_eq!((code(&open), open.value("refused")), (0, Some(Value::Boolean(false))));
        assert!(open.value("response_time").is_some());
        drop(_server);
        let closed = look_at("tcp", &format!("address = \"127.0.0.1\"\nport = {port}"), "1s").await;
        assert_eq!((code(&closed), closed.value("refused")), (2, Some(Value::Boolean(true))));
        assert_eq!(closed.value("response_time"), None);
        let nobody = look_at("tcp", "address = \"no-such-host.invalid\"\nport = 80", "1s").await;
        assert_eq!((code(&nobody), nobody.value("refused")), (2, Some(Value::Boolean(false))));
    }
}
