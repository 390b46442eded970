//! Recorded shots that are set right: every act over gRPC with its errors, and what the commands say.

use prost::Message as _;
use serde_json::{Value, json};
use sesshu_proto::v1::amend_request::Act;
use sesshu_proto::v1::{
    AmendManyRequest, AmendOutcome, AmendReply, AmendRequest, Authority, Correction, EventKind, FindShotsRequest,
    HistoryRequest, Nothing, PastEvent, RecordedShot, ShotReference, ShotState, WarningKind,
};
use tonic::{Code, Status};

use crate::people::{CHIYODA, ShotLine, line, record, shots, store_of, ticket};
use crate::process::{Ended, Folder, Server, sesshu};
use crate::served::{Served, request};

const NOTHING: Nothing = Nothing {};

fn of(number: u64, shot_id: u64) -> ShotReference {
    ShotReference { ticket: ticket(number).parse().unwrap(), shot_id }
}

fn act(of: ShotReference, authority: Authority, act: Act) -> AmendRequest {
    AmendRequest {
        of: Some(of),
        act: Some(act),
        who: "係員 7".into(),
        reason: "読み違い".into(),
        authority: authority.into(),
        ..AmendRequest::default()
    }
}

fn lot(lot: &str) -> Act {
    Act::Correct(Correction { lot: Some(lot.into()), ..Correction::default() })
}

async fn amend(served: &Served, request: AmendRequest) -> Result<AmendReply, Status> {
    served.shot_log().amend(request).await.map(tonic::Response::into_inner)
}

async fn done(served: &Served, request: AmendRequest) -> RecordedShot {
    let reply = amend(served, request).await.unwrap();
    assert_eq!((reply.outcome(), &*reply.reason), (AmendOutcome::Amended, ""), "{reply:?}");
    let shot = reply.shot.unwrap();
    assert_eq!(shot.sequence, reply.sequence);
    shot
}

async fn history(served: &Served, of: ShotReference) -> Vec<PastEvent> {
    served.shot_log().history(HistoryRequest { of: Some(of) }).await.unwrap().into_inner().events
}

