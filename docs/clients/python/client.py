"""An example client of `sesshu serve`, written from the .proto files alone.

It shows each call once, with what a program must not forget: a deadline on every call, batches within the server's
limits, the same capture id when a shot is recorded again, and a register snapshot that is visible at commit or not at
all. Errors are `grpc.RpcError`; `code()` says what to do, `details()` names the field at fault.

The modules under `sesshu.v1` are generated from proto/ and must be on the import path; README.md says how.
"""

from __future__ import annotations

import queue
import random
import time
import uuid
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

import grpc
from sesshu.v1 import records_pb2 as records
from sesshu.v1 import services_pb2 as services
from sesshu.v1 import services_pb2_grpc as stubs

# The server takes 4,096 lines or shots and 8,192 rows in a message. Smaller batches keep the replies small as well.
BATCH_SHOTS = 512
BATCH_LINES = 1024
BATCH_ROWS = 4096

# A page of people with many shots can be larger than the 4 MB that grpcio takes by itself.
REPLY_BYTES_MAX = 64 << 20

# After these nobody knows whether the shot became durable, or it did not for now. With its capture id it can be recorded
# again without harm: the ticket holds a capture id once.
RECORD_AGAIN = frozenset({
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
})

T = TypeVar("T")


class Loaded(NamedTuple):
    """What a register snapshot did, and every row of it that was not taken."""

    summary: services.LoadSummary
    rejected: list[services.RejectedRow]


class Sesshu:
    """A server that answers on `channel`. `timeout` is for one call and `stream_timeout` for a whole stream, in seconds."""

    def __init__(self, channel: grpc.Channel, timeout: float = 10.0, stream_timeout: float = 300.0) -> None:
        self._channel, self._timeout, self._stream_timeout = channel, timeout, stream_timeout
        self._matching = stubs.MatchingStub(channel)
        self._shot_log = stubs.ShotLogStub(channel)
        self._register = stubs.RegisterStub(channel)
        self._ledgers = stubs.LedgersStub(channel)
        self._operations = stubs.OperationsStub(channel)

    @classmethod
    def connect(cls, address: str, timeout: float = 10.0, stream_timeout: float = 300.0) -> Sesshu:
        """Connects to `HOST:PORT`. There is no TLS yet, so this is for a server on this machine."""
        return cls(insecure_channel(address), timeout, stream_timeout)

    def __enter__(self) -> Sesshu:
        return self

    def __exit__(self, *_error: object) -> None:
        self._channel.close()

    def match(self, line: str) -> services.MatchReply:
        """The resident and the shots of one ticket line: 18 digits as they were scanned or typed."""
        return self._matching.Match(services.MatchRequest(line_text=line), timeout=self._timeout)

    def match_many(self, lines: Iterable[int]) -> Iterator[services.MatchReply]:
        """One reply per line, in order. A line that is none is answered with the outcome invalid, not with an error."""
        requests = (services.MatchManyRequest(lines=batch) for batch in batches(lines, BATCH_LINES))
        for reply in self._matching.MatchMany(requests, timeout=self._stream_timeout):
            yield from reply.replies

    def record(self, line: str, shot: records.Shot, attempts: int = 6) -> services.RecordReply:
        """Records one shot; it is on disk when this returns.

        A shot without a capture id gets one here, before the first attempt, so that every attempt is the same shot. The
        outcome already recorded after a repeat means that an earlier attempt had arrived.
        """
        request = services.RecordRequest(line_text=line, shot=shot)
        if not request.shot.capture_id:
            request.shot.capture_id = uuid.uuid4().hex
        for attempt in range(1, attempts + 1):
            try:
                return self._shot_log.Record(request, timeout=self._timeout)
            except grpc.RpcError as error:
                if error.code() not in RECORD_AGAIN or attempt == attempts:
                    raise
            time.sleep(min(5.0, 0.1 * 2**attempt) * random.uniform(0.5, 1.0))
        raise ValueError("at least one attempt is needed")

    def record_many(self, requests: Iterable[services.RecordRequest]) -> Iterator[services.RecordReply]:
        """One reply per request, in order; look at each outcome. If the stream fails, send all of it again: the capture
        ids see to it that nothing is recorded twice."""
        stream = (services.RecordManyRequest(shots=batch) for batch in batches(requests, BATCH_SHOTS))
        for reply in self._shot_log.RecordMany(stream, timeout=self._stream_timeout):
            yield from reply.replies

    def open_load(self, municipality: int, expected_rows: int = 0) -> SnapshotLoad:
        """Begins a register snapshot, to be used in a `with` block."""
        return SnapshotLoad(self._register, municipality, expected_rows, self._stream_timeout)

    def load_snapshot(
        self, municipality: int, rows: Iterable[services.RegisterRow], expected_rows: int = 0
    ) -> Loaded:
        """Replaces a municipality's register by `rows`, whole or not at all."""
        rejected: list[services.RejectedRow] = []
        with self.open_load(municipality, expected_rows) as load:
            for batch in batches(rows, BATCH_ROWS):
                rejected.extend(load.send(batch).rejected)
            committed = load.commit()
        return Loaded(committed.summary, sorted([*rejected, *committed.rejected], key=lambda row: row.line))

    def ledger(self, municipality: int) -> Iterator[services.MatchReply]:
        """Every ticket of a municipality in number order, as of one moment."""
        request = services.GetLedgerRequest(municipality=municipality)
        for page in self._ledgers.Get(request, timeout=self._stream_timeout):
            yield from page.tickets

    def status(self) -> services.StatusReply:
        """What the store holds, and whether it takes writes."""
        return self._operations.Status(services.StatusRequest(), timeout=self._timeout)


