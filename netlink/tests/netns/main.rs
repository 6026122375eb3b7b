//! The crate on a real kernel: two hosts on a cable, each a network namespace.
//!
//! What the crate did is asked from others: iproute2, and a packet socket at the other end.

mod addresses;
mod announcing;
mod conflicts;
mod limits;
mod links;
mod mirror;
mod monitor;
mod world;

use std::process::ExitCode;

use world::trial;

fn main() -> ExitCode {
    let trials = vec![
        trial(
            "an_address_has_the_lifetime_it_was_given",
            addresses::has_its_lifetime,
        ),
        trial(
            "an_ipv6_address_is_usable_at_once_and_no_source",
            addresses::usable_at_once,
        ),
        trial(
            "an_administrators_address_stays_as_it_is",
            addresses::leaves_static_alone,
        ),
        trial(
            "the_kernel_removes_an_address_by_itself",
            addresses::expires,
        ),
        trial("a_refresh_happens_in_place", addresses::refreshes_in_place),
        trial("a_refresh_brings_nothing_back", addresses::stays_gone),
        trial(
            "only_the_exact_prefix_is_removed",
            addresses::removes_exactly,
        ),
        trial("a_later_process_knows_its_own", addresses::known_again),
        trial("a_host_prefix_disturbs_nobody", addresses::host_prefix),
        trial(
            "a_shared_prefix_takes_the_others_along",
            addresses::shared_prefix,
        ),
        trial("a_removal_by_somebody_wakes", links::removal_wakes),
        trial("a_lost_carrier_wakes", links::carrier_wakes),
        trial("waiting_ends_with_the_connection", links::waiting_ends),
        trial("a_missing_interface_is_none", links::missing),
        trial("flags_follow_the_interface", links::flags),
        trial("settings_are_read_as_the_kernel_uses_them", links::settings),
        trial(
            "an_overrun_wakes_and_everything_is_listed_anew",
            mirror::overrun,
        ),
        trial(
            "an_acknowledged_change_is_seen_at_once",
            mirror::acknowledged,
        ),
        trial(
            "what_is_seen_is_what_the_kernel_lists",
            mirror::same_as_listed,
        ),
        trial("a_change_wakes_nobody_else", mirror::wakes_nobody_else),
        trial("an_interface_made_again_is_another", mirror::made_again),
        trial("a_vanished_interface_is_an_answer", limits::vanished),
        trial(
            "without_capabilities_it_says_which",
            limits::no_capabilities,
        ),
        trial("ipv6_switched_off_is_an_answer", limits::ipv6_disabled),
        trial("many_addresses_and_many_listings", limits::many),
        trial("gratuitous_arp_byte_for_byte", announcing::arp_frames),
        trial("unsolicited_na_byte_for_byte", announcing::na_frames),
        trial("what_others_say_of_an_address_is_heard", conflicts::heard),
        trial("who_has_an_address_answers", conflicts::answered),
        trial(
            "detection_delays_an_address_and_finds_another_holder",
            conflicts::detected,
        ),
        trial("neighbours_follow", announcing::neighbours_follow),
        trial("an_announcer_says_why_it_cannot", announcing::refusals),
    ];
    vip_lab::runner::main(&[], trials)
}
