"""Every fault that the platform must bear, and every regression, keeps the tests that show it.

The numbers are those of the project's table of faults. Missing are 14 and 15 for the most part, 27
(the numerical core) and 28 (the user interface). Of 19, a stale replica cannot be met: one address
is given for the database, for reading and writing alike. Of 24, what a container or the network
around a notebook must stop is not the service's.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

FAULTS: dict[int, list[str]] = {
    1: [
        "faults/test_upload_faults.py::test_what_is_no_frame_is_refused_with_a_reason",
        "api/test_uploads_protocol.py::test_an_empty_file_is_refused_in_plain_words",
        "faults/test_door.py::test_what_is_not_fits_is_named",
    ],
    2: [
        "faults/test_hostile_uploads.py::test_a_file_that_lies_is_refused_and_harms_nothing",
        "faults/test_door.py::test_a_truncated_file_is_refused_by_its_size",
    ],
    3: [
        "faults/test_upload_faults.py::test_a_little_padding_is_no_fault",
        "faults/test_upload_faults.py::test_what_is_no_frame_is_refused_with_a_reason",
        "faults/test_door.py::test_a_gigabyte_of_padding_is_refused_unread",
        "api/test_uploads_protocol.py::test_sizes_are_refused_before_a_byte_is_sent",
    ],
    4: [
        "faults/test_upload_faults.py::test_what_is_no_frame_is_refused_with_a_reason",
        "faults/test_hostile_uploads.py::test_a_file_that_lies_is_refused_and_harms_nothing",
        "faults/test_door.py::test_absurd_sizes_are_refused_from_the_header_alone",
    ],
    5: [
        "faults/test_hostile_uploads.py::test_a_file_that_lies_is_refused_and_harms_nothing",
        "faults/test_door.py::test_a_million_cards_are_refused_after_the_limit",
        "faults/test_door.py::test_a_header_without_a_proper_end_is_refused",
        "faults/test_door.py::test_bytes_that_are_not_printable_ascii_are_refused",
    ],
    6: [
        "faults/test_hostile_uploads.py::test_a_file_that_lies_is_refused_and_harms_nothing",
        "api/test_unpack.py::test_a_gzip_bomb_stops_at_the_ratio",
        "api/test_sandbox.py::test_memory_and_files_are_limited",
        "api/test_sandbox.py::test_a_task_that_dies_hangs_or_spins_is_that_tasks_trouble",
    ],
    7: [
        "faults/test_hostile_uploads.py::test_of_a_zip_bomb_what_came_before_it_is_kept",
        "api/test_unpack.py::test_a_zip_bomb_of_many_files_stops_at_the_total",
        "api/test_unpack.py::test_too_many_entries",
        "api/test_unpack.py::test_a_directory_larger_than_its_count_is_not_read",
        "api/test_unpack.py::test_entries_that_share_their_bytes",
        "api/test_unpack.py::test_a_lie_about_the_size",
        "api/test_unpack.py::test_encrypted_entries_and_odd_methods",
        "api/test_unpack.py::test_zip64_is_read",
        "api/test_unpack.py::test_a_comment_that_hides_a_directory",
    ],
    8: [
        "faults/test_hostile_uploads.py::test_of_a_hostile_tar_the_good_frames_are_taken",
        "api/test_unpack.py::test_names_that_are_refused",
        "api/test_unpack.py::test_links_and_devices_of_a_tar",
        "api/test_unpack.py::test_links_of_a_zip",
    ],
    9: [
        "faults/test_upload_faults.py::test_a_name_is_shown_and_never_used",
        "api/test_files.py::test_whole_and_in_parts",
        "api/test_manifest.py::test_windows_has_no_quarrel_with_a_name",
        "faults/test_hostile_uploads.py::test_of_a_hostile_tar_the_good_frames_are_taken",
    ],
    10: [
        "faults/test_hostile_uploads.py::test_a_target_is_text_and_never_a_path",
        "api/test_downloads.py::test_formulas_and_paths_in_names",
        "api/test_manifest.py::test_formulas_are_guarded",
    ],
    11: [
        "faults/test_hostile_uploads.py::test_an_odd_value_has_a_rule",
        "faults/test_hostile_uploads.py::test_an_impossible_value_is_refused_with_its_card",
        "faults/test_header_values.py::test_times_that_are_refused",
    ],
    12: [
        "faults/test_hostile_uploads.py::test_a_pole_is_one_block",
        "faults/test_hostile_uploads.py::test_midnight_and_0_h",
        "faults/test_mixed_blocks.py::test_every_exact_edge_has_one_tile",
        "api/test_stacks.py::test_every_filter",
    ],
    13: [
        "faults/test_upload_faults.py::test_the_same_frames_from_two_browsers_at_once",
        "faults/test_upload_faults.py::test_renamed_is_the_same_and_one_pixel_is_not",
        "client/test_push.py::test_a_night_is_sent_and_a_second_push_sends_nothing",
        "faults/test_regressions.py::test_7_copies_were_stacked_twice_and_equal_names_collided",
    ],
    16: [
        "faults/test_network.py::test_an_upload_outlives_its_network",
        "faults/test_network.py::test_an_upload_outlives_sleep_and_clocks",
        "faults/test_upload_faults.py::test_killed_at_every_step",
        "client/test_push.py::test_a_push_that_was_killed_is_continued_by_the_next",
        "client/test_push.py::test_a_push_outlives_a_service_that_is_killed_in_its_middle",
        "api/test_uploads_clients.py::test_tus_js_client_goes_on_after_the_service_was_killed",
        "agent/test_agent_crashes.py::test_an_upload_goes_on_through_reloads_and_other_pages",
        "agent/test_agent_crashes.py::test_a_killed_service_and_a_broken_network_lose_nothing",
        "agent/test_agent_killed.py::test_a_killed_browser_continues_where_it_was",
        "agent/test_agent_killed.py::test_what_a_killed_browser_could_not_keep_is_asked_for_once",
        "browser/test_uploads_survive.py::test_all_interruptions_in_a_row",
    ],
    17: [
        "work/test_crashes.py::test_killed_at_every_step",
        "archive/test_commit.py::test_killed_at_every_step_the_job_is_done_once",
        "work/test_pool.py::test_a_killed_process_fails_its_job_only",
        "flows/test_worker.py::test_a_killed_worker_takes_its_processes_along_and_another_finishes",
        "flows/test_worker.py::test_prefect_may_be_restarted_in_the_middle",
        "archive/test_leases.py::test_a_running_job_without_a_lease_is_taken_up_again",
    ],
    18: [
        "faults/test_upload_faults.py::test_a_full_disk_pauses_and_loses_nothing",
        "faults/test_upload_faults.py::test_a_store_that_is_full_keeps_what_was_received",
        "faults/test_upload_faults.py::test_a_full_quota_is_told_before_a_byte_is_sent",
        "faults/test_store_faults.py::test_a_full_disk_and_its_end",
        "faults/test_store_faults.py::test_no_inodes_left",
        "faults/test_store_faults.py::test_a_disk_that_became_read_only",
        "faults/test_database_faults.py::test_a_database_without_room_loses_nothing",
        "work/test_execute.py::test_a_full_disk_costs_no_try_and_loses_nothing",
    ],
    19: [
        "faults/test_service_faults.py::test_the_database_is_away_for_a_while",
        "faults/test_service_faults.py::test_every_connection_is_in_use",
        "faults/test_database_faults.py::test_a_deadlock_is_an_answer_to_come_again",
        "faults/test_database_faults.py::test_a_migration_during_uploads",
        "faults/test_database_faults.py::test_an_upload_that_finds_no_connection_is_taken_later",
        "faults/test_work_faults.py::test_a_database_that_is_away_is_waited_for",
    ],
    20: [
        "archive/test_scrub.py::test_one_flipped_bit",
        "api/test_files.py::test_a_damaged_file_is_never_a_fits_file",
        "api/test_files.py::test_a_store_that_sends_less_or_more",
        "faults/test_store_faults.py::test_wrong_bytes_never_become_a_file",
        "faults/test_store_faults.py::test_a_store_that_refuses",
        "work/test_execute.py::test_a_lost_raw_leaves_the_block_and_is_asked_for_again",
    ],
    21: [
        "api/test_jobs.py::test_a_running_job_is_deleted_once_and_for_all",
        "archive/test_delete_job.py::test_killed_at_every_step_of_delete_nothing_is_half_gone",
        "flows/test_worker.py::test_a_deleted_job_is_stopped_within_a_heartbeat",
        "faults/test_download_faults.py::test_deleted_while_it_is_sent",
        "archive/test_accounts.py::test_an_erased_account_leaves_nothing",
    ],
    22: [
        "archive/test_sweep.py::test_days_of_backlog_cost_nothing",
        "archive/test_sweep.py::test_skewed_clocks_take_nothing_that_is_needed",
        "archive/test_sweep.py::test_two_sweepers_at_once",
        "faults/test_work_faults.py::test_a_sweep_during_a_backlog_takes_no_raw",
    ],
    23: [
        "faults/test_network.py::test_a_session_that_ends_in_the_middle_pauses_the_upload",
        "faults/test_download_faults.py::test_a_key_revoked_on_the_way",
        "api/test_who.py::test_every_key_that_is_no_good_is_told_the_same",
        "api/test_who.py::test_a_key_in_an_address_is_refused",
        "api/test_who.py::test_wrong_keys_are_counted_by_address",
        "api/test_hub.py::test_a_page_from_elsewhere_changes_nothing",
        "api/test_hub.py::test_every_sign_in_is_a_new_session",
        "api/test_hub.py::test_a_sign_in_that_another_browser_began_is_refused",
        "agent/test_agent_browser.py::test_signed_out_in_the_middle_it_goes_on_after_the_log_in",
        "browser/test_uploads_survive.py::test_signed_out_in_another_tab_it_waits_for_its_own_user",
        "hub_config/test_login.py::test_unknown_names_and_wrong_passwords_look_alike",
        "hub_config/test_login.py::test_guessing_is_stopped_for_names_that_nobody_has_too",
        "hub_config/test_ways_in.py::test_addresses_are_not_told",
    ],
    24: [
        "api/test_hub.py::test_anothers_objects_are_not_found",
        "api/test_hub.py::test_the_cookie_is_out_of_reach_of_scripts_and_other_paths",
        "api/test_who.py::test_nobody_may_read_answers_from_another_site",
        "api/test_app.py::test_answers_carry_safe_headers",
        "api/test_sandbox.py::test_memory_and_files_are_limited",
        "hub_config/test_apart.py::test_what_is_not_ones_own_is_shut",
        "hub_config/test_servers.py::test_no_secret_of_the_hub_is_in_the_environment",
        "hub_config/test_servers.py::test_a_servers_token_is_its_users_and_for_little",
        "hub_config/test_servers.py::test_servers_are_limited",
        "hub_config/test_notebook_parts.py::test_containers_need_hosts_of_their_own",
        "hub_config/test_notebook_parts.py::test_containers_are_limited",
        "pages_server/test_site.py::test_a_kernel_is_nobody_elses",
        "pages_server/test_site.py::test_nobody_runs_code_in_a_kernel",
        "pages_server/test_site.py::test_a_kernel_knows_what_it_needs_and_nothing_else",
        "browser/test_apart.py::test_another_s_page_cannot_be_reached",
        "hub_config/test_login.py::test_pages_ask_no_other_host_and_are_in_no_frame",
    ],
    25: [
        "faults/test_download_faults.py::test_10_000_stacks",
        "api/test_downloads.py::test_resumes_after_a_cut_at_60_percent",
        "api/test_downloads.py::test_every_range_is_that_part_of_the_whole",
        "api/test_downloads.py::test_50_at_once_and_one_that_does_not_read",
        "api/test_downloads.py::test_a_frozen_archive_stays_what_it_was",
        "api/test_downloads.py::test_what_is_missing_or_damaged_is_told",
    ],
    26: [
        "api/test_compat.py::test_the_tutorial",
        "api/test_compat.py::test_values_that_are_none",
        "api/test_compat.py::test_16_tiles_at_once",
    ],
    28: [
        "pages/upload/test_page.py::test_100_000_rows_are_few_elements_and_scroll",
        "pages/status/test_status_browser.py::test_two_thousand_jobs_are_all_there",
        "pages/stacks/test_stacks_browser.py::test_axe_finds_nothing_and_nothing_sticks_out",
        "pages/status/test_status_browser.py::test_axe_finds_nothing_and_nothing_sticks_out",
        "pages/splash/test_browser.py::test_axe_finds_nothing_serious",
        "pages/splash/test_browser.py::test_nothing_sticks_out",
        "pages/splash/test_browser.py::test_without_scripts",
        "browser/test_everyone.py::test_a_page_whose_kernel_is_dead_says_so",
        "agent/test_agent_crashes.py::test_without_a_shared_worker_one_tab_sends_and_another_takes_over",
        "pages/status/test_status_browser.py::test_delete_asks_once_and_the_keyboard_stays",
        "pages/stacks/test_stacks_browser.py::test_choices_are_asked_for_and_kept_in_the_address",
        "pages/splash/test_browser.py::test_it_stands_still",
    ],
}  # fmt: skip

REGRESSIONS: dict[int, list[str]] = {
    1: [
        "archive/test_sweep.py::test_days_of_backlog_cost_nothing",
        "faults/test_work_faults.py::test_a_sweep_during_a_backlog_takes_no_raw",
    ],
    2: [
        "archive/test_leases.py::test_the_third_silence_is_called_failed",
        "work/test_execute.py::test_the_last_failure_is_called_failed",
        "api/test_jobs.py::test_only_a_failed_job_is_tried_again",
    ],
    3: [
        "archive/test_leases.py::test_a_silent_worker_s_job_runs_again_and_the_worker_has_lost_it",
        "flows/test_two_hosts.py::test_two_hosts_share_a_queue_and_one_is_killed",
    ],
    4: [
        "archive/test_commit.py::test_killed_at_every_step_the_job_is_done_once",
        "work/test_crashes.py::test_killed_at_every_step",
    ],
    5: [
        "archive/test_delete_job.py::test_a_running_job_s_worker_stops_and_leaves_no_orphan",
        "work/test_execute.py::test_a_deleted_job_leaves_nothing_behind",
    ],
    6: ["faults/test_regressions.py::test_6_frames_without_a_time_were_dropped_without_a_word"],
    7: [
        "faults/test_regressions.py::test_7_copies_were_stacked_twice_and_equal_names_collided",
    ],
    8: [
        "faults/test_regressions.py::test_8_filters_exposures_and_telescopes_were_mixed",
        "work/test_execute.py::test_other_setups_are_other_stacks",
    ],
    9: [
        "faults/test_regressions.py::test_9_one_failed_file_disabled_finalise",
        "faults/test_network.py::test_a_session_that_ends_in_the_middle_pauses_the_upload",
    ],
    10: [
        "api/test_hub.py::test_a_page_from_elsewhere_changes_nothing",
        "api/test_limits.py::test_requests_are_counted_by_key",
        "api/test_app.py::test_the_list_of_operations_needs_nobody_else",
    ],
    11: ["faults/test_hostile_uploads.py::test_a_target_is_text_and_never_a_path"],
    12: [
        "faults/test_regressions.py::test_12_359_9_and_0_1_gave_180",
        "work/test_execute.py::test_exposure_is_that_of_the_frames_used",
    ],
    13: ["faults/test_regressions.py::test_13_quotes_continue_and_d_exponents_broke_the_reader"],
    14: [
        "api/test_files.py::test_a_damaged_file_is_never_a_fits_file",
        "api/test_files.py::test_whole_and_in_parts",
    ],
    15: [
        "faults/test_regressions.py::test_15_stacks_stopped_at_100_rows",
        "api/test_jobs.py::test_every_state_and_its_reason",
        "api/test_events.py::test_a_job_is_heard_by_its_owner_alone",
    ],
    16: [
        "faults/test_regressions.py::test_16_download_all_hid_when_everything_was_selected",
    ],
    17: [
        "house/test_files.py::test_no_file_holds_a_key",
        "archive/test_keys.py::test_the_key_is_nowhere",
    ],
    18: ["faults/test_regressions.py::test_18_the_map_selected_in_screen_space"],
    19: [
        "faults/test_regressions.py::test_19_raws_were_fetched_one_after_another",
        "work/test_execute.py::test_a_full_disk_costs_no_try_and_loses_nothing",
    ],
}


@cache
def names_in(path: Path) -> frozenset[str]:
    """Names of the test functions of a file; none if there is no such file."""
    if not path.is_file():
        return frozenset()
    found = ast.parse(path.read_text(encoding="utf-8")).body
    return frozenset(
        node.name
        for node in found
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
    )


def missing(repo_root: Path, names: list[str]) -> list[str]:
    """Those that are not there."""
    lost = []
    for name in names:
        file, _, test = name.partition("::")
        if test not in names_in(repo_root / "tests" / file):
            lost.append(name)
    return lost


def test_every_fault_is_in_the_table() -> None:
    assert set(FAULTS) == set(range(1, 14)) | set(range(16, 27)) | {28}
    assert set(REGRESSIONS) == set(range(1, 20))
    assert all([*FAULTS.values(), *REGRESSIONS.values()])


@pytest.mark.parametrize("number", FAULTS)
def test_a_fault_has_its_tests(repo_root: Path, number: int) -> None:
    assert missing(repo_root, FAULTS[number]) == []


@pytest.mark.parametrize("number", REGRESSIONS)
def test_a_regression_has_its_tests(repo_root: Path, number: int) -> None:
    assert missing(repo_root, REGRESSIONS[number]) == []


def test_a_test_that_is_gone_is_missed(repo_root: Path) -> None:
    gone = ["house/test_fault_table.py::test_that_never_was", "house/no_file.py::test_x"]
    here = "house/test_fault_table.py::test_a_test_that_is_gone_is_missed"
    assert missing(repo_root, [*gone, here]) == gone
