//! Shots of people without a ticket: over gRPC, from a file, at the command line; found, and linked in one step.

use std::ffi::OsStr;

use serde_json::{Value, json};
use sesshu_proto::v1::amend_request::Act;
use sesshu_proto::v1::find_request::By;
use sesshu_proto::v1::record_request::Ticket as RecordTicket;
use sesshu_proto::v1::{
    AmendOutcome, AmendRequest, Authority, FindByKana, FindRequest, FindShotsRequest, MatchOutcome, Nothing,
    Provisional, RecordManyRequest, RecordOutcome, RecordRequest, Shot, ShotReference,
};
use tonic::Code;

use crate::people::{CHIYODA, SHOTS_HEADER, ShotLine, csv, store_of, ticket};
use crate::process::{Ended, Folder, Server, command, run, sesshu};
use crate::served::{Served, request};

fn without_ticket(name_kana: &str, capture_id: &str) -> RecordRequest {
    let provisional = Some(Provisional { name_kana: name_kana.into(), birth_date: 19_560_203 });
    let RecordRequest { shot, .. } = request(1, capture_id, |_| {});
    let ticket = Some(RecordTicket::WithoutTicket(CHIYODA.parse().unwrap()));
    RecordRequest { ticket, shot: shot.map(|shot| Shot { provisional, ..shot }) }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_recorded_found_and_linked_over_grpc() {
    let served = Served::with(5).await;
    let mut log = served.shot_log();
    let reply = log.record(without_ticket("シケン　タロウ", "a")).await.unwrap().into_inner();
    assert_eq!((reply.outcome(), reply.warnings.len(), reply.resident), (RecordOutcome::Provisional, 0, None));
    let of = ShotReference { ticket: reply.ticket, shot_id: reply.shot_id };
    let again = log.record(without_ticket("シケン　タロウ", "a")).await.unwrap().into_inner();
    assert_eq!((again.outcome(), again.shot_id), (RecordOutcome::AlreadyRecorded, reply.shot_id));

    // Found by the kana, behind the five of the register who have the same.
    let by_kana = |kana: &str, limit| FindRequest {
        by: Some(By::Kana(FindByKana { name_kana: kana.into(), birth_date: 19_560_203 })),
        limit,
        ..FindRequest::default()
    };
    let found = served.register().find(by_kana("しけんたろう", 0)).await.unwrap().into_inner();
    let outcomes: Vec<MatchOutcome> = found.people.iter().map(|person| person.outcome()).collect();
    assert_eq!((&outcomes[..5], &outcomes[5..]), (&[MatchOutcome::Matched; 5][..], &[MatchOutcome::Provisional][..]));
    assert_eq!(found.people[5].ticket, reply.ticket);
    let first = served.register().find(by_kana("しけんたろう", 5)).await.unwrap().into_inner();
    assert_eq!((first.people.len(), first.more), (5, true));
    let waiting = FindRequest { by: Some(By::WithoutTicket(Nothing {})), ..FindRequest::default() };
    let refused = served.register().find(waiting.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "a work list is a municipality's");
    let waiting = FindRequest { municipality: CHIYODA.parse().unwrap(), ..waiting };
    let listed = served.register().find(waiting.clone()).await.unwrap().into_inner();
    assert_eq!(listed.people, found.people[5..]);
    let of_ticket = FindShotsRequest { ticket: reply.ticket, ..FindShotsRequest::default() };
    let shots = log.find_shots(of_ticket).await.unwrap().into_inner().message().await.unwrap().unwrap().shots;
    assert_eq!(shots.iter().map(|shot| shot.shot_id).collect::<Vec<_>>(), [reply.shot_id]);

    let link = |to: u64| AmendRequest {
        of: Some(of),
        act: Some(Act::Reassign(to)),
        who: "係員 7".into(),
        reason: "券が見つかった".into(),
        authority: Authority::MunicipalityStaff.into(),
        ..AmendRequest::default()
    };
    let other = log.record(without_ticket("シケン　ジロウ", "b")).await.unwrap().into_inner();
    let refused = log.amend(link(other.ticket)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("was not recorded"), "{}", refused.message());
    let linked = log.amend(link(ticket(3).parse().unwrap())).await.unwrap().into_inner();
    assert_eq!(linked.outcome(), AmendOutcome::Amended);
    let matched = served.found(3).await;
    assert_eq!(matched.shots[0].shot_id, reply.shot_id);
    assert_eq!(matched.shots[0].shot.as_ref().unwrap().provisional.as_ref().unwrap().name_kana, "シケン　タロウ");
    let listed = served.register().find(waiting).await.unwrap().into_inner();
    assert_eq!(listed.people.iter().map(|person| person.ticket).collect::<Vec<_>>(), [other.ticket]);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_told_field_by_field() {
    let served = Served::with(1).await;
    let changed = |change: &dyn Fn(&mut RecordRequest)| {
        let mut request = without_ticket("シケン　タロウ", "");
        change(&mut request);
        request
    };
    let person = |request: &mut RecordRequest, name_kana: &str, birth_date| {
        let provisional = Some(Provisional { name_kana: name_kana.into(), birth_date });
        request.shot.as_mut().unwrap().provisional = provisional;
    };
    let shots = vec![
        changed(&|request| request.shot.as_mut().unwrap().provisional = None),
        changed(&|request| person(request, "　", 19_560_203)),
        changed(&|request| person(request, "シケン", 19_561_303)),
        changed(&|request| request.ticket = Some(RecordTicket::WithoutTicket(131_017))),
        changed(&|request| request.shot.as_mut().unwrap().dose = 0),
        changed(&|_| {}),
    ];
    let requests = tokio_stream::once(RecordManyRequest { shots, without_residents: false });
    let replies = served.shot_log().record_many(requests).await.unwrap().into_inner().message().await.unwrap();
    let replies = replies.unwrap().replies;
    for (reply, column) in replies.iter().zip(["氏名カナ", "氏名カナ", "生年月日", "without_ticket", "接種回数"])
    {
        assert_eq!((reply.outcome(), reply.shot_id), (RecordOutcome::Invalid, 0));
        assert!(reply.reason.starts_with(column), "{} is not about {column}", reply.reason);
    }
    assert_eq!(replies[5].outcome(), RecordOutcome::Provisional);
    served.stop().await;
}

/// The same commands on a store and on its server.
fn everywhere(store: &str, run: impl Fn(&str, &str)) {
    run("--store", store);
    let server = Server::start(store);
    run("--server", &server.url);
    assert_eq!(server.stop().0, Some(0));
}

/// Demands that the results have these words.
fn tells(ended: &Ended, words: &[&str]) {
    assert!(words.iter().all(|word| ended.stdout.contains(word)), "{words:?} were to be told: {ended:?}");
}

fn run_with<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Ended {
    run(command(arguments.into_iter().map(OsStr::new)), "")
}

fn record(how: &str, place: &str, name_kana: &str, more: &[&str]) -> Ended {
    let said = ["record", how, place, "--without-ticket", CHIYODA, "--name-kana", name_kana];
    let said = said.into_iter().chain(["--birth-date", "1956-02-03", "--date", "2021-06-01", "--dose", "1"]);
    let said = said.chain(["--vaccine", "ファイザー", "--lot", "EW1", "--venue", "会場"]).chain(more.iter().copied());
    run_with(said)
}

#[test]
fn the_commands_record_find_and_link() {
    let folder = Folder::new();
    let store = store_of(&folder, 2);
    let first = record("--store", &store, "シケン タロウ", &["--json"]).code(0).object();
    assert_eq!((&first["outcome"], &first["resident"]), (&json!("provisional"), &Value::Null));
    let person = first["ticket"].as_str().unwrap().to_owned();
    assert!(person.starts_with(&format!("P{CHIYODA}")) && person.len() == 17, "{person}");
    assert_eq!(first["id"], json!(format!("{person}-{}", first["shot_id"])));
    let second = record("--store", &store, "ｼｹﾝ ﾀﾛｳ", &["--capture-id", "b"]).code(0);
    tells(&second, &[&person, "provisional", "same dose number"]);
    record("--store", &store, "", &[]).code(2).saying(&["氏名カナ"]);
    everywhere(&store, |how, place| {
        let listed = sesshu!["find", how, place, "--without-ticket", "--municipality", CHIYODA];
        let may_be = format!("may be {}", ticket(1));
        tells(&listed.code(0), &[&person, "シケン タロウ", "born 1956-02-03", &may_be]);
        let objects = sesshu!["find", how, place, "--without-ticket", "--municipality", CHIYODA, "--json"];
        let objects = objects.code(0).objects();
        assert_eq!((objects.len(), &objects[0]["outcome"]), (2, &json!("provisional")));
        let may_be = objects[0]["may_be"].as_array().unwrap();
        assert_eq!(may_be.iter().map(|it| &it["ticket"]).collect::<Vec<_>>(), [&json!(ticket(1)), &json!(ticket(2))]);
        let shot = &objects[0]["shots"][0];
        assert_eq!(shot["provisional"], json!({"name_kana": "シケン タロウ", "birth_date": "1956-02-03"}));
        assert_eq!(shot["line"], Value::Null);
        let csv = folder.path("ledger.csv");
        sesshu!["ledger", how, place, CHIYODA, "--csv", csv].code(0);
        let rows = std::fs::read_to_string(&csv).unwrap();
        let row = format!("{CHIYODA},P{},provisional,,,シケン タロウ,19560203,", &person[7..]);
        assert_eq!(rows.matches(&row).count(), 2, "{rows}");
        sesshu!["find", how, place, "--without-ticket"].code(2).saying(&["--municipality"]);
    });
    let link = ["shot", "reassign", "--store", &store, "--of-ticket", &person, "--to", &ticket(2)];
    let link: Vec<&str> = link.into_iter().chain(["--reason", "券が見つかった", "--batch", "linked"]).collect();
    tells(&run_with(link.iter().copied().chain(["--dry-run"])).code(0), &["dry run", "2 amended"]);
    tells(&run_with(link.iter().copied()).code(0), &["2 amended; the history calls it linked"]);
    tells(&run_with(link).code(0), &["no shot is meant"]);
    everywhere(&store, |how, place| {
        let listed = sesshu!["find", how, place, "--without-ticket", "--municipality", CHIYODA];
        tells(&listed.code(1), &["nobody was found"]);
        let history = sesshu!["history", how, place, &person, "--json"].code(0).object();
        let events = history["shots"][0]["events"].as_array().unwrap();
        assert_eq!((&events[0]["ticket"], &events[1]["to_ticket"]), (&json!(person), &json!(ticket(2))));
    });
}

#[test]
fn a_row_of_a_file_without_a_ticket_says_whose_shot_it_is() {
    let folder = Folder::new();
    let store = store_of(&folder, 2);
    let header = format!("{SHOTS_HEADER},自治体コード,氏名カナ,生年月日");
    let row = |ticket: &str, capture_id: &str, whose: &str| {
        let shot = ShotLine::new(1, capture_id);
        let line = if ticket.is_empty() { String::new() } else { shot.ticket.clone() };
        format!("{},{whose}", shot.with(|shot| shot.ticket = line))
    };
    let rows = [
        row("ticket", "a", ",,"),
        row("", "b", "131016,シケン　ハナコ,19560203"),
        row("", "c", "131016,ｼｹﾝ ﾊﾅｺ,1956/02/03"),
        row("ticket", "d", "131016,シケン　ハナコ,19560203"),
        row("", "e", ",シケン　ハナコ,19560203"),
        row("", "f", "131016,シケン　ハナコ,"),
        row("", "g", "131016,,19560203"),
    ];
    let file = folder.write("shots.csv", csv(&header, &rows));
    let rejects = folder.path("rejects.csv");
    let ended = sesshu!["record", "--store", store, "--file", file, "--rejects", rejects, "--json"];
    let objects = ended.code(1).objects();
    let outcomes: Vec<&str> = objects[..7].iter().map(|it| it["outcome"].as_str().unwrap()).collect();
    assert_eq!(
        outcomes[..4],
        ["recorded", "provisional", "provisional", "recorded"],
        "a ticket counts, if there is one"
    );
    assert_eq!(outcomes[4..], ["invalid"; 3]);
    assert_eq!((&objects[7]["recorded"], &objects[7]["provisional"]), (&json!(4), &json!(2)));
    assert_eq!(objects[1]["ticket"], objects[2]["ticket"]);
    let rejected = std::fs::read_to_string(&rejects).unwrap();
    for told in ["6,自治体コード,missing", "7,生年月日,not_a_date", "8,接種券,missing"] {
        assert!(rejected.contains(told), "{told} in {rejected}");
    }
    let text = sesshu!["record", "--store", store, "--file", file].code(1);
    tells(&text, &["0 recorded (0 orphans), 4 recorded already, 3 invalid"]);
}
