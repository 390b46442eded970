//! Warnings: every kind over gRPC, what the command shows of them, and rules of one's own.

use prost::Message as _;
use serde_json::json;
use sesshu_proto::v1::register_change::Change;
use sesshu_proto::v1::{
    ApplyRequest, ChangeOutcome, RecordManyRequest, RecordOutcome, RecordReply, RecordRequest, RegisterChange,
    RegisterRow, Resident, ResidentStatus, Shot, Source, StatusChange, Warning, WarningKind,
};
use tokio_stream::iter;
use tonic::Code;

use crate::people::{ShotLine, line, shots, store_of, ticket};
use crate::process::{Ended, Folder, Server, command, run, sesshu};
use crate::served::{Served, request};

fn status(number: u64, status: ResidentStatus) -> RegisterChange {
    let status = StatusChange { number, status: status.into(), status_date: 20_210_401, line: 0 };
    RegisterChange { change: Some(Change::Status(status)) }
}

fn born(number: u64, birth_date: u32) -> RegisterChange {
    let resident =
        Resident { birth_date, name: "試験 零子".into(), name_kana: "シケン".into(), ..Resident::default() };
    let row = RegisterRow { number, my_number: 0, line: 0, resident: Some(resident) };
    RegisterChange { change: Some(Change::Row(row)) }
}

