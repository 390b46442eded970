//! A trial: one test, run in a process of its own, with a fault switched on or without.
//!
//! Owns the building of the test binaries, the process, its time limit, and the reading of its end. A test fails by a panic; a process that ends in any other
//! way, or not in time, has caught nothing.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::table::{Mutation, Named};

/// What a test process that fails exits with.
const FAILED: i32 = 101;

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Passed,
    /// By a panic: its first line.
    Failed(String),
    TimedOut,
    /// Otherwise: an abort, a signal, no such test.
    Strangely(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Passed => write!(f, "passed"),
            Ended::Failed(panic) => write!(f, "failed: {panic}"),
            Ended::TimedOut => write!(f, "timed out"),
            Ended::Strangely(how) => write!(f, "ended strangely: {how}"),
        }
    }
}

/// Test binaries that were built with the faults in them.
pub(crate) struct Tests {
    binaries: HashMap<String, PathBuf>,
}

impl Tests {
    /// Builds what `mutations` name, in the profile of this program.
    pub(crate) fn build(mutations: &[&Mutation]) -> Result<Tests, String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["test", "--package", "sesshu-tests", "--features", "mutations", "--no-run"]);
        command.arg("--message-format=json-render-diagnostics");
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        let files: BTreeSet<&str> = mutations.iter().flat_map(|it| it.tests).map(|test| test.file).collect();
        command.args(files.iter().flat_map(|file| ["--test", file]));
        command.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit());
        let output = command.output().map_err(|error| format!("cargo does not start: {error}"))?;
        if !output.status.success() {
            return Err("the tests do not build".into());
        }
        let binaries: HashMap<String, PathBuf> =
            String::from_utf8_lossy(&output.stdout).lines().filter_map(executable).collect();
        match files.iter().find(|file| !binaries.contains_key(**file)) {
            None => Ok(Tests { binaries }),
            Some(file) => Err(format!("cargo built no test {file}")),
        }
    }

    /// Runs one test.
    pub(crate) fn run(&self, test: Named, seed: u64, mutation: Option<&str>, timeout: Duration) -> Ended {
        let output = tempfile::NamedTempFile::new().expect("a temporary file");
        let handle = || output.as_file().try_clone().expect("the temporary file is open");
        let mut command = Command::new(&self.binaries[test.file]);
        command.args([test.name, "--exact", "--nocapture"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        command.env("SESSHU_SEED", seed.to_string()).env("RUST_BACKTRACE", "0").env_remove("SESSHU_MUTATION");
        command.envs(mutation.map(|name| ("SESSHU_MUTATION", name)));
        command.stdin(Stdio::null()).stdout(handle()).stderr(handle());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return Ended::Strangely(error.to_string()),
        };
        let Some(status) = wait(&mut child, timeout) else { return Ended::TimedOut };
        let mut said = Vec::new();
        output.reopen().and_then(|mut file| file.read_to_end(&mut said)).expect("the temporary file is read");
        end_of(status, &String::from_utf8_lossy(&said))
    }
}

/// Name and path of a test binary, if the message of cargo tells of one.
fn executable(line: &str) -> Option<(String, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let target = &message["target"];
    let is_test = message["reason"] == "compiler-artifact" && target["kind"][0] == "test";
    let path = is_test.then(|| message["executable"].as_str()).flatten()?;
    Some((target["name"].as_str()?.to_owned(), PathBuf::from(path)))
}

/// Waits for the process; one that takes too long is killed.
fn wait(child: &mut Child, timeout: Duration) -> Option<ExitStatus> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child that was started can be waited for") {
            return Some(status);
        }
        if begun.elapsed() >= timeout {
            // It may have ended by itself just now.
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn end_of(status: ExitStatus, said: &str) -> Ended {
    match (status.code(), panic_of(said)) {
        (Some(0), _) if said.contains("test result: ok. 1 passed") => Ended::Passed,
        (Some(0), _) => Ended::Strangely("there is no such test".into()),
        (Some(FAILED), Some(panic)) => Ended::Failed(panic),
        _ => Ended::Strangely(format!("{status}, {}", said.lines().last().unwrap_or_default())),
    }
}

/// The first line of the first panic, cut to a length that a table can hold.
fn panic_of(said: &str) -> Option<String> {
    const CHARACTERS_MAX: usize = 110;
    let mut lines = said.lines().skip_while(|line| !line.contains(" panicked at ")).skip(1);
    let line = lines.next()?.replace('|', "/");
    let short: String = line.chars().take(CHARACTERS_MAX).collect();
    Some(if short == line { line } else { short + " …" })
}
