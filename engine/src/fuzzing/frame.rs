//! The frame decoder. An input is a salt (u64), a position (u64), and a frame.
//!
//! Read as it is, and again with the checksum that the frame should have.

use super::repair::{FRAME_HEADER_BYTES, Parts, checksum, frame_size, is_sealed, seal_frame};
use crate::frame::{FrameFault, Salt, decode, encode, u32_at};
use crate::limits::FRAME_BYTES_MAX;

/// A frame is decoded, and then encoded as the same bytes; or it is refused for a reason.
pub fn frame(input: &[u8]) {
    let mut parts = Parts(input);
    let (salt, position) = (parts.u64(), parts.u64() & !7);
    check(parts.0, salt, position);
    let mut repaired = parts.0.to_vec();
    if seal_frame(&mut repaired, salt, position).is_some() {
        check(&repaired, salt, position);
    }
}

fn check(bytes: &[u8], salt: u64, position: u64) {
    let zero = bytes.len() >= FRAME_HEADER_BYTES && bytes[..FRAME_HEADER_BYTES].iter().all(|&byte| byte == 0);
    match decode(bytes, Salt(salt), position) {
        Ok(frame) => {
            assert_eq!(Some(frame.size), frame_size(bytes), "the frame ends where its length says");
            assert!(is_sealed(bytes, salt, position), "a frame whose checksum does not match was decoded");
            assert!(bytes[8] != 0, "a frame of kind 0 was decoded");
            let end = FRAME_HEADER_BYTES + frame.payload.len();
            assert_eq!(frame.payload, &bytes[FRAME_HEADER_BYTES..end], "the payload is what the length counts");
            let mut again = Vec::new();
            encode(&mut again, Salt(salt), position, frame.header, &[frame.payload]);
            assert_eq!(again[8..end], bytes[8..end], "what was decoded is encoded as the same bytes");
            assert_eq!(again.len(), frame.size);
            // The padding is under the checksum, so a frame whose padding is not zero has another one.
            if bytes[end..frame.size].iter().all(|&byte| byte == 0) {
                assert_eq!(again, bytes[..frame.size]);
            }
        }
        Err(fault) => {
            let length = bytes.first_chunk::<4>().map_or(0, |length| u32_at(length, 0) as usize);
            let refused = match fault {
                FrameFault::Short => bytes.len() < FRAME_HEADER_BYTES || frame_size(bytes).is_none(),
                FrameFault::Length => length > FRAME_BYTES_MAX - FRAME_HEADER_BYTES,
                FrameFault::Zero => zero,
                FrameFault::Checksum => {
                    let size = frame_size(bytes).expect("a frame without an end was refused for its checksum");
                    let matches = checksum(salt, position, length as u32, &bytes[8..size]) == u32_at(bytes, 4);
                    !zero && (bytes[8] == 0 || !matches)
                }
            };
            assert!(refused, "{} is no reason to refuse the frame", fault.what());
        }
    }
}
