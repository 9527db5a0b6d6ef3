//! A projector's or panel's own word, by PJLink class 1 (JBMIA, "PJLink Specifications"): whether it is on, what hurts,
//! how old its lamps are. Its name, its maker and its serial are not asked for.
//!
//! One connection, a few questions, each answered by one line; a projector in standby may refuse some of them with "not
//! now" (ERR3), which is no fault. Only questions are ever sent, never an order.

use bellwether_logic::sample::Value;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};
use data_encoding::HEXLOWER;
use md5::{Digest, Md5};
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::link::{NoLink, dial, read_until};
use super::settings::{Address, Bad, Fixed, within};
use super::{Looked, Looking};
use crate::reading::{count, integer};

/// What this probe says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "pjlink",
    tags: &["source"],
    fields: &[
        state("error_cover", "Cover: 0 good, 1 warning, 2 error."),
        state("error_fan", "Fan: 0 good, 1 warning, 2 error."),
        state("error_filter", "Filter: 0 good, 1 warning, 2 error."),
        state("error_lamp", "Lamp: 0 good, 1 warning, 2 error."),
        state("error_other", "Anything else: 0 good, 1 warning, 2 error."),
        state("error_temperature", "Temperature: 0 good, 1 warning, 2 error."),
        Field {
            name: "failure",
            kind: FieldKind::Boolean,
            unit: "",
            description: "It answered a question with \"projector failure\".",
        },
        state("input", "Which input is shown, as the standard numbers them: 11 to 59."),
        Field { name: "lamp_hours", kind: FieldKind::Integer, unit: "h", description: "Of the lamp that is oldest." },
        state("lamps", "How many lamps it has."),
        Field { name: "lamps_on", kind: FieldKind::Integer, unit: "", description: "How many of them are lit." },
        Field { name: "mute_audio", kind: FieldKind::Boolean, unit: "", description: "Whether the sound is off." },
        Field { name: "mute_video", kind: FieldKind::Boolean, unit: "", description: "Whether the picture is off." },
        state("power", "0: standby; 1: on; 2: cooling down; 3: warming up."),
        state(
            "result_code",
            "0: answered; 1: no answer in time; 2: not connected; 3: wrong password; 4: not understood.",
        ),
    ],
    privacy: Privacy::Activity,
    description: "How a projector is. Its address is never sent.",
}];

const fn state(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Integer, unit: "", description }
}

/// The standard's.
const PORT: u16 = 4352;
/// The standard's longest line is 136 bytes.
const LINE_BYTES_MAX: usize = 256;
/// The standard's longest password.
const PASSWORD_BYTES_MAX: usize = 32;
/// The standard's most lamps.
const LAMPS_MAX: usize = 8;

/// Which projector.
#[derive(Clone, PartialEq, Eq)]
pub struct Pjlink {
    address: Address,
    port: u16,
    password: Option<String>,
}

/// The password stays out of logs.
impl std::fmt::Debug for Pjlink {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Pjlink").field("address", &self.address).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    address: String,
    #[serde(default = "port")]
    port: u16,
    password: Option<String>,
}

const fn port() -> u16 {
    PORT
}

impl Pjlink {
    /// From its table.
    ///
    /// # Errors
    /// The key that is wrong. A password is never repeated.
    pub fn build(table: toml::Table, _: &Fixed) -> Result<Self, Bad> {
        let file: File = super::settings::read(table)?;
        let fits = |word: &String| word.len() <= PASSWORD_BYTES_MAX && word.bytes().all(|byte| byte.is_ascii_graphic());
        if file.password.as_ref().is_some_and(|word| !fits(word)) {
            return Err(Bad::new("password", "...", "at most 32 letters, digits and signs"));
        }
        Ok(Self {
            address: Address::parse("address", &file.address)?,
            port: within("port", file.port, 1..=u16::MAX, "1 to 65535")?,
            password: file.password,
        })
    }

    /// Asks.
    pub async fn look(&self, looking: &Looking) -> Looked {
        let (code, told, unreached) = match dial(&self.address, self.port, looking.timeout).await {
            Err(error @ NoLink::Silence(_)) => (1, Told::default(), error.unreached()),
            Err(error) => (2, Told::default(), error.unreached()),
            Ok(stream) => {
                let mut told = Told::default();
                let talk = self.talk(stream, &mut told);
                match tokio::time::timeout(looking.timeout, talk).await {
                    Ok(Ok(())) => (0, told, None),
                    // What it said before it fell silent is told.
                    Err(_) => (1, told, None),
                    Ok(Err(Refusal::Password)) => (3, told, None),
                    Ok(Err(Refusal::NotUnderstood)) => (4, told, None),
                }
            }
        };
        let fields = told.fields(code);
        Looked::row(looking.row("pjlink", vec![("source", looking.name.to_string())], fields), unreached)
    }

    async fn talk(&self, mut stream: TcpStream, told: &mut Told) -> Result<(), Refusal> {
        let greeting = line(&mut stream).await?;
        let mut digest = match greeting.split(' ').collect::<Vec<_>>()[..] {
            ["PJLINK", "0"] => String::new(),
            ["PJLINK", "1", random] => {
                let password = self.password.as_deref().ok_or(Refusal::Password)?;
                HEXLOWER.encode(&Md5::digest(format!("{random}{password}")))
            }
            ["PJLINK", "ERRA"] => return Err(Refusal::Password),
            _ => return Err(Refusal::NotUnderstood),
        };
        for question in QUESTIONS {
            let ask = format!("{digest}%1{} ?\r", question.word);
            // The first question proves who asks; the others are plain.
            digest.clear();
            stream.write_all(ask.as_bytes()).await.map_err(|_| Refusal::NotUnderstood)?;
            let answer = line(&mut stream).await?;
            told.hear(question, &answer)?;
        }
        Ok(())
    }
}

