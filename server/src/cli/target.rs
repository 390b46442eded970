//! Where a command works: `--store DIR` or `--server URL`.
//!
//! Owns these options and the opening of the store with them. What opening found is told on standard error where it is news.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use sesshu_engine::rules::Rules;
use sesshu_engine::{CompactionPolicy, KeyLocation, LogOutcome, Options, ScrubPolicy, Store};

use super::rules::RulesFile;
use crate::backend::Backend;
use crate::client::Client;
use crate::failure::Failure;

/// A command that has a store open for a moment compacts and verifies what it is asked to.
const BY_HAND: (CompactionPolicy, ScrubPolicy) = (CompactionPolicy::NEVER, ScrubPolicy::NEVER);

/// `--store` or `--server`.
#[derive(Debug, Args)]
pub(super) struct Target {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    key: KeyFile,
}

/// A store or a server, for a command that needs no key and opens nothing.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Place {
    /// The store's directory; this process opens it
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// A running server, http://HOST:PORT
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

/// `--key-file`.
#[derive(Debug, Args)]
pub(super) struct KeyFile {
    /// The key that wraps the store's data keys [default: DIR.key, made with the store]
    #[arg(long, value_name = "FILE", env = "SESSHU_KEY_FILE")]
    key_file: Option<PathBuf>,
}

impl Place {
    /// The store's directory, or else the server's address.
    ///
    /// # Errors
    ///
    /// [`Failure::Request`] if neither was given.
    pub(super) fn directory(&self) -> Result<Result<&Path, &str>, Failure> {
        match (&self.store, &self.server) {
            (_, Some(url)) => Ok(Err(url)),
            (Some(store), None) => Ok(Ok(store)),
            (None, None) => Err(Failure::Request("--store DIR or --server URL is needed".into())),
        }
    }
}

impl Target {
    /// Whether it is a server.
    pub(super) fn is_server(&self) -> bool {
        self.place.server.is_some()
    }

    /// Opens the store, or connects to the server. `create`: make a store where there is none.
    ///
    /// # Errors
    ///
    /// [`Failure::Open`], [`Failure::Client`].
    pub(super) fn open(&self, create: bool) -> Result<Backend, Failure> {
        match (&self.place.store, &self.place.server) {
            (_, Some(url)) => Ok(Backend::Server(Client::connect(url)?)),
            (Some(store), None) => Ok(Backend::Store(Arc::new(self.key.open(store, create)?))),
            (None, None) => Err(Failure::Request("--store DIR or --server URL is needed".into())),
        }
    }

    /// As [`Target::open`], for a command that records shots.
    ///
    /// # Errors
    ///
    /// Also [`Failure::Request`] for rules that cannot be used, or are given for a server, which has its own.
    pub(super) fn open_with(&self, create: bool, rules: &RulesFile) -> Result<Backend, Failure> {
        match &self.place.store {
            Some(store) => Ok(Backend::Store(Arc::new(self.key.open_with(store, create, rules)?))),
            None if rules.is_given() => {
                Err(Failure::Request("--rules goes with --store: a server has rules of its own (serve --rules)".into()))
            }
            None => self.open(create),
        }
    }
}

impl KeyFile {
    /// Opens the store in `path`.
    ///
    /// # Errors
    ///
    /// [`Failure::Open`].
    pub(super) fn open(&self, path: &Path, create: bool) -> Result<Store, Failure> {
        self.open_by(path, create, Arc::default(), BY_HAND)
    }

    /// As [`KeyFile::open`], for a command that records shots.
    ///
    /// # Errors
    ///
    /// Also [`Failure::Request`] for rules that cannot be used.
    pub(super) fn open_with(&self, path: &Path, create: bool, rules: &RulesFile) -> Result<Store, Failure> {
        self.open_by(path, create, rules.read()?, BY_HAND)
    }

    /// As [`KeyFile::open_with`], for a server: made if it is not there, and kept up.
    ///
    /// # Errors
    ///
    /// As [`KeyFile::open_with`].
    pub(super) fn open_to_serve(
        &self,
        path: &Path,
        rules: &RulesFile,
        upkeep: (CompactionPolicy, ScrubPolicy),
    ) -> Result<Store, Failure> {
        self.open_by(path, true, rules.read()?, upkeep)
    }

    fn open_by(
        &self,
        path: &Path,
        create: bool,
        rules: Arc<Rules>,
        (compaction, scrub): (CompactionPolicy, ScrubPolicy),
    ) -> Result<Store, Failure> {
        let key = self.key_file.clone().map_or(KeyLocation::BesideStore, KeyLocation::File);
        let (store, opened) = Store::open(path, Options { create, key, rules, compaction, scrub })?;
        if let Some(key) = opened.key_created {
            let key = key.display();
            eprintln!("sesshu: made the key {key}: My Numbers cannot be read without it; keep a copy elsewhere");
        }
        if let LogOutcome::TornTail(torn) = opened.log {
            let (file, offset, bytes) = (torn.file.display(), torn.offset, torn.bytes);
            eprintln!("sesshu: recovered: cut {bytes} bytes that nobody was told of from {file} at byte {offset}");
        }
        Ok(store)
    }
}