async fn record(served: &Served, request: RecordRequest) -> RecordReply {
    served.shot_log().record(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_warning_comes_over_grpc_with_its_reason() {
    let served = Served::with(9).await;
    let changes = vec![
        status(5, ResidentStatus::MovedOut),
        status(6, ResidentStatus::Deceased),
        status(7, ResidentStatus::Removed),
        born(8, 20_210_500),
    ];
    let apply = ApplyRequest { municipality: 131_016, changes, ..ApplyRequest::default() };
    let replies = served.register().apply(iter([apply])).await.unwrap().into_inner().message().await.unwrap().unwrap();
    assert!(replies.replies.iter().all(|reply| reply.outcome() == ChangeOutcome::Changed), "{replies:?}");

    let first = record(&served, request(1, "first", |_| {})).await;
    assert_eq!((first.outcome(), &first.warnings[..]), (RecordOutcome::Recorded, &[][..]));
    assert_eq!(first.resident.as_ref().unwrap().name, "試験 二子");
    let other = first.shot_id.to_string();
    type Change = fn(&mut Shot);
    /// A resident, what is changed of the shot, and the warnings with a few words of their reasons.
    type Case<'a> = (u64, Change, &'a [(WarningKind, &'a str)]);
    let scanned: Change = |shot| (shot.source, shot.recorded_by) = (Source::Terminal.into(), "t-1".into());
    let scan = record(&served, request(2, "scan", scanned)).await;
    assert!(scan.warnings.is_empty(), "{scan:?}");

    let second: Change = |shot| (shot.dose, shot.date) = (2, 20_210_503);
    let cases: [Case<'_>; 14] = [
        (99, |_| {}, &[(WarningKind::TicketNotInRegister, "in no register")]),
        (1, |shot| shot.lot = "X".into(), &[(WarningKind::DoseAlreadyRecorded, &other)]),
        (
            1,
            |shot| (shot.dose, shot.date) = (2, 20_210_411),
            &[(WarningKind::DoseOrder, &other), (WarningKind::PrintedDoseDiffers, "stub is of dose 1")],
        ),
        (3, second, &[(WarningKind::DoseBeforeMissing, "before"), (WarningKind::PrintedDoseDiffers, "dose 1")]),
        (
            1,
            |shot| (shot.dose, shot.date, shot.lot) = (2, 20_210_430, "Y".into()),
            &[
                (WarningKind::DoseAlreadyRecorded, "same dose"),
                (WarningKind::IntervalTooShort, "18 days from shot"),
                (WarningKind::PrintedDoseDiffers, "dose 1"),
            ],
        ),
        (
            1,
            |shot| (shot.dose, shot.date, shot.vaccine) = (2, 20_210_601, "モデルナ".into()),
            &[
                (WarningKind::DoseAlreadyRecorded, "same dose"),
                (WarningKind::MixedVaccines, "rule first-two-doses"),
                (WarningKind::PrintedDoseDiffers, "dose 1"),
            ],
        ),
        (4, |shot| shot.date = 21_000_101, &[(WarningKind::DateInFuture, "future")]),
        (
            4,
            |shot| shot.date = 20_210_101,
            &[(WarningKind::DoseAlreadyRecorded, "same dose"), (WarningKind::BeforeProgramme, "2021-02-17")],
        ),
        (5, |_| {}, &[(WarningKind::MovedOut, "moved out on 2021-04-01")]),
        (6, |_| {}, &[(WarningKind::Deceased, "died on 2021-04-01")]),
        (7, |_| {}, &[(WarningKind::Removed, "removed from the register on 2021-04-01")]),
        (8, |_| {}, &[(WarningKind::BeforeBirth, "born on 2021-05-00")]),
        (
            2,
            scanned,
            &[
                (WarningKind::DoseAlreadyRecorded, "same dose"),
                (WarningKind::SameAsScanBefore, "scan before was the same ticket"),
            ],
        ),
        (9, |_| {}, &[]),
    ];
    for (at, (number, change, expected)) in cases.into_iter().enumerate() {
        let request = request(number, &format!("case-{at}"), change);
        let reply = record(&served, request.clone()).await;
        assert!(matches!(reply.outcome(), RecordOutcome::Recorded | RecordOutcome::Orphan), "{reply:?}");
        let kinds: Vec<WarningKind> = reply.warnings.iter().map(|warning| warning.kind()).collect();
        assert_eq!(kinds, expected.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), "case {at}: {reply:?}");
        for (warning, (_, words)) in reply.warnings.iter().zip(expected) {
            assert!(warning.reason.contains(words), "case {at}: {warning:?}");
        }
        let again = record(&served, request).await;
        let outcome = RecordOutcome::AlreadyRecorded.into();
        assert_eq!(again, RecordReply { outcome, ..reply.clone() }, "case {at}: the same answer");
        let shown = served.found(number).await.shots;
        let shown = shown.into_iter().find(|shot| shot.shot_id == reply.shot_id).unwrap();
        assert_eq!(shown.shot.unwrap().warnings, reply.warnings, "case {at}");
    }
    // A stub of a kind that nobody knows.
    let mut odd = request(9, "odd", |shot| shot.dose = 1);
    odd.ticket = Some(sesshu_proto::v1::record_request::Ticket::LineText(line(9).replacen('2', "9", 1)));
    let odd = record(&served, odd).await;
    let kinds: Vec<WarningKind> = odd.warnings.iter().map(|warning| warning.kind()).collect();
    assert_eq!(kinds, [WarningKind::DoseAlreadyRecorded, WarningKind::UnknownStubKind]);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_says_of_warnings_is_forgotten() {
    let served = Served::with(1).await;
    let invented = Warning { kind: WarningKind::Deceased.into(), rule: "x".repeat(1000), ..Warning::default() };
    let reply = record(&served, request(1, "a", |shot| shot.warnings = vec![invented; 1000])).await;
    assert_eq!((reply.outcome(), &reply.warnings[..]), (RecordOutcome::Recorded, &[][..]));
    let shown = served.found(1).await.shots.pop().unwrap();
    assert!(shown.shot.unwrap().warnings.is_empty());
    // What was shown may be sent back.
    let odd = record(&served, request(1, "b", |_| {})).await;
    let shown = served.found(1).await.shots.pop().unwrap().shot.unwrap();
    assert_eq!(shown.warnings, odd.warnings);
    let again = record(&served, request(1, "b", |shot| *shot = shown)).await;
    assert_eq!((again.outcome(), again.warnings), (RecordOutcome::AlreadyRecorded, odd.warnings));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_id_with_other_content_is_told_with_both() {
    let served = Served::with(1).await;
    let first = record(&served, request(1, "a", |_| {})).await;
    let offered = request(1, "a", |shot| shot.dose = 2);
    let status = served.shot_log().record(offered.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    let details = tonic_types::Status::decode(status.details()).unwrap();
    assert_eq!((details.code, &*details.message), (Code::AlreadyExists.into(), status.message()));
    let [reply, request] = &details.details[..] else { panic!("{details:?}") };
    assert_eq!(reply.type_url, "type.googleapis.com/sesshu.v1.RecordReply");
    let reply = RecordReply::decode(&reply.value[..]).unwrap();
    let held = reply.held.as_ref().unwrap();
    assert_eq!((held.shot_id, held.shot.as_ref().unwrap().dose), (first.shot_id, 1));
    assert_eq!(request.type_url, "type.googleapis.com/sesshu.v1.RecordRequest");
    assert_eq!(RecordRequest::decode(&request.value[..]).unwrap(), offered);

    // In a batch each shot has its reply.
    for without_residents in [false, true] {
        let batch = RecordManyRequest { shots: vec![offered.clone(), request_of(1)], without_residents };
        let replies = served.shot_log().record_many(iter([batch])).await.unwrap().into_inner().message().await;
        let replies = replies.unwrap().unwrap().replies;
        assert_eq!((replies[0].outcome(), &replies[0].held), (RecordOutcome::CaptureIdConflict, &reply.held));
        assert_eq!(replies[1].outcome(), RecordOutcome::AlreadyRecorded);
        assert!(replies.iter().all(|reply| reply.resident.is_none() == without_residents), "{replies:?}");
    }
    served.stop().await;
}

fn request_of(number: u64) -> RecordRequest {
    request(number, "a", |_| {})
}

fn program(arguments: &[String]) -> Ended {
    run(command(arguments.iter().map(AsRef::as_ref)), "")
}

#[test]
fn the_command_shows_warnings_and_whom_the_ticket_matched() {
    let folder = Folder::new();
    let store = store_of(&folder, 3);
    let server = Server::start(&store);
    let one = |dose: &str, vaccine: &str, capture_id: &str| {
        let line = line(1);
        let shot = ["--ticket", &line, "--date", "2021-05-10", "--dose", dose, "--vaccine", vaccine, "--lot", "L"];
        let mut arguments = vec!["record", "--server", &server.url, "--venue", "会場", "--capture-id", capture_id];
        arguments.extend(shot);
        arguments.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let told = program(&one("1", "ファイザー", "a")).code(0).stdout;
    let mut lines = told.lines();
    assert!(lines.next().unwrap().starts_with(&format!("{}  recorded: shot", ticket(1))), "{told}");
    assert_eq!(lines.next().unwrap(), "  試験 二子 (シケン タロウ), born 1956-02-03, active");
    assert_eq!(lines.next(), None, "{told}");
    let told = program(&one("2", "モデルナ", "b")).code(0).stdout;
    let warnings: Vec<&str> = told.lines().skip(2).collect();
    assert_eq!(warnings.len(), 3, "{told}");
    assert!(warnings[0].starts_with("  warning: 0 days from shot") && warnings[0].ends_with("(rule moderna-2)"));
    let mut arguments = one("2", "モデルナ", "b");
    arguments.push("--json".into());
    let again = program(&arguments).code(0).object();
    assert_eq!(again["outcome"], "already_recorded");
    assert_eq!(again["resident"]["name"], "試験 二子");
    let short = &again["warnings"][0];
    let other = &short["shot_id"];
    let expected = json!({
        "kind": "interval_too_short", "reason": format!("0 days from shot {other}: at least 26 (rule moderna-2)"),
        "shot_id": other, "days": 0, "days_min": 26, "rule": "moderna-2", "date": null
    });
    assert_eq!(short, &expected);
}

#[test]
fn a_file_is_summed_up_with_its_warnings() {
    let folder = Folder::new();
    let store = store_of(&folder, 3);
    let rows = [ShotLine::new(1, "a"), ShotLine::new(1, "b"), ShotLine::new(9, "c"), ShotLine::new(2, "d")];
    let file = folder.write("shots.csv", shots(&rows));
    let told = sesshu!["record", "--store", store, "--file", file].code(0).stdout;
    let lines: Vec<&str> = told.lines().map(str::trim_start).collect();
    let expected = [
        "4 recorded (1 orphans), 0 recorded already, 0 invalid",
        "2 with warnings:",
        "1  dose already recorded",
        "1  ticket not in register",
    ];
    assert_eq!(lines, expected);
    // Sent again, nothing is recorded, so nothing is counted.
    let told = sesshu!["record", "--store", store, "--file", file].code(0).stdout;
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn rules_are_printed_checked_and_replaced() {
    let folder = Folder::new();
    let store = store_of(&folder, 3);
    let table = sesshu!["rules"].code(0).stdout;
    let own = folder.write("rules.toml", table.replace("days_min = 19", "days_min = 90"));
    sesshu!["rules", "--check", own].code(0);
    let rows = [
        ShotLine::new(1, "a"),
        ShotLine::new(1, "b").with(|shot| {
            (shot.dose, shot.date) = ("2".into(), "20210601".into());
            shot.ticket = shot.ticket.replacen("21", "22", 1);
        }),
    ];
    let file = folder.write("shots.csv", shots(&rows));
    let record = |rules: &str| {
        let objects = sesshu!["record", "--store", store, "--file", file, "--rules", rules, "--json"].code(0).objects();
        objects[1]["warnings"][0]["days_min"].clone()
    };
    assert_eq!(record(&own), json!(90));

    let wrong = folder.write("wrong.toml", table.replace("stub_kinds = [1, 2]", "stub_kinds = [12]"));
    sesshu!["rules", "--check", wrong].code(2).saying(&["wrong.toml", "12 is no digit"]);
    sesshu!["record", "--store", store, "--file", file, "--rules", wrong].code(2).saying(&["12 is no digit"]);
    sesshu!["serve", "--store", store, "--rules", wrong].code(2).saying(&["12 is no digit"]);
    let missing = folder.path("missing.toml");
    sesshu!["record", "--store", store, "--file", file, "--rules", missing].code(2).saying(&["missing.toml"]);
    sesshu!["record", "--server", "http://127.0.0.1:1", "--file", file, "--rules", own]
        .code(2)
        .saying(&["a server has rules of its own"]);
}
