//! `sesshu record`: one shot or a file of them; idempotency, orphans, and what is told of each row.

use serde_json::{Value, json};

use crate::people::{Person, ShotLine, line, record, register, shots, still_there, store_of, ticket};
use crate::process::{Folder, sesshu};

fn answer(object: &Value) -> (&str, &str) {
    (object["ticket"].as_str().unwrap(), object["outcome"].as_str().unwrap())
}

#[test]
fn a_shot_is_recorded_once_however_often_it_is_sent() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let first = record(&store, 1, "capture-1").code(0).object();
    assert_eq!(answer(&first), (&*ticket(1), "recorded"));
    let keys: Vec<&String> = first.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["id", "outcome", "reason", "recorded_at", "resident", "sequence", "shot_id", "ticket", "warnings"]
    );
    let again = record(&store, 1, "capture-1").code(0).object();
    assert_eq!(answer(&again), (&*ticket(1), "already_recorded"));
    let told = |of: &Value| ["shot_id", "sequence", "recorded_at"].map(|field| of[field].clone());
    assert_eq!(told(&again), told(&first), "the shot's own, the commit time too");
    let shown = sesshu!["match", "--store", store, line(1), "--json"].code(0).object();
    assert_eq!(first["recorded_at"], shown["shots"][0]["recorded_at"]);
    still_there(&store, 1, 1);
    record(&store, 1, "capture-2").code(0);
    still_there(&store, 1, 2);
}

#[test]
fn a_capture_id_with_other_content_is_refused_and_names_the_shot() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let first = record(&store, 1, "capture-1").code(0).object();
    let other = sesshu![
        "record",
        "--store",
        store,
        "--ticket",
        line(1),
        "--date",
        "2021-05-03",
        "--dose",
        "2",
        "--vaccine",
        "モデルナ",
        "--lot",
        "3000",
        "--venue",
        "別会場",
        "--capture-id",
        "capture-1",
        "--json"
    ];
    let other = other.code(2).saying(&["capture id", &first["shot_id"].to_string()]).object();
    assert_eq!((answer(&other), &other["shot_id"]), ((&*ticket(1), "invalid"), &first["shot_id"]));
    still_there(&store, 1, 1);
}

#[test]
fn an_orphan_matches_by_itself_when_its_row_arrives() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let recorded = record(&store, 5, "early").code(0).object();
    assert_eq!(answer(&recorded), (&*ticket(5), "orphan"));
    let before = sesshu!["match", "--store", store, line(5), "--json"].code(1).object();
    assert_eq!((&before["outcome"], &before["resident"]), (&"orphan".into(), &Value::Null));
    let file = folder.write("second.csv", register(&[Person::new(1), Person::new(5)]));
    sesshu!["load", "--store", store, file].code(0);
    let after = sesshu!["match", "--store", store, line(5), "--json"].code(0).object();
    assert_eq!((&after["outcome"], &after["shots"]), (&"matched".into(), &before["shots"]));
}

#[test]
fn a_file_is_answered_row_by_row_in_order_and_then_summed_up() {
    let folder = Folder::new();
    let store = store_of(&folder, 3);
    record(&store, 3, "held").code(0);
    let rows = [
        ShotLine::new(1, "a"),
        ShotLine::new(2, "b").with(|shot| shot.date = "20210230".into()),
        ShotLine::new(9, "c"),
        ShotLine::new(1, "a"),
        ShotLine::new(1, "d").with(|shot| shot.ticket = "211310170000000001".into()),
        ShotLine::new(3, "held").with(|shot| shot.dose = "2".into()),
        ShotLine::new(2, "e"),
    ];
    let (file, rejects) = (folder.write("shots.csv", shots(&rows)), folder.path("rejects.csv"));
    let ended = sesshu!["record", "--store", store, "--file", file, "--rejects", rejects, "--json"].code(1);
    let objects = ended.objects();
    let answers: Vec<_> = objects[..7].iter().map(answer).collect();
    let expected = [
        (&*ticket(1), "recorded"),
        (&*line(2), "invalid"),
        (&*ticket(9), "orphan"),
        (&*ticket(1), "already_recorded"),
        ("211310170000000001", "invalid"),
        (&*ticket(3), "invalid"),
        (&*ticket(2), "recorded"),
    ];
    assert_eq!(answers, expected);
    let warned = json!({"ticket_not_in_register": 1});
    assert_eq!(
        objects[7],
        json!({
            "recorded": 3, "orphans": 1, "provisional": 0, "already_recorded": 1, "invalid": 3, "with_warnings": 1, "warnings": warned
        })
    );
    assert_eq!(objects[3]["shot_id"], objects[0]["shot_id"]);
    assert!(objects[1]["reason"].as_str().unwrap().starts_with("line 3: 接種日"), "{}", objects[1]);

    let text = std::fs::read_to_string(rejects).unwrap();
    let rejected: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.splitn(4, ',').collect()).collect();
    let told: Vec<[&str; 3]> = rejected.iter().map(|row| [row[0], row[1], row[2]]).collect();
    let expected =
        [["3", "接種日", "not_a_date"], ["6", "接種券", "check_digit"], ["7", "読取ID", "capture_id_conflict"]];
    assert_eq!(told, expected);
    let again = sesshu!["record", "--store", store, "--file", file, "--json"].code(1).objects();
    let nothing = json!({
        "recorded": 0, "orphans": 0, "provisional": 0, "already_recorded": 4, "invalid": 3, "with_warnings": 0, "warnings": {}
    });
    assert_eq!(again[7], nothing);
}

#[test]
fn shots_without_optional_columns_and_in_cp932_are_recorded() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let text = format!(
        "会場名,ロット番号,メーカー,接種回数,接種日,接種券\n体育館, et 3674 ,ファイザー,１,2021-04-12,{}\n",
        line(1)
    );
    let file = folder.write("shots.csv", crate::people::cp932(&text));
    let objects = sesshu!["record", "--store", store, "--file", file, "--json"].code(0).objects();
    assert_eq!(answer(&objects[0]), (&*ticket(1), "recorded"));
    let shot = &sesshu!["match", "--store", store, line(1), "--json"].code(0).object()["shots"][0];
    assert_eq!(
        (&shot["venue"], &shot["lot"], &shot["source"]),
        (&"体育館".into(), &" et 3674 ".into(), &"file".into())
    );
}

#[test]
fn a_store_is_made_for_the_first_shot() {
    let folder = Folder::new();
    let store = folder.path("new");
    let ended = record(&store, 1, "first").code(0).saying(&["made the key"]);
    assert_eq!(answer(&ended.object()), (&*ticket(1), "orphan"));
}

#[test]
fn arguments_that_do_not_go_together_are_refused() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    sesshu!["record", "--store", store].code(2);
    sesshu!["record", "--store", store, "--ticket", line(1)].code(2).saying(&["error"]);
    sesshu!["record", "--store", store, "--file", "shots.csv", "--dose", "1"].code(2);
}
