"""Checks a `sesshu` binary end to end through client.py and the generated stubs.

    check.py [PATH OF SESSHU]

Starts servers on stores in a temporary directory, asks them, and compares what they say. One line per check, in the order
of one story: each check builds on what those before it left in the store. Every person in it is invented. Ends with exit
code 0 if all of them passed, else 1. Every call has a deadline, and the whole has one too.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any, NoReturn

import grpc
import harness
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

ALL_SECONDS = 240
CALL_SECONDS = 20

scratch = tempfile.TemporaryDirectory(prefix="sesshu-check-")
harness.generate_stubs(Path(scratch.name, "stubs"))

import client as example  # noqa: E402  it imports the stubs that were just generated
from sesshu.v1 import records_pb2 as records  # noqa: E402
from sesshu.v1 import services_pb2 as services  # noqa: E402
from sesshu.v1 import services_pb2_grpc as stubs  # noqa: E402

CHIYODA = 131016
SAPPORO, SAPPORO_CHUO_WARD = 11002, 11011
MANY = range(1001, 2001)
RARE_NAME = "\U00020BB7田　太郎"
VARIANT_NAME = "渡邉\U000E0101　花子"

matched, orphan = services.MATCH_OUTCOME_MATCHED, services.MATCH_OUTCOME_ORPHAN
recorded, already = services.RECORD_OUTCOME_RECORDED, services.RECORD_OUTCOME_ALREADY_RECORDED

Check = Callable[["World"], None]
CHECKS: list[tuple[str, Check]] = []


def check(title: str) -> Callable[[Check], Check]:
    """Makes a function the next check."""
    def add(function: Check) -> Check:
        CHECKS.append((title, function))
        return function
    return add


class World:
    """The server, a client of it, and all that it ever answered."""

    def __init__(self, binary: Path, directory: Path) -> None:
        self.binary, self.store, self.errors = binary, directory / "store", directory / "stderr"
        self.replies: list[bytes] = []
        self.refusals: list[str] = []
        self.printed: list[str] = []
        # What a check leaves for those after it.
        self.first_rejected: dict[int, str] = {}
        self.shot_of_1 = 0
        self.crowd_shot_ids: list[int] = []
        self.before_stop: tuple[Any, ...] = ()
        self.before_kill: tuple[Any, ...] = ()
        self.start()

    def start(self, listen: str = "127.0.0.1:0") -> None:
        self.server = harness.Server(self.binary, self.store, self.errors, listen)
        self.channel = harness.TappedChannel(example.insecure_channel(self.server.address), self.replies)
        self.client = example.Sesshu(self.channel, timeout=CALL_SECONDS, stream_timeout=CALL_SECONDS)

    def stop(self) -> int:
        """Sends SIGTERM and returns the exit code."""
        code = self.server.terminate()
        self.channel.close()
        self.printed += self.server.printed
        return code

    def refused(self, code: grpc.StatusCode, *words: str, by: Callable[[], Any]) -> None:
        """Expects an error of this code whose message holds all the words."""
        try:
            answer = by()
        except grpc.RpcError as error:
            self.refusals.append(error.details())
            equal(error.code(), code, error.details())
            for word in words:
                holds(error.details(), word)
        else:
            raise AssertionError(f"{code.name} was expected, but this came: {answer}")

    def converse(self, *requests: services.LoadSnapshotRequest) -> list[services.LoadSnapshotReply]:
        """A load that sends what it is given and then ends its side of the stream."""
        return list(stubs.RegisterStub(self.channel).LoadSnapshot(iter(requests), timeout=CALL_SECONDS))


def equal(found: Any, expected: Any, about: str = "") -> None:
    assert found == expected, f"{about} found {found!r}, expected {expected!r}".strip()


def holds(text: str, word: str) -> None:
    assert word in text, f"{text!r} does not say {word!r}"


def my_number(first_eleven: int) -> int:
    """A twelve-digit number with a right check digit. Nobody's: it is counted up."""
    total = sum(int(digit) * (n + 1 if n <= 6 else n - 5) for n, digit in enumerate(reversed(f"{first_eleven:011}"), 1))
    return first_eleven * 10 + (0 if total % 11 <= 1 else 11 - total % 11)


