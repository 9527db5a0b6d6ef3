//! A short run of each target of the fuzzer, with the same cases each time, and what it once found.

use bellwether_tests::fuzz::Target;

fn cases(name: &str, seeds: impl IntoIterator<Item = u64>) {
    let target = Target::named(name).expect("a target of this name");
    for seed in seeds {
        if let Err(finding) = target.case(seed) {
            panic!("{finding}");
        }
    }
}

#[test]
fn a_client_outlives_what_devices_send() {
    cases("packets", 1..=1);
}

#[test]
fn blocks_are_unpacked_or_refused() {
    cases("blocks", 1..=10);
}

#[test]
fn lines_are_read_as_they_are_written_or_refused() {
    cases("lines", 1..=10);
}

#[test]
fn queries_are_answered_or_refused() {
    cases("queries", 1..=3);
}

#[test]
fn segments_give_what_was_appended_or_nothing() {
    cases("segments", 1..=3);
}

#[test]
fn what_closets_say_is_cleaned_or_refused() {
    cases("heard", 1..=10);
}

#[test]
fn profiles_are_read_or_refused() {
    cases("profiles", 1..=20);
}

#[test]
fn recordings_are_read_or_refused() {
    cases("recordings", 1..=5);
}

#[test]
fn sweeps_end_whatever_is_answered() {
    cases("sweeps", 1..=20);
}

#[test]
fn traps_are_taken_in_after_whatever_came() {
    cases("traps", 1..=5);
}

#[test]
fn walks_end_whatever_is_answered() {
    cases("walks", 1..=30);
}

#[test]
fn what_is_said_of_devices_decodes_or_is_refused() {
    cases("wire", 1..=10);
}
