//! The demo's server: `sesshu serve` as a process of its own, so that it can be killed for real.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::failure::Failure;

/// A server process; killed when it is dropped.
pub(super) struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// Starts this same program with `serve` on a free port.
    pub(super) fn start(store: &Path) -> Result<Server, Failure> {
        let failed = |error: std::io::Error| Failure::Machine(format!("starting the server: {error}"));
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--store").arg(store).args(["--listen", "127.0.0.1:0"]);
        command.env("SESSHU_LOG", "warn").stdout(Stdio::piped());
        let mut server = Server { child: command.spawn().map_err(failed)?, url: String::new() };
        let stdout = server.child.stdout.take().ok_or_else(|| Failure::Machine("the server has no output".into()))?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).map_err(failed)?;
        let url = line.trim().rsplit(' ').next().filter(|url| url.starts_with("http://"));
        server.url = url.ok_or_else(|| Failure::Machine("the server ended before it listened".into()))?.to_owned();
        Ok(server)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Ends the process as a power cut of its memory would: SIGKILL, no chance to tidy up.
    pub(super) fn kill(&mut self) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::Machine(format!("killing the server: {error}"));
        self.child.kill().map_err(failed)?;
        self.child.wait().map_err(failed)?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Killed already, in the demo's normal course.
        let _ = self.kill();
    }
}
