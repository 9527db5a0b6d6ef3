//! A rule about silence: a device that should always be on has not been heard of.

use serde::{Deserialize, Serialize};

use super::Flaw;
use crate::span::Span;

/// Judged on receive time: how long ago the collector last heard of the device. A goodbye is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Absence {
    /// How long a device must be silent.
    pub r#for: Span,
    /// How long it must be back before the fault is over.
    #[serde(default = "super::proven_good")]
    pub clear_for: Span,
}

impl Absence {
    pub(super) fn find_flaw(&self) -> Option<Flaw> {
        self.r#for
            .is_zero()
            .then(|| Flaw::new("for", "`0s`", "a length of time: every device is silent for a moment, always"))
    }
}
