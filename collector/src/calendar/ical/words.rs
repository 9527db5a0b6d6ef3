//! What an event's words mean for a school day.

/// What an event says of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meaning {
    /// There is school, although there would be none.
    SchoolDay,
    /// It begins late.
    LateStart,
    /// It ends early.
    HalfDay,
    /// There is no school.
    NoSchool,
}

/// Which words mean what; whole words, in whatever case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    no_school: Vec<Vec<String>>,
    half_day: Vec<Vec<String>>,
    late_start: Vec<Vec<String>>,
    school_day: Vec<Vec<String>>,
    ignore: Vec<Vec<String>>,
}

const NO_SCHOOL: &[&str] = &[
    "no school",
    "no classes",
    "no students",
    "school closed",
    "schools closed",
    "district closed",
    "offices closed",
    "holiday",
    "holidays",
    "break",
    "recess",
    "vacation",
    "snow day",
    "teacher workday",
    "teacher work day",
    "student holiday",
];

const HALF_DAY: &[&str] =
    &["early release", "early dismissal", "half day", "minimum day", "noon dismissal", "early out"];

const LATE_START: &[&str] = &[
    "late start",
    "late arrival",
    "late opening",
    "delayed opening",
    "delayed start",
    "two hour delay",
    "2 hour delay",
    "one hour delay",
    "1 hour delay",
];

const SCHOOL_DAY: &[&str] = &["make up day", "makeup day", "school in session"];

/// A concert or a sale in the holidays is none, and a day on which school resumes after a break is no day off.
const IGNORE: &[&str] = &[
    "concert",
    "party",
    "fair",
    "sale",
    "parade",
    "dance",
    "assembly",
    "program",
    "drive",
    "resume",
    "resumes",
    "return",
    "returns",
    "last day before",
    "first day after",
    "begins after",
];

impl Words {
    /// The usual words, with a district's own in place of some of them.
    #[must_use]
    pub fn of(feed: &crate::calendar::form::Feed) -> Self {
        let list = |own: &Option<Vec<String>>, usual: &[&str]| match own {
            Some(own) => own.iter().map(|phrase| split(phrase)).filter(|phrase| !phrase.is_empty()).collect(),
            None => usual.iter().map(|phrase| split(phrase)).collect(),
        };
        Self {
            no_school: list(&feed.no_school, NO_SCHOOL),
            half_day: list(&feed.half_day, HALF_DAY),
            late_start: list(&feed.late_start, LATE_START),
            school_day: list(&feed.school_day, SCHOOL_DAY),
            ignore: list(&feed.ignore, IGNORE),
        }
    }

    /// What a summary says of its days; nothing if it says nothing of school time.
    #[must_use]
    pub fn meaning(&self, summary: &str) -> Option<Meaning> {
        let said = split(summary);
        let says = |phrases: &[Vec<String>]| {
            phrases.iter().any(|phrase| said.windows(phrase.len()).any(|window| window == phrase.as_slice()))
        };
        if says(&self.ignore) {
            return None;
        }
        // "Early Release before Thanksgiving Break" is a half day.
        let order = [
            (&self.school_day, Meaning::SchoolDay),
            (&self.half_day, Meaning::HalfDay),
            (&self.late_start, Meaning::LateStart),
            (&self.no_school, Meaning::NoSchool),
        ];
        order.into_iter().find(|(phrases, _)| says(phrases)).map(|(_, meaning)| meaning)
    }
}

/// A text's words, in lower case: what is neither letter nor digit lies between two.
fn split(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '\'');
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}
