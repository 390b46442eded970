//! `sesshu find` and `sesshu access`: people are found by what staff type, and come back as their register wrote them.

use crate::people::{CHIYODA, Person, cp932, register, store_of, ticket};
use crate::process::{Ended, Folder, Server, command, run, sesshu};

const KANA: &str = "ﾜﾀﾅﾍﾞ ﾊﾅｺ";

/// Names as old registers have them: IBM's extension characters, half-width kana, a character of the municipality's own (外字).
fn awkward() -> Vec<u8> {
    let people = [
        Person::new(1).with(|it| (it.name, it.name_kana) = ("髙橋　黑子".into(), "タカハシ　クロコ".into())),
        Person::new(2).with(|it| (it.name, it.name_kana) = ("山﨑 德太郎".into(), "やまさき　とくたろう".into())),
        Person::new(3).with(|it| (it.name, it.name_kana) = ("渡邊 \u{e000}子".into(), KANA.into())),
        Person::new(4).with(|it| (it.name, it.name_kana) = ("仮名・ジョー".into(), "カメイ　ジョ‐".into())),
    ];
    cp932(&register(&people))
}

fn found(ended: &Ended) -> Vec<String> {
    let objects = ended.objects();
    let (last, people) = objects.split_last().unwrap();
    assert_eq!(last["found"], people.len(), "{ended:#?}");
    people.iter().map(|person| person["ticket"].as_str().unwrap().to_owned()).collect()
}

/// The store and a server on a copy of it.
fn places(folder: &Folder, store: &str) -> (Server, [[String; 2]; 2]) {
    let server = Server::start(&folder.copy_store("store", "served"));
    let places = [["--store".to_owned(), store.to_owned()], ["--server".to_owned(), server.url.clone()]];
    (server, places)
}

fn ask(place: &[String; 2], arguments: &[&str], input: &str) -> Ended {
    let all = [&["find", &place[0], &place[1]], arguments, &["--json"]].concat();
    run(command(all.into_iter().map(AsRef::as_ref)), input)
}

#[test]
fn awkward_names_of_a_cp932_register_are_found_by_what_staff_type_and_come_back_as_written() {
    let folder = Folder::new();
    let (store, file) = (folder.path("store"), folder.write("register.csv", awkward()));
    sesshu!["load", "--store", store, file].code(0);
    let (_server, places) = places(&folder, &store);
    for place in &places {
        for (arguments, numbers) in [
            (&["--name", "高橋黒子"][..], &[1][..]),
            (&["--name", "髙橋 黑子", "--municipality", CHIYODA, "--birth-date", "1956-02-03"], &[1]),
            (&["--name", "高橋黒子", "--birth-date", "19560204"], &[]),
            (&["--name", "山崎徳太郎"], &[2]),
            (&["--name", "渡辺\u{e000}子"], &[3]),
            (&["--name", "仮名じょー"], &[4]),
            (&["--name-kana", "たかはし くろこ", "--birth-date", "19560203"], &[1]),
            (&["--name-kana", "ﾔﾏｻｷﾄｸﾀﾛｳ", "--birth-date", "19560203"], &[2]),
            (&["--name-kana", "わたなべ　はなこ", "--birth-date", "19560203", "--municipality", CHIYODA], &[3]),
            (&["--name-kana", "カメイジョー", "--birth-date", "19560203"], &[4]),
            (&["--kana-prefix", "ﾔﾏ", "--municipality", CHIYODA], &[2]),
            (&["--kana-prefix", "", "--municipality", CHIYODA], &[4, 1, 2, 3]),
            (&["--kana-prefix", "", "--municipality", "472018"], &[]),
            (&["--resident-number", "A000003", "--municipality", CHIYODA], &[3]),
            (&["--resident-number", "A000003", "--municipality", "472018"], &[]),
        ] {
            let ended = ask(place, arguments, "").code(i32::from(numbers.is_empty()));
            assert_eq!(
                found(&ended),
                numbers.iter().map(|&number| ticket(number)).collect::<Vec<_>>(),
                "{arguments:?}"
            );
        }
        let third = ask(place, &["--kana-prefix", "ワタ", "--municipality", CHIYODA], "").code(0).objects();
        assert_eq!(third[0]["resident"]["name"], "渡邊 \u{e000}子");
        assert_eq!(third[0]["resident"]["name_kana"], KANA);
        let limited = ask(place, &["--kana-prefix", "", "--municipality", CHIYODA, "--limit", "2"], "").code(0);
        assert_eq!((found(&limited).len(), &limited.objects()[2]["more"]), (2, &true.into()));
    }
    let both = places.each_ref().map(|place| {
        sesshu!["find", place[0], place[1], "--name-kana", "タカハシクロコ", "--birth-date", "19560203"].code(0).stdout
    });
    assert_eq!(both[0], both[1]);
    assert!(both[0].starts_with(&format!("{}  matched  髙橋　黑子 (タカハシ　クロコ)", ticket(1))), "{}", both[0]);
    let few = sesshu!["find", "--store", store, "--kana-prefix", "", "--municipality", CHIYODA, "--limit", "1"].code(0);
    assert!(few.stdout.ends_with("there are more: --limit N shows as many\n"), "{few:#?}");
    let none = sesshu!["find", "--store", store, "--name", "誰も居ない"].code(1);
    assert_eq!(none.stdout, "nobody was found\n");
}