def row(line: int, number: int, name: str = "", mine: int | None = None, **resident: Any) -> services.RegisterRow:
    resident = {"name_kana": "ミホン", "birth_date": 19700203, "sex": records.SEX_FEMALE,
                "status": records.RESIDENT_STATUS_ACTIVE, **resident}
    person = records.Resident(name=name or f"見本　{number}号", resident_number=f"{number:010}", **resident)
    mine = my_number(80_000_000_000 + number) if mine is None else mine
    my_numbers.add(mine)
    return services.RegisterRow(number=number, my_number=mine, line=line, resident=person)


my_numbers: set[int] = set()
CROWD = [row(9 + at, number) for at, number in enumerate(MANY)]
FIRST_SNAPSHOT = [
    row(2, 1, RARE_NAME, birth_date=19800101, sex=records.SEX_MALE),
    row(3, 2, VARIANT_NAME, birth_date=19400500, status=records.RESIDENT_STATUS_UNSPECIFIED),
    row(4, 3, "見本　双子"),
    row(5, 3, "見本　双葉"),
    row(6, 4, sex=3),
    row(7, 5, mine=my_number(80_000_000_005) ^ 1),
    row(8, 6, protected=True, status=records.RESIDENT_STATUS_MOVED_OUT, status_date=20210401),
    *CROWD,
]
# Resident 1 has a bad row now, 2 has moved, 6 is absent, 50 is new.
SECOND_SNAPSHOT = [row(2, 1, RARE_NAME, sex=3), row(3, 2, VARIANT_NAME, birth_date=19400512), row(4, 50), *CROWD]


def line(number: int, municipality: int = CHIYODA) -> str:
    return f"{example.ticket_line(municipality, number):018}"


def shot(capture_id: str = "", date: int = 20210412, **fields: Any) -> records.Shot:
    return records.Shot(
        date=date, dose=1, vaccine="見本ワクチン", lot="AB1234", venue="見本会場", doctor="見本　医師",
        capture_id=capture_id, source=records.SOURCE_TERMINAL, recorded_by="terminal-1", **fields,
    )


def crowd_shots() -> Iterator[services.RecordRequest]:
    for number in MANY:
        yield services.RecordRequest(line=int(line(number)), shot=shot(f"crowd-{number}"))


def loading(**step: Any) -> services.LoadSnapshotRequest:
    return services.LoadSnapshotRequest(**step)


def opening(expected_rows: int = 0) -> services.LoadSnapshotRequest:
    return loading(open=services.LoadOpen(municipality=CHIYODA, expected_rows=expected_rows))


def taking(rows: Iterable[services.RegisterRow]) -> services.LoadSnapshotRequest:
    return loading(rows=services.LoadRows(rows=rows))


# The empty store.


@check("health: the server and its Matching and ShotLog are SERVING")
def health(world: World) -> None:
    stub = health_pb2_grpc.HealthStub(world.channel)
    for service in ("", "sesshu.v1.Matching", "sesshu.v1.ShotLog"):
        reply = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=CALL_SECONDS)
        equal(reply.status, health_pb2.HealthCheckResponse.SERVING, service)


@check("reflection: lists the five services of sesshu.v1")
def reflection(world: World) -> None:
    # grpcio-reflection has the messages of v1alpha only. Those of v1 are the same under another name.
    ask = world.channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    names = {one.name for reply in ask(asked, timeout=CALL_SECONDS) for one in reply.list_services_response.service}
    ours = {f"sesshu.v1.{noun}" for noun in ("Matching", "ShotLog", "Register", "Ledgers", "Operations")}
    equal({name for name in names if name.startswith("sesshu.")}, ours)


@check("status: a new store is empty and takes writes")
def status_of_new_store(world: World) -> None:
    status = world.client.status()
    equal((status.writable, status.opened), (True, "created"))
    equal((status.ledgers, status.residents, status.orphans, status.shots), (0, 0, 0, 0))


# Loading.


@check("load: 1,003 rows accepted, 4 rejected with line, column and code")
def first_load(world: World) -> None:
    loaded = world.client.load_snapshot(CHIYODA, FIRST_SNAPSHOT, expected_rows=len(FIRST_SNAPSHOT))
    summary = loaded.summary
    equal((summary.accepted, summary.rejected, summary.added, summary.removed), (1003, 4, 1003, 0))
    equal([(row.line, row.column, row.code) for row in loaded.rejected], [
        (4, "券番号", "duplicate_ticket"),
        (5, "券番号", "duplicate_ticket"),
        (6, "性別", "unknown_value"),
        (7, "個人番号", "check_digit"),
    ])
    world.first_rejected = {row.line: row.reason for row in loaded.rejected}


