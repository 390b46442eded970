//! Tickets and shots over gRPC: which status a wrong request gets, what its message names, and that nothing was recorded.

use sesshu_proto::v1::ledgers_client::LedgersClient;
use sesshu_proto::v1::match_request::Ticket as MatchTicket;
use sesshu_proto::v1::record_request::Ticket as RecordTicket;
use sesshu_proto::v1::{
    GetLedgerRequest, MatchManyRequest, MatchOutcome, MatchRequest, RecordManyRequest, RecordOutcome, RecordRequest,
    Shot,
};
use tokio_stream::iter;
use tonic::{Code, Status};

use crate::served::{Served, request};

#[track_caller]
fn says(status: &Status, code: Code, words: &[&str]) {
    assert_eq!(status.code(), code, "{status:?}");
    assert!(words.iter().all(|word| status.message().contains(word)), "{words:?} were to be told: {status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_none_is_an_invalid_argument() {
    let served = Served::with(1).await;
    let text = |text: &str| Some(MatchTicket::LineText(text.into()));
    for (ticket, words) in [
        (None, &["18 digits"][..]),
        (text(""), &["18 digits"]),
        (text("nonsense"), &["'n'", "not a digit"]),
        (text("2113101600000000011"), &["19 were found"]),
        (text("211310170000000001"), &["digit 8", "check digit"]),
        (text("211399980000000001"), &["139998", "list of municipalities"]),
        (text("211300010000000001"), &["130001", "prefecture"]),
        (Some(MatchTicket::Line(211_310_170_000_000_001)), &["digit 8"]),
        (Some(MatchTicket::Line(u64::MAX)), &["18 digits"]),
    ] {
        let status =
            served.matching().r#match(MatchRequest { ticket, known_at: None, across: None }).await.unwrap_err();
        says(&status, Code::InvalidArgument, words);
    }
    served.still_holds(1, 0).await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_answers_an_invalid_line_in_its_place() {
    let served = Served::with(2).await;
    let line = |number: u64| 211_310_160_000_000_000 + number;
    let lines = vec![line(2), 0, line(9), line(1)];
    let mut replies = served
        .matching()
        .match_many(iter([MatchManyRequest { lines, known_at: None, across: None }]))
        .await
        .unwrap()
        .into_inner();
    let replies = replies.message().await.unwrap().unwrap().replies;
    let outcomes: Vec<MatchOutcome> = replies.iter().map(|reply| reply.outcome()).collect();
    let matched = MatchOutcome::Matched;
    assert_eq!(outcomes, [matched, MatchOutcome::Invalid, MatchOutcome::NotFound, matched]);
    assert_eq!(replies[3].ticket, 1_310_160_000_000_001);

    let many = MatchManyRequest { lines: vec![line(1); 4097], known_at: None, across: None };
    let mut replies = served.matching().match_many(iter([many])).await.unwrap().into_inner();
    says(&replies.message().await.unwrap_err(), Code::InvalidArgument, &["4097", "4096"]);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shot_that_cannot_be_kept_is_an_invalid_argument_that_names_the_field() {
    let served = Served::with(1).await;
    type Change = fn(&mut Shot);
    let cases: [(Change, &[&str]); 12] = [
        (|shot| shot.date = 20_210_230, &["接種日", "2021-02 has no day 30"]),
        (|shot| shot.date = 0, &["接種日"]),
        (|shot| shot.dose = 0, &["接種回数"]),
        (|shot| shot.dose = 100, &["接種回数", "99"]),
        (|shot| shot.vaccine = "薬".repeat(21), &["メーカー", "21 characters"]),
        (|shot| shot.lot = "L".repeat(21), &["ロット番号"]),
        (|shot| shot.venue = "場".repeat(31), &["会場名"]),
        (|shot| shot.institution = "12345678901".into(), &["医療機関コード"]),
        (|shot| shot.doctor = "医\n師".into(), &["医師名", "control character"]),
        (|shot| shot.capture_id = "読取".into(), &["読取ID"]),
        (|shot| shot.recorded_by = "u".repeat(41), &["recorded_by"]),
        (|shot| shot.source = 77, &["source"]),
    ];
    for (change, words) in cases {
        let status = served.shot_log().record(request(1, "x", change)).await.unwrap_err();
        says(&status, Code::InvalidArgument, words);
    }
    let line = Some(RecordTicket::Line(211_310_170_000_000_001));
    for (bad, word) in [
        (RecordRequest { ticket: line, ..request(1, "x", |_| {}) }, "digit 8"),
        (RecordRequest { ticket: None, ..request(1, "x", |_| {}) }, "ticket line"),
        (RecordRequest { shot: None, ..request(1, "x", |_| {}) }, "接種日"),
    ] {
        says(&served.shot_log().record(bad).await.unwrap_err(), Code::InvalidArgument, &[word]);
    }
    served.still_holds(1, 0).await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_id_with_other_content_already_exists() {
    let served = Served::with(1).await;
    let first = served.shot_log().record(request(1, "a", |_| {})).await.unwrap().into_inner();
    let again = served.shot_log().record(request(1, "a", |_| {})).await.unwrap().into_inner();
    assert_eq!((again.outcome(), again.shot_id), (RecordOutcome::AlreadyRecorded, first.shot_id));
    assert_eq!(again.recorded_at, first.recorded_at);
    let status = served.shot_log().record(request(1, "a", |shot| shot.dose = 2)).await.unwrap_err();
    says(&status, Code::AlreadyExists, &["capture id", &first.shot_id.to_string()]);
    served.still_holds(1, 1).await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_answers_a_bad_shot_in_its_place_and_records_the_others() {
    let served = Served::with(3).await;
    let bad = request(2, "b", |shot| shot.date = 20_210_230);
    let shots = vec![request(1, "a", |_| {}), bad, request(9, "c", |_| {}), request(3, "d", |_| {})];
    let requests = iter([
        RecordManyRequest { shots, without_residents: false },
        RecordManyRequest { shots: vec![request(1, "a", |_| {})], without_residents: false },
    ]);
    let mut replies = served.shot_log().record_many(requests).await.unwrap().into_inner();
    let mut outcomes = Vec::new();
    while let Some(batch) = replies.message().await.unwrap() {
        outcomes.push(batch.replies.iter().map(|reply| reply.outcome()).collect::<Vec<_>>());
    }
    use RecordOutcome::{AlreadyRecorded, Invalid, Orphan, Recorded};
    assert_eq!(outcomes, [vec![Recorded, Invalid, Orphan, Recorded], vec![AlreadyRecorded]]);
    served.still_holds(2, 0).await;
    served.still_holds(3, 1).await;

    let shots = vec![request(1, "z", |_| {}); 4097];
    let mut replies = served
        .shot_log()
        .record_many(iter([RecordManyRequest { shots, without_residents: false }]))
        .await
        .unwrap()
        .into_inner();
    says(&replies.message().await.unwrap_err(), Code::InvalidArgument, &["4097", "4096"]);
    served.still_holds(1, 1).await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_municipality_has_no_ledger() {
    let served = Served::with(1).await;
    let mut ledgers = LedgersClient::new(served.channel.clone());
    for (municipality, word) in [(131_017, "check digit"), (139_998, "139998"), (0, ""), (9_999_999, "6 digits")] {
        let status = ledgers.get(GetLedgerRequest { municipality, known_at: None, across: None }).await.unwrap_err();
        says(&status, Code::InvalidArgument, &[word]);
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_store_takes_no_shots_and_still_answers() {
    let served = Served::with(1).await;
    served.shot_log().record(request(1, "a", |_| {})).await.unwrap();
    served.store.close().unwrap();
    let status = served.shot_log().record(request(1, "b", |_| {})).await.unwrap_err();
    says(&status, Code::Unavailable, &["closing"]);
    served.still_holds(1, 1).await;
    served.stop().await;
}
