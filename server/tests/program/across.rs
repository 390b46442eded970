//! A person in two municipalities: what a match and a ledger of the one know of the other, and who was told.

use serde_json::{Value, json};
use sesshu_proto::v1::ledgers_client::LedgersClient;
use sesshu_proto::v1::match_request::Ticket as MatchTicket;
use sesshu_proto::v1::matching_client::MatchingClient;
use sesshu_proto::v1::{
    Across, GetLedgerRequest, MatchManyRequest, MatchReply, MatchRequest, Moment, moment::Moment as At,
};
use tonic::Code;

use crate::people::{CHIYODA, Person, ShotLine, line, register, shots, ticket};
use crate::process::{Folder, Server, sesshu};

const NAHA: &str = "472018";

/// Of Person::new: whoever has it in two municipalities is one person.
const OTHER: &str = "621498320257";

fn naha(number: u64) -> String {
    format!("{NAHA}{number:010}")
}

/// Chiyoda has 1, who moved to Naha and is 7 there, and 2; Naha has 8 too. A shot of each.
fn moved(folder: &Folder) -> String {
    let second = Person::new(2).with(|it| it.my_number = OTHER.into());
    let of_naha = |number, my_number: &str| {
        Person::new(number).with(|it| (it.municipality, it.my_number) = (NAHA.into(), my_number.into()))
    };
    let files = [
        folder.write("chiyoda.csv", register(&[Person::new(1), second])),
        folder.write("naha.csv", register(&[of_naha(7, "123456789018"), of_naha(8, "")])),
    ];
    let store = folder.path("store");
    sesshu!["load", "--store", store, files[0], files[1]].code(0);
    let mut lines = vec![ShotLine::new(1, "a"), ShotLine::new(2, "b")];
    for number in [7, 8] {
        lines.push(ShotLine::new(number, "c").with(|shot| {
            shot.ticket = format!("22{}", naha(number));
            (shot.date, shot.dose) = ("20210510".into(), "2".into());
        }));
    }
    let file = folder.write("shots.csv", shots(&lines));
    sesshu!["record", "--store", store, "--file", file].code(0);
    store
}

fn elsewhere(answer: &Value) -> Vec<(&str, usize)> {
    let people = answer["elsewhere"].as_array().map_or(&[][..], Vec::as_slice);
    people.iter().map(|it| (it["ticket"].as_str().unwrap(), it["shots"].as_array().unwrap().len())).collect()
}

fn accesses(store: &str) -> Vec<Value> {
    sesshu!["access", "--store", store, "--json"].code(0).objects()
}

#[test]
fn both_municipalities_see_the_shots_of_both() {
    let folder = Folder::new();
    let store = moved(&folder);
    let naha_line = format!("21{}", naha(7));
    let look = |how: &str, place: &str| {
        let plain = sesshu!["match", how, place, line(1), "--json"].code(0).object();
        assert_eq!(plain.get("elsewhere"), None, "who did not ask is not told");
        let asked = ["--across", "--purpose", "転入者の接種歴"];
        let here = sesshu!["match", how, place, line(1), line(2), asked[0], asked[1], asked[2], "--json"];
        let here = here.code(0).objects();
        assert_eq!(elsewhere(&here[0]), [(&*naha(7), 1)]);
        assert_eq!(here[0]["elsewhere"][0]["shots"][0]["id"], json!(format!("{}-5", naha(7))));
        assert_eq!((elsewhere(&here[1]), here[0]["shots"].as_array().unwrap().len()), (vec![], 1));
        let there = sesshu!["match", how, place, naha_line, asked[0], asked[1], asked[2]].code(0);
        for told in [&naha(7), "dose 2", &format!("elsewhere {}", ticket(1)), "dose 1"] {
            assert!(there.stdout.contains(told), "{told}: {}", there.stdout);
        }
        let ledger = sesshu!["ledger", how, place, NAHA, asked[0], asked[1], asked[2], "--json"].code(0).objects();
        assert_eq!((elsewhere(&ledger[0]), elsewhere(&ledger[1])), (vec![(&*ticket(1), 1)], vec![]));
        let csv = folder.path("ledger.csv");
        sesshu!["ledger", how, place, NAHA, asked[0], asked[1], asked[2], "--csv", csv].code(0);
        let rows = std::fs::read_to_string(&csv).unwrap();
        let of_seven: Vec<&str> = rows.lines().filter(|row| row.starts_with("472018,0000000007,")).collect();
        assert_eq!(of_seven.len(), 2, "{rows}");
        assert!(of_seven[0].ends_with(',') && of_seven[1].ends_with(&format!(",{}", ticket(1))), "{of_seven:?}");
    };
    look("--store", &store);
    // A person each who has a My Number: 1 and 2, 7, 7, 7.
    let told = accesses(&store);
    let found: Vec<u64> = told.iter().map(|entry| entry["found"].as_u64().unwrap()).collect();
    assert_eq!(found, [1, 0, 1, 1, 1]);
    assert!(told.iter().all(|entry| entry["purpose"] == "転入者の接種歴"), "{told:?}");
    let server = Server::start(&store);
    look("--server", &server.url);
    assert_eq!(server.stop().0, Some(0));
    let told = accesses(&store);
    assert_eq!(told.len(), 10);
    assert!(told[9]["who"].as_str().unwrap().contains("127.0.0.1"), "{}", told[9]);
}

