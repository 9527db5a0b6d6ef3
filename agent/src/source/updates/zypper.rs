//! What zypper says (openSUSE, SLES), in the XML that it writes for programs. From what it has in its cache: nothing is
//! refreshed, and no rights are needed.

use std::fs;

use bellwether_logic::time::Timestamp;

use super::{LIMIT, Waiting, first_seen};
use crate::host::Host;
use crate::reading::{Problem, ProblemKind};

/// Where its repositories are set up; it is there wherever zypper is at home.
pub(super) const REPOSITORIES: &str = "etc/zypp/repos.d";

/// Packages that wait, and patches: only those are marked as being for security, and only those bear a date. Where a
/// repository has none, as Tumbleweed's, the age is told from when the agent first saw that a package waits.
pub(super) fn ask(host: &Host, now: Timestamp) -> Result<Waiting, Problem> {
    if !has_repositories(host) {
        return Err(Problem::new(ProblemKind::NothingHere, "zypper: no repositories are set up"));
    }
    let (packages, patches) = (list(host, "list-updates")?, list(host, "list-patches")?);
    let waiting: Vec<(&str, &str)> = elements(&packages)
        .map(|element| (attribute(element, "name").unwrap_or(""), attribute(element, "edition-old").unwrap_or("")))
        .collect();
    let patches = || elements(&patches).filter(|element| attribute(element, "status") == Some("needed"));
    let dates = patches().filter_map(|element| {
        let (_, date) = element.split_once("<issue-date ")?;
        attribute(date, "time_t")?.parse::<i64>().ok()
    });
    Ok(Waiting {
        pending: waiting.len(),
        security: Some(patches().filter(|element| attribute(element, "category") == Some("security")).count()),
        oldest: dates.min().or_else(|| first_seen::note(host, &waiting, now)),
    })
}

fn has_repositories(host: &Host) -> bool {
    let Ok(entries) = fs::read_dir(host.path(REPOSITORIES)) else { return false };
    entries.flatten().any(|entry| entry.path().extension().is_some_and(|extension| extension == "repo"))
}

fn list(host: &Host, what: &str) -> Result<String, Problem> {
    let said = host.run("zypper", &["--non-interactive", "--no-refresh", "--quiet", "--xmlout", what], LIMIT)?;
    // As zypper(8) numbers them.
    match said.status {
        // From 100 on it only informs: updates are needed, a restart is.
        Some(0 | 100..=103) if said.text.contains("<update-list") => Ok(said.text),
        Some(5) => Err(Problem::new(ProblemKind::NoPermission, "zypper: it tells only root")),
        Some(6) => Err(Problem::new(ProblemKind::NothingHere, "zypper: no repositories are set up")),
        Some(7) => Err(Problem::new(ProblemKind::Failed, "zypper: another program is at work with the packages")),
        _ => Err(Problem::new(ProblemKind::Failed, "zypper: it has nothing in its cache, or its state is broken")),
    }
}

/// Each `<update ...>` with what is in it. Texts are escaped, so that nothing in them looks like one.
fn elements(text: &str) -> impl Iterator<Item = &str> {
    text.split("<update ").skip(1)
}

/// ` name="value"` of the element that the text begins in.
fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let head = &element[..element.find('>')?];
    head.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix("=\"")?.split('"').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_descriptions_are_no_updates() {
        let text = "<update kind=\"patch\" name=\"a-1\" status=\"needed\"><description>&lt;update name=\"b\"&gt; \
                    category=\"security\"</description><issue-date time_t=\"17\" text=\"x\"/></update></update-list>";
        let all: Vec<&str> = elements(text).collect();
        assert_eq!(all.len(), 1);
        assert_eq!(attribute(all[0], "name"), Some("a-1"));
        assert_eq!(attribute(all[0], "category"), None);
        assert_eq!(attribute("name=", "name"), None);
    }
}
