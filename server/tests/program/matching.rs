//! `sesshu match`: one object a line, in order, with exactly the fields that scripts rely on.

use serde_json::{Value, json};

use crate::people::{CHIYODA, Person, line, record, register, store_of, ticket};
use crate::process::{Folder, command, run, sesshu};

fn outcomes(objects: &[Value]) -> Vec<(&str, &str)> {
    objects.iter().map(|object| (object["ticket"].as_str().unwrap(), object["outcome"].as_str().unwrap())).collect()
}

#[test]
fn a_matched_ticket_shows_resident_and_shots_field_by_field() {
    let folder = Folder::new();
    let person = Person::new(12_345).with(|person| {
        (person.change, person.change_date) = ("転出".into(), "2021/04/01".into());
        (person.birth_date, person.protected) = ("19400000".into(), "1".into());
    });
    let (store, file) = (folder.path("store"), folder.write("register.csv", register(&[person])));
    sesshu!["load", "--store", store, file].code(0);
    let recorded = record(&store, 12_345, "capture-1").code(0).object();
    let answer = sesshu!["match", "--store", store, line(12_345), "--json"].code(0).object();
    let mut expected = json!({
        "ticket": "1310160000012345",
        "outcome": "matched",
        "reason": null,
        "resident": {
            "municipality": CHIYODA, "number": "0000012345", "resident_number": "A012345", "name": "試験 一子",
            "name_kana": "シケン タロウ", "birth_date": "1940-00-00", "sex": "female", "status": "moved_out",
            "status_date": "2021-04-01", "protected": true, "previous_numbers": [], "reissued_as": null
        },
        "tickets": [],
        "shots": [{
            "shot_id": recorded["shot_id"], "sequence": recorded["sequence"], "date": "2021-04-12", "dose": 1,
            "vaccine": "ファイザー", "lot": "ET3674", "venue": "区民ホール", "institution": "", "doctor": "", "provisional": null,
            "capture_id": "capture-1", "source": "api", "recorded_by": "", "line": line(12_345),
            "id": "1310160000012345-2", "state": "in_force", "confirmed": null, "reassigned_to": null, "held_writes": 0,
            "same_dose": false,
            "warnings": [{
                "kind": "moved_out", "reason": "the resident moved out on 2021-04-01", "date": "2021-04-01",
                "shot_id": null, "days": null, "days_min": null, "rule": null
            }]
        }]
    });
    let recorded_at = answer["shots"][0]["recorded_at"].as_str().unwrap();
    assert!(recorded_at.len() == 24 && recorded_at.ends_with('Z'), "{recorded_at}");
    expected["shots"][0]["recorded_at"] = recorded_at.into();
    assert_eq!(answer, expected);
}

#[test]
fn objects_come_in_the_order_of_the_lines_each_with_its_outcome() {
    let folder = Folder::new();
    let store = store_of(&folder, 3);
    record(&store, 9, "orphan").code(0);
    let wrong = "211310170000000001";
    let lines = [&line(2), "nonsense", &line(9), &line(7), wrong, &line(1)];
    let ended =
        sesshu!["match", "--store", store, lines[0], lines[1], lines[2], lines[3], lines[4], lines[5], "--json"];
    let objects = ended.code(1).objects();
    let expected = [
        (&*ticket(2), "matched"),
        ("nonsense", "invalid"),
        (&*ticket(9), "orphan"),
        (&*ticket(7), "not_found"),
        (wrong, "invalid"),
        (&*ticket(1), "matched"),
    ];
    assert_eq!(outcomes(&objects), expected);
    assert!(objects[4]["reason"].as_str().unwrap().contains("digit 8"), "{}", objects[4]);
    assert_eq!((&objects[2]["resident"], objects[2]["shots"].as_array().unwrap().len()), (&Value::Null, 1));
    assert_eq!((&objects[3]["shots"], &objects[3]["reason"]), (&json!([]), &Value::Null));

    let input = lines.join("\n");
    let mut reading = command(["match".as_ref(), "--store".as_ref(), store.as_ref(), "-".as_ref()]);
    let from_input = run(
        {
            reading.arg("--json");
            reading
        },
        &input,
    )
    .code(1);
    assert_eq!(from_input.objects(), objects);
}

#[test]
fn exit_codes_tell_all_matched_some_not_and_a_wrong_request() {
    let folder = Folder::new();
    let store = store_of(&folder, 2);
    record(&store, 9, "orphan").code(0);
    sesshu!["match", "--store", store, line(1)].code(0);
    sesshu!["match", "--store", store, line(1), line(2)].code(0);
    sesshu!["match", "--store", store, line(7)].code(1);
    sesshu!["match", "--store", store, line(9)].code(1);
    sesshu!["match", "--store", store, line(1), "X"].code(1);
    let single = sesshu!["match", "--store", store, "211310170000012345", "--json"].code(2).saying(&["digit 8"]);
    assert_eq!(single.object()["outcome"], "invalid");
    sesshu!["match", "--store", store].code(2);
    sesshu!["match", line(1)].code(2).saying(&["--store"]);
    sesshu!["match", "--store", store, "--server", "http://127.0.0.1:1", line(1)].code(2);
}

#[test]
fn spellings_of_a_keyboard_and_the_wrong_stub_find_the_same_ticket() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let plain = sesshu!["match", "--store", store, line(1), "--json"].code(0).stdout;
    for spelling in
        ["２１１３１０１６０００００００００１", "21 131016 0000000001", "21-131016-0000000001", "171310160000000001"]
    {
        assert_eq!(sesshu!["match", "--store", store, spelling, "--json"].code(0).stdout, plain, "{spelling}");
    }
}

#[test]
fn a_wards_code_finds_the_residents_of_its_city() {
    let folder = Folder::new();
    let sapporo = Person::new(1).with(|person| person.municipality = "011002".into());
    let (store, file) = (folder.path("store"), folder.write("register.csv", register(&[sapporo])));
    sesshu!["load", "--store", store, file].code(0);
    let by_ward = sesshu!["match", "--store", store, "210110110000000001", "--json"].code(0).object();
    assert_eq!((&by_ward["ticket"], &by_ward["outcome"]), (&"0110020000000001".into(), &"matched".into()));
}

#[test]
fn standard_input_takes_any_line_end_and_more_lines_than_a_batch() {
    let folder = Folder::new();
    let store = store_of(&folder, 3);
    let lines: Vec<String> = (0..10_000).map(|at| line(at % 3 + 1)).collect();
    let asked = |input: &str| {
        let arguments = ["match".as_ref(), "--store".as_ref(), store.as_ref(), "-".as_ref(), "--json".as_ref()];
        run(command(arguments), input).code(0).objects()
    };
    let objects = asked(&lines.join("\r\n"));
    let expected: Vec<String> = (0..10_000).map(|at| ticket(at % 3 + 1)).collect();
    assert!(objects.iter().map(|object| object["ticket"].as_str().unwrap()).eq(expected.iter().map(String::as_str)));
    assert!(asked("").is_empty());
}
