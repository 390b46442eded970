//! Verifying in a run: what is whole has no findings, whatever the store went through, and what is found is damage that was done.

use std::ops::ControlFlow;
use std::path::Path;

use sesshu_engine::error::OpenError;
use sesshu_engine::{ClosedStore, Verified};

use super::properties::{Failure, blame, ensure};
use super::runner::Runner;

impl Runner {
    /// Verifies the open store.
    pub(super) fn verifies(&mut self) -> Result<(), Failure> {
        let faults = self.disk.faults();
        let verified = self.store().verify(None, &mut |_| ControlFlow::Continue(()));
        self.judge(faults, verified).map(drop)
    }

    /// Verifies the store that the last program left, before the next one opens it. Whether it is known to be whole.
    pub(super) fn verifies_closed(&mut self) -> Result<bool, Failure> {
        let faults = self.disk.faults();
        let store = match ClosedStore::open_on(self.disk.mount(), 1, &self.place.path()) {
            Err(OpenError::NoStore(_)) => return Ok(false),
            store => store,
        };
        let verified = store.and_then(|store| store.verify(&mut |_| ControlFlow::Continue(())));
        self.judge(faults, verified)
    }

    fn judge(&mut self, faults: u64, verified: Result<Option<Verified>, OpenError>) -> Result<bool, Failure> {
        self.damaged.append(&mut self.disk.damaged());
        if self.disk.faults() > faults || self.disk.stopped() {
            return Ok(false);
        }
        let verified = match verified {
            Ok(verified) => verified.expect("nobody ended it"),
            Err(error) => {
                return ensure(false, "without a fault verifying comes to its end", || format!("{error:?}"))
                    .map(|()| false);
            }
        };
        for finding in &verified.findings {
            let of_ghost = self
                .ghosts
                .iter()
                .any(|ghost| finding.damage.file.starts_with(Path::new("snapshots").join(ghost.to_string())));
            if !of_ghost {
                blame(&finding.damage, &self.damaged)?;
            }
        }
        self.ran.verified += 1;
        self.ran.findings += verified.findings.len() as u64;
        self.ran.mix(verified.bytes);
        Ok(verified.findings.is_empty())
    }
}