@check("load: each duplicate names the line of the other")
def duplicates_name_each_other(world: World) -> None:
    holds(world.first_rejected[4], "line 5")
    holds(world.first_rejected[5], "line 4")


@check("load: rejected rows are not in the register")
def rejected_rows_are_absent(world: World) -> None:
    for number in (3, 4, 5):
        equal(world.client.match(line(number)).outcome, services.MATCH_OUTCOME_NOT_FOUND, line(number))


@check("load: a second load of the same municipality is ALREADY_EXISTS")
def one_load_at_a_time(world: World) -> None:
    with world.client.open_load(CHIYODA):
        world.refused(grpc.StatusCode.ALREADY_EXISTS, "under way", by=lambda: world.client.open_load(CHIYODA))
        with world.client.open_load(SAPPORO):
            pass


@check("load: a cancelled load leaves the municipality free")
def cancelled_load_frees_its_place(world: World) -> None:
    # The load of the check before was cancelled. The server may hear of it a moment after this client.
    until = time.monotonic() + CALL_SECONDS
    while True:
        try:
            world.converse(opening())
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
                return
            if error.code() != grpc.StatusCode.ALREADY_EXISTS or time.monotonic() > until:
                raise
        time.sleep(0.02)


def after_a_load_that_failed(world: World, *words: str, steps: list[services.LoadSnapshotRequest]) -> None:
    """Such a load is INVALID_ARGUMENT and leaves the store as it was."""
    before = world.client.status()
    world.refused(grpc.StatusCode.INVALID_ARGUMENT, *words, by=lambda: world.converse(*steps))
    after = world.client.status()
    equal((after.sequence, after.residents, after.generation_bytes),
          (before.sequence, before.residents, before.generation_bytes))
    equal(world.client.match(line(900)).outcome, services.MATCH_OUTCOME_NOT_FOUND)


@check("load: a stream that ends without commit leaves nothing")
def load_without_commit(world: World) -> None:
    after_a_load_that_failed(world, "without `commit`", steps=[opening(), taking([row(2, 900)])])


@check("load: another number of rows than announced is refused")
def wrong_number_of_rows(world: World) -> None:
    commit = loading(commit=services.LoadCommit())
    steps = [opening(expected_rows=3), taking([row(2, 900), row(3, 901)]), commit]
    after_a_load_that_failed(world, "2 rows", "3 were announced", steps=steps)


@check("load: a snapshot without one good row is refused")
def snapshot_without_a_good_row(world: World) -> None:
    commit = loading(commit=services.LoadCommit())
    after_a_load_that_failed(world, "not one row", steps=[opening(), taking([row(2, 900, sex=7)]), commit])


@check("load: 8,193 rows in a message are too many")
def too_many_rows(world: World) -> None:
    rows = [services.RegisterRow(number=900)] * 8193
    after_a_load_that_failed(world, "8193", "8192", steps=[opening(), taking(rows)])


@check("load: rows before `open` are refused")
def rows_before_open(world: World) -> None:
    after_a_load_that_failed(world, "open", steps=[taking([row(2, 900)])])


@check("load: a municipality code with a wrong check digit is refused")
def load_of_no_municipality(world: World) -> None:
    world.refused(grpc.StatusCode.INVALID_ARGUMENT, by=lambda: world.client.open_load(CHIYODA + 1))


# Matching.


@check("match: full-width digits, spaces and hyphens; a kanji outside the BMP comes back byte for byte")
def match_by_text(world: World) -> None:
    wide = line(1).translate({ord("0") + digit: ord("０") + digit for digit in range(10)})
    for text in (line(1), wide, f"{wide[:8]}　{wide[8:13]}－{wide[13:]}", f" {line(1)}\r\n"):
        reply = world.client.match(text)
        equal((reply.outcome, reply.ticket, len(reply.shots)), (matched, int(line(1)[2:]), 0), text)
        equal(reply.resident, FIRST_SNAPSHOT[0].resident)
    equal(reply.resident.name.encode(), RARE_NAME.encode())


