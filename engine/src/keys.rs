//! Keys: how a My Number lies on disk, and who can read it.
//!
//! Owns the outside key (a file beside the store, or one that the operator names), the data keys that it wraps, and the sealing of My Numbers. Sealing is
//! AES-256-GCM-SIV (RFC 8452) with the ticket as nonce and associated data: it is deterministic, so a reload can compare two sealed numbers without
//! opening them, and safe where two numbers of one ticket meet the same nonce. Nothing here prints or logs a key or a number.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aes_gcm_siv::aead::{Aead, AeadInOut, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use sesshu_proto::v1::WrappedDataKey;
use siphasher::sip::SipHasher24;
use zeroize::Zeroizing;

use crate::error::KeyError;
use crate::lookup::HASH_BITS;
use crate::mutation::{Mutation, broken};
use crate::platform::Environment;
use crate::ticket::{MyNumber, Ticket};

/// Bytes of a My Number that is sealed: twelve digits fit.
const MESSAGE_BYTES: usize = 5;

/// Bytes of a sealed My Number: those, and sixteen of tag.
pub(crate) const SEALED_BYTES: usize = MESSAGE_BYTES + 16;

const WRAP_CONTEXT: &[u8] = b"sesshu data key";

/// The operator's key, from outside the store.
pub struct OutsideKey {
    bytes: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for OutsideKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OutsideKey(redacted)")
    }
}

