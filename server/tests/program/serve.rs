//! `sesshu serve`: its address, whom it refuses to serve, how it ends, and what its metrics tell.

use std::net::TcpListener;

use crate::people::{CHIYODA, line, record, register, still_there, store_of};
use crate::process::{Folder, NEVER_HELD, Server, free_address, page, sesshu, until};

#[test]
fn the_bound_address_is_printed_and_nothing_else() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let server = Server::start(&store);
    let port: u16 = server.url.strip_prefix("http://127.0.0.1:").unwrap().parse().unwrap();
    assert_ne!(port, 0);
    sesshu!["match", "--server", server.url, line(1)].code(0);
    let (code, printed, log) = server.stop();
    assert_eq!((code, printed.as_str()), (Some(0), ""), "{log}");
}

#[test]
fn sigterm_closes_the_store_and_ends_with_0() {
    let folder = Folder::new();
    let store = folder.path("store");
    let server = Server::start(&store);
    let shot = crate::people::ShotLine::new(1, "a");
    let file = folder.write("shots.csv", crate::people::shots(&[shot]));
    sesshu!["record", "--server", server.url, "--file", file].code(0);
    let (code, _, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    let status = sesshu!["status", "--store", store, "--json"].code(0).object();
    assert_eq!((&status["opened"], &status["shots"]), (&"clean".into(), &1.into()));
}

#[test]
fn an_address_that_others_can_reach_needs_insecure() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    for more in [&["--listen", "0.0.0.0:0"][..], &["--listen", "127.0.0.1:0", "--metrics", "0.0.0.0:9000"]] {
        let mut arguments = vec!["serve", "--store", &store];
        arguments.extend(more);
        let command = crate::process::command(arguments.into_iter().map(AsRef::as_ref));
        crate::process::run(command, "").code(2).saying(&["0.0.0.0", "TLS", "--insecure"]);
    }
    let server = Server::start_with(&store, &["--listen", "0.0.0.0:0", "--insecure"], "info");
    let port = server.url.rsplit(':').next().unwrap();
    sesshu!["match", "--server", format!("http://127.0.0.1:{port}"), line(1)].code(0);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_port_in_use_is_told_and_costs_nothing() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    sesshu!["serve", "--store", store, "--listen", address].code(2).saying(&[&address, "in use"]);
    let metrics = sesshu!["serve", "--store", store, "--listen", "127.0.0.1:0", "--metrics", address];
    assert_eq!(metrics.code(2).saying(&[&address, "in use"]).stdout, "");
    still_there(&store, 1, 0);
    sesshu!["serve", "--store", store, "--listen", "nowhere"].code(2).saying(&["nowhere"]);
}

#[test]
fn metrics_count_outcomes_and_tell_of_nobody() {
    let folder = Folder::new();
    let store = store_of(&folder, 2);
    record(&store, 2, "before").code(0);
    let metrics = free_address();
    let server = Server::start_with(&store, &["--metrics", &metrics, NEVER_HELD[0]], "info");
    sesshu!["match", "--server", server.url, line(1), line(2), line(7)].code(1);
    let file = folder.write("register-131016.csv", register(&[crate::people::Person::new(1)]));
    sesshu!["load", "--server", server.url, file].code(0);
    let shot = folder.write("shots.csv", crate::people::shots(&[crate::people::ShotLine::new(1, "a")]));
    sesshu!["record", "--server", server.url, "--file", shot].code(0);
    let expected = [
        "sesshu_matches_total{outcome=\"MATCH_OUTCOME_MATCHED\"} 2",
        "sesshu_matches_total{outcome=\"MATCH_OUTCOME_NOT_FOUND\"} 1",
        "sesshu_records_total{outcome=\"RECORD_OUTCOME_RECORDED\"} 1",
        "sesshu_loads_total 1",
        "sesshu_loaded_rows_total 1",
        "sesshu_record_seconds_count 1",
        "sesshu_commit_sync_seconds_count 1",
        "sesshu_commit_seconds_count 1",
        "sesshu_commit_batch_shots_sum 1",
        "sesshu_commit_queue_shots_sum 0",
        "sesshu_shots 2",
        "sesshu_writable 1",
    ];
    let told = until("the gauges", || {
        let page = page(&metrics, "/metrics");
        expected.iter().all(|line| page.lines().any(|told| told == *line)).then_some(page)
    });
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    for personal in [CHIYODA, "0000000001", "0000000002", "試験", "19560203", "123456789018", "A000001", "before"] {
        assert!(!told.contains(personal), "{personal} in {told}");
    }
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_server_that_is_not_there_is_told_by_its_url() {
    let url = format!("http://{}", free_address());
    sesshu!["match", "--server", url, line(1)].code(3).saying(&["no server answers", &url]);
    sesshu!["match", "--server", "not a url", line(1)].code(2).saying(&["not a url", "http://HOST:PORT"]);
}