@check("match: a variation sequence and an unknown day of birth stay as they are, no status is active")
def match_variation_sequence(world: World) -> None:
    resident = world.client.match(line(2)).resident
    equal((resident.name.encode(), resident.birth_date), (VARIANT_NAME.encode(), 19400500))
    equal(resident.status, records.RESIDENT_STATUS_ACTIVE)


@check("match: a protected resident who moved out")
def match_moved_out(world: World) -> None:
    resident = world.client.match(line(6)).resident
    equal((resident.protected, resident.status, resident.status_date),
          (True, records.RESIDENT_STATUS_MOVED_OUT, 20210401))


@check("match: stub and dose digits do not matter")
def match_other_stub(world: World) -> None:
    equal(world.client.match("29" + line(1)[2:]).resident.name, RARE_NAME)


@check("match: not found")
def match_not_found(world: World) -> None:
    reply = world.client.match(line(77))
    equal((reply.outcome, reply.ticket), (services.MATCH_OUTCOME_NOT_FOUND, int(line(77)[2:])))
    assert not reply.HasField("resident") and not reply.shots, reply


@check("match: a wrong check digit of the municipality is named as digit 8")
def match_wrong_check_digit(world: World) -> None:
    world.refused(grpc.StatusCode.INVALID_ARGUMENT, "digit 8", by=lambda: world.client.match(line(1, CHIYODA + 1)))


@check("match: an unknown municipality and a prefecture are named as digits 3 to 8")
def match_unknown_municipality(world: World) -> None:
    for code in (139998, 130001):
        world.refused(grpc.StatusCode.INVALID_ARGUMENT, "digits 3 to 8", f"{code:06}",
                      by=lambda code=code: world.client.match(line(1, code)))


@check("match: a letter, a missing digit and no line at all are INVALID_ARGUMENT")
def match_no_line(world: World) -> None:
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    world.refused(invalid, "character 18", "'O'", by=lambda: world.client.match(line(1)[:-1] + "O"))
    world.refused(invalid, "18 digits", "17", by=lambda: world.client.match(line(1)[:-1]))
    world.refused(invalid, "18 digits",
                  by=lambda: stubs.MatchingStub(world.channel).Match(services.MatchRequest(), timeout=CALL_SECONDS))


@check("MatchMany: 1,000 lines, one reply each, in order")
def match_many(world: World) -> None:
    replies = list(world.client.match_many(int(line(number)) for number in MANY))
    equal([reply.ticket % 10**10 for reply in replies], list(MANY))
    equal([reply.resident.name for reply in replies], [row.resident.name for row in CROWD])


@check("MatchMany: a bad line in a batch is one reply, and its neighbours are answered")
def match_many_with_bad_line(world: World) -> None:
    lines = [int(line(1)), int(line(1, CHIYODA + 1)), 10**18, int(line(77)), int(line(2))]
    replies = list(world.client.match_many(lines))
    bad, absent = services.MATCH_OUTCOME_INVALID, services.MATCH_OUTCOME_NOT_FOUND
    equal([reply.outcome for reply in replies], [matched, bad, bad, absent, matched])
    holds(replies[1].reason, "digit 8")
    holds(replies[2].reason, "18 digits")


@check("MatchMany: 4,096 lines fit in a message, 4,097 are too many")
def match_too_many(world: World) -> None:
    def ask(count: int) -> list[services.MatchManyReply]:
        request = services.MatchManyRequest(lines=[int(line(1))] * count)
        return list(stubs.MatchingStub(world.channel).MatchMany(iter([request]), timeout=CALL_SECONDS))
    equal(len(ask(4096)[0].replies), 4096)
    world.refused(grpc.StatusCode.INVALID_ARGUMENT, "4097", "4096", by=lambda: ask(4097))


# Recording.


@check("record: recorded, with the time of commit, and in the next match")
def record(world: World) -> None:
    before = time.time() * 1000
    reply = world.client.record(line(1), shot("capture-1"))
    equal((reply.outcome, reply.ticket, reply.shot_id), (recorded, int(line(1)[2:]), reply.sequence))
    assert before - 1000 <= reply.recorded_at <= time.time() * 1000 + 1000, reply
    [held] = world.client.match(line(1)).shots
    equal((held.shot_id, held.recorded_at), (reply.shot_id, reply.recorded_at))
    equal(held.shot, shot("capture-1", stub=11))
    world.shot_of_1 = reply.shot_id