impl OutsideKey {
    /// Reads a key file: 64 hexadecimal digits.
    ///
    /// # Errors
    ///
    /// [`KeyError`], naming the file.
    pub fn read(path: &Path) -> Result<OutsideKey, KeyError> {
        let mut text = Zeroizing::new(String::new());
        match std::fs::File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(KeyError::Missing(path.to_owned())),
            Err(error) => return Err(KeyError::Disk(path.to_owned(), error)),
            Ok(file) => {
                if file.take(256).read_to_string(&mut text).is_err() {
                    return Err(KeyError::Malformed(path.to_owned()));
                }
            }
        }
        let digits = text.trim_end().as_bytes();
        let mut bytes = Zeroizing::new([0; 32]);
        if digits.len() != 64 {
            return Err(KeyError::Malformed(path.to_owned()));
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let nibbles = (hex(pair[0]), hex(pair[1]));
            let (Some(high), Some(low)) = nibbles else { return Err(KeyError::Malformed(path.to_owned())) };
            *byte = high << 4 | low;
        }
        Ok(OutsideKey { bytes })
    }

    /// Makes a new random key and writes it to `path`, readable by its owner alone, synced.
    ///
    /// # Errors
    ///
    /// [`KeyError::Disk`], also if the file exists.
    pub fn create(path: &Path, environment: &dyn Environment) -> Result<OutsideKey, KeyError> {
        let random = random_key(environment).map_err(|error| KeyError::Disk(path.to_owned(), error))?;
        let key = OutsideKey { bytes: random };
        key.write(path)?;
        Ok(key)
    }

    /// Writes it to a new file.
    fn write(&self, path: &Path) -> Result<(), KeyError> {
        let mut text = Zeroizing::new(String::with_capacity(65));
        for byte in self.bytes.iter() {
            text.push_str(&format!("{byte:02x}"));
        }
        text.push('\n');
        write_new(path, text.as_bytes()).map_err(|error| KeyError::Disk(path.to_owned(), error))
    }

    /// Copies the key file `from` to `to`, which does not exist, readable by its owner alone, if it holds the key that `id` names (hexadecimal): a restored
    /// store needs the key that the snapshot's data keys are wrapped under.
    ///
    /// # Errors
    ///
    /// [`KeyError`]; [`KeyError::Wrong`] if it is another key.
    pub fn copy(from: &Path, to: &Path, id: &str) -> Result<(), KeyError> {
        OutsideKey::read_with_id(from, id)?.write(to)
    }

    /// Reads the key file `path`, if it holds the key that `id` names (hexadecimal).
    ///
    /// # Errors
    ///
    /// As [`OutsideKey::copy`].
    pub fn read_with_id(path: &Path, id: &str) -> Result<OutsideKey, KeyError> {
        let key = OutsideKey::read(path)?;
        let own: String = key.id().iter().map(|byte| format!("{byte:02x}")).collect();
        if own == id { Ok(key) } else { Err(KeyError::Wrong(path.to_owned())) }
    }

    /// Reads the key whose id is `id`: from `path`, or from where [`OutsideKey::prepare`] left it before a rotation was cut short.
    pub(crate) fn with_id(path: &Path, id: &[u8]) -> Result<OutsideKey, KeyError> {
        let key = OutsideKey::read(path);
        if key.as_ref().is_ok_and(|key| key.id()[..] == *id) {
            return key;
        }
        let next = beside(path, "new");
        match OutsideKey::read(&next) {
            Ok(key) if key.id()[..] == *id => {
                // The rest of the rotation. Where it fails, the next one does it: the key is found here too.
                let _ = take_place(path);
                Ok(key)
            }
            _ => Err(key.err().unwrap_or_else(|| KeyError::Wrong(path.to_owned()))),
        }
    }

    /// Makes the key that will take the place of `current`, the one of `path`, beside it and synced. One that an earlier attempt left there is taken again: the
    /// manifest may name it, if the attempt failed while that was written.
    pub(crate) fn prepare(
        path: &Path,
        current: &OutsideKey,
        environment: &dyn Environment,
    ) -> Result<OutsideKey, KeyError> {
        let next = beside(path, "new");
        match OutsideKey::read(&next) {
            Ok(_) if broken(Mutation::ForgetPreparedKey) => {
                std::fs::remove_file(&next).map_err(|error| KeyError::Disk(next.clone(), error))?;
            }
            Ok(key) if key.id() != current.id() => return Ok(key),
            // It is in use, and could not be put in its place so far.
            Ok(_) => OutsideKey::take_place(path).map(drop)?,
            Err(KeyError::Missing(_)) => {}
            // Among others what is no key: keys are written whole, so it is nobody's to remove here.
            Err(error) => return Err(error),
        }
        OutsideKey::create(&next, environment)
    }

    /// Puts the prepared key in its place, when the manifest names it. Returns where the key before it lies from now on.
    pub(crate) fn take_place(path: &Path) -> Result<Option<PathBuf>, KeyError> {
        take_place(path).map_err(|error| KeyError::Disk(path.to_owned(), error))
    }

    /// Where the key of a store lies unless the operator says otherwise: `<store>.key`, beside the store.
    #[must_use]
    pub fn default_path(store: &Path) -> PathBuf {
        let mut name = store.file_name().unwrap_or(store.as_os_str()).to_owned();
        name.push(".key");
        store.with_file_name(name)
    }

    /// Tells a wrong key from damage, and says nothing about the key.
    pub(crate) fn id(&self) -> [u8; 8] {
        let derived = blake3::derive_key("sesshu 2026 outside key id", &*self.bytes);
        let mut id = [0; 8];
        id.copy_from_slice(&derived[..8]);
        id
    }

    fn cipher(&self) -> Aes256GcmSiv {
        Aes256GcmSiv::new((&*self.bytes).into())
    }
}

/// A data key, open: seals and opens My Numbers.
pub(crate) struct DataKey {
    id: u32,
    cipher: Aes256GcmSiv,
    /// Keys the hashes that My Numbers are looked up by.
    lookup: Zeroizing<[u8; 16]>,
    /// Keys those of the access log.
    access: Zeroizing<[u8; 32]>,
}

impl DataKey {
    /// Makes a new data key and wraps it.
    pub(crate) fn create(outside: &OutsideKey, id: u32, environment: &dyn Environment) -> io::Result<WrappedDataKey> {
        DataKey::wrap(outside, id, &*random_key(environment)?, environment)
    }

