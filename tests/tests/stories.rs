//! The stories of `tests/stories`, each a case of its own: its name says what it promises.

use std::collections::BTreeSet;
use std::path::Path;

/// One line a story.
macro_rules! stories {
    ($($name:ident),+ $(,)?) => {
        $(
            #[test]
            fn $name() {
                bellwether_tests::story::play(stringify!($name));
            }
        )+

        const ALL: &[&str] = &[$(stringify!($name)),+];
    };
}

stories! {
    access_point_that_fails_alone_has_its_ticket_at_once,
    air_that_is_too_damp_or_too_dry_opens_one,
    away_for_seven_days_and_back_opens_none,
    backfill_clears_none,
    backfill_opens_none,
    boot_storm_at_the_first_bell_opens_none,
    child_noticed_before_its_switch_makes_one,
    child_that_does_not_come_back_has_its_own,
    clean_stop_opens_none,
    clock_that_jumps_opens_and_clears_none,
    closed_outage_explains_nothing_more,
    closed_ticket_of_what_comes_and_goes_reopens_once_it_is_back,
    closed_today_withdraws_and_taking_it_back_restores,
    closed_while_it_persists,
    closet_that_dies_with_its_switch_makes_one_for_the_switch,
    cloud_gear_that_stops_pinging_opens_one,
    collector_away_opens_none,
    collector_frozen_opens_none,
    counters_that_rise_and_ways_that_break_open_one_each,
    crc_errors_open_a_repair,
    day_one_with_300_old_faults_is_one_list,
    dead_switch_makes_one_while_the_collector_restarts,
    dead_switch_takes_what_hangs_on_it_along,
    degraded_raid_opens_one,
    desktop_is_missed_after_a_half_day_and_a_holiday_on_monday,
    desktop_is_not_missed_over_a_weekend_in_autumn_when_clocks_change,
    desktop_is_not_missed_over_a_weekend_in_spring_when_clocks_change,
    device_that_others_reach_is_not_down,
    disk_fills_and_frees,
    disk_that_fills_slowly_is_foreseen,
    failing_disk_opens_one_replacement,
    fault_that_comes_and_goes_keeps_one_open,
    first_sign_of_a_dying_switch_ends_with_its_ticket,
    flapping_opens_one,
    flood_at_a_building_is_one_ticket,
    gear_in_trouble_opens_one_each_and_ends_once_good,
    growing_reallocated_sectors_open_one,
    hung_agent_opens_one,
    jumping_gauge_opens_none,
    laptop_silent_opens_none,
    line_taken_off_a_model_has_its_own_ticket,
    line_to_a_building_is_one_ticket,
    laptop_that_nobody_saw_for_weeks_is_on_the_list,
    low_toner_opens_one_supply,
    machines_and_ways_out_open_one_each_and_end_once_good,
    machines_that_are_not_looked_after_are_listed_and_make_no_ticket,
    map_with_a_circle_holds_no_ticket_back,
    member_that_does_not_come_back_with_its_room_has_its_own,
    merged_tickets_go_on_as_one,
    name_server_that_dies_is_one_ticket_however_many_ask_it,
    old_reallocated_sectors_open_none,
    overruled_stays_overruled,
    planned_change_silences_and_what_is_left_has_its_ticket,
    power_air_files_and_printers_open_one_each_and_end_once_good,
    power_cut_at_a_building_is_one_ticket,
    power_cut_behind_a_known_router_is_one_ticket,
    printer_that_jams_again_and_again_opens_one,
    reopened_by_a_person,
    reopened_within_fourteen_days,
    retired_device_opens_none,
    revoked_device_opens_none,
    room_behind_a_dead_switch_is_no_group,
    room_grows_into_its_building_when_more_follow,
    room_noticed_before_its_switch_ends_with_its_ticket,
    room_of_machines_that_report_seldom_is_one_ticket,
    room_that_loses_power_is_one_ticket,
    server_silent_opens_one,
    services_open_one_each_and_end_once_good,
    short_breach_opens_none,
    silent_closet_opens_one_for_itself_alone,
    single_ticket_joins_its_room_unless_somebody_has_it,
    slow_wear_opens_one_each_and_ends_once_exchanged,
    summer_misses_servers_alone,
    summer_reimaging_of_500_machines_opens_none,
    supply_and_software_are_neither_repaired_nor_replaced,
    switch_that_comes_and_goes_and_then_dies_takes_its_children_along,
    switch_that_dies_before_school_presses_more_once_class_begins,
    switch_that_may_not_be_pinged_opens_one,
    switch_that_only_pings_opens_a_small_one,
    switch_that_stops_answering_opens_one,
    taken_commented_closed,
    the_collector_in_trouble_opens_one_each_and_ends_once_good,
    third_repair_within_a_year_asks_for_another_device,
    ticket_that_waits_for_a_part_lets_its_clock_stand,
    two_file_systems_one_ticket,
    two_hours_late_waits_two_hours,
    two_switches_in_a_row_make_one,
    two_zones_open_at_their_own_eight_o_clock,
    ups_battery_opens_one_replacement,
    vanished_disk_is_forgotten,
    what_is_beyond_the_days_tickets_is_put_off,
    what_is_only_planned_by_is_listed_and_makes_no_ticket,
    worn_batteries_of_one_model_are_one_order,
    worn_battery_in_warranty_is_claimed,
    worn_battery_of_a_young_laptop_is_replaced,
    worn_battery_opens_one_replacement,
    worn_nvme_is_planned_and_a_failing_one_urgent,
    worse_is_written_down_now_and_then,
}

#[test]
fn every_story_in_the_folder_is_played() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stories");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(files, ALL.iter().map(|name| (*name).to_owned()).collect());
}
