//! `sesshu demo`: the whole story on this machine, in under a minute.
//!
//! Owns the order of the story; each step has its function. The files are real files, the server is a process of its own, and the kill is a SIGKILL: what
//! the last table says was observed, not assumed. Every figure is of this run.

mod measure;
mod proof;
mod server;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use sesshu_engine::intake::ShotRecord;
use sesshu_engine::ticket::{Municipality, Ticket, TicketLine};
use sesshu_engine::{Options, Store};
use sesshu_proto::v1::MatchOutcome;

use super::jobs::available_cores;
use super::load::{Manner, load_file};
use super::results::results;
use super::{progress, table};
use crate::backend::Backend;
use crate::client::Client;
use crate::failure::{Done, Failure};
use crate::generate::{self, Encoding, GenerateError, Plan};
use crate::input::{ShotRow, ShotsFile, find_registers};
use measure::Latency;
use proof::Proof;
use server::Server;

/// Generate a city, load it, match and record over gRPC, kill the server while it records, and prove that nothing is lost
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Work in this new directory and leave it there; otherwise a temporary one is used and removed
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// The figures and the proof as one object: {"acknowledged", "present", "twice", …}
    #[arg(long)]
    json: bool,
}

/// A city of 300,000 and three small municipalities; the last two keep their files in CP932.
const CITY: (u32, u64) = (32_018, 300_000);
const SMALL: [(u32, u64); 3] = [(133_078, 2_000), (203_041, 4_000), (473_812, 4_000)];
const SHOTS: u64 = 200_000;
const SEED: u64 = 20_210_412;

/// How long clients record before the server is killed.
const RECORDING: Duration = Duration::from_millis(1500);

/// What was measured on the way.
struct Figures {
    rows: u64,
    load_seconds: f64,
    engine_match: Latency,
    grpc_match: Latency,
    record: Latency,
    bare_sync: Latency,
    records_per_second: f64,
    reopen_seconds: f64,
}

