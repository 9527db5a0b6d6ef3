//! A rule about silence: a device that should always be on has not been heard of.

use alloc::string::ToString;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Flaw, quoted};
use crate::device::words;
use crate::span::{Passing, Span, Stretch};

/// The longest silence within one opening that can be asked for: half of an ordinary school day. Longer, and a half day
/// would never be long enough.
const OPENING_MAX: Duration = Duration::from_secs(4 * 60 * 60);

words! {
    /// When a device should speak.
    Expected, "time in which it is expected" {
        /// Around the clock.
        Always = "always",
        /// While its building is open for school; the clock begins anew with each opening.
        InSession = "in_session",
    }
}

/// Judged on receive time: how long ago the collector last heard of the device. A goodbye is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Absence {
    /// How long a device must be silent.
    pub r#for: Stretch,
    /// When it should speak at all.
    #[serde(default = "always", skip_serializing_if = "is_always")]
    pub expected: Expected,
    /// How long it must be back before the fault is over.
    #[serde(default = "super::proven_good")]
    pub clear_for: Span,
}

impl Absence {
    pub(super) fn find_flaw(&self) -> Option<Flaw> {
        let Stretch { span, passing } = self.r#for;
        if span.is_zero() {
            return Some(Flaw::new("for", "`0s`", "a length of time: every device is silent for a moment, always"));
        }
        let within_opening = self.expected == Expected::InSession;
        if within_opening && passing == Passing::School {
            let expected = "a plain length of time beside `expected = \"in_session\"`, which counts from each opening";
            return Some(Flaw::new("for", quoted(&self.r#for.to_string()), expected));
        }
        (within_opening && span > OPENING_MAX).then(|| {
            let expected = "at most `4h` beside `expected = \"in_session\"`: no half day is longer";
            Flaw::new("for", quoted(&self.r#for.to_string()), expected)
        })
    }
}

const fn always() -> Expected {
    Expected::Always
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_always(expected: &Expected) -> bool {
    *expected == Expected::Always
}
