//! `sesshu demo`: the proof it prints holds, and it leaves what it was asked to leave.

use crate::process::{Folder, sesshu};

#[test]
fn every_acknowledged_shot_is_present_once_after_the_demos_kill() {
    let folder = Folder::new();
    let kept = folder.path("kept");
    let ended = sesshu!["demo", "--keep", kept, "--json"].code(0);
    let proof = ended.objects().pop().unwrap();
    assert!(proof["acknowledged"].as_u64().unwrap() > 1000, "{proof}");
    assert_eq!((&proof["present"], &proof["twice"]), (&proof["acknowledged"], &0.into()), "{proof}");
    for name in ["rows_per_second", "match_engine_ns", "match_grpc_ns", "record_ns", "bare_fdatasync_ns"] {
        assert!(!proof[name].is_null(), "{name} in {proof}");
    }
    let status = sesshu!["status", "--store", format!("{kept}/store"), "--json"].code(0).object();
    let held = proof["acknowledged"].as_u64().unwrap() + proof["unacknowledged"].as_u64().unwrap();
    assert_eq!((status["shots"].as_u64().unwrap(), &status["residents"]), (held, &proof["rows"]));
    sesshu!["demo", "--keep", kept].code(2).saying(&[&kept, "not empty"]);
}
