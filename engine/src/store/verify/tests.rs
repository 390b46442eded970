//! What no store ever writes, written on purpose: events that lead nowhere, and links with one end.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::ops::ControlFlow;
use std::path::Path;

use prost::Message as _;
use sesshu_proto::v1::{Resident, ResidentChange, Shot};

use super::{ClosedStore, Finding};
use crate::frame::{flag, kind};
use crate::log::{Recovery, Vouched, Writer};
use crate::platform::Platform;
use crate::store::{Store, manifest};
use crate::ticket::{Municipality, Ticket};
use crate::{CompactionPolicy, Options, ScrubPolicy};

/// An event that is appended to a store's log as it is: kind, flags, ticket number, way back, message.
type Forged = (u8, u8, u64, u64, Vec<u8>);

fn ticket(number: u64) -> Ticket {
    Ticket::new(Municipality::from_code(131_016).unwrap(), number).unwrap()
}

/// A new store with these events, verified.
fn findings(events: &[Forged]) -> Vec<Finding> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let options = Options { compaction: CompactionPolicy::NEVER, scrub: ScrubPolicy::NEVER, ..Options::default() };
    drop(Store::open(&path, options).unwrap());
    let platform = Platform { threads: false, ..Platform::real(&path) };
    let (_, mark) = manifest::read(&*platform.disk).unwrap().unwrap();
    let recovery = Recovery::begin(&*platform.disk, mark.id, Vouched::default()).unwrap();
    let (mut writer, _) = recovery.replay(&platform, None, &mut |_, _| Ok(())).unwrap();
    for (kind, flags, number, previous, message) in events {
        writer.begin(Writer::event_bytes(message.len()), 1_618_190_000_000).unwrap();
        writer.push(*kind, *flags, ticket(*number).to_bits(), *previous, message);
        let sealed = writer.seal();
        sealed.write().unwrap();
        writer.written(sealed);
    }
    drop(writer);
    let verified = ClosedStore::open(&path).unwrap().verify(&mut |_| ControlFlow::Continue(())).unwrap();
    verified.unwrap().findings
}

fn shot() -> Vec<u8> {
    Shot { date: 20_210_412, dose: 1, ..Shot::default() }.encode_to_vec()
}

fn row(previous_numbers: Vec<u64>, reissued_as: Option<u64>) -> Vec<u8> {
    let resident = Resident { name: "試験".into(), previous_numbers, reissued_as, ..Resident::default() };
    ResidentChange { resident: Some(resident), ..ResidentChange::default() }.encode_to_vec()
}

fn only(findings: &[Finding]) -> &Finding {
    let [finding] = findings else { panic!("{findings:?}") };
    finding
}

#[test]
fn an_event_that_does_not_name_the_one_before_it_is_found() {
    let orphan = |number| (kind::SHOT_RECORDED, flag::ORPHAN, number, 0, shot());
    assert_eq!(findings(&[orphan(7), orphan(8)]), []);
    let found = findings(&[orphan(7), (kind::SHOT_RECORDED, 0, 7, 0, shot())]);
    let Finding { damage, tickets, .. } = only(&found);
    assert_eq!((damage.what, *tickets), ("an event that does not name the one of its ticket before it", Some(1)));
    assert!(damage.file.starts_with(Path::new("log")) && damage.offset > 8192, "{damage}");
}

#[test]
fn a_link_with_one_end_is_found() {
    let change = |number, row| (kind::RESIDENT_CHANGED, flag::FIRST_ROW | flag::LINKED, number, 0, row);
    assert_eq!(findings(&[change(1, row(vec![], Some(2))), change(2, row(vec![1], None))]), []);
    for one_end in [row(vec![], Some(2)), row(vec![3], None)] {
        let found = findings(&[change(1, one_end), change(2, row(vec![], None))]);
        assert_eq!(only(&found).damage.what, "a reissued ticket's row names one that does not name it back");
    }
}

#[test]
fn an_event_of_no_known_kind_is_found() {
    let found = findings(&[(kind::ACCESSED, 0, 1, 0, Vec::new())]);
    assert_eq!(only(&found).damage.what, "an event of a kind that this program does not know");
}
