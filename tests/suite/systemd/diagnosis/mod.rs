//! Every cause brought about under the real systemd and told from its neighbours; every latent failure found.
//!
//! What is known of restarts, and which test brings it about. Beside each stands a neighbour: a condition that is like
//! it and must not be given its cause.
//!
//! | mechanism | test | neighbour |
//! |---|---|---|
//! | no process is listening, TCP | `causes::a_service_that_binds_its_port_...` | `causes::a_service_behind_a_socket_loses_nothing_...` |
//! | no process is listening, stale Unix path | `clients::a_unix_path_that_a_dead_server_left_refuses` | `causes::a_path_that_goes_with_its_stopped_socket_...` |
//! | no process is listening, Unix path gone | `clients::a_unix_path_that_goes_with_its_server_...` | `causes::a_server_that_removes_its_path_...` |
//! | listener closed over its queue, TCP | `causes::a_listener_that_closes_resets_its_queue` | `causes::a_socket_unit_keeps_the_queue_...` |
//! | listener closed over its queue, Unix | `clients::a_unix_listener_that_closes_...` | `clients::an_accepted_connection_is_not_taken_...` |
//! | SO_REUSEPORT drained, tcp_migrate_req=0 | `clients::a_drained_listener_resets_its_share_...` | `clients::a_drained_listener_loses_nothing_...` |
//! | idle connection closed, request in the air | `clients::an_idle_connection_closed_while_...` | `clients::an_idle_connection_that_is_seen_...` |
//! | accepted and unread at a stop | `causes::a_client_that_hesitates_is_accepted_...` | `causes::a_client_that_hesitates_less_...` |
//! | killed in flight | `causes::a_kill_takes_the_requests_in_flight` | `causes::a_graceful_stop_lets_the_requests_...` |
//! | killed in flight by TimeoutStopSec= | `clients::a_stop_that_outlasts_...` | the same |
//! | waits in the queue: latency alone | `causes::a_service_behind_a_socket_loses_nothing_...` | `causes::a_boot_slower_than_the_client_waits_...` |
//! | TCP queue full | `causes::a_backlog_too_small_for_the_boot_overflows` | `causes::a_backlog_..._costs_a_patient_client_...` |
//! | Unix queue full | `causes::a_full_unix_queue_turns_clients_away_at_once` | `causes::a_boot_slower_than_the_client_waits_...` |
//! | start limit takes the socket down | `causes::a_start_limit_takes_the_socket_down` | `sockets::a_harness_that_paces_its_restarts_...` |
//! | trigger limit | `causes::a_trigger_limit_takes_the_socket_down` | `causes::a_start_limit_takes_the_socket_down` |
//! | trigger limit, Accept=yes | `sockets::more_connections_than_a_trigger_limit_...` | `sockets::connections_within_max_connections_...` |
//! | MaxConnections= | `sockets::connections_beyond_max_connections_...` | `sockets::connections_within_max_connections_...` |
//! | socket restarted without Requires= | `causes::a_socket_that_is_restarted_alone_...` | `sockets::a_killed_service_is_started_again_...` |
//! | socket restarted with Requires= | `sockets::a_socket_that_is_restarted_with_its_service_...` | `causes::a_socket_unit_keeps_the_queue_...` |
//! | ListenStream= edited, service runs | `sockets::an_edited_address_is_felt_at_the_services_next_restart` | `latent::a_healthy_pair_...` |
//! | ListenStream= edited, service idle | `sockets::an_edited_address_is_felt_at_once_...` | `latent::a_healthy_pair_...` |
//! | path in RuntimeDirectory= | `causes::a_path_in_the_services_own_runtime_directory_...` | `clients::a_unix_path_that_goes_with_its_server_...` |
//! | server unlinks its own path | `causes::a_server_that_removes_its_path_...` | `causes::a_path_that_goes_with_its_stopped_socket_...` |
//! | FlushPending=yes, stop | `sockets::a_stop_flushes_what_is_queued` | `sockets::a_stop_without_flushing_...` |
//! | FlushPending=yes, SIGKILL with Restart= | `sockets::a_kill_flushes_what_is_queued` | `sockets::a_flushed_queue_survives_a_restart` |
//! | SIGKILL, Restart=no: the next connection starts it | `sockets::a_killed_service_is_started_again_...` | `causes::a_kill_that_takes_the_listener_along_...` |
//! | READY=1 never comes | `latent::a_unit_that_loops_through_its_start_timeout_is_found` | `latent::a_service_that_is_not_asked_for_readiness_...` |
//! | Backlog= is what was asked | `sockets::a_backlog_is_what_the_kernel_grants_...` | `causes::a_backlog_too_small_for_the_boot_overflows` |
//! | a proxy in front | `proxy::a_proxy_answers_502_...`, `..._504_...` | `proxy::what_the_application_answers_...` |
//! | a client without permission | `permission::a_client_that_may_not_connect_...` | `permission::a_client_that_may_connect_has` |
//!
//! Percentiles over answered requests are tested in `analysis::figures`; what jobs, signals and properties mean, in
//! `tests/suite/systemd/manager`. PollLimit= needs systemd 255, which throttles there what the trigger limit ends here.

mod causes;
mod clients;
mod findings;
mod lab;
mod latent;
mod permission;
mod probes;
mod proxy;
mod sockets;
mod windows;