#[test]
fn a_question_that_is_none_is_refused() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let (_server, places) = places(&folder, &store);
    for place in &places {
        for (arguments, says) in [
            (&["--resident-number", "1"][..], "--municipality"),
            (&["--kana-prefix", "ヤ"], "--municipality"),
            (&["--name-kana", "ヤ"], "--birth-date"),
            (&["--name", "試験一子", "--birth-date", "1956"], "YYYYMMDD"),
            (&["--name", "試験一子", "--birth-date", "19561399"], "--birth-date"),
            (&["--name", "試験一子", "--municipality", "131017"], "check digit"),
            (&["--name", "試験一子", "--limit", "10001"], "10000"),
            (&["--resident-number", "", "--municipality", CHIYODA], "resident number"),
            (&["--my-number-stdin"], "--purpose"),
            (&["--my-number-stdin", "--purpose", " "], "purpose"),
            (&["--name", "試験一子", "--purpose", "x"], "--my-number-stdin"),
            (&["--name", "a", "--resident-number", "1", "--municipality", CHIYODA], "--resident-number"),
            (&[], "required"),
        ] {
            let ended = ask(place, arguments, "123456789018\n").code(2);
            assert!(ended.stderr.contains(says), "{arguments:?}: {ended:#?}");
        }
        let ended = ask(place, &["--my-number-stdin", "--purpose", "転入"], "123456789012\n").code(2);
        assert!(ended.stderr.contains("check digit") && !ended.stderr.contains("1234"), "{ended:#?}");
    }
}

#[test]
fn a_my_number_is_found_everywhere_and_the_access_log_tells_of_it() {
    let folder = Folder::new();
    let store = folder.path("store");
    let naha = Person::new(7).with(|it| it.municipality = "472018".into());
    let other = Person::new(8).with(|it| (it.municipality, it.my_number) = ("472018".into(), "621498320257".into()));
    let files = [("first.csv", vec![Person::new(3)]), ("second.csv", vec![naha, other])];
    for (name, people) in files {
        sesshu!["load", "--store", store, folder.write(name, register(&people))].code(0);
    }
    let (server, places) = places(&folder, &store);
    let asked = ["--my-number-stdin", "--purpose", "転入者の接種歴"];
    for place in &places {
        let ended = ask(place, &asked, "1234-5678-9018\n").code(0);
        assert_eq!(found(&ended), [ticket(3), "4720180000000007".into()]);
        assert!(!ended.stdout.contains("123456789018"));
        let nobody = ask(place, &asked, "000000000060").code(1);
        assert_eq!(nobody.objects().len(), 1);
    }
    drop(server);
    for (store, from) in [(&store, false), (&folder.path("served"), true)] {
        let entries = sesshu!["access", "--store", store, "--json"].code(0).objects();
        assert_eq!(entries.len(), 2);
        for (at, entry) in entries.iter().enumerate() {
            assert_eq!((&entry["sequence"], &entry["found"]), (&(at + 1).into(), &(2 - 2 * at).into()), "{entry}");
            assert_eq!(entry["purpose"], "転入者の接種歴");
            assert_eq!(entry["who"].as_str().unwrap().contains("127.0.0.1"), from, "{entry}");
        }
        let text = sesshu!["access", "--store", store].code(0).stdout;
        assert!(text.lines().all(|line| line.ends_with("  転入者の接種歴")), "{text}");
    }
}

#[test]
fn without_the_key_everything_but_my_numbers_is_found() {
    let folder = Folder::new();
    let store = store_of(&folder, 2);
    std::fs::remove_file(format!("{store}.key")).unwrap();
    let place = ["--store".to_owned(), store.clone()];
    ask(&place, &["--resident-number", "A000002", "--municipality", CHIYODA], "").code(0);
    ask(&place, &["--name", "試験二子"], "").code(0);
    let refused = ask(&place, &["--my-number-stdin", "--purpose", "転入"], "123456789018").code(2);
    refused.saying(&["key file", "missing", "--key-file"]);
    assert_eq!(sesshu!["access", "--store", store].code(0).stdout, "", "what was not answered is not in the log");
}
