//! The mutants: what each breaks, and who must notice.

use std::fmt;

/// One executable of tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Suite {
    /// The package.
    pub(crate) package: &'static str,
    /// Its target: `lib`, or the name of one in its folder `tests`.
    pub(crate) target: &'static str,
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.package, self.target)
    }
}

/// A deliberate mistake in the product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mutant {
    /// The name of its mutation point.
    pub(crate) name: &'static str,
    /// What it breaks.
    pub(crate) breaks: &'static str,
    /// Where the test is that must notice it.
    pub(crate) suite: Suite,
    /// That test.
    pub(crate) test: &'static str,
}

const fn suite(package: &'static str, target: &'static str) -> Suite {
    Suite { package, target }
}

/// The simulation.
pub(crate) const SEEDS: Suite = suite("hostler-tests", "simulation");
const JOURNEYS: Suite = suite("hostler-tests", "journeys");
const PROMISES: Suite = suite("hostler-runtime", "promises");
const RUNTIME: Suite = suite("hostler-runtime", "lib");
const CORE: Suite = suite("hostler-core", "lib");
const DOMAIN: Suite = suite("hostler-domain", "lib");
const SAGAS: Suite = suite("hostler-testkit", "saga");
const EDGE: Suite = suite("accept-commands", "http");
const DEPLOY: Suite = suite("deploy-host", "lib");
const MONITOR: Suite = suite("monitor-host", "lib");
const AWS: Suite = suite("hostler-aws", "lib");
const VIEWS: Suite = suite("project-views", "notices");
const SHIFT: Suite = suite("shift-traffic", "lib");
const CONFIGURE: Suite = suite("configure-host", "lib");
const PROMETHEUS: Suite = suite("hostler-drivers", "prometheus");
const TARGETS: Suite = suite("answer-queries", "targets");

const fn mutant(name: &'static str, breaks: &'static str, suite: Suite, test: &'static str) -> Mutant {
    Mutant { name, breaks, suite, test }
}

/// Noticed by the first seeds of the simulation.
const fn by_seeds(name: &'static str, breaks: &'static str) -> Mutant {
    mutant(name, breaks, SEEDS, "mutants::the_seeds_that_look_for_mutants_are_quiet_without_one")
}

/// Noticed by seeds of the simulation in which a vulnerability is published.
const fn by_patched_seeds(name: &'static str, breaks: &'static str) -> Mutant {
    mutant(name, breaks, SEEDS, "mutants::the_patched_seeds_that_look_for_mutants_are_quiet_without_one")
}