/// Why a conversation ended.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Password,
    NotUnderstood,
}

async fn line(stream: &mut TcpStream) -> Result<String, Refusal> {
    let bytes = read_until(stream, b'\r', LINE_BYTES_MAX).await.map_err(|_| Refusal::NotUnderstood)?;
    let text = String::from_utf8(bytes).map_err(|_| Refusal::NotUnderstood)?;
    // Some put a line feed after the carriage return, which then begins the next line.
    Ok(text.trim_start_matches('\n').to_owned())
}

/// A question, and how its answer is understood.
struct Question {
    word: &'static str,
    understand: fn(&mut Told, &str) -> Option<()>,
}

const QUESTIONS: &[Question] = &[
    Question { word: "POWR", understand: Told::power },
    Question { word: "ERST", understand: Told::errors },
    Question { word: "LAMP", understand: Told::lamps },
    Question { word: "INPT", understand: Told::input },
    Question { word: "AVMT", understand: Told::mute },
];

/// What it has said.
#[derive(Debug, Default, PartialEq)]
struct Told {
    power: Option<u64>,
    errors: Option<[u64; 6]>,
    lamps: Option<Vec<(u64, bool)>>,
    input: Option<u64>,
    mute: Option<(Option<bool>, Option<bool>)>,
    failure: bool,
}

impl Told {
    fn hear(&mut self, question: &Question, answer: &str) -> Result<(), Refusal> {
        if answer == "PJLINK ERRA" {
            return Err(Refusal::Password);
        }
        let said = answer.strip_prefix("%1").and_then(|rest| rest.strip_prefix(question.word));
        match said.and_then(|rest| rest.strip_prefix('=')).ok_or(Refusal::NotUnderstood)? {
            // Not of this model, or not now: nothing is known, and that is no fault.
            "ERR1" | "ERR2" | "ERR3" => Ok(()),
            "ERR4" => {
                self.failure = true;
                Ok(())
            }
            value => (question.understand)(self, value).ok_or(Refusal::NotUnderstood),
        }
    }

    fn power(&mut self, value: &str) -> Option<()> {
        self.power = Some(value.parse().ok().filter(|power| *power <= 3)?);
        Some(())
    }

    /// Fan, lamp, temperature, cover, filter, other.
    fn errors(&mut self, value: &str) -> Option<()> {
        let digits: Vec<u64> = value.chars().map(|digit| digit.to_digit(10).map(u64::from)).collect::<Option<_>>()?;
        let errors: [u64; 6] = digits.try_into().ok()?;
        self.errors = Some(errors).filter(|errors| errors.iter().all(|error| *error <= 2));
        self.errors.map(drop)
    }

    /// Hours and state of each lamp.
    fn lamps(&mut self, value: &str) -> Option<()> {
        let words: Vec<&str> = value.split(' ').collect();
        let lamp = |pair: &[&str]| match *pair {
            [hours, "0"] => hours.parse().ok().map(|hours| (hours, false)),
            [hours, "1"] => hours.parse().ok().map(|hours| (hours, true)),
            _ => None,
        };
        let lamps = words.chunks(2).map(lamp).collect::<Option<Vec<_>>>()?;
        self.lamps = Some(lamps).filter(|lamps| lamps.len() <= LAMPS_MAX);
        self.lamps.as_ref().map(|_| ())
    }

    fn input(&mut self, value: &str) -> Option<()> {
        self.input = Some(value.parse().ok().filter(|input| (11..=69).contains(input))?);
        Some(())
    }

    /// Picture, sound or both, and off or on.
    fn mute(&mut self, value: &str) -> Option<()> {
        self.mute = Some(match value {
            "10" | "11" => (Some(value == "11"), None),
            "20" | "21" => (None, Some(value == "21")),
            "30" | "31" => (Some(value == "31"), Some(value == "31")),
            _ => return None,
        });
        Some(())
    }

    fn fields(&self, code: u64) -> Vec<(&'static str, Value)> {
        let mut fields = Vec::new();
        if let Some([fan, lamp, temperature, cover, filter, other]) = self.errors {
            fields.extend([
                ("error_cover", integer(cover)),
                ("error_fan", integer(fan)),
                ("error_filter", integer(filter)),
                ("error_lamp", integer(lamp)),
                ("error_other", integer(other)),
                ("error_temperature", integer(temperature)),
            ]);
        }
        if code == 0 {
            fields.push(("failure", Value::Boolean(self.failure)));
        }
        fields.extend(self.input.map(|input| ("input", integer(input))));
        if let Some(lamps) = &self.lamps {
            fields.extend(lamps.iter().map(|(hours, _)| *hours).max().map(|hours| ("lamp_hours", integer(hours))));
            fields.push(("lamps", count(lamps.len())));
            fields.push(("lamps_on", count(lamps.iter().filter(|(_, on)| *on).count())));
        }
        let (video, audio) = self.mute.unwrap_or_default();
        fields.extend(audio.map(|mute| ("mute_audio", Value::Boolean(mute))));
        fields.extend(video.map(|mute| ("mute_video", Value::Boolean(mute))));
        fields.extend(self.power.map(|power| ("power", integer(power))));
        fields.push(("result_code", integer(code)));
        fields
    }
}

#[cfg(test)]
mod tests;