@check("record: the same capture id again is already recorded, with the shot that is held")
def record_again(world: World) -> None:
    reply = world.client.record(line(1), shot("capture-1"))
    equal((reply.outcome, reply.shot_id), (already, world.shot_of_1))
    equal(len(world.client.match(line(1)).shots), 1)


@check("record: the same capture id with other content is ALREADY_EXISTS")
def record_other_content(world: World) -> None:
    world.refused(grpc.StatusCode.ALREADY_EXISTS, f"shot {world.shot_of_1}",
                  by=lambda: world.client.record(line(1), shot("capture-1", date=20210413)))
    equal(len(world.client.match(line(1)).shots), 1)


@check("record: without a capture id the identical shot is already recorded, another one is not")
def record_without_capture_id(world: World) -> None:
    def ask(date: int) -> services.RecordReply:
        request = services.RecordRequest(line_text=line(2), shot=shot(date=date))
        return stubs.ShotLogStub(world.channel).Record(request, timeout=CALL_SECONDS)
    first, again, other = ask(20210412), ask(20210412), ask(20210503)
    equal((first.outcome, again.outcome, other.outcome), (recorded, already, recorded))
    equal(again.shot_id, first.shot_id)


@check("record: on a ticket without a row it is an orphan")
def record_orphan(world: World) -> None:
    equal(world.client.record(line(50), shot("capture-50")).outcome, services.RECORD_OUTCOME_ORPHAN)
    reply = world.client.match(line(50))
    equal((reply.outcome, len(reply.shots), reply.HasField("resident")), (orphan, 1, False))


@check("record: a ward's code leads to its city and is kept as presented")
def record_ward(world: World) -> None:
    reply = world.client.record(line(9, SAPPORO_CHUO_WARD), shot("capture-9"))
    equal(reply.ticket, SAPPORO * 10**10 + 9)
    [held] = world.client.match(line(9, SAPPORO)).shots
    equal(held.shot.presented_municipality, SAPPORO_CHUO_WARD)


@check("record: 2021-02-30, dose 0, a bad line and a missing shot are INVALID_ARGUMENT and name the field")
def record_invalid(world: World) -> None:
    def refused(word: str, text: str, content: records.Shot) -> None:
        world.refused(grpc.StatusCode.INVALID_ARGUMENT, word, by=lambda: world.client.record(text, content))
    before = world.client.status().sequence
    refused("接種日", line(1), shot("bad", date=20210230))
    no_dose = shot("bad")
    no_dose.dose = 0
    refused("接種回数", line(1), no_dose)
    refused("digit 8", line(1, CHIYODA + 1), shot("bad"))
    refused("接種日", line(1), records.Shot())
    refused("医療機関コード", line(1), shot("bad", institution="12345"))
    refused("読取ID", line(1), shot("two words"))
    equal(world.client.status().sequence, before)


@check("RecordMany: 1,000 shots, one reply each, in order")
def record_many(world: World) -> None:
    replies = list(world.client.record_many(crowd_shots()))
    equal({reply.outcome for reply in replies}, {recorded})
    equal([reply.ticket % 10**10 for reply in replies], list(MANY))
    world.crowd_shot_ids = [reply.shot_id for reply in replies]
    equal(len(set(world.crowd_shot_ids)), len(MANY))


@check("RecordMany: all of them again are already recorded, as the same shots")
def record_many_again(world: World) -> None:
    replies = list(world.client.record_many(crowd_shots()))
    equal({reply.outcome for reply in replies}, {already})
    equal([reply.shot_id for reply in replies], world.crowd_shot_ids)


@check("RecordMany: a bad shot, a repeat and a conflict in a batch are one reply each")
def record_many_mixed(world: World) -> None:
    def request(text: str, content: records.Shot) -> services.RecordRequest:
        return services.RecordRequest(line_text=text, shot=content)
    replies = list(world.client.record_many([
        request(line(6), shot("mixed")),
        request(line(6), shot("bad", date=20211301)),
        request(line(6), shot("mixed")),
        request(line(6), shot("mixed", date=20210501)),
        request("12", shot("bad")),
    ]))
    invalid, conflict = services.RECORD_OUTCOME_INVALID, services.RECORD_OUTCOME_CAPTURE_ID_CONFLICT
    equal([reply.outcome for reply in replies], [recorded, invalid, already, conflict, invalid])
    equal({replies[at].shot_id for at in (0, 2, 3)}, {replies[0].shot_id})
    holds(replies[1].reason, "接種日")


