//! The file of a held load. An input is flags (u8) and such a file, in a store that was closed: it lies where the store's own lay.
//!
//! The flags say what is made right before the store is opened: nothing, the header around the message, or the message too, so that it names the store and the
//! generation that is held.

use std::sync::Arc;

use prost::Message as _;
use sesshu_proto::v1::HeldLoad;

use super::fixture::{Fixture, MANIFEST_HEADER_BYTES, open, show, with_header};
use super::repair::Parts;
use crate::error::HeldError;

/// Magic, version, length and checksum are made right.
const HEADER: u8 = 1;
/// The message names this store, and the generation as it is.
const NAMES: u8 = 2;

/// The store opens and shows what it has, whatever the file says; the load is held or it is not. What is held can be confirmed, or is void for a reason, and the
/// store opens once more.
pub fn held(input: &[u8]) {
    let fixture = Fixture::get();
    let (path, own) = &fixture.held;
    let mut parts = Parts(input);
    let flags = parts.u8();
    let mut bytes = parts.0.to_vec();
    if flags & NAMES != 0
        && let Some(Ok(mut message)) = bytes.get(MANIFEST_HEADER_BYTES..).map(HeldLoad::decode)
    {
        (message.mark, message.folded_sequence) = (own.mark, message.folded_sequence.min(own.folded_sequence));
        message.store_id.clone_from(&own.store_id);
        message.generation.clone_from(&own.generation);
        bytes.truncate(MANIFEST_HEADER_BYTES);
        bytes.extend_from_slice(&message.encode_to_vec());
    }
    if flags & HEADER != 0 {
        bytes = with_header(b"SesshuHl", bytes.get(MANIFEST_HEADER_BYTES..).unwrap_or(&[]));
    }
    let disk = Arc::new(fixture.disk.copy());
    let path = path.to_str().expect("an ASCII name");
    let is_own = bytes == fixture.disk.contents(path.as_ref());
    disk.put(path, bytes, 0);
    let (store, opened) = open(&disk).expect("what waits keeps no store from opening");
    assert_eq!(show(&store), fixture.shown, "what waits is not shown");
    let held = store.held();
    assert!(!is_own || held.len() == 1, "the store's own file is of a held load");
    assert_eq!(opened.removed_held, u64::from(opened.held == 0), "a file is of a held load, or it is removed");
    for held in held {
        match store.confirm(held.id) {
            Ok(report) => assert_eq!(report.generation, held.report.generation),
            Err(_) if is_own => panic!("the store's own held load can be confirmed"),
            Err(HeldError::Damaged { .. } | HeldError::Void(_)) => {}
            Err(error) => panic!("memory does not fail: {error:?}"),
        }
    }
    assert!(store.held().len() as u64 <= opened.held);
    store.close().expect("memory does not fail");
    drop(store);
    show(&open(&disk).expect("a store that was closed opens again").0);
}