class SnapshotLoad:
    """A register snapshot under way: each request waits for its reply. Leaving the `with` block without a commit ends the
    load, and nothing of it was ever visible."""

    def __init__(self, register: stubs.RegisterStub, municipality: int, expected_rows: int, timeout: float) -> None:
        self._requests: queue.SimpleQueue[services.LoadSnapshotRequest | None] = queue.SimpleQueue()
        self._call = register.LoadSnapshot(iter(self._requests.get, None), timeout=timeout)
        opening = services.LoadOpen(municipality=municipality, expected_rows=expected_rows)
        try:
            self._ask(services.LoadSnapshotRequest(open=opening))
        except grpc.RpcError:
            self.end()
            raise

    def __enter__(self) -> SnapshotLoad:
        return self

    def __exit__(self, *_error: object) -> None:
        self.end()

    def send(
        self, rows: Iterable[services.RegisterRow], kept_numbers: Iterable[int] = ()
    ) -> services.LoadRowsTaken:
        """Sends rows, and the ticket numbers of rows that this side rejected: their residents stay as they were."""
        batch = services.LoadRows(rows=rows, kept_numbers=kept_numbers)
        return self._ask(services.LoadSnapshotRequest(rows=batch)).rows_taken

    def commit(self) -> services.LoadCommitted:
        """Makes the snapshot visible. Duplicate ticket numbers are found here and are in the reply."""
        return self._ask(services.LoadSnapshotRequest(commit=services.LoadCommit())).committed

    def end(self) -> None:
        """Ends the stream. After a commit there is nothing left to end."""
        self._requests.put(None)
        self._call.cancel()

    def _ask(self, request: services.LoadSnapshotRequest) -> services.LoadSnapshotReply:
        self._requests.put(request)
        return next(self._call)


def insecure_channel(address: str) -> grpc.Channel:
    """A channel that takes large replies and looks for a restarted server soon."""
    return grpc.insecure_channel(address, options=[
        ("grpc.max_receive_message_length", REPLY_BYTES_MAX),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
    ])


def ticket_line(municipality: int, number: int, kind: int = 1, dose: int = 1) -> int:
    """The decimal number of a ticket line's 18 digits: kind, dose, municipality code, ten-digit number."""
    return ((kind * 10 + dose) * 10**6 + municipality) * 10**10 + number


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """`items` in lists of at most `size`."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
