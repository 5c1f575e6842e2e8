//! What the server has to survive, and the test that holds it to that. Whoever adds a row adds its test; one that is renamed is
//! missed here.
//!
//! ```text
//! upstreams
//! silent or slow                                with_a_silent_first_upstream_none_of_1000_queries_fails_and_the_median_stays
//! every other fault, one of three               one_upstream_of_three_may_have_any_fault_and_no_client_hears_of_it
//! all dead                                      with_every_upstream_dead_what_was_known_is_given_and_the_rest_is_servfail_in_bounded_room
//! fast SERVFAIL beside a good one               an_rcode_that_is_no_answer_asks_the_next_at_once
//! a thousand equal questions that fail          what_refused_upstreams_come_to_is_kept_too_and_an_answer_ends_it
//! back again                                    a_question_asked_while_the_upstream_was_dead_is_asked_again_when_it_is_back
//! ports and ids that can be guessed             ports_ids_and_case_are_spread_and_ports_change
//! a side channel that finds open ports          a_stranger_who_knows_everything_else_is_not_heard
//! equal questions, to be forged by birthday     equal_questions_that_wait_together_are_asked_once
//! a client's subnet passed on                   no_option_of_a_client_is_passed_on_or_echoed_and_the_answer_is_cached_for_all
//! an answer for one network given to another    an_answer_for_one_network_reaches_no_other_whoever_asks_in_which_order_and_over_what
//! records of other names                        what_an_upstream_says_of_other_names_and_types_reaches_no_client
//! an injected cache shared with a zone          each_name_is_asked_of_the_servers_of_its_longest_zone_alone
//! a lie before the true answer                  a_bad_packet_first_never_hides_the_true_answer
//! a lie and nothing else                        of_each_lie_that_stands_alone_the_client_hears_in_time_and_of_nothing_forged
//! fragments                                     no_answer_over_udp_is_larger_than_the_client_takes_or_1232_octets_and_ours_are_small
//! answers held back and let go at once          answers_that_an_upstream_holds_back_and_lets_go_at_once_are_no_blow_to_whoever_seems_to_have_asked
//! one client's dead names                       a_client_that_asks_for_dead_names_without_end_costs_no_other_client_an_answer
//! more signatures than can be verified          more_signatures_than_an_honest_answer_has_are_not_looked_at
//! keys without end                              one_answer_has_only_so_many_questions_asked
//! referrals                                     a_referral_and_aliases_in_a_circle_are_of_no_use
//! chains of aliases                             a_banned_name_is_found_wherever_it_stands_in_a_chain
//! a name banned when it is cached already       a_changed_list_is_in_force_at_once_and_needs_no_flush
//! random names that flush the cache             a_flood_of_names_stays_within_the_limit
//! pointers in circles                           compression_loops_and_forward_pointers_are_refused
//! TTLs of 0, of years, of less than 0           ttl_0_is_not_kept_and_a_long_ttl_is_capped a_ttl_with_its_top_bit_set_is_none
//! answers mixed up on a connection              questions_without_end_over_one_connection_get_each_its_own_answer
//! itself as upstream, or by way of others       servers_that_forward_to_each_other_find_out_and_ask_again_when_the_circle_is_broken
//! stale answers to banned names                 a_name_that_is_banned_by_now_gets_no_stale_answer
//! stale answers for what is bogus               no_stale_answer_stands_in_for_one_that_is_known_to_be_bogus
//! truncated, and nobody there over TCP          truncated_and_then_silence_over_tcp_is_a_timeout
//! a certificate that is none for it             a_certificate_for_another_name_is_refused_and_the_next_upstream_answers
//!
//! clients
//! rubbish                                       each_datagram_of_a_flood_ends_in_the_one_counter_of_its_reason
//! a query of death                              a_panic_costs_one_query_and_is_counted_over_udp_over_tcp_and_in_tasks
//! no question or two, two OPT records           malformed_queries_get_formerr_and_unknown_ones_notimp_or_badvers
//! responses sent as queries                     silence_meets_what_is_too_short_or_a_response
//! options that smuggle                          an_option_or_record_that_only_hickory_looks_at_gets_the_same_answer_over_tcp_as_over_udp
//! the case of letters                           the_case_of_the_question_is_echoed_also_from_the_cache
//! odd labels                                    odd_labels_are_compared_label_by_label
//! every type and class of a banned name         none_of_the_types_lifts_a_ban_and_none_reaches_the_upstream
//! bans asked for with DO, CD or in any case     a_banned_name_is_nxdomain_for_every_type_transport_and_flag
//! amplification                                 any_is_small_over_udp_whole_over_tcp_and_never_lifts_a_ban
//! networks that are not served                  a_client_of_another_network_is_refused_with_the_reason_over_every_transport
//! too many queries of one client                a_limited_client_is_sent_to_tcp_and_still_counted_and_recorded
//! cookies of others                             a_good_cookie_proves_the_address_and_another_does_not
//! idle connections, slow senders                hundreds_of_idle_connections_and_slow_senders_take_nothing_from_those_who_ask
//! connections from every port                   a_connection_attempt_from_every_port_takes_nothing_from_those_who_ask
//! frames cut anywhere, or of 65,535 octets      messages_come_out_as_they_went_in_however_the_stream_is_cut of_a_message_of_65535_octets_only_as_much_is_kept_as_shows_that_it_is_too_long
//! queries without end on a connection           a_stream_whose_answers_wait_is_read_no_further_than_its_limit
//! answers that are never read                   a_stream_that_takes_no_answers_is_cut_off_in_time_and_others_see_nothing_of_it
//! large answers that are never read             large_answers_that_one_client_never_takes_over_https_leave_room_for_those_of_others large_answers_that_one_client_never_takes_over_quic_leave_room_for_those_of_others
//! zone transfers                                what_is_not_forwarded_is_refused_and_says_why
//! stalled handshakes                            at_the_limit_of_handshakes_the_oldest_goes_and_no_connection_that_is_through_with_it
//! requests of HTTP/2 taken back at once         requests_taken_back_again_and_again_end_the_connection more_streams_than_may_be_open_are_not_begun
//! heads of HTTP without end                     a_head_without_end_ends_the_connection a_head_that_is_too_large_is_refused_over_http_1
//! requests of HTTP that are none                every_other_request_is_told_what_is_wrong
//! proxies that name nobody, and who is none     a_proxy_that_names_nobody_is_refused_and_nothing_is_asked_in_its_own_name nobody_else_is_believed_who_names_a_client
//! what no client may say over QUIC              what_breaks_the_rules_of_the_transport_ends_the_connection_and_a_banned_name_in_it_is_recorded
//! forged addresses over QUIC                    every_address_is_proven_before_anything_else_is_said a_connection_that_moves_to_another_address_is_not_heard_from_there
//! streams of QUIC taken back at once            streams_taken_back_again_and_again_are_no_queries_and_others_see_nothing_of_them
//! a machine with every address of its network   the_addresses_of_one_ipv6_network_leave_room_for_others_and_have_all_that_nobody_else_wants
//! a certificate that changes                    a_certificate_is_exchanged_under_load_and_no_query_fails
//! mapped addresses                              an_ipv4_client_on_an_ipv6_socket_is_the_same_client
//!
//! host
//! no descriptors left                           with_64_open_files_and_200_connections_datagrams_are_answered_and_connections_again_once_those_are_gone
//! no ports left                                 while_every_port_is_taken_clients_are_told_and_once_some_are_free_they_are_answered
//! sockets that die                              a_listener_whose_socket_dies_is_bound_again a_udp_listener_whose_socket_is_none_is_bound_again_at_its_address a_quic_listener_whose_socket_is_none_is_bound_again_at_its_address
//! forged clients without end                    a_network_of_forged_clients_leaves_a_bounded_record_with_exact_counts_for_each_ban
//! a full disk                                   a_full_disk_stops_no_query_and_the_loss_is_exact files_that_cannot_grow_stop_no_query_and_the_loss_is_exact
//! a disk that is read only                      a_read_only_state_directory_at_the_start_stops_no_query
//! a kill while the record is written            what_was_said_to_be_stored_outlives_kills_at_any_moment_and_nothing_is_made_up
//! a record cut or turned over anywhere          a_file_cut_at_any_octet_is_an_error_that_names_it_and_nothing_is_deleted octets_turned_over_anywhere_never_panic
//! a clock that jumps ahead and back             a_wall_clock_that_jumps_ahead_and_back_deletes_nothing a_wall_clock_that_jumps_back_and_ahead_deletes_nothing_from_before
//! a saved cache from the future                 a_file_from_the_future_is_left_out_and_no_file_is_no_fault
//! lists that are broken, huge, or no files      a_broken_list_changes_nothing_and_is_explained a_fifo_is_refused_and_never_waited_for a_directory_and_a_large_file_are_refused
//! a copy of a list that is half written         a_file_that_changed_after_loading_is_not_saved_and_a_half_written_copy_is_replaced
//! lists that ban a public suffix                no_list_enforces_the_root_a_public_suffix_or_a_protected_name
//! a list exchanged in any way                   lists_of_a_volume_that_kubernetes_exchanges_as_a_whole_are_followed a_list_that_is_being_written_is_not_read_before_it_rests_and_one_cut_to_nothing_changes_nothing
//! a source of lists that sends anything else    what_is_no_list_leaves_the_list_before_in_force a_source_that_sends_no_more_is_given_up_in_time
//! a list cut short or swollen at its source     a_list_that_has_lost_or_gained_too_much_is_taken_only_when_an_operator_says_so
//! a list changed on its way                     a_signed_list_is_taken_with_its_signature_and_no_other a_server_is_believed_by_its_authority_and_a_stranger_is_not
//! a source that is gone at a start              a_list_is_enforced_when_it_comes_follows_its_source_and_outlives_it
//! a crash while a list is exchanged             after_a_crash_between_the_two_renames_the_list_before_is_still_known a_copy_that_was_damaged_is_not_believed_and_comes_again
//! a source that leads into our network          a_host_is_asked_of_our_upstreams_and_no_ban_keeps_it_from_us nobody_is_led_out_of_encryption
//! reloads under load                            no_query_is_lost_and_none_is_unjudged_while_lists_are_reloaded
//! a new process under load                      through_five_hand_overs_under_load_no_query_is_lost_and_every_attempt_is_recorded_once
//! a broken configuration                        every_bad_configuration_gets_its_messages
//! a certificate that is being renewed           a_broken_new_file_keeps_the_certificate_before_and_says_so a_ban_does_not_wait_until_a_certificate_can_be_read
//! heads and bodies without end                  a_head_that_never_ends_is_cut_off a_body_is_never_waited_for
//! names that break the metrics page             a_hostile_label_value_stays_inside_its_quotes
//! names that break logs and terminals           a_hostile_name_is_escaped_on_every_face
//! ```

use std::fs;
use std::path::Path;

/// All of the sources' text below a folder.
fn text(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            text(&entry, into);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(&entry).unwrap());
        }
    }
}

/// Names of tests in a table that stands at the head of a file, each of which is there.
pub(crate) fn named_tests(table: &str) -> Vec<&str> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    text(&root.join("src"), &mut sources);
    text(&root.join("tests"), &mut sources);
    // Names of tests are words of a sentence; nothing else in a table has so many.
    let words = table.lines().filter_map(|line| line.strip_prefix("//! "));
    let named: Vec<&str> =
        words.flat_map(str::split_whitespace).filter(|word| word.matches('_').count() >= 4).collect();
    let missing: Vec<_> = named.iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "the table names tests that are not there: {missing:#?}");
    named
}

#[test]
fn every_test_that_the_table_names_is_there() {
    let named = named_tests(include_str!("survives.rs"));
    assert!(named.len() > 60, "{} tests", named.len());
}
