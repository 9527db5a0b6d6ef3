//! What dnf says (Fedora, RHEL and its kin), version 4 or 5, from what it has in its cache: nothing is fetched.

use bellwether_logic::time::Timestamp;

use super::{LIMIT, Waiting};
use crate::host::Host;
use crate::reading::{Problem, ProblemKind};
use crate::source::unexpected;

pub(super) fn ask(host: &Host, _: Timestamp) -> Result<Waiting, Problem> {
    let count = |arguments: &[&str]| {
        let said = host.run("dnf", arguments, LIMIT)?;
        // 100 is "there are updates".
        match said.status {
            Some(0) => Ok(0),
            Some(100) => Ok(lines(&said.text)),
            _ => Err(Problem::new(ProblemKind::Failed, "dnf: it has nothing in its cache, or its state is broken")),
        }
    };
    let pending = count(&["-q", "-C", "check-update"])?;
    if pending == 0 {
        return Ok(Waiting { pending, security: Some(0), oldest: None });
    }
    let security = count(&["-q", "-C", "check-update", "--security"]).ok();
    // Repositories without advisories, as many of third parties, say nothing of any age.
    let advisories = host.run("dnf", &["-q", "-C", "updateinfo", "info", "--updates"], LIMIT).ok();
    let oldest = advisories.filter(|said| said.status == Some(0)).and_then(|said| oldest(&said.text));
    Ok(Waiting { pending, security, oldest })
}

/// Lines of a package with its architecture, a version and a repository; what it replaces is listed after a headline.
fn lines(text: &str) -> usize {
    let lines = text.lines().take_while(|line| !line.starts_with("Obsoleting"));
    lines.filter(|line| line.split_whitespace().count() == 3 && !line.starts_with(' ')).count()
}

/// Lines such as `    Updated: 2026-08-05 10:00:00` of version 4 and `Issued      : 2026-08-05 10:00:00` of version 5.
/// What is below a label, a description's second line, begins with a colon.
fn oldest(text: &str) -> Option<i64> {
    let dates = text.lines().filter_map(|line| {
        let line = line.trim_start();
        let rest = line.strip_prefix("Updated").or_else(|| line.strip_prefix("Issued"))?;
        let (date, clock) = rest.trim_start().strip_prefix(':')?.trim().split_once(' ')?;
        unexpected::seconds(&format!("{date}T{clock}"))
    });
    dates.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_counted_without_what_they_replace() {
        let text = "\nkernel.x86_64   6.11.4-301.fc41   updates\nvim-minimal.x86_64 2:9.1 updates\nObsoleting Packages\na.x86_64 1 b\n";
        assert_eq!(lines(text), 2);
    }

    #[test]
    fn the_oldest_advisory_tells_the_age_in_the_words_of_both_versions() {
        let four = "  Update ID: EXAMPLE-2026-101\n       Type: security\n    Updated: 2026-08-05 10:00:00\n\
                    Description: Updated: 2001-01-01 00:00:00\n           : Updated: 2001-01-01 00:00:00\n\
                    \n  Update ID: EXAMPLE-2026-99\n    Updated: 2026-08-03 00:00:00\n";
        assert_eq!(oldest(four), Some(1_785_715_200));
        assert_eq!(oldest("Name        : F-1\nIssued      : 2026-08-05 10:00:00\n"), Some(1_785_924_000));
        assert_eq!(oldest("Updated: never\nUpdated\nIssued :\n"), None);
    }
}