    fn wrap(outside: &OutsideKey, id: u32, bytes: &[u8], environment: &dyn Environment) -> io::Result<WrappedDataKey> {
        let mut nonce = [0; 12];
        environment.fill(&mut nonce)?;
        let payload = Payload { msg: bytes, aad: WRAP_CONTEXT };
        let ciphertext = outside
            .cipher()
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| io::Error::other("the data key could not be wrapped"))?;
        Ok(WrappedDataKey { id, outside_key_id: outside.id().to_vec(), nonce: nonce.to_vec(), ciphertext })
    }

    /// Wraps it again, under another outside key.
    pub(crate) fn rewrap(
        outside: &OutsideKey,
        next: &OutsideKey,
        wrapped: &WrappedDataKey,
        path: &Path,
        environment: &dyn Environment,
    ) -> Result<WrappedDataKey, KeyError> {
        let bytes = DataKey::unwrap_bytes(outside, wrapped, path)?;
        let failed = |error| KeyError::Disk(path.to_owned(), error);
        DataKey::wrap(next, wrapped.id, &bytes, environment).map_err(failed)
    }

    /// Opens a wrapped data key. `path` names the outside key in errors.
    pub(crate) fn unwrap(outside: &OutsideKey, wrapped: &WrappedDataKey, path: &Path) -> Result<DataKey, KeyError> {
        let bytes = DataKey::unwrap_bytes(outside, wrapped, path)?;
        let cipher = Aes256GcmSiv::new_from_slice(&bytes).map_err(|_| KeyError::Unsealed)?;
        let derived = |context| Zeroizing::new(blake3::derive_key(context, &bytes));
        let mut lookup = Zeroizing::new([0; 16]);
        lookup.copy_from_slice(&derived("sesshu 2026 my number look-up")[..16]);
        Ok(DataKey { id: wrapped.id, cipher, lookup, access: derived("sesshu 2026 access log") })
    }

    fn unwrap_bytes(
        outside: &OutsideKey,
        wrapped: &WrappedDataKey,
        path: &Path,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        if wrapped.outside_key_id != outside.id() {
            return Err(KeyError::Wrong(path.to_owned()));
        }
        let nonce: [u8; 12] = wrapped.nonce.as_slice().try_into().map_err(|_| KeyError::Unsealed)?;
        let payload = Payload { msg: &wrapped.ciphertext, aad: WRAP_CONTEXT };
        let bytes = outside.cipher().decrypt(&Nonce::from(nonce), payload).map_err(|_| KeyError::Unsealed)?;
        Ok(Zeroizing::new(bytes))
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Seals the My Number of the resident who holds `ticket`.
    pub(crate) fn seal(&self, ticket: Ticket, my_number: MyNumber) -> [u8; SEALED_BYTES] {
        let value = Zeroizing::new(my_number.reveal().to_le_bytes());
        let mut sealed = [0; SEALED_BYTES];
        let (message, tag) = sealed.split_at_mut(MESSAGE_BYTES);
        message.copy_from_slice(&value[..MESSAGE_BYTES]);
        let aad = ticket.to_bits().to_le_bytes();
        let made = self.cipher.encrypt_inout_detached(&nonce_of(ticket), &aad, message.into());
        tag.copy_from_slice(&made.expect("a message of five bytes can be sealed"));
        sealed
    }

    /// What the access log keeps of a My Number that was asked for: another hash than the one it is looked up by.
    pub(crate) fn hash_for_access_log(&self, my_number: MyNumber) -> [u8; 16] {
        let value = Zeroizing::new(my_number.reveal().to_le_bytes());
        *blake3::keyed_hash(&self.access, &*value).as_bytes().first_chunk().expect("a hash has 32 bytes")
    }

    /// What a My Number is looked up by: without the key nobody can tell whose it is, and with it whoever finds it opens what is sealed.
    pub(crate) fn hash(&self, my_number: MyNumber) -> u64 {
        let value = Zeroizing::new(my_number.reveal().to_le_bytes());
        SipHasher24::new_with_key(&self.lookup).hash(&*value) >> (64 - HASH_BITS)
    }

    /// Opens what [`DataKey::seal`] sealed for the same ticket.
    pub(crate) fn open(&self, ticket: Ticket, sealed: &[u8]) -> Result<MyNumber, KeyError> {
        let aad = ticket.to_bits().to_le_bytes();
        let payload = Payload { msg: sealed, aad: &aad };
        let opened = self.cipher.decrypt(&nonce_of(ticket), payload).map_err(|_| KeyError::Unsealed)?;
        let opened = Zeroizing::new(opened);
        let mut value = Zeroizing::new([0; 8]);
        value[..MESSAGE_BYTES].copy_from_slice(opened.get(..MESSAGE_BYTES).ok_or(KeyError::Unsealed)?);
        MyNumber::from_value(u64::from_le_bytes(*value)).map_err(|_| KeyError::Unsealed)
    }
}