#[test]
fn nobody_is_joined_without_a_purpose_the_key_or_as_of_now() {
    let folder = Folder::new();
    let store = moved(&folder);
    sesshu!["match", "--store", store, line(1), "--across"].code(2).saying(&["--purpose"]);
    sesshu!["match", "--store", store, line(1), "--across", "--purpose", " "].code(2).saying(&["purpose"]);
    sesshu!["match", "--store", store, line(1), "--purpose", "転入"].code(2).saying(&["--across"]);
    let past = sesshu!["match", "--store", store, line(1), "--across", "--purpose", "転入", "--as-known-at", "3"];
    past.code(2).saying(&["--as-known-at"]);
    std::fs::rename(format!("{store}.key"), folder.path("away.key")).unwrap();
    let without = sesshu!["match", "--store", store, line(1), "--across", "--purpose", "転入"].code(2);
    assert!(!without.stdout.contains(&ticket(1)), "no half answer: {}", without.stdout);
    sesshu!["match", "--store", store, line(1)].code(0);
    assert_eq!(accesses(&store), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn over_grpc_it_is_asked_for_in_each_way_of_matching() {
    let folder = Folder::new();
    let store = moved(&folder);
    let server = Server::start(&store);
    let channel = server.channel().await;
    let mut matching = MatchingClient::new(channel.clone());
    let across = Some(Across { purpose: "転入".into(), who: "窓口 3".into() });
    let ticket = Some(MatchTicket::LineText(line(1)));
    let one = MatchRequest { ticket: ticket.clone(), across: across.clone(), ..MatchRequest::default() };
    let reply = matching.r#match(one.clone()).await.unwrap().into_inner();
    let tickets = |reply: &MatchReply| reply.elsewhere.iter().map(|it| it.ticket).collect::<Vec<_>>();
    let in_naha: u64 = naha(7).parse().unwrap();
    assert_eq!(tickets(&reply), [in_naha]);
    assert_eq!((reply.elsewhere[0].shots.len(), reply.elsewhere[0].elsewhere.len()), (1, 0));
    let lines = vec![line(1).parse().unwrap(), 7, line(2).parse().unwrap(), line(99).parse().unwrap()];
    let many = MatchManyRequest { lines, known_at: None, across: across.clone() };
    let replies = matching.match_many(tokio_stream::once(many)).await.unwrap().into_inner().message().await;
    let replies = replies.unwrap().unwrap().replies;
    assert_eq!(replies.iter().map(tickets).collect::<Vec<_>>(), [vec![in_naha], vec![], vec![], vec![]]);
    let get = GetLedgerRequest { municipality: CHIYODA.parse().unwrap(), known_at: None, across };
    let page = LedgersClient::new(channel).get(get).await.unwrap().into_inner().message().await;
    assert_eq!(page.unwrap().unwrap().tickets.iter().map(tickets).collect::<Vec<_>>(), [vec![in_naha], vec![]]);

    let moment = Some(Moment { moment: Some(At::Sequence(2)) });
    let refused = matching.r#match(MatchRequest { known_at: moment, ..one.clone() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let nothing = Some(Across { purpose: "　".into(), who: String::new() });
    let refused = matching.r#match(MatchRequest { across: nothing, ..one }).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    drop(server);
    assert_eq!(accesses(&store).len(), 5, "1, then 1 and 2, then 1 and 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_question_came_from_is_kept_whatever_is_said_of_who() {
    let folder = Folder::new();
    let store = moved(&folder);
    let server = Server::start(&store);
    let channel = server.channel().await;
    let mut matching = MatchingClient::new(channel);
    let across = Some(Across { purpose: "転入".into(), who: "窓".repeat(300) });
    let ticket = Some(MatchTicket::LineText(line(1)));
    matching.r#match(MatchRequest { ticket, across, ..MatchRequest::default() }).await.unwrap();
    drop(server);
    let who = accesses(&store)[0]["who"].as_str().unwrap().to_owned();
    assert!(who.starts_with("窓窓") && who.contains(" at 127.0.0.1:"), "{who}");
}

#[test]
fn a_reissued_person_of_a_ledger_is_joined_once() {
    let folder = Folder::new();
    let store = moved(&folder);
    let reissued = Person::new(9).with(|it| it.change = "再発行".into());
    let file = folder.write("reissued.csv", crate::people::reissues(&[("0000000001", reissued)]));
    sesshu!["apply", "--store", store, file].code(0);
    let asked = ["--across", "--purpose", "転入", "--json"];
    let ledger = sesshu!["ledger", "--store", store, CHIYODA, asked[0], asked[1], asked[2], asked[3]].code(0).objects();
    let joined: Vec<usize> = ledger.iter().map(|it| elsewhere(it).len()).collect();
    assert_eq!(joined, [0, 0, 1], "by the valid ticket: {ledger:?}");
    for number in [1, 9] {
        let found = sesshu!["match", "--store", store, line(number), asked[0], asked[1], asked[2], asked[3]].code(0);
        assert_eq!(elsewhere(&found.object()), [(&*naha(7), 1)]);
    }
}

#[test]
fn a_match_and_what_is_known_elsewhere_are_of_one_moment() {
    let folder = Folder::new();
    let store = moved(&folder);
    let server = Server::start(&store);
    let client = sesshu::client::Client::connect(&server.url).unwrap();
    let id: u64 = sesshu!["match", "--server", server.url, line(1), "--json"].code(0).object()["shots"][0]["shot_id"]
        .as_u64()
        .unwrap();
    let tickets: [u64; 2] = [ticket(1).parse().unwrap(), naha(7).parse().unwrap()];
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        // The shot goes to and fro between the two tickets of the person.
        scope.spawn(|| {
            let client = sesshu::client::Client::connect(&server.url).unwrap();
            for at in (0..2).cycle() {
                let act = sesshu_proto::v1::AmendRequest {
                    of: Some(sesshu_proto::v1::ShotReference { ticket: tickets[at], shot_id: id }),
                    act: Some(sesshu_proto::v1::amend_request::Act::Reassign(tickets[1 - at])),
                    who: "係員".into(),
                    reason: "往復".into(),
                    authority: sesshu_proto::v1::Authority::MunicipalityStaff.into(),
                    ..Default::default()
                };
                client.amend(vec![act], false).unwrap();
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
            }
        });
        let across = Across { purpose: "転入".into(), who: "窓口".into() };
        let asked = [sesshu_engine::ticket::TicketLine::parse(&line(1)).unwrap()];
        for _ in 0..300 {
            let reply = client.match_lines(&asked, None, Some(&across)).unwrap().remove(0);
            let shots = reply.shots.iter().chain(reply.elsewhere.iter().flat_map(|person| &person.shots));
            assert_eq!(shots.filter(|shot| shot.shot_id == id).count(), 1, "{reply:?}");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
