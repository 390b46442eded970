//! The manifest. An input is flags (u8) and a manifest, for a store that has a closed log, a generation and a checkpoint.
//!
//! The flags say what is made right before the store is opened: nothing, the header around the message, or the message too, so that it names the store's own
//! files.

use std::sync::Arc;

use prost::Message as _;
use sesshu_proto::v1::Manifest;

use super::fixture::{Fixture, MANIFEST, MANIFEST_HEADER_BYTES, manifest_file, open, show};
use super::memory::MemoryDisk;
use super::repair::Parts;
use crate::LogOutcome;
use crate::error::OpenError;

/// Magic, version, length and checksum are made right.
const HEADER: u8 = 1;
/// The message names this store, and its generation and checkpoint as they are.
const NAMES: u8 = 2;
/// The store's files are there.
const FILES: u8 = 4;

/// A store with such a manifest opens, shows what it has, closes and opens again; or it is refused and nothing was changed.
pub fn manifest(input: &[u8]) {
    let fixture = Fixture::get();
    let mut parts = Parts(input);
    let flags = parts.u8();
    let mut bytes = parts.0.to_vec();
    if flags & NAMES != 0
        && let Some(Ok(mut message)) = bytes.get(MANIFEST_HEADER_BYTES..).map(Manifest::decode)
    {
        adopt(&mut message, &fixture.manifest);
        bytes.truncate(MANIFEST_HEADER_BYTES);
        bytes.extend_from_slice(&message.encode_to_vec());
    }
    if flags & HEADER != 0 {
        bytes = manifest_file(bytes.get(MANIFEST_HEADER_BYTES..).unwrap_or(&[]));
    }
    let disk = Arc::new(if flags & FILES != 0 { fixture.disk.copy() } else { MemoryDisk::default() });
    disk.put(MANIFEST, bytes, 0);
    match open(&disk) {
        Ok((store, _)) => {
            show(&store);
            store.close().expect("memory does not fail");
            drop(store);
            let (_, opened) = open(&disk).expect("a store that was closed opens again");
            assert_eq!(opened.log, LogOutcome::Closed);
        }
        Err(OpenError::Damaged(_) | OpenError::Newer { .. }) => {
            assert_eq!(disk.changes(), 0, "a store that was refused was changed");
        }
        Err(error) => panic!("memory does not fail: {error:?}"),
    }
}

/// Makes a message name a store, its generation and its checkpoint.
fn adopt(message: &mut Manifest, own: &Manifest) {
    message.store_id.clone_from(&own.store_id);
    message.lookup_key.clone_from(&own.lookup_key);
    let own_generation = &own.generations[0];
    for generation in &mut message.generations {
        if generation.generation == own_generation.generation {
            (generation.salt, generation.file_length) = (own_generation.salt, own_generation.file_length);
            generation.folded_position = own_generation.folded_position;
        }
    }
    if message.checkpoint.is_some() {
        message.checkpoint.clone_from(&own.checkpoint);
    }
}
