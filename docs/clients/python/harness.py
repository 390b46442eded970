"""What check.py stands on: generated stubs, a server process, and a record of every byte that the server answered.

Nothing here knows what the server should answer. A server is ended by its process handle, also when a check fails.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import grpc

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 60
STOP_SECONDS = 30


def generate_stubs(out: Path) -> None:
    """Generates the modules of `sesshu.v1` from proto/ into `out` and puts that on the import path."""
    from grpc_tools import protoc

    out.mkdir()
    protos = ["sesshu/v1/records.proto", "sesshu/v1/services.proto"]
    outputs = [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")]
    if protoc.main(["protoc", f"-I{ROOT / 'proto'}", *outputs, *protos]) != 0:
        raise RuntimeError("protoc could not read proto/")
    sys.path.insert(0, str(out))


def find_binary(arguments: list[str]) -> Path:
    """The `sesshu` that was named, or the one that was built last."""
    if arguments:
        named = Path(arguments[0]).resolve()
        if not named.is_file():
            raise SystemExit(f"no file {arguments[0]}")
        return named
    built = [path for kind in ("release", "debug") if (path := ROOT / "target" / kind / "sesshu").is_file()]
    if not built:
        raise SystemExit("no sesshu in target/: name one, or `cargo build --release -p sesshu`")
    return max(built, key=lambda path: path.stat().st_mtime)


class Server:
    """A `sesshu serve` process."""

    def __init__(self, binary: Path, store: Path, errors: Path, listen: str = "127.0.0.1:0") -> None:
        self.printed: list[str] = []
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        with errors.open("ab") as stderr:
            self.process = subprocess.Popen(
                [binary, "serve", "--store", store, "--listen", listen],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True,
                env={**os.environ, "SESSHU_LOG": "debug"},
            )
        self._reader = threading.Thread(target=self._read, args=(lines,), daemon=True)
        self._reader.start()
        try:
            first = lines.get(timeout=START_SECONDS)
        except queue.Empty:
            first = ""
        prefix = "listening on http://"
        if not first.startswith(prefix):
            self.kill()
            raise RuntimeError(f"the server did not start: {first or errors.read_text()[-2000:]}")
        self.address = first.removeprefix(prefix)

    def _read(self, lines: queue.SimpleQueue[str]) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line)
            lines.put(line.strip())
        lines.put("")

    def terminate(self) -> int:
        """Sends SIGTERM and returns the exit code."""
        self.process.terminate()
        return self._wait()

    def kill(self) -> None:
        """Ends the process without a chance to tidy up."""
        self.process.kill()
        self._wait()

    def _wait(self) -> int:
        code = self.process.wait(timeout=STOP_SECONDS)
        self._reader.join(timeout=STOP_SECONDS)
        return code


class TappedChannel:
    """A channel that keeps the bytes of every reply. Stubs need no more of a channel than these methods."""

    def __init__(self, channel: grpc.Channel, tapped: list[bytes]) -> None:
        self._channel, self._tapped = channel, tapped

    def close(self) -> None:
        self._channel.close()

    def unary_unary(self, path: str, **options: Any) -> Any:
        return self._channel.unary_unary(path, **self._tap(options))

    def unary_stream(self, path: str, **options: Any) -> Any:
        return self._channel.unary_stream(path, **self._tap(options))

    def stream_stream(self, path: str, **options: Any) -> Any:
        return self._channel.stream_stream(path, **self._tap(options))

    def _tap(self, options: dict[str, Any]) -> dict[str, Any]:
        read = options["response_deserializer"]

        def keep_and_read(reply: bytes) -> Any:
            self._tapped.append(reply)
            return read(reply)

        return {**options, "response_deserializer": keep_and_read}