/// Writes a file whole or not at all: a key that a crash cut short would be in the way of every later open.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or(path.as_os_str()).to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    // A link does not replace what has the name already, as a rename would.
    let linked = std::fs::hard_link(&temporary, path);
    std::fs::remove_file(&temporary)?;
    linked?;
    sync_parent(path)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(parent)?.sync_all()
}

/// A name beside a key file's.
fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or(path.as_os_str()).to_owned();
    name.push(".");
    name.push(what);
    path.with_file_name(name)
}

/// The file beside `path` takes its name; what had it keeps the key's id as a part of its own. Each step leaves the right key in one of two places.
fn take_place(path: &Path) -> io::Result<Option<PathBuf>> {
    let before = match OutsideKey::read(path) {
        Ok(key) => {
            let id: String = key.id().iter().map(|byte| format!("{byte:02x}")).collect();
            let kept = beside(path, &format!("{id}.old"));
            std::fs::rename(path, &kept)?;
            Some(kept)
        }
        Err(_) => None,
    };
    std::fs::rename(beside(path, "new"), path)?;
    sync_parent(path)?;
    Ok(before)
}

fn nonce_of(ticket: Ticket) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&ticket.to_bits().to_le_bytes());
    Nonce::from(nonce)
}

fn random_key(environment: &dyn Environment) -> io::Result<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    environment.fill(&mut *bytes)?;
    Ok(bytes)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::Municipality;

    fn ticket(number: u64) -> Ticket {
        Ticket::new(Municipality::parse("131016").unwrap(), number).unwrap()
    }

    #[test]
    fn a_sealed_my_number_opens_for_its_ticket_and_key_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.key");
        let machine = crate::Platform::real(directory.path()).environment;
        let outside = OutsideKey::create(&path, &*machine).unwrap();
        let wrapped = DataKey::create(&outside, 1, &*machine).unwrap();
        let key = DataKey::unwrap(&OutsideKey::read(&path).unwrap(), &wrapped, &path).unwrap();
        let number = MyNumber::parse("621498320257").unwrap();
        let sealed = key.seal(ticket(1), number);
        assert_eq!(key.open(ticket(1), &sealed).unwrap().reveal(), 621_498_320_257);
        assert!(key.open(ticket(2), &sealed).is_err());
        assert_eq!(sealed, key.seal(ticket(1), number));
        assert_ne!(sealed, key.seal(ticket(2), number));

        let other = OutsideKey::create(&directory.path().join("b.key"), &*machine).unwrap();
        assert!(matches!(DataKey::unwrap(&other, &wrapped, &path), Err(KeyError::Wrong(_))));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_key_file_that_is_none_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.key");
        assert!(matches!(OutsideKey::read(&path), Err(KeyError::Missing(_))));
        std::fs::write(&path, "not a key").unwrap();
        assert!(matches!(OutsideKey::read(&path), Err(KeyError::Malformed(_))));
        assert_eq!(OutsideKey::default_path(Path::new("/data/store")), Path::new("/data/store.key"));
    }
}
