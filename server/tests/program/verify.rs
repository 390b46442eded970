//! `sesshu verify`: the same on a closed store and on a server, what it says, and the exit codes that scripts rely on.

use std::fs;
use std::os::unix::fs::FileExt as _;

use crate::people::store_of;
use crate::process::{Folder, Server, sesshu};

/// Changes one byte of a generation's entries.
fn damage(store: &str) {
    let path = format!("{store}/ledgers/131016/000001.gen");
    let file = fs::OpenOptions::new().write(true).open(path).expect("the generation is there");
    file.write_all_at(&[0xff], 8192 + 40).expect("a byte is written");
}

#[test]
fn a_whole_store_is_told_so_and_a_damaged_one_where_and_whom_it_concerns() {
    let folder = Folder::new();
    let store = store_of(&folder, 30);
    let served = folder.copy_store("store", "served");
    let server = Server::start(&served);
    for (option, place, directory) in [("--store", &*store, &store), ("--server", &*server.url, &served)] {
        let whole = sesshu!["verify", option, place].code(0).stdout;
        assert!(whole.starts_with("whole: ") && whole.contains(" 30 tickets in generations, 1 events"), "{whole}");
        let summary = sesshu!["verify", option, place, "--json"].code(0).object();
        assert_eq!((summary["findings"].as_u64(), summary["sequence"].as_u64()), (Some(0), Some(1)), "{summary}");
        damage(directory);
        let told = sesshu!["verify", option, place].code(3).stdout;
        let expected = "ledgers/131016/000001.gen: byte 8192: the frame's checksum does not match; 131016 東京都千代田区; 1 ticket is concerned; repair takes it from a snapshot, or gives it up\n1 finding: ";
        assert!(told.starts_with(expected), "{told}");
        let objects = sesshu!["verify", option, place, "--json"].code(3).objects();
        let [finding, summary] = &objects[..] else { panic!("{objects:?}") };
        assert_eq!((finding["municipality"].as_str(), finding["tickets"].as_u64()), (Some("131016"), Some(1)));
        assert_eq!((finding["remedy"].as_str(), summary["findings"].as_u64()), (Some("replace"), Some(1)));
    }
    // What was found is in the status of the server, and of nobody else.
    let status = sesshu!["status", "--server", server.url, "--json"].code(0).object();
    assert_eq!(status["findings"][0]["file"], "ledgers/131016/000001.gen", "{status}");
    let told = sesshu!["status", "--server", server.url].code(0).stdout;
    assert!(told.contains(", 1 findings") && told.contains("  ledgers/131016/000001.gen: byte 8192: "), "{told}");
    assert!(server.log().contains("the store is damaged"), "{}", server.log());
    let told = sesshu!["status", "--store", store].code(0).stdout;
    assert!(told.contains("not since it was opened"), "{told}");
}

#[test]
fn a_server_verifies_its_store_by_itself_and_a_store_in_use_is_its_servers_to_verify() {
    let folder = Folder::new();
    let store = store_of(&folder, 30);
    let server = Server::start_with(&store, &["--scrub-every", "1", "--scrub-limit", "1"], "info");
    sesshu!["verify", "--store", store].code(2).saying(&["in use by another process", "use --server"]);
    sesshu!["verify", "--server", server.url, "--limit", "100"].code(0);
    let status = sesshu!["status", "--server", server.url, "--json"].code(0).object();
    assert!(status["verified_at"].is_string() && status["verified"]["findings"] == 0, "{status}");
    sesshu!["verify", "--store", store, "--limit", "1"].code(2).saying(&["--server"]);
    let (code, ..) = server.stop();
    assert_eq!(code, Some(0), "the thread that verifies ends with the server");
    sesshu!["verify", "--store", store].code(0);
    sesshu!["verify", "--store", folder.path("nowhere")].code(2).saying(&["no store at"]);
}
