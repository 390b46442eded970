//! The checkpoint. An input is flags (u8) and a checkpoint, for a store that was closed.
//!
//! The flags say what is made right before the store is opened: nothing, the header, its names, or the manifest, which then vouches for these bytes.

use std::sync::Arc;

use prost::Message as _;
use sesshu_proto::v1::Checkpoint as CheckpointMessage;

use super::fixture::{Fixture, MANIFEST, manifest_file, open, show};
use super::repair::{Parts, put_u32, put_u64, seal_header};
use crate::error::OpenError;
use crate::frame::u64_at;
use crate::{CheckpointOutcome, LogOutcome};

/// Magic, version and checksum of the header are made right.
const HEADER: u8 = 1;
/// It is of this store, and of the position at which the store was closed.
const NAMES: u8 = 2;
/// The manifest names these bytes by length and BLAKE3.
const HASH: u8 = 4;

const HEADER_BYTES: usize = 64;

/// A checkpoint for which the manifest does not vouch, or which is none, costs nothing but time: the store shows the same without it. Whatever else it says,
/// the store opens, closes and opens again, or is refused and nothing was changed.
pub fn checkpoint(input: &[u8]) {
    let fixture = Fixture::get();
    let own = fixture.manifest.checkpoint.as_ref().expect("a store that was closed has a checkpoint");
    let mut parts = Parts(input);
    let flags = parts.u8();
    let mut bytes = parts.0.to_vec();
    if let Some(header) = bytes.get_mut(..HEADER_BYTES) {
        if flags & NAMES != 0 {
            header[16..32].copy_from_slice(&fixture.manifest.store_id);
            put_u64(header, 32, own.position);
        }
        if flags & HEADER != 0 {
            header[0..8].copy_from_slice(b"SesshuCp");
            put_u32(header, 8, crate::FORMAT_VERSION);
            seal_header(header, 12);
        }
    }
    let mut manifest = fixture.manifest.clone();
    let position = bytes.get(..HEADER_BYTES).map_or(own.position, |header| u64_at(header, 32));
    let mut message = CheckpointMessage { position, ..own.clone() };
    if flags & HASH != 0 {
        message.file_length = bytes.len() as u64;
        message.blake3 = blake3::hash(&bytes).as_bytes().to_vec();
    }
    let disk = Arc::new(fixture.disk.copy());
    disk.put(format!("checkpoint/{position:016}"), bytes, 0);
    manifest.checkpoint = Some(message);
    disk.put(MANIFEST, manifest_file(&manifest.encode_to_vec()), 0);
    match open(&disk) {
        Ok((store, opened)) => {
            let shown = show(&store);
            match opened.checkpoint {
                CheckpointOutcome::None => panic!("the manifest names a checkpoint"),
                CheckpointOutcome::Rebuilt(_) => {
                    assert!(shown == fixture.shown, "a checkpoint of no use costs nothing")
                }
                CheckpointOutcome::Restored { position: restored } => {
                    assert_eq!(restored, position);
                    assert!(flags & HASH != 0 || shown == fixture.shown, "only the fixture's own bytes have its hash");
                }
            }
            store.close().expect("memory does not fail");
            drop(store);
            let (_, opened) = open(&disk).expect("a store that was closed opens again");
            assert_eq!(opened.log, LogOutcome::Closed);
        }
        Err(OpenError::Damaged(_) | OpenError::Newer { .. }) => {
            assert!(flags & HASH != 0, "a checkpoint that nothing vouches for keeps no store from opening");
            assert_eq!(disk.changes(), 0, "a store that was refused was changed");
        }
        Err(error) => panic!("memory does not fail: {error:?}"),
    }
}