/// Residents 1 to 5, and a shot of the first.
async fn with_a_shot() -> (Served, u64) {
    let served = Served::with(5).await;
    let recorded = served.shot_log().record(request(1, "a", |_| {})).await.unwrap().into_inner();
    (served, recorded.shot_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_act_comes_over_grpc_and_the_history_has_them_all() {
    let (served, id) = with_a_shot().await;
    let staff = Authority::MunicipalityStaff;
    let fields = Correction {
        date: Some(20_210_413),
        dose: Some(2),
        vaccine: Some("武田／モデルナ".into()),
        lot: Some("FA0001".into()),
        venue: Some("区役所".into()),
        institution: Some("1310100009".into()),
        doctor: Some("接種 花子".into()),
    };
    let corrected = done(&served, act(of(1, id), staff, Act::Correct(fields))).await;
    let content = corrected.shot.clone().unwrap();
    assert_eq!((content.date, content.dose, &*content.lot), (20_210_413, 2, "FA0001"));
    assert_eq!((&*content.vaccine, &*content.venue), ("武田／モデルナ", "区役所"));
    assert_eq!((&*content.institution, &*content.doctor), ("1310100009", "接種 花子"));
    assert_eq!(content.warnings[0].kind(), WarningKind::DoseBeforeMissing, "the rules look at it again");
    assert_eq!(served.found(1).await.shots, [corrected]);

    let voided = done(&served, act(of(1, id), staff, Act::Void(NOTHING))).await;
    assert_eq!(voided.state(), ShotState::Voided);
    served.still_holds(1, 0).await;
    done(&served, act(of(1, id), staff, Act::Reinstate(NOTHING))).await;
    served.still_holds(1, 1).await;
    // To another person, by a line of the ticket; and to another municipality, by the ticket.
    let second: u64 = line(2).parse().unwrap();
    done(&served, act(of(1, id), staff, Act::Reassign(second))).await;
    served.still_holds(1, 0).await;
    served.still_holds(2, 1).await;
    done(&served, act(of(1, id), staff, Act::Reassign(4_720_180_000_000_001))).await;
    served.still_holds(2, 0).await;
    let back = done(&served, act(of(2, id), staff, Act::Reassign(of(1, id).ticket))).await;
    assert_eq!((back.shot_id, back.state()), (id, ShotState::InForce));
    let confirmed = done(&served, act(of(1, id), staff, Act::Confirm(NOTHING))).await;
    assert_eq!(confirmed.confirmed(), staff);
    let held = amend(&served, act(of(1, id), Authority::MunicipalityUpload, lot("XX0001"))).await.unwrap();
    assert_eq!(held.outcome(), AmendOutcome::Held);
    assert!(held.reason.contains("municipality_staff"), "{}", held.reason);
    assert_eq!(served.found(1).await.shots[0].held_writes, 1);
    let settle = AmendRequest { settles: held.sequence, ..act(of(1, id), Authority::National, lot("XX0001")) };
    let settled = done(&served, settle).await;
    assert_eq!((settled.held_writes, &*settled.shot.unwrap().lot), (0, "XX0001"));
    done(&served, act(of(1, id), staff, Act::Unlock(NOTHING))).await;
    done(&served, act(of(1, id), Authority::Terminal, lot("XX0002"))).await;

    let kinds = [
        EventKind::ShotRecorded,
        EventKind::ShotCorrected,
        EventKind::ShotVoided,
        EventKind::ShotReinstated,
        EventKind::ShotReassigned,
        EventKind::ShotReassigned,
        EventKind::ShotReassigned,
        EventKind::ShotConfirmed,
        EventKind::ShotCorrected,
        EventKind::ShotCorrected,
        EventKind::ShotUnlocked,
        EventKind::ShotCorrected,
    ];
    for number in [1, 2] {
        let events = history(&served, of(number, id)).await;
        assert!(events.iter().map(PastEvent::kind).eq(kinds), "{events:?}");
        assert!(events.iter().skip(1).all(|event| event.who == "係員 7" && event.reason == "読み違い"));
        let moves: Vec<_> = events[4..7].iter().map(|event| (event.ticket, event.to_ticket)).collect();
        let (first, second) = (of(1, id).ticket, of(2, id).ticket);
        let elsewhere = 4_720_180_000_000_001;
        assert_eq!(moves, [(first, second), (second, elsewhere), (elsewhere, first)]);
        assert_eq!((events[8].held, events[8].settled_by), (true, settled.sequence));
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_has_its_code_and_changes_nothing() {
    let (served, id) = with_a_shot().await;
    let staff = Authority::MunicipalityStaff;
    let good = || act(of(1, id), staff, Act::Void(NOTHING));
    let cases: [(AmendRequest, Code, &str); 11] = [
        (AmendRequest { of: Some(of(1, id + 99)), ..good() }, Code::NotFound, "never had this shot"),
        (AmendRequest { of: Some(of(2, id)), ..good() }, Code::NotFound, "never had this shot"),
        (AmendRequest { settles: 99, ..good() }, Code::NotFound, "no such held write"),
        (AmendRequest { of: None, ..good() }, Code::InvalidArgument, "ticket"),
        (AmendRequest { of: Some(of(1, 0)), ..good() }, Code::InvalidArgument, "shot_id"),
        (AmendRequest { act: None, ..good() }, Code::InvalidArgument, "what is to be done"),
        (AmendRequest { who: String::new(), ..good() }, Code::InvalidArgument, "who"),
        (AmendRequest { reason: String::new(), ..good() }, Code::InvalidArgument, "reason"),
        (AmendRequest { authority: 0, ..good() }, Code::InvalidArgument, "authority"),
        (AmendRequest { batch: "a b".into(), ..good() }, Code::InvalidArgument, "batch"),
        (act(of(1, id), staff, Act::Reassign(7)), Code::InvalidArgument, "reassign"),
    ];
    for (request, code, words) in cases {
        let status = amend(&served, request.clone()).await.unwrap_err();
        assert_eq!(status.code(), code, "{request:?}: {status}");
        assert!(status.message().contains(words), "{words}: {status}");
        let many = AmendManyRequest { acts: vec![request], dry_run: false };
        let reply = served.shot_log().amend_many(many).await.unwrap().into_inner().replies.pop().unwrap();
        let outcome = if code == Code::NotFound { AmendOutcome::Unknown } else { AmendOutcome::Invalid };
        assert_eq!((reply.outcome(), &*reply.reason), (outcome, status.message()));
    }
    let unknown = served.shot_log().history(HistoryRequest { of: Some(of(2, id)) }).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    served.still_holds(1, 1).await;

    let newer = done(&served, AmendRequest { version: id, ..act(of(1, id), staff, lot("FA0001")) }).await;
    let status = amend(&served, AmendRequest { version: id, ..good() }).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    let details = tonic_types::Status::decode(status.details()).unwrap();
    assert_eq!(details.details[0].type_url, "type.googleapis.com/sesshu.v1.AmendReply");
    let told = AmendReply::decode(&details.details[0].value[..]).unwrap();
    assert_eq!((told.outcome(), told.shot), (AmendOutcome::Stale, Some(newer)), "with the shot as it is now");
    let again = amend(&served, AmendRequest { version: id, ..act(of(1, id), staff, lot("FA0001")) }).await.unwrap();
    assert_eq!(again.outcome(), AmendOutcome::Unchanged, "the answer may have been lost on its way");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_shots_of_a_day_and_a_venue_are_found_and_set_right_as_one() {
    let served = Served::with(5).await;
    let mut ids = Vec::new();
    for number in 1..=6 {
        let venue = if number % 2 == 0 { "区役所" } else { "区民ホール" };
        let device = if number > 4 { "t-2" } else { "t-1" };
        let request = request(number, "a", |shot| (shot.venue, shot.recorded_by) = (venue.into(), device.into()));
        ids.push(served.shot_log().record(request).await.unwrap().into_inner().shot_id);
    }
    let found = async |request: FindShotsRequest| {
        let mut stream = served.shot_log().find_shots(request).await.unwrap().into_inner();
        let mut shots = Vec::new();
        while let Some(message) = stream.message().await.unwrap() {
            shots.extend(message.shots);
        }
        shots
    };
    let ids_of = |shots: &[RecordedShot]| shots.iter().map(|shot| shot.shot_id).collect::<Vec<_>>();
    let day = || FindShotsRequest { date: 20_210_412, ..FindShotsRequest::default() };
    assert_eq!(ids_of(&found(day()).await), ids, "an orphan too");
    let venue = FindShotsRequest { venue: "区役所".into(), ..day() };
    let at_venue = found(venue.clone()).await;
    assert_eq!(ids_of(&at_venue), [ids[1], ids[3], ids[5]]);
    assert_eq!(at_venue[0].ticket, of(2, 0).ticket);
    let device = FindShotsRequest { recorded_by: "t-1".into(), ..venue.clone() };
    assert_eq!(ids_of(&found(device).await), [ids[1], ids[3]]);
    for none in [
        FindShotsRequest { date: 20_210_413, ..day() },
        FindShotsRequest { lot: "X".into(), ..day() },
        FindShotsRequest { municipality: 472_018, ..day() },
    ] {
        assert!(found(none).await.is_empty());
    }
    for wrong in [FindShotsRequest::default(), FindShotsRequest { municipality: 7, ..day() }] {
        assert_eq!(served.shot_log().find_shots(wrong).await.unwrap_err().code(), Code::InvalidArgument);
    }

    let acts: Vec<AmendRequest> = at_venue
        .iter()
        .map(|shot| AmendRequest {
            version: shot.sequence,
            batch: "lot-2021-04-12".into(),
            ..act(ShotReference { ticket: shot.ticket, shot_id: shot.shot_id }, Authority::National, lot("FA0001"))
        })
        .collect();
    let many = |dry_run| {
        let (acts, mut shot_log) = (acts.clone(), served.shot_log());
        async move { shot_log.amend_many(AmendManyRequest { acts, dry_run }).await.unwrap().into_inner().replies }
    };
    let foreseen = many(true).await;
    assert!(foreseen.iter().all(|reply| reply.outcome() == AmendOutcome::Amended && reply.sequence == 0));
    assert_eq!(found(venue.clone()).await, at_venue, "nothing was done");
    // One changes between the look and the act: it is left alone.
    done(&served, act(of(4, ids[3]), Authority::Terminal, lot("X"))).await;
    let outcomes: Vec<_> = many(false).await.iter().map(AmendReply::outcome).collect();
    assert_eq!(outcomes, [AmendOutcome::Amended, AmendOutcome::Stale, AmendOutcome::Amended]);
    let events = history(&served, of(2, ids[1])).await;
    assert_eq!((events.len(), &*events[1].batch), (2, "lot-2021-04-12"));
    let many = AmendManyRequest { acts: vec![acts[0].clone(); 4097], dry_run: false };
    assert_eq!(served.shot_log().amend_many(many).await.unwrap_err().code(), Code::InvalidArgument);
    served.stop().await;
}

/// Runs `sesshu shot` at a place.
fn shot(place: [&str; 2], arguments: &[&str]) -> Ended {
    let all = [&["shot", arguments[0]][..], &place, &arguments[1..]].concat();
    crate::process::run(crate::process::command(all.into_iter().map(AsRef::as_ref)), "")
}

#[test]
fn the_commands_say_what_became_of_a_shot_on_a_store_and_on_a_server() {
    let folder = Folder::new();
    let store = store_of(&folder, 3);
    let id = record(&store, 1, "a").code(0).object()["id"].as_str().unwrap().to_owned();
    assert_eq!(id, format!("{}-2", ticket(1)));
    let server = Server::start(&folder.copy_store("store", "served"));
    let by = ["--who", "係員 7", "--reason", "読み違い"];
    let agree = |arguments: &[&str], code: i32| -> Ended {
        let [opened, served] =
            [["--store", &store], ["--server", &server.url]].map(|place| shot(place, arguments).code(code));
        if !arguments.contains(&"--json") && arguments[0] != "history" {
            assert_eq!(opened.stdout, served.stdout, "{arguments:?}");
        }
        opened
    };
    let with =
        |arguments: &[&'static str]| -> Vec<&str> { [&arguments[..1], &[&*id][..], &by, &arguments[1..]].concat() };
    let dry = agree(&with(&["correct", "--lot", "FA0001", "--dry-run"]), 0);
    assert!(dry.stdout.contains("would be amended"), "{}", dry.stdout);
    let corrected = agree(&with(&["correct", "--lot", "FA0001", "--date", "2021-04-13", "--json"]), 0).object();
    assert_eq!((&corrected["outcome"], &corrected["id"]), (&json!("amended"), &json!(id)));
    assert_eq!((&corrected["shot"]["lot"], &corrected["shot"]["date"]), (&json!("FA0001"), &json!("2021-04-13")));
    assert_eq!(corrected["sequence"], corrected["shot"]["sequence"]);
    let again = agree(&with(&["correct", "--lot", "FA0001"]), 0);
    assert!(again.stdout.contains("unchanged"), "{}", again.stdout);
    agree(&with(&["correct", "--lot", "FA0002", "--if-version", "2"]), 2).saying(&["not any more as you know it"]);
    agree(&with(&["correct"]), 2).saying(&["what is otherwise?"]);
    agree(&with(&["correct", "--date", "2021-02-30"]), 2).saying(&["2021-02-30"]);
    agree(&["void", &id, "--who", "x"], 2).saying(&["reason"]);
    agree(&["void", "1310160000000001", "--reason", "x"], 2).saying(&["by its ticket and its id"]);
    agree(&["void", &format!("{}-7", ticket(1)), "--reason", "x"], 2).saying(&["never had this shot"]);
    agree(&["history", &format!("{}-7", ticket(1))], 2).saying(&["never had this shot"]);
    agree(&["void", "--reason", "x"], 2).saying(&["<ID>"]);

    agree(&with(&["confirm"]), 0);
    let held = agree(&with(&["void", "--authority", "terminal", "--json"]), 2).object();
    assert_eq!((&held["outcome"], &held["shot"]["held_writes"]), (&json!("held"), &json!(1)));
    let sequence = held["sequence"].to_string();
    let settled: Vec<&str> = [&with(&["void"])[..], &["--settles", &sequence]].concat();
    let said = agree(&settled, 0);
    assert!(said.stdout.contains("VOID  confirmed by municipality_staff"), "{}", said.stdout);
    agree(&with(&["reinstate"]), 0);
    let moved = agree(&[&with(&["reassign"])[..], &["--to", &line(2)]].concat(), 0);
    assert!(moved.stdout.starts_with(&format!("{id}  amended")), "{}", moved.stdout);
    agree(&with(&["unlock"]), 0);

    let history = agree(&["history", &id, "--json"], 0).object();
    assert_eq!(history["id"], json!(format!("{}-2", ticket(2))));
    let events: Vec<&Value> = history["events"].as_array().unwrap().iter().collect();
    let told: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let all = ["recorded", "corrected", "confirmed", "voided", "voided", "reinstated", "reassigned", "unlocked"];
    assert_eq!(told, all);
    assert_eq!((&events[3]["held"], &events[3]["settled_by"]), (&json!(true), &events[4]["sequence"]));
    assert_eq!((&events[0]["shot"]["lot"], &events[1]["shot"]["lot"]), (&json!("ET3674"), &json!("FA0001")));
    assert_eq!(events[6]["to_ticket"], json!(ticket(2)));
    let told = agree(&["history", &id], 0).stdout;
    for words in ["lot: ET3674 -> FA0001", "by 係員 7 (municipality_staff): 読み違い", "HELD, settled by"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    // The ledger shows a shot on every ticket that had it; a match where it counts.
    let ledger = sesshu!["ledger", "--store", store, CHIYODA, "--json"].code(0).objects();
    assert_eq!(ledger[0]["shots"][0]["state"], json!("reassigned"));
    assert_eq!(ledger[0]["shots"][0]["reassigned_to"], json!(ticket(2)));
    assert_eq!(ledger[1]["shots"][0]["state"], json!("in_force"));
    let csv = folder.path("ledger.csv");
    sesshu!["ledger", "--store", store, CHIYODA, "--csv", csv].code(0);
    let csv = std::fs::read_to_string(&csv).unwrap();
    let row = csv.lines().find(|row| row.contains("reassigned")).unwrap();
    assert!(row.ends_with(&format!(",reassigned,{},municipality_staff,", ticket(2))), "{row}");
    for (number, shots) in [(1, 0), (2, 1)] {
        let object = sesshu!["match", "--store", store, line(number), "--json"].code(0).object();
        assert_eq!(object["shots"].as_array().unwrap().len(), shots);
    }
}

#[test]
fn the_commands_set_all_shots_of_a_day_right() {
    let folder = Folder::new();
    let store = store_of(&folder, 9);
    let of = |number: u64| ShotLine::new(number, &format!("shot-{number}"));
    let file = folder.write("shots.csv", shots(&(1..=9).map(of).collect::<Vec<_>>()));
    sesshu!["record", "--store", store, "--file", file].code(0);
    let place = ["--store", &*store];
    let found = sesshu!["match", "--store", store, line(1), "--json"].code(0).object();
    let day = found["shots"][0]["date"].as_str().unwrap().to_owned();
    let venue = found["shots"][0]["venue"].as_str().unwrap().to_owned();
    shot(place, &["confirm", found["shots"][0]["id"].as_str().unwrap(), "--authority", "national"]).code(0);
    let all = ["void", "--of-date", &day, "--of-venue", &venue, "--reason", "冷凍庫の故障", "--json"];
    let dry: Vec<Value> = shot(place, &[&all[..], &["--dry-run"]].concat()).code(2).objects();
    let summary = dry.last().unwrap();
    assert_eq!((&summary["dry_run"], &summary["amended"], &summary["held"]), (&json!(true), &json!(8), &json!(1)));
    let done = shot(place, &[&all[..], &["--batch", "freezer"]].concat()).code(2).objects();
    assert_eq!(done.len(), 10);
    let expected = json!({
        "dry_run": false, "batch": "freezer", "amended": 8, "unchanged": 0, "held": 1, "stale": 0, "unknown": 0,
        "invalid": 0
    });
    assert_eq!(done[9], expected);
    let history = shot(place, &["history", done[3]["id"].as_str().unwrap(), "--json"]).code(0).object();
    assert_eq!(history["events"][1]["batch"], json!("freezer"));
    // The act is one: all that it did, and wanted to, is listed by its name, and undone by it.
    let listed = shot(place, &["list", "--of-batch", "freezer", "--json"]).code(0).objects();
    let states: Vec<&str> = listed.iter().map(|it| it["state"].as_str().unwrap()).collect();
    assert_eq!((states.len(), states.iter().filter(|state| **state == "voided").count()), (9, 8));
    assert_eq!(listed.iter().map(|it| it["held_writes"].as_u64().unwrap()).sum::<u64>(), 1);
    shot(place, &["list", "--of-batch", "other"]).code(1);
    let undo = shot(place, &["reinstate", "--of-batch", "freezer", "--reason", "早合点", "--batch", "undone"]);
    assert!(undo.code(0).stdout.contains("8 amended, 1 unchanged"), "the one that is confirmed never was void");
    let of_day = shot(place, &["list", "--of-date", &day]).code(0);
    assert_eq!(of_day.stdout.lines().count(), 9);
    shot(place, &["void", "--of-batch", "undone", "--reason", "冷凍庫の故障", "--authority", "municipality-staff"])
        .code(0);
    // What is void is none of the day's any more; several may be named.
    let again = shot(place, &["void", "--of-date", &day, "--reason", "x", "--authority", "national"]).code(0);
    assert!(again.stdout.contains("1 amended; the history calls it"), "{}", again.stdout);
    let none = shot(place, &["void", "--of-date", &day, "--reason", "x"]).code(0);
    assert!(none.stdout.contains("no shot is meant"), "{}", none.stdout);
    let ids: Vec<&str> = done[..2].iter().map(|object| object["id"].as_str().unwrap()).collect();
    let both = ["reinstate", ids[0], ids[1], "--reason", "x", "--authority", "national"];
    let both = shot(place, &both).code(0);
    assert!(both.stdout.contains("2 amended"), "{}", both.stdout);
    let unknown = format!("{}-99", ticket(1));
    let partly = ["void", ids[0], &unknown, "--reason", "x", "--authority", "national"];
    shot(place, &partly).code(1);
}