/// All of them, by their names; those of the fleet's patching, drift and inventory at the end.
#[rustfmt::skip]
pub(crate) const MUTANTS: &[Mutant] = &[
    mutant("accept-commands.believes-every-boot", "a boot is reported with any token", EDGE, "a_request_without_a_caller_is_refused_and_a_callback_is_not"),
    mutant("accept-commands.shares-a-bmc", "two hosts are enrolled on one BMC", EDGE, "a_claim_without_a_host_runs_out"),
    by_seeds("batch.acknowledges-failures", "a message that failed leaves its queue"),
    mutant("batch.forgets-tries", "a message that waited is tried anew as often as its queue allows", PROMISES, "batch::what_kills_its_function_and_waits_in_turn_is_given_up_as_well"),
    mutant("batch.forgets-what-it-holds", "followers in the batch overtake the failed head of their key", PROMISES, "triage::followers_in_the_same_batch_wait_behind_a_head_that_is_refused_in_it"),
    mutant("batch.hops-without-limit", "a loop of events goes on for ever", PROMISES, "batch::a_chain_over_the_hop_limit_is_quarantined_and_not_handled"),
    mutant("batch.ignores-held-keys", "later messages overtake one of their key that is with triage", PROMISES, "triage::a_message_that_held_its_key_and_did_not_leave_lets_go_of_it_when_it_works"),
    mutant("batch.loses-dead-letters", "what can never work is acknowledged instead of becoming a dead letter", PROMISES, "batch::a_terminal_failure_is_a_dead_letter_with_what_was_wrong"),
    mutant("batch.overtakes-in-a-group", "the rest of a FIFO group goes on after a message that comes again", PROMISES, "batch::after_a_failure_the_rest_of_its_group_is_returned_untouched_and_other_groups_go_on"),
    by_seeds("batch.replays-everything", "a replayed message is handled by whoever gets it"),
    mutant("batch.resolves-nothing", "triage never hears that a failed message was handled", PROMISES, "integrity::attributes_need_no_signature_where_none_is_required"),
    mutant("batch.stays-hidden", "after a crash a batch stays hidden for as long as its queue says", PROMISES, "batch::after_a_function_has_died_its_batch_is_hidden_for_no_longer_than_it_could_have_lived"),
    mutant("batch.waits-for-ever", "a message whose dependency never returns waits without end", PROMISES, "batch::waiting_uses_up_no_attempt_and_ends"),
    mutant("breaker.never-opens", "a dependency that is away is called all the same", CORE, "breaker::tests::a_dependency_that_is_down_is_noticed_after_five_calls_and_not_before"),
    mutant("callback.any-step-will-do", "the token of one step answers for another", RUNTIME, "serving::callback::tests::only_the_right_saga_step_and_key_verify"),
    mutant("callback.previous-key-is-refused", "outsiders who were given a token before the key was rotated are refused", RUNTIME, "serving::callback::tests::after_a_rotation_the_previous_keys_tokens_are_believed_and_new_ones_are_the_current_keys"),
    by_seeds("capacity.one-host-short", "a request starts a saga less than it asks for"),
    by_seeds("causes.forgotten", "a message that comes twice commits twice"),
    mutant("causes.not-looked-back", "a repeat is taken for new once its cause is behind the snapshot", PROMISES, "long_streams::a_key_of_a_caller_is_recognised_behind_the_snapshot"),
    mutant("commit.size-without-its-actor", "a commit that cannot be published passes the check of sizes", PROMISES, "history::a_long_actor_is_part_of_the_size"),
    mutant("configure-host.configures-late", "a late order changes a host that is booted again, wiped or in service", CONFIGURE, "tests::an_order_that_comes_late_changes_no_host"),
    mutant("deploy-host.boots-again", "a host that has called back is installed once more", DEPLOY, "tests::a_host_that_has_called_back_is_not_booted_again"),
    mutant("deploy-host.boots-again-by-the-new-key", "a boot that began before the key was rotated is begun anew", DEPLOY, "tests::a_boot_that_began_before_the_callback_key_was_rotated_is_not_begun_again"),
    mutant("deploy-host.images-leave-their-folder", "an image's name leads out of the folder of images", DEPLOY, "tests::an_image_stays_in_its_folder"),
    mutant("deploy-host.keeps-what-nobody-wants", "a host that was held after its reservation was closed is never given back", DEPLOY, "tests::a_host_that_is_held_after_the_close_is_given_back_at_once"),
    mutant("deploy-host.leaves-the-image", "the image stays in a host that has called back", DEPLOY, "tests::the_image_is_taken_out_of_a_host_that_has_called_back"),
    by_seeds("deploy-host.puts-nothing-to-rest", "undoing a deployment does nothing to the machine"),
    mutant("budget.window-counts-grants", "lets what waited begin beside what others began meanwhile", DOMAIN, "budget::tests::the_window_counts_when_something_begins_and_not_when_it_was_granted"),
    mutant("domain.takes-late-reports", "believes a report that comes late", DOMAIN, "fault_domain::tests::reports_that_come_twice_or_late_change_nothing"),
    mutant("failure.shows-control-characters", "what a BMC says steers the operator's terminal", CORE, "failure::tests::control_characters_do_not_pass"),
    mutant("flow.admits-everything", "in an emergency producers are not told to wait", PROMISES, "flow::producers_choose_what_an_emergency_does_to_them"),
    mutant("flow.leaves-what-others-set", "what was set by hand, or by a look that died, stays", CORE, "flow::tests::consumers_are_compared_with_what_there_really_is"),
    mutant("flow.shares-without-limit", "queues are given more consumers than there are", CORE, "flow::tests::the_sum_never_exceeds_what_there_is_but_for_the_fewest_that_a_queue_can_have"),
    mutant("health.acts-on-stale-signals", "acts on a signal past its shelf life", DOMAIN, "health::tests::signals::a_stale_signal_is_dropped_once_and_never_acted_on"),
    mutant("health.believes-without-a-look", "takes a repair for a success that monitoring does not see", DOMAIN, "health::tests::acting::a_sample_counts_from_when_monitoring_was_first_asked_and_only_health_ends_a_repair"),
    mutant("health.flaps-for-ever", "repairs a flapping host the same way again", DOMAIN, "health::tests::climbing::a_host_that_recovers_three_times_in_ten_minutes_is_not_repaired_the_same_way_again"),
    mutant("health.tries-for-ever", "tries a rung more often than the runbook says", DOMAIN, "health::tests::climbing::the_same_is_tried_again_after_a_delay_that_grows_then_the_next_rung"),
    mutant("history.needs-a-snapshot", "a long stream without a snapshot is unreadable", PROMISES, "long_streams::a_snapshot_of_another_form_costs_no_walk_from_the_start"),
    mutant("host.cleaned-without-end", "what cannot be cleaned is never quarantined", DOMAIN, "host::releasing::tests::one_that_cannot_be_cleaned_is_quarantined_and_can_be_retired_then"),
    by_seeds("host.deployed-after-its-undoing", "a late order deploys a host whose deployment was undone"),
    by_seeds("host.dirty-goes-back", "a host that was written to goes back without being cleaned"),
    mutant("host.given-to-who-gave-it-back", "a late order holds a host for a saga that has ended", DOMAIN, "host::tests::deploying::a_slow_reservation_that_comes_after_the_release_does_not_hold_the_host"),
    by_seeds("host.given-twice", "a host that one saga holds is given to another"),
    mutant("host.never-retired", "a host that is to be retired goes back to its pool", DOMAIN, "host::releasing::tests::one_that_is_to_be_retired_is_never_available"),
    by_seeds("host.release-is-forgotten", "a host that its saga gives back stays held"),
    mutant("host.saga-hears-nothing-of-cleaning", "a saga waits in vain for its host's return", DOMAIN, "host::releasing::tests::once_clean_it_is_available_and_its_saga_hears_of_it"),
    mutant("host.takes-timer-names-apart", "a host called retry:h-1 loses its deadlines", DOMAIN, "host::tests::cleaning::a_failed_cleaning_is_tried_again_after_its_delay"),
    mutant("http.answers-strangers", "a request without a caller is answered", EDGE, "a_request_without_a_caller_is_refused_and_a_callback_is_not"),
    mutant("ids.any-new-key-will-do", "a host is enrolled under an id that no path can show", CORE, "ids::tests::keys_of_new_entities_have_an_address_of_their_own"),
    mutant("lease.does-it-again", "work whose commit is there is done once more", PROMISES, "under_lease::nobody_waits_for_a_worker_that_died_after_its_commit"),
    by_seeds("lease.shared-by-two", "two work on one machine at a time"),
    mutant("lease.works-on-what-was-read-before", "work does not know what was done under the lease before it", PROMISES, "under_lease::work_knows_what_was_written_under_the_lease_before_it"),
    mutant("monitor-host.believes-monitoring-alone", "a host with failed hardware counts as healed because it answers", MONITOR, "check::tests::a_bmc_says_that_its_host_is_faulty_when_its_hardware_is_critical_or_it_has_no_power"),
    mutant("monitor-host.forgets-nobody", "a host that met its undoing while it was registered stays watched", MONITOR, "tests::a_repeat_takes_back_what_was_left"),
    mutant("monitor-host.looks-at-no-sample", "a host is in service without a healthy sample", MONITOR, "tests::a_host_whose_first_sample_is_not_healthy_is_not_in_service"),
    mutant("monitor-host.registers-late", "a late order has monitoring watch a host that is being wiped", MONITOR, "tests::an_order_that_comes_late_registers_no_host"),
    mutant("once.forgets-within-the-hour", "an effect is done again when its message waited", PROMISES, "once::an_expired_row_is_judged_by_its_time"),
    mutant("once.hashes-delete-as-it-is", "the hash of a payload with 0x7f is not that of Powertools", PROMISES, "once::keys_and_hashes_are_those_of_powertools"),
    mutant("once.hashes-floats-without-exponent", "the hash of a payload with 1e-7 is not that of Powertools", PROMISES, "once::keys_and_hashes_are_those_of_powertools"),
    mutant("once.keeps-the-lease", "after an effect that failed, everybody waits for the lease to run out", PROMISES, "once::after_a_failure_the_lease_is_given_back"),
    mutant("once.lease-ends-at-once", "a lease runs out while its holder works", PROMISES, "once::the_lease_of_a_dead_worker_runs_out"),
    mutant("once.records-nothing", "an effect is done again by each repeat", PROMISES, "once::a_finished_effect_replays_its_result"),
    mutant("once.takes-a-live-lease", "an effect is done by two at a time", PROMISES, "once::what_another_worker_is_at_is_left_to_it_and_asked_for_later"),
    mutant("once.takes-any-payload", "a key that stood for something else gives its result", PROMISES, "once::the_same_key_for_something_else_is_an_error_on_every_path"),
    mutant("outbox.overlooks-tampering", "a commit is changed in its table without a word", AWS, "stream_image::tests::a_commit_that_was_changed_in_its_table_raises_the_alarm"),
    mutant("prometheus.takes-old-samples", "a host is in service by a sample of its earlier life", PROMETHEUS, "samples_from_before_say_nothing"),
    by_seeds("relay.believes-every-answer", "what a target did not take is acknowledged"),
    mutant("relay.broken-target-fails-the-batch", "one broken queue holds back the whole shard", PROMISES, "relay::a_broken_queue_holds_nobody_back"),
    mutant("relay.gives-up-in-silence", "a record that cannot be published is nowhere", PROMISES, "relay::a_record_that_cannot_be_read_goes_to_the_failure_queue_and_the_rest_goes_on"),
    by_seeds("relay.notifies-nobody", "views never hear of a change"),
    by_seeds("relay.parks-nothing", "what a target does not take is dropped"),
    mutant("relay.silence-is-success", "an entry without an answer is taken for published", PROMISES, "relay::an_entry_without_an_answer_is_not_taken_for_published"),
    mutant("reservation.chooses-once-closed", "a saga that gives back what it holds is given another host", DOMAIN, "reservation::tests::after_the_close_nothing_is_chosen_lost_or_failed"),
    mutant("reservation.chooses-two", "one saga holds two hosts", DOMAIN, "reservation::tests::a_second_host_is_not_chosen_while_the_first_may_be_held"),
    mutant("saga.awaits-nobody", "a running step is taken for not done when its saga turns back", SAGAS, "cancelling::a_step_that_is_awaited_tells_by_its_answer_what_there_is_to_undo"),
    by_seeds("saga.believes-that-nothing-was-done", "a failed step that may have done something is not undone"),
    mutant("saga.counts-no-attempts", "a step is tried for ever", SAGAS, "forward::transient_failures_are_tried_again_with_growing_delays_and_others_are_not"),
    mutant("saga.deferral-keeps-the-deadline", "a step whose dependency is away misses its deadline", SAGAS, "deferral::a_deferral_moves_the_deadline_and_voids_the_old_timer"),
    mutant("saga.deferral-uses-an-attempt", "waiting for a dependency uses up attempts", SAGAS, "deferral::a_deferral_uses_no_attempt"),
    mutant("saga.drops-what-it-cannot-decide", "a message for a version that this build lacks is lost", PROMISES, "sagas::a_message_to_a_saga_of_a_version_that_is_not_here_waits_for_a_build_that_has_it"),
    mutant("saga.ignores-cancels", "a cancel is accepted and does nothing", SAGAS, "operators::cancelling_undoes_what_was_done_and_says_by_whom"),
    mutant("saga.ignores-deadlines", "a step that nobody answers is waited for without end", SAGAS, "walks::fed_with_nothing_but_its_timers_every_saga_ends"),
    by_seeds("saga.leaves-the-first-step", "the first step is not undone"),
    mutant("saga.retries-after-turning-back", "a saga that turns back tries a failed step again", SAGAS, "undoing::a_branch_that_fails_while_awaited_is_not_tried_again"),
    by_seeds("saga.stuck-instead-of-turning-back", "a failed step is left to an operator instead of being undone"),
    mutant("saga.takes-late-answers", "the answer to an earlier attempt is taken for the next one's", SAGAS, "forward::late_repeated_and_foreign_answers_are_ignored_by_their_step_id"),
    mutant("saga.turns-back-past-its-pivot", "a saga past its point of no return is cancelled", SAGAS, "pivot::cancelling_is_refused_once_the_pivot_has_begun"),
    by_seeds("saga.undoes-forwards", "steps are undone in the order in which they were done"),
    mutant("shapes.any-records-are-a-batch", "a function of a queue acknowledges another service's event", AWS, "lambda::shapes::tests::each_kind_of_function_takes_its_own_shapes_and_no_other"),
    mutant("shell.believes-an-old-fold", "an old fold decides that nothing changes, or refuses", PROMISES, "shell::an_old_fold_never_decides"),
    mutant("shell.conflict-is-success", "a commit that was not written is acknowledged", PROMISES, "shell::a_conflict_is_decided_anew_on_what_the_faster_writer_left"),
    mutant("shell.counts-no-hops", "a causal chain has no length", PROMISES, "shell::hops_grow_by_one_with_every_commit_of_a_chain"),
    mutant("shift-traffic.cuts-requests-off", "a host leaves traffic before its requests are over", SHIFT, "tests::a_host_joins_and_leaves_when_it_has_nothing_left"),
    mutant("signatures.any-will-do", "a message that was changed on the way is handled", PROMISES, "integrity::what_was_signed_is_taken_and_what_was_changed_is_not"),
    mutant("signatures.attributes-need-none", "a forged attribute resolves another message's failure", PROMISES, "integrity::attributes_that_decide_something_are_believed_only_with_their_signature"),
    mutant("signatures.fail-open", "a payload that cannot be spelt passes for signed", PROMISES, "integrity::a_payload_that_cannot_be_spelt_is_neither_signed_nor_verified"),
    mutant("snapshot.causes-without-limit", "a stream with many long causes cannot be written any more", PROMISES, "long_streams::long_causes_are_fewer_in_a_snapshot"),
    by_seeds("snapshot.is-empty", "a snapshot has another state than its stream"),
    mutant("snapshot.stops-its-stream", "a snapshot that does not fit stops its stream", PROMISES, "shell_limits::a_snapshot_that_does_not_fit_is_left_out_and_the_stream_goes_on"),
    mutant("targets.tell-the-first-page", "Prometheus forgets the hosts of all pages but the first", TARGETS, "the_answer_is_complete_however_many_pages_the_view_has"),
    mutant("timers.always-hop", "a wait of two days costs 192 messages", PROMISES, "relay::a_wait_of_two_days_costs_three_calls"),
    mutant("timers.fire-early", "a timer is delivered before it is due", PROMISES, "timers::a_timer_hops_until_it_is_due_and_is_never_early"),
    by_seeds("timers.never-fire", "a timer that is due is lost"),
    mutant("timers.schedules-end-late", "a schedule ends after its timer is due", PROMISES, "timers::a_schedule_ends_early_and_the_queue_carries_the_rest"),
    mutant("triage.drops-what-stays-parked", "what its target never takes is lost", PROMISES, "triage::what_stays_parked_for_an_hour_is_recorded_and_sent_on_all_the_same"),
    by_seeds("triage.forgets-dead-letters", "dead letters are acknowledged and not recorded"),
    mutant("triage.large-poison-circles", "a message too large to be recorded circles through its dead-letter queue", PROMISES, "triage::poison_of_any_size_is_recorded_by_reference_and_can_be_dealt_with"),
    mutant("triage.lets-go-too-soon", "later messages of a key do not wait for the failed one", PROMISES, "triage::later_messages_of_a_key_wait_behind_the_failed_one_and_are_let_go_in_order"),
    mutant("triage.loses-the-body-of-large-poison", "of a message too large to be recorded nothing is kept", PROMISES, "triage::poison_of_any_size_is_recorded_by_reference_and_can_be_dealt_with"),
    mutant("triage.retries-nothing", "an outage is left to operators, message by message", PROMISES, "triage::a_transient_failure_is_retried_by_itself_until_it_works"),
    mutant("triage.sends-late-copies", "a copy is sent again that was sent, or is wanted no more", PROMISES, "triage::a_copy_that_was_sent_is_not_sent_again_however_often_triage_is_asked_for_it"),
    mutant("triage.uses-up-its-attempts", "triage's own messages become dead letters that nobody reads", PROMISES, "triage::triages_own_messages_wait_for_as_long_as_what_they_need_is_away"),
    mutant("triage.waits-for-lost-copies", "a failure whose copy was lost stays open without a word", PROMISES, "triage::a_copy_that_nobody_hears_of_is_quarantined_after_a_day"),
    mutant("views.take-unknown-events", "an event of newer code is acknowledged", VIEWS, "an_event_that_this_build_does_not_know_is_a_failure"),
    mutant("campaign.goes-on-whatever-fails", "errors halt no wave", DOMAIN, "campaign::tests::stopping::a_wave_is_halted_with_one_error_more_than_may_be"),
    mutant("campaign.has-no-canary", "the first wave is as large as the second", DOMAIN, "campaign::tests::deciding::a_canary_comes_first_and_then_waves_of_what_is_left"),
    by_patched_seeds("campaign.soaks-for-no-time", "a wave follows before anybody can have seen what the last one has done"),
    mutant("campaign-rack.patches-two-of-a-rack", "two hosts of a rack are patched at a time", DOMAIN, "campaign::tests::racks::one_host_of_a_rack_is_patched_at_a_time"),
    mutant("campaign-rack.tells-failures-late", "a campaign hears of failures when the rack has ended its wave", DOMAIN, "campaign::tests::racks::a_failure_is_told_at_once"),
    mutant("campaign-rack.tries-a-host-again", "a host that was tried is tried again in the next wave", DOMAIN, "campaign::tests::racks::a_host_that_was_left_alone_is_looked_at_again_in_the_next_wave_and_one_that_was_tried_is_not"),
    mutant("patch-fleet.gives-no-turn", "racks that have most left wait until others are done", JOURNEYS, "campaigns::racks_that_the_budget_holds_back_have_their_turn"),
    mutant("patch-fleet.begins-for-whoever-is-stopped", "hosts are begun for a campaign that is paused or halted", JOURNEYS, "campaigns::a_paused_campaign_finishes_what_runs_and_begins_nothing_until_it_is_resumed"),
    mutant("patch-fleet.begins-without-a-claim", "a host is patched that the disruption budget holds back", JOURNEYS, "campaigns::an_urgent_advisory_is_patched_over_the_fleet_in_waves_within_the_budget"),
    by_patched_seeds("patch-fleet.keeps-its-claims", "the part of the budget of a host that was patched is never given back"),
    mutant("patching.looks-not-again", "a host that has lost its finding is patched all the same", DOMAIN, "patching::tests::a_host_without_the_finding_is_never_touched"),
    mutant("host.rolls-nothing-back", "a host that is not healthy on the fix keeps it", DOMAIN, "host::tests::patching::a_saga_that_turns_back_has_its_packages_back_and_nothing_installed_after_it"),
    mutant("host.forgets-the-versions-before", "a second attempt takes the first one's work for what was there before", DOMAIN, "host::tests::patching::a_second_attempt_does_not_forget_what_was_there_before_the_first"),
    mutant("version.ignores-epochs", "1:2.0 is older than 9.0", DOMAIN, "packages::version::tests::versions_compare_by_the_rules_of_debian"),
    mutant("packages.overlooks-backports", "a fix that was ported back is not seen", DOMAIN, "packages::tests::a_fixed_backport_is_not_vulnerable"),
    mutant("packages.fixed-before-the-reboot", "what is installed and waits for a reboot counts as fixed", DOMAIN, "packages::tests::what_is_installed_and_waits_for_a_reboot_is_not_fixed"),
    mutant("packages.takes-older-lists", "a list that comes late replaces a newer one", DOMAIN, "packages::tests::an_older_list_changes_nothing"),
    mutant("finding.excepted-for-ever", "an exception does not end", DOMAIN, "finding::tests::an_exception_has_an_owner_a_reason_and_an_end_and_ends_by_itself"),
    mutant("finding.takes-older-words", "a comparison that comes late replaces a newer one", DOMAIN, "finding::tests::an_older_word_changes_nothing"),
    by_patched_seeds("host.only-says-that-it-restores", "drift is said to be repaired, and nothing is done"),
    mutant("host.drifted-for-ever", "a second check of a host that was restored does not end its drift", DOMAIN, "host::tests::drifting::drift_is_repaired_by_autonomy_and_a_suppression_says_its_rule"),
    mutant("inventory.not-observed-is-absent", "a host that was not found counts as said to be gone", DOMAIN, "inventory::tests::a_host_that_its_bmc_does_not_know_is_gone_only_beside_two_words"),
    mutant("inventory.believes-who-is-silent", "the word of a source that nobody hears counts", DOMAIN, "inventory::tests::the_word_of_a_source_that_nobody_hears_does_not_count"),
];
