//! Starting, feeding and ending the program `sesshu`, and the folders it works in.
//!
//! Only children that a test started are ended, by their handle. Waiting is asking again until a deadline; what waits too long panics and says for what.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tonic::transport::Channel;

/// Long enough for a slow machine; reached only by what hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// For registers that are a small part of what was there, or mostly wrong: they are loaded all the same.
pub(crate) const NEVER_HELD: [&str; 2] = ["--hold-removed=100", "--hold-rejected=100"];

/// Runs `sesshu` with arguments of any text type and waits for its end.
macro_rules! sesshu {
    ($($argument:expr),* $(,)?) => {
        $crate::process::run($crate::process::command([$(AsRef::<std::ffi::OsStr>::as_ref(&$argument)),*]), "")
    };
}
pub(crate) use sesshu;

/// A directory that goes away with the test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    /// The path of a name in it.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file and returns its path.
    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// Copies a closed store and its key under another name.
    pub(crate) fn copy_store(&self, from: &str, to: &str) -> String {
        let (source, target) = (self.path(from), self.path(to));
        copy_directory(Path::new(&source), Path::new(&target));
        std::fs::copy(format!("{source}.key"), format!("{target}.key")).unwrap();
        target
    }
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// All files under `directory`, the smallest first.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in directory.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort_by_key(|path| path.metadata().unwrap().len());
    files
}

/// The program with arguments, in an environment without settings of its own.
pub(crate) fn command<'a>(arguments: impl IntoIterator<Item = &'a OsStr>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sesshu"));
    command.args(arguments).env_remove("SESSHU_LOG").env_remove("SESSHU_KEY_FILE");
    command
}

/// Runs a command with `input` on its standard input and waits for its end. One that does not end is killed, and fails the test.
pub(crate) fn run(mut command: Command, input: &str) -> Ended {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (status, ended) = std::thread::scope(|scope| {
        // A program that does not read its input closes the pipe.
        scope.spawn(move || drop(stdin.write_all(input.as_bytes())));
        let stdout = scope.spawn(move || text_of(&mut stdout));
        let stderr = scope.spawn(move || text_of(&mut stderr));
        let ended = patiently(|| child.try_wait().unwrap());
        if ended.is_none() {
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();
        (ended, Ended { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() })
    });
    assert!(status.is_some(), "it did not end: {ended:#?}");
    ended
}

fn text_of(pipe: &mut impl std::io::Read) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).unwrap();
    text
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Demands an exit code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Ended {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }

    /// Demands that standard error says each of `words`, in one line of the program's.
    #[track_caller]
    pub(crate) fn saying(self, words: &[&str]) -> Ended {
        let said = self.stderr.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(said, "{words:?} were to be told: {self:#?}");
        self
    }

    /// Standard output, as one JSON object a line.
    #[track_caller]
    pub(crate) fn objects(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one object on standard output.
    #[track_caller]
    pub(crate) fn object(&self) -> Value {
        let objects = self.objects();
        assert_eq!(objects.len(), 1, "{self:#?}");
        objects.into_iter().next().unwrap()
    }
}

/// A `sesshu serve` of its own process, on a free port; killed when it is dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) url: String,
    stdout: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Server {
    /// Serves the store; its log lines go to a file beside it.
    pub(crate) fn start(store: &str) -> Server {
        Server::start_with(store, &[], "info")
    }

    /// As [`Server::start`], with more arguments and another log level.
    pub(crate) fn start_with(store: &str, more: &[&str], log_level: &str) -> Server {
        let log = PathBuf::from(format!("{store}.log"));
        let mut command = command([]);
        command.args(["serve", "--store", store]).args(more).env("SESSHU_LOG", log_level);
        if !more.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(File::create(&log).unwrap()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").map(str::to_owned);
        let mut server = Server { child, url: String::new(), stdout, log };
        server.url = url.unwrap_or_else(|| panic!("no address in {line:?}: {}", server.log()));
        server
    }

    /// A connection to it.
    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(self.url.clone()).unwrap().connect().await.unwrap()
    }

    /// What the server logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Asks it to end with SIGTERM. Its exit code, what it printed after its address, and its log.
    pub(crate) fn stop(mut self) -> (Option<i32>, String, String) {
        terminate(&self.child);
        let status = wait(&mut self.child);
        let mut printed = String::new();
        self.stdout.read_to_string(&mut printed).unwrap();
        (status.code(), printed, self.log())
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends SIGTERM.
pub(crate) fn terminate(child: &Child) {
    kill_process(Pid::from_child(child), Signal::TERM).unwrap();
}

/// Waits for the end of a child.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    until("the child's end", || child.try_wait().unwrap())
}

/// Asks again until there is an answer.
pub(crate) fn until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    patiently(ask).unwrap_or_else(|| panic!("waited for {what} in vain"))
}

/// Asks again until there is an answer or patience has ended.
fn patiently<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        let answer = ask();
        if answer.is_some() {
            return answer;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    None
}

/// The page at `path` of a web server, with its header lines.
pub(crate) fn page(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// An address that was free a moment ago.
pub(crate) fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
