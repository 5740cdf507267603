"""What a program that stays open costs: processor time, memory, requests and bytes, in real time, as a Markdown table.

    python -m tests.benchmarks.costs [--minutes N] [--only WORD]

All programs run at the same time, each with a home folder of its own.
"""

import argparse
import asyncio
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit
from urllib.request import urlopen

from tests.benchmarks.terminal import TerminalProgram, python
from upload_tui.backend import EmbeddedService
from upload_tui.backend.scenarios.uploads import finished_uploads
from upload_tui.backend.store.records import ProjectRecord

_PROJECTS, _UPLOADS = 100, 100
_SETTLING_SECONDS = 60.0
"""Until the first scan is over, also that of a hundred projects, and everything that is loaded once is in memory."""
_SCRAPE_SECONDS = 15.0
_DRAIN_SECONDS = 0.05


@dataclass
class Meter:
    """Passes connections on to a service, and counts requests and bytes in both directions."""

    service_url: str
    requests: int = 0
    count_bytes: int = 0
    _ready: threading.Event = field(default_factory=threading.Event)

    def start(self) -> str:
        """Start in a thread that ends with this process, and return the URL."""
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()
        self._ready.wait()
        return f"http://127.0.0.1:{self._port}"

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await server.serve_forever()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = urlsplit(self.service_url)
        to_reader, to_writer = await asyncio.open_connection(address.hostname, address.port)
        await asyncio.gather(self._copy(reader, to_writer, is_request=True), self._copy(to_reader, writer))

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_request: bool = False
    ) -> None:
        with suppress(OSError):
            while received := await reader.read(1 << 16):
                self.count_bytes += len(received)
                self.requests += received.count(b" HTTP/1.1\r\n") if is_request else 0
                writer.write(received)
                await writer.drain()
            writer.close()


@dataclass(frozen=True)
class Reading:
    """What a program has used until now."""

    cpu_seconds: float
    resident_bytes: int
    requests: int
    count_bytes: int


@dataclass
class Measured:
    """A program that runs; `meter` is None for one without a service on the network, `metrics_url` is empty without metrics."""

    name: str
    program: TerminalProgram
    meter: Meter | None = None
    metrics_url: str = ""

    def reading(self) -> Reading:
        """Read what it has used."""
        requests, count_bytes = (self.meter.requests, self.meter.count_bytes) if self.meter else (0, 0)
        return Reading(self.program.cpu_seconds, self.program.resident_bytes, requests, count_bytes)

    def scrape(self) -> None:
        """Read the metrics, as Prometheus does; nothing while they are not served yet."""
        if self.metrics_url:
            with suppress(OSError), urlopen(self.metrics_url) as answer:
                answer.read()


@dataclass(frozen=True)
class Watched:
    """A program over a served world: its name, the command, how many projects it watches, and the world."""

    name: str
    command: str
    projects: int
    world: str = "quiet"