@check("RecordMany: 4,097 shots in a message are too many, and none is recorded")
def record_too_many(world: World) -> None:
    before = world.client.status().sequence
    request = services.RecordManyRequest(shots=[services.RecordRequest(line=int(line(1)), shot=shot("many"))] * 4097)
    world.refused(grpc.StatusCode.INVALID_ARGUMENT, "4097", "4096",
                  by=lambda: list(stubs.ShotLogStub(world.channel).RecordMany(iter([request]), timeout=CALL_SECONDS)))
    equal(world.client.status().sequence, before)


@check("client: a shot is recorded again after UNKNOWN and RESOURCE_EXHAUSTED, with the same capture id")
def client_repeats(_world: World) -> None:
    # A server of this process, because a real one cannot be made to fail at the right moment.
    captured: list[str] = []
    failures = [grpc.StatusCode.UNKNOWN, grpc.StatusCode.RESOURCE_EXHAUSTED]

    class Failing(stubs.ShotLogServicer):
        def Record(self, request: services.RecordRequest, context: grpc.ServicerContext) -> services.RecordReply:
            captured.append(request.shot.capture_id)
            if failures:
                context.abort(failures.pop(), "not now")
            return services.RecordReply(outcome=recorded)

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    stubs.add_ShotLogServicer_to_server(Failing(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with example.Sesshu.connect(f"127.0.0.1:{port}", timeout=CALL_SECONDS) as client:
            equal(client.record(line(1), shot()).outcome, recorded)
    finally:
        server.stop(grace=None).wait(timeout=CALL_SECONDS)
    equal((len(captured), len(set(captured)), bool(captured[0])), (3, 1, True))


# The whole ledger, and the next snapshot.


def number_of(reply: services.MatchReply) -> int:
    return reply.ticket % 10**10


@check("ledger: every ticket in number order, as it matches")
def ledger(world: World) -> None:
    replies = list(world.client.ledger(CHIYODA))
    equal([number_of(reply) for reply in replies], [1, 2, 6, 50, *MANY])
    equal([number_of(reply) for reply in replies if reply.outcome == orphan], [50])
    by_match = list(world.client.match_many(int(line(number_of(reply))) for reply in replies))
    equal(replies == by_match, True, "the ledger and the matches of its tickets:")


@check("ledger: empty where nothing was loaded, refused where there is no municipality")
def ledger_of_others(world: World) -> None:
    equal(list(world.client.ledger(131024)), [])
    world.refused(grpc.StatusCode.INVALID_ARGUMENT, by=lambda: list(world.client.ledger(130001)))


@check("status: counts ledgers, residents, orphans and shots")
def status_counts(world: World) -> None:
    status = world.client.status()
    equal((status.ledgers, status.residents, status.orphans, status.shots), (2, 1003, 2, 1006))
    equal((status.writable, status.not_writable_reason), (True, ""))


@check("second load: added, changed, unchanged, kept and removed are told")
def second_load(world: World) -> None:
    summary, rejected = world.client.load_snapshot(CHIYODA, SECOND_SNAPSHOT)
    equal([(row.line, row.code) for row in rejected], [(2, "unknown_value")])
    equal((summary.accepted, summary.added, summary.changed, summary.unchanged, summary.kept, summary.removed),
          (1002, 1, 1, 1000, 1, 1))
    equal(summary.generation, 2)


@check("second load: the orphan is matched now, its shot came along")
def orphan_is_matched(world: World) -> None:
    reply = world.client.match(line(50))
    equal((reply.outcome, reply.resident.name, len(reply.shots)), (matched, "見本　50号", 1))
    equal(world.client.record(line(50), shot("capture-50")).outcome, already)


@check("second load: changed, kept and removed residents are what the reply said, with their shots")
def residents_after_second_load(world: World) -> None:
    kept, changed, removed = (world.client.match(line(number)) for number in (1, 2, 6))
    equal((kept.resident, len(kept.shots)), (FIRST_SNAPSHOT[0].resident, 1))
    equal((changed.resident.birth_date, len(changed.shots)), (19400512, 2))
    equal((removed.resident.status, len(removed.shots)), (records.RESIDENT_STATUS_REMOVED, 1))


# Stopping and starting.


def everything(world: World) -> tuple[Any, ...]:
    """All that the store holds and that must outlive a server."""
    status = world.client.status()
    ledgers = [list(world.client.ledger(code)) for code in (CHIYODA, SAPPORO)]
    return (status.store_id, status.sequence, status.ledgers, status.residents, status.orphans, status.shots, ledgers)


@check("stop: SIGTERM ends the server with exit code 0")
def terminate(world: World) -> None:
    world.before_stop = everything(world)
    equal(world.stop(), 0, "exit code")


@check("restart: everything is still there, and the store was closed cleanly")
def restart(world: World) -> None:
    world.start()
    equal(world.client.status().opened, "clean")
    equal(everything(world) == world.before_stop, True, "the same residents and shots:")


@check("SIGKILL: a client that records meanwhile is answered by the next server on the port")
def record_while_restarting(world: World) -> None:
    address = world.server.address
    equal(world.client.record(line(1), shot("before-kill")).outcome, recorded)
    world.before_kill = everything(world)
    world.server.kill()
    with futures.ThreadPoolExecutor(max_workers=1) as pool:
        answer = pool.submit(world.client.record, line(2), shot("across-kill"), attempts=12)
        old = world.channel
        world.printed += world.server.printed
        world.start(listen=address)
        equal(answer.result(timeout=60).outcome, recorded)
    old.close()


@check("SIGKILL: what was acknowledged is still there")
def acknowledged_survives_kill(world: World) -> None:
    equal(world.client.status().opened, "recovered")
    *_, [chiyoda, sapporo] = everything(world)
    *_, [chiyoda_before, sapporo_before] = world.before_kill
    others = [[reply for reply in ledger if number_of(reply) != 2] for ledger in (chiyoda, chiyoda_before)]
    equal(others[0] == others[1] and sapporo == sapporo_before, True, "all but the ticket that has a new shot:")
    equal([held.shot.capture_id for held in world.client.match(line(2)).shots], ["", "", "across-kill"])


@check("stop: SIGTERM again, exit code 0")
def terminate_again(world: World) -> None:
    equal(world.stop(), 0, "exit code")


# My Numbers.


def my_number_in(data: bytes) -> bool:
    """Whether a My Number of a register row stands there: its digits, or its eight bytes as messages carry them."""
    return any(f"{mine}".encode() in data or mine.to_bytes(8, "little") in data for mine in my_numbers)


@check("My Numbers: in none of the replies and refusals")
def no_my_number_in_replies(world: World) -> None:
    assert len(world.replies) > 100 and len(world.refusals) > 20, "the replies were not kept"
    equal(my_number_in(b"\n".join([*world.replies, *(text.encode() for text in world.refusals)])), False)


@check("My Numbers: not in the server's output, debug log included")
def no_my_number_in_output(world: World) -> None:
    assert world.errors.stat().st_size > 0, "the server logged nothing"
    equal(my_number_in("".join(world.printed).encode() + world.errors.read_bytes()), False)


@check("My Numbers: not in clear in the store's files")
def no_my_number_in_store(world: World) -> None:
    files = [path for path in world.store.rglob("*") if path.is_file()]
    assert files, "the store has no files"
    equal([path.name for path in files if my_number_in(path.read_bytes())], [])


def run(world: World) -> int:
    """Runs every check and returns how many failed."""
    failed = 0
    for title, function in CHECKS:
        try:
            function(world)
        except Exception as error:
            failed += 1
            told = f"{error.code().name}: {error.details()}" if isinstance(error, grpc.RpcError) else error
            print(f"FAILED  {title}\n        {type(error).__name__}: {told}", flush=True)
        else:
            print(f"ok      {title}", flush=True)
    return failed


def main() -> int:
    world = World(harness.find_binary(sys.argv[1:]), Path(scratch.name))

    def too_long(*_signal: object) -> NoReturn:
        print(f"FAILED  not done after {ALL_SECONDS} seconds", flush=True)
        world.server.process.kill()
        scratch.cleanup()
        os._exit(1)

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(ALL_SECONDS)
    try:
        failed = run(world)
    finally:
        if world.server.process.poll() is None:
            world.server.kill()
        scratch.cleanup()
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
