//! What was known at a moment: over gRPC and by the commands, on a store and on a server.

use serde_json::json;
use sesshu_proto::v1::ledgers_client::LedgersClient;
use sesshu_proto::v1::match_request::Ticket as MatchTicket;
use sesshu_proto::v1::{GetLedgerRequest, MatchManyRequest, MatchOutcome, MatchReply, MatchRequest, Moment, moment};
use tokio_stream::iter;
use tonic::Code;

use crate::people::{CHIYODA, Person, line, record, register, store_of, ticket};
use crate::process::{Ended, Folder, Server, command, run, sesshu};
use crate::served::{Served, request};

fn behind(sequence: u64) -> Option<Moment> {
    Some(Moment { moment: Some(moment::Moment::Sequence(sequence)) })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_match_and_a_ledger_of_a_moment_come_over_grpc() {
    let served = Served::with(2).await;
    let at = async |known_at: Option<Moment>| -> MatchReply {
        let ticket = Some(MatchTicket::LineText(line(1)));
        served.matching().r#match(MatchRequest { ticket, known_at, across: None }).await.unwrap().into_inner()
    };
    let loaded = served.store.view().sequence();
    let before = at(None).await;
    let recorded = served.shot_log().record(request(1, "a", |_| {})).await.unwrap().into_inner();
    let after = at(None).await;
    assert_eq!((before.shots.len(), after.shots.len()), (0, 1));
    assert_eq!(at(behind(loaded)).await, before);
    assert_eq!(at(behind(recorded.sequence)).await, after);
    assert_eq!(at(behind(0)).await.outcome(), MatchOutcome::NotFound);
    let time = |time| Some(Moment { moment: Some(moment::Moment::Time(time)) });
    assert_eq!(at(time(recorded.recorded_at)).await, after);
    assert_eq!(at(time(1)).await.outcome(), MatchOutcome::NotFound);

    let lines = vec![line(1).parse().unwrap(), line(9).parse().unwrap()];
    let many = MatchManyRequest { lines, known_at: behind(loaded), across: None };
    let mut replies = served.matching().match_many(iter([many])).await.unwrap().into_inner();
    let replies = replies.message().await.unwrap().unwrap().replies;
    assert_eq!((&replies[0], replies[1].outcome()), (&before, MatchOutcome::NotFound));

    let mut ledgers = LedgersClient::new(served.channel.clone());
    for (sequence, tickets, shots) in [(0, 0, 0), (loaded, 2, 0), (recorded.sequence, 2, 1)] {
        let get = GetLedgerRequest { municipality: 131_016, known_at: behind(sequence), across: None };
        let page = ledgers.get(get).await.unwrap().into_inner().message().await.unwrap().unwrap_or_default();
        let counted: usize = page.tickets.iter().map(|ticket| ticket.shots.len()).sum();
        assert_eq!((page.tickets.len(), counted), (tickets, shots), "at {sequence}");
    }
    let nothing =
        MatchRequest { ticket: Some(MatchTicket::LineText(line(1))), known_at: Some(Moment::default()), across: None };
    let status = served.matching().r#match(nothing).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    served.stop().await;
}

#[test]
fn the_commands_show_what_was_known_then() {
    let folder = Folder::new();
    let store = store_of(&folder, 2);
    record(&store, 1, "a").code(0);
    let renamed = [Person::new(1).with(|person| person.name = "改名 一子".into()), Person::new(2)];
    sesshu!["load", "--store", store, folder.write("renamed.csv", register(&renamed))].code(0);
    let server = Server::start(&folder.copy_store("store", "served"));
    let ask = |name: &str, what: &str, moment: &str, code: i32| -> Ended {
        let at = |place: [&str; 2]| -> Ended {
            let all = [name, place[0], place[1], what, "--json", "--as-known-at", moment];
            run(command(all.iter().map(AsRef::as_ref)), "").code(code)
        };
        let (opened, served) = (at(["--store", &store]), at(["--server", &server.url]));
        assert_eq!(opened.stdout, served.stdout, "{name} {moment}");
        opened
    };
    let told = |moment: &str| {
        let object = ask("match", &line(1), moment, 0).object();
        (object["resident"]["name"].as_str().unwrap().to_owned(), object["shots"].as_array().unwrap().len())
    };
    assert_eq!(told("1"), ("試験 二子".into(), 0));
    assert_eq!(told("2"), ("試験 二子".into(), 1));
    assert_eq!(told("3"), ("改名 一子".into(), 1));
    assert_eq!(told("2100-01-01"), ("改名 一子".into(), 1), "what is to come is now");
    assert_eq!(ask("match", &line(1), "2021-06-01", 1).object()["outcome"], json!("not_found"));
    assert_eq!(ask("match", &line(1), "2021-06-01T12:00:00+09:00", 1).object()["ticket"], json!(ticket(1)));
    assert!(ask("ledger", CHIYODA, "0", 0).stdout.is_empty());
    assert_eq!(ask("ledger", CHIYODA, "1", 0).objects().len(), 2);
    assert_eq!(ask("ledger", CHIYODA, "2", 0).objects()[0]["resident"]["name"], json!("試験 二子"));
    // And everything that was ever known.
    let history = |json: &[&str]| -> Ended {
        let at = |place: [&str; 2]| {
            let of = line(1);
            let all = [&["history", place[0], place[1], &of][..], json].concat();
            run(command(all.into_iter().map(AsRef::as_ref)), "").code(0)
        };
        let (opened, served) = (at(["--store", &store]), at(["--server", &server.url]));
        assert_eq!(opened.stdout, served.stdout);
        opened
    };
    let told = history(&["--json"]).object();
    let names: Vec<_> = told["rows"].as_array().unwrap().iter().map(|row| row["resident"]["name"].clone()).collect();
    assert_eq!(names, [json!("試験 二子"), json!("改名 一子")]);
    assert_eq!((&told["rows"][1]["known_since"], &told["rows"][0]["ticket"]), (&json!(3), &json!(ticket(1))));
    assert_eq!(told["shots"][0]["events"][0]["event"], json!("recorded"));
    let told = history(&[]).stdout;
    assert!(told.contains("row 3") && told.contains("recorded"), "{told}");
    let unknown = run(command(["history", "--store", &store, &line(9)].iter().map(AsRef::as_ref)), "");
    unknown.code(2).saying(&["nothing was ever known"]);
    let wrong =
        run(command(["match", "--store", &store, &line(1), "--as-known-at", "then"].iter().map(AsRef::as_ref)), "");
    wrong.code(2).saying(&["2021-06-01T12:00:00+09:00"]);
}

#[test]
fn a_row_tells_who_sent_it_and_why_whichever_way_it_came() {
    let folder = Folder::new();
    let (store, first) = (folder.path("store"), register(&[Person::new(1), Person::new(2)]));
    let first = folder.write("first.csv", first);
    let changes = register(&[Person::new(1).with(|person| person.name = "改名 一子".into())]);
    let changes = folder.write("changes.csv", changes);
    let next = folder.write("next.csv", register(&[Person::new(1), Person::new(2)]));
    sesshu!["load", "--store", store, first, "--who", "情報係", "--reason", "初回"].code(0);
    sesshu!["apply", "--store", store, changes, "--who", "窓口 3"].code(0);
    let server = Server::start(&store);
    sesshu!["load", "--server", server.url, next, "--who", "委託先", "--reason", "月次"].code(0);
    sesshu!["apply", "--server", server.url, changes, "--who", "窓口 4", "--reason", "改姓"].code(0);
    let told = sesshu!["history", "--server", server.url, line(1), "--json"].code(0).object();
    let rows = told["rows"].as_array().unwrap();
    let by: Vec<(&str, &str)> =
        rows.iter().map(|row| (row["who"].as_str().unwrap(), row["reason"].as_str().unwrap())).collect();
    assert_eq!(by, [("情報係", "初回"), ("窓口 3", ""), ("委託先", "月次"), ("窓口 4", "改姓")]);
    let told = sesshu!["history", "--server", server.url, line(2)].code(0).stdout;
    assert!(told.trim_end().ends_with("by 情報係: 初回"), "{told}");
    let long = "あ".repeat(41);
    for how in [["load", &first], ["apply", &changes]] {
        sesshu![how[0], "--server", server.url, how[1], "--who", long].code(2).saying(&["41 characters"]);
    }
}
