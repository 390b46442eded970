//! Registers over gRPC: a conversation that ends in any way but a commit leaves the ledger as it was.

use sesshu_proto::v1::load_snapshot_reply::Step as Reply;
use sesshu_proto::v1::load_snapshot_request::Step;
use sesshu_proto::v1::{
    LoadCommit, LoadOpen, LoadRows, LoadSnapshotReply, LoadSnapshotRequest, MatchOutcome, RegisterRow, Resident,
};
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};

use crate::served::Served;

const CHIYODA: u32 = 131_016;

fn open(municipality: u32, expected_rows: u64) -> Step {
    Step::Open(LoadOpen { municipality, expected_rows, ..LoadOpen::default() })
}

fn row(number: u64, change: impl FnOnce(&mut RegisterRow)) -> RegisterRow {
    let resident = Resident { name: "試験 新子".into(), birth_date: 19_560_203, ..Resident::default() };
    let mut row = RegisterRow { number, my_number: 123_456_789_018, line: number + 1, resident: Some(resident) };
    change(&mut row);
    row
}

fn rows(rows: Vec<RegisterRow>) -> Step {
    Step::Rows(LoadRows { rows, ..LoadRows::default() })
}

/// Holds a conversation; the replies up to its end, and how it ended.
async fn converse(served: &Served, steps: Vec<Step>) -> (Vec<Reply>, Option<Status>) {
    let requests = tokio_stream::iter(steps.into_iter().map(|step| LoadSnapshotRequest { step: Some(step) }));
    let mut stream = served.register().load_snapshot(requests).await.unwrap().into_inner();
    let mut replies = Vec::new();
    while let Some(reply) = stream.next().await {
        match reply {
            Ok(LoadSnapshotReply { step }) => replies.push(step.unwrap()),
            Err(status) => return (replies, Some(status)),
        }
    }
    (replies, None)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_out_of_order_loads_nothing() {
    let served = Served::with(2).await;
    let one = || rows(vec![row(1, |_| {}), row(77, |_| {})]);
    let commit = || Step::Commit(LoadCommit::default());
    for (steps, code, word) in [
        (vec![], Code::InvalidArgument, "begins with `open`"),
        (vec![one()], Code::InvalidArgument, "begins with `open`"),
        (vec![commit()], Code::InvalidArgument, "begins with `open`"),
        (vec![open(131_017, 0)], Code::InvalidArgument, "check digit"),
        (vec![open(139_998, 0)], Code::InvalidArgument, "139998"),
        (vec![open(CHIYODA, 0), one(), open(CHIYODA, 0)], Code::InvalidArgument, "one load a stream"),
        (vec![open(CHIYODA, 0), one()], Code::InvalidArgument, "nothing was loaded"),
        (vec![open(CHIYODA, 3), one(), commit()], Code::InvalidArgument, "2 rows came where 3"),
        (vec![open(CHIYODA, 0), commit()], Code::InvalidArgument, "not one row"),
        (vec![open(CHIYODA, 0), rows(vec![row(1, |_| {}); 8193])], Code::InvalidArgument, "8193"),
    ] {
        let (_, status) = converse(&served, steps).await;
        let status = status.unwrap();
        assert_eq!(status.code(), code, "{status:?}");
        assert!(status.message().contains(word), "{word}: {status:?}");
        served.still_holds(2, 0).await;
        assert_eq!(served.found(77).await.outcome(), MatchOutcome::NotFound);
    }
    let (replies, status) = converse(&served, vec![open(CHIYODA, 2), one(), commit()]).await;
    assert!(status.is_none() && replies.len() == 3, "{replies:?} {status:?}");
    served.still_holds(77, 0).await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_row_comes_back_and_its_resident_stays() {
    let served = Served::with(8).await;
    type Change = fn(&mut RegisterRow);
    let bad: [(Change, &str, &str); 7] = [
        (|row| row.my_number = 123_456_789_010, "個人番号", "check_digit"),
        (|row| row.my_number = 1 << 60, "個人番号", "not_digits"),
        (|row| row.resident.as_mut().unwrap().name = "字".repeat(61), "氏名", "over_long"),
        (|row| row.resident.as_mut().unwrap().birth_date = 20_210_230, "生年月日", "not_a_date"),
        (|row| row.resident.as_mut().unwrap().sex = 5, "性別", "unknown_value"),
        (|row| row.resident.as_mut().unwrap().status_date = 20_210_400, "異動日", "not_a_date"),
        (|row| row.resident = None, "氏名", "missing"),
    ];
    let mut sent = vec![row(8, |_| {})];
    sent.extend((1..).zip(&bad).map(|(number, (change, ..))| row(number, change)));
    let (replies, status) =
        converse(&served, vec![open(CHIYODA, 0), rows(sent), Step::Commit(LoadCommit::default())]).await;
    assert!(status.is_none(), "{status:?}");
    let [Reply::Opened(_), Reply::RowsTaken(taken), Reply::Committed(committed)] = &replies[..] else {
        panic!("{replies:?}")
    };
    for (number, (rejected, (_, column, code))) in (1..).zip(taken.rejected.iter().zip(&bad)) {
        assert_eq!((rejected.line, &*rejected.column, &*rejected.code), (number + 1, *column, *code), "{rejected:?}");
        assert!(!rejected.reason.contains("12345678901"), "{rejected:?}");
        served.still_holds(number, 0).await;
    }
    let summary = committed.summary.unwrap();
    assert_eq!((summary.accepted, summary.rejected, summary.kept), (1, 7, 7));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_load_of_the_same_municipality_already_exists() {
    let served = Served::with(1).await;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    sender.send(LoadSnapshotRequest { step: Some(open(CHIYODA, 0)) }).await.unwrap();
    let requests = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut first = served.register().load_snapshot(requests).await.unwrap().into_inner();
    assert!(first.message().await.unwrap().is_some());
    let (_, status) = converse(&served, vec![open(CHIYODA, 0)]).await;
    let status = status.unwrap();
    assert_eq!(status.code(), Code::AlreadyExists);
    assert!(status.message().contains("under way"), "{status:?}");
    drop(sender);
    let ended = first.message().await.unwrap_err();
    assert!(ended.message().contains("nothing was loaded"), "{ended:?}");
    served.still_holds(1, 0).await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_wrong_key_is_a_failed_precondition() {
    let served = Served::with(1).await;
    let key = std::fs::read(&served.key).unwrap();
    std::fs::remove_file(&served.key).unwrap();
    for (contents, word) in [(None, "missing"), (Some("00".repeat(32)), "not the key of this store")] {
        if let Some(contents) = contents {
            std::fs::write(&served.key, contents).unwrap();
        }
        let (_, status) = converse(&served, vec![open(CHIYODA, 0), rows(vec![row(1, |_| {})])]).await;
        let status = status.unwrap();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
        assert!(status.message().contains(word), "{status:?}");
        served.still_holds(1, 0).await;
    }
    std::fs::write(&served.key, key).unwrap();
    let commit = Step::Commit(LoadCommit::default());
    let (replies, status) = converse(&served, vec![open(CHIYODA, 1), rows(vec![row(1, |_| {})]), commit]).await;
    assert!(status.is_none() && replies.len() == 3, "{status:?}");
    served.stop().await;
}