DEMOS = {
    "`demo --scenario quiet`, an upload every 30 s": ("--scenario", "quiet"),
    "`demo`, an upload every 4 s": (),
}
WATCHED = (
    Watched("`watch`, 1 quiet project", "watch", 1),
    Watched("`watch`, 31 quiet projects", "watch", 31),
    Watched("`watch`, 100 quiet projects", "watch", 100),
    Watched("`watch`, an upload every 4 s", "watch", 1, "steady"),
    Watched("`tail`, 1 quiet project", "tail", 1),
    Watched("`tail`, an upload every 4 s", "tail", 1, "steady"),
    Watched("`metrics`, 31 quiet projects, read every 15 s", "metrics", 31),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the programs and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.costs")
    parser.add_argument("--minutes", type=float, default=2.0, help="how long to measure")
    parser.add_argument("--only", default="", metavar="WORD", help="only programs with WORD in their name")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        programs = list(_started(stack, lambda name: options.only in name))
        _wait(programs, _SETTLING_SECONDS)
        before, began = [one.reading() for one in programs], time.monotonic()
        _wait(programs, options.minutes * 60)
        after, minutes = [one.reading() for one in programs], (time.monotonic() - began) / 60
        print("| program | processor, % of a core | memory, MiB | requests a minute | KiB a minute |")
        print("| --- | --- | --- | --- | --- |")
        for one, first, last in zip(programs, before, after, strict=True):
            print(table_row(one.name, first, last, minutes, has_meter=one.meter is not None), flush=True)


def _started(stack: ExitStack, is_wanted: Callable[[str], bool]) -> Iterator[Measured]:
    home = Path(stack.enter_context(TemporaryDirectory()))
    for number, (name, options) in enumerate(DEMOS.items()):
        if is_wanted(name):
            demo = _program(home / f"demo-{number}", python("-m", "upload_tui", "demo", *options), {})
            yield Measured(name, stack.enter_context(demo))
    wanted = [one for one in WATCHED if is_wanted(one.name)]
    worlds = {
        world: stack.enter_context(_served(home / f"{world}.db", world))
        for world in sorted({one.world for one in wanted})
    }
    for number, one in enumerate(wanted):
        facts, projects = worlds[one.world]
        meter = Meter(facts["url"])
        variables = {"UPLOAD_TUI_URL": meter.start(), "UPLOAD_TUI_TOKEN": facts["token"]}
        chosen = [word for project in projects[: one.projects] for word in ("--project", project)]
        listen = ["--listen", f":{_free_port()}"] if one.command == "metrics" else []
        command = python("-m", "upload_tui", one.command, *listen, *chosen)
        program = stack.enter_context(_program(home / f"watched-{number}", command, variables))
        yield Measured(one.name, program, meter, f"http://127.0.0.1{listen[1]}/metrics" if listen else "")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _program(home: Path, command: Sequence[str], variables: Mapping[str, str]) -> TerminalProgram:
    home.mkdir()
    kinds = ("CACHE", "CONFIG", "DATA", "STATE")
    folders = {"HOME": str(home), **{f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in kinds}}
    return TerminalProgram(command, {**folders, **variables})


@contextmanager
def _served(file: Path, world: str) -> Iterator[tuple[Mapping[str, str], Sequence[str]]]:
    """Serve a world; yields where it is, with a token, and the ids of its projects."""
    projects = _fill(file) if world == "quiet" else []
    options = ["--db", str(file)] if world == "quiet" else ["--scenario", world]
    command = python("-m", "upload_tui", "serve", "--port", "0", "--json", *options)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        facts = json.loads(service.stdout.readline())
        try:
            yield facts, projects or [facts["project"]["id"]]
        finally:
            service.terminate()


def _fill(file: Path) -> Sequence[str]:
    """Create a database of finished uploads, and return the ids of its projects."""
    service, now = EmbeddedService(database=file), datetime.now(UTC)
    projects = [service.project.id, *(f"p-{number}" for number in range(1, _PROJECTS))]
    for number, project in enumerate(projects):
        if number:
            service.database.projects.add(ProjectRecord(project, f"Project {number}", "", now))
        service.import_uploads(list(finished_uploads(number, _UPLOADS, project, now)))
    service.database.close()
    return projects


def _wait(programs: Sequence[Measured], seconds: float) -> None:
    """Read what the programs paint, and the metrics, for this long."""
    end, scraped = time.monotonic() + seconds, 0.0
    while time.monotonic() < end:
        for one in programs:
            one.program.wait(_DRAIN_SECONDS)
        if time.monotonic() - scraped > _SCRAPE_SECONDS:
            scraped = time.monotonic()
            for one in programs:
                one.scrape()


def table_row(name: str, first: Reading, last: Reading, minutes: float, *, has_meter: bool) -> str:
    """The row of a program in the table: what it has used between two readings."""
    processor = 100 * (last.cpu_seconds - first.cpu_seconds) / (60 * minutes)
    memory = f"{first.resident_bytes / 2**20:.0f}, later {last.resident_bytes / 2**20:.0f}"
    requests, kibibytes = "", ""
    if has_meter:
        requests = f"{(last.requests - first.requests) / minutes:.0f}"
        kibibytes = f"{(last.count_bytes - first.count_bytes) / 1024 / minutes:.0f}"
    return f"| {name} | {processor:.1f} | {memory} | {requests} | {kibibytes} |"


if __name__ == "__main__":
    main()