impl Demo {
    pub(in crate::cli) fn run(self) -> Result<Done, Failure> {
        let temporary;
        let directory = match &self.keep {
            Some(directory) => {
                if std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some()) {
                    let directory = directory.display();
                    return Err(Failure::Request(format!("{directory} is not empty: name a new directory")));
                }
                std::fs::create_dir_all(directory).map_err(machine("making the directory"))?;
                directory.clone()
            }
            None => {
                temporary = tempfile::tempdir().map_err(machine("making a temporary directory"))?;
                temporary.path().to_owned()
            }
        };
        let (figures, proof) = self.tell(&directory)?;
        self.conclude(&figures, &proof)?;
        if let Some(directory) = &self.keep {
            self.say(&format!("\nleft in {}: registers, shots.csv, store, store.key", directory.display()));
        }
        if proof.holds() {
            Ok(Done::Whole)
        } else {
            Err(Failure::Machine("an acknowledged shot is missing or there twice".into()))
        }
    }

    /// The story.
    fn tell(&self, directory: &Path) -> Result<(Figures, Proof), Failure> {
        let (registers, path) = (directory.join("registers"), directory.join("store"));
        self.step("Writing the registers of a city and three small municipalities, in UTF-8 and CP932");
        write_files(&registers)?;

        self.step("Loading them into a new store");
        let (rows, load_seconds) = self.load(&registers, &path)?;
        let mut shots = read_shots(&registers.join("shots.csv"))?.into_iter();

        self.step("Matching in the engine, and a bare write and fdatasync of this disk");
        let store = Store::open(&path, Options::default())?.0;
        let tickets: Vec<Ticket> = shots.as_slice().iter().map(ShotRecord::ticket).collect();
        let engine_match = measure::engine_match(&store, &tickets);
        let bare_sync = measure::bare_sync(directory).map_err(machine("measuring the disk"))?;
        store.close()?;
        drop(store);

        self.step("Serving the store from a process of its own, matching and recording over gRPC");
        let server = Server::start(&path)?;
        let client = Client::connect(server.url())?;
        let grpc_match = measure::grpc_match(&server, &tickets)?;
        let hero = shots.next().ok_or_else(|| Failure::Machine("no shots were generated".into()))?;
        let line = TicketLine::from_decimal(hero.line().unwrap_or_default())
            .map_err(|error| Failure::Machine(error.to_string()))?;
        self.show(&client, line, "before")?;
        client.record_one(&hero)?;
        self.show(&client, line, "after")?;
        let mut acknowledged: Vec<ShotRecord> = shots.by_ref().take(1000).collect();
        let record = measure::grpc_record(&server, &acknowledged)?;
        acknowledged.push(hero);

        self.step("64 clients record; the server is killed with SIGKILL in the middle of it");
        let (by_clients, records_per_second) = proof::record_until_killed(server, shots.collect(), RECORDING)?;
        acknowledged.extend(by_clients);

        self.step("Reopening the store and looking for every acknowledged shot");
        let started = Instant::now();
        let (store, opened) = Store::open(&path, Options::default())?;
        let reopen_seconds = started.elapsed().as_secs_f64();
        let store = Arc::new(store);
        let proof = Proof::of(&store, &acknowledged)?;
        self.say(&format!("  {} events read from the log; its end: {:?}", table::count(opened.events), opened.log));
        let reply = Backend::Store(Arc::clone(&store)).match_lines(&[line], None, None)?.remove(0);
        self.say(&format!("  {}", table::person(&reply, "").replace('\n', "\n  ")));
        store.close()?;
        let figures = Figures {
            rows,
            load_seconds,
            engine_match,
            grpc_match,
            record,
            bare_sync,
            records_per_second,
            reopen_seconds,
        };
        Ok((figures, proof))
    }

    fn load(&self, registers: &Path, path: &Path) -> Result<(u64, f64), Failure> {
        let backend = Backend::Store(Arc::new(Store::open(path, Options::default())?.0));
        let started = Instant::now();
        let mut rows = 0;
        for file in find_registers(registers)? {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let bar = progress::bytes(file.metadata().map_or(0, |metadata| metadata.len()), name.as_str());
            let answer = load_file(&backend, &file, &Manner::default(), &mut |step| {
                bar.set_position(step.bytes_read);
                Ok(())
            })?;
            bar.finish_and_clear();
            rows += answer.visible();
            self.say(&format!("  {name}: {} rows", table::count(answer.visible())));
        }
        let seconds = started.elapsed().as_secs_f64();
        backend.close()?;
        Ok((rows, seconds))
    }

    fn show(&self, client: &Client, line: TicketLine, when: &str) -> Result<(), Failure> {
        let reply = client.match_lines(&[line], None, None)?.remove(0);
        if reply.outcome() != MatchOutcome::Matched {
            return Err(Failure::Machine(format!("a resident of the register was not matched: {}", reply.reason)));
        }
        self.say(&format!("  {when}: {}", table::person(&reply, "").replace('\n', "\n  ")));
        Ok(())
    }

    fn conclude(&self, figures: &Figures, proof: &Proof) -> Result<(), Failure> {
        let rows_per_second = figures.rows as f64 / figures.load_seconds;
        if self.json {
            let object = serde_json::json!({
                "rows": figures.rows,
                "rows_per_second": rows_per_second as u64,
                "match_engine_ns": figures.engine_match.json(),
                "match_grpc_ns": figures.grpc_match.json(),
                "record_ns": figures.record.json(),
                "bare_fdatasync_ns": figures.bare_sync.json(),
                "records_per_second": figures.records_per_second as u64,
                "reopen_seconds": figures.reopen_seconds,
                "acknowledged": proof.acknowledged,
                "present": proof.present,
                "twice": proof.twice,
                "unacknowledged": proof.unacknowledged,
            });
            writeln!(results(), "{object}")?;
            return Ok(());
        }
        let mut out = results();
        writeln!(out)?;
        let latency = |latency: &Latency| latency.to_string();
        writeln!(
            out,
            "{}",
            table::pairs([
                ("rows loaded", format!("{}/s", table::count(rows_per_second as u64))),
                ("match in the engine, p50 / p99", latency(&figures.engine_match)),
                ("match over gRPC, p50 / p99", latency(&figures.grpc_match)),
                ("record to acknowledgement over gRPC, one client, p50 / p99", latency(&figures.record)),
                ("bare write of 4 KiB + fdatasync, p50 / p99", latency(&figures.bare_sync)),
                (
                    "recorded by 64 clients, each waiting for its answer",
                    format!("{}/s", table::count(figures.records_per_second as u64))
                ),
                ("reopened after SIGKILL", format!("{:.0} ms", figures.reopen_seconds * 1e3)),
            ])
        )?;
        writeln!(out)?;
        writeln!(
            out,
            "{}",
            table::pairs([
                ("acknowledged shots", table::count(proof.acknowledged)),
                ("present after the kill", table::count(proof.present)),
                ("there twice", table::count(proof.twice)),
                ("durable, but killed before the answer", table::count(proof.unacknowledged)),
            ])
        )?;
        Ok(())
    }

    fn step(&self, text: &str) {
        self.say(&format!("\n{text}"));
    }

    /// Tells people. Programs get one object, at the end.
    fn say(&self, text: &str) {
        if !self.json {
            // A story that nobody listens to is still told to its end: what counts is the proof.
            let _ = writeln!(results(), "{text}");
        }
    }
}

fn write_files(registers: &Path) -> Result<(), Failure> {
    let municipality = |(code, residents)| {
        let found = Municipality::from_code(code);
        found.map(|found| (found, residents)).map_err(|error| Failure::Machine(error.to_string()))
    };
    let plans = [
        (vec![municipality(CITY)?, municipality(SMALL[0])?], Encoding::Utf8, SHOTS),
        (vec![municipality(SMALL[1])?, municipality(SMALL[2])?], Encoding::Cp932, 0),
    ];
    for (municipalities, encoding, shots) in plans {
        let plan = Plan { municipalities, seed: SEED, encoding, bad_rows: 0, shots };
        plan.check().map_err(GenerateError::Plan)?;
        generate::write(&plan, registers, available_cores(), &mut |_| {})?;
    }
    Ok(())
}

fn read_shots(path: &Path) -> Result<Vec<ShotRecord>, Failure> {
    let mut file = ShotsFile::open(path)?;
    let (mut rows, mut rejected): (Vec<ShotRow>, _) = (Vec::new(), Vec::new());
    while file.next_batch(&mut rows, &mut rejected, 8192)? {}
    Ok(rows.into_iter().map(|row| row.record).collect())
}

fn machine(doing: &'static str) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure::Machine(format!("{doing}: {error}"))
}
