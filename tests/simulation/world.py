"""The simulated world: services and a source whose uploads change, and watchers over stores on disk.

All of it runs on one event loop in virtual time, so that a seed decides everything.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from tests.simulation.disk import Disk
from tests.simulation.embedded import EmbeddedHost
from tests.simulation.options import Options, Trace
from tests.simulation.services import Host, SourceHost
from tests.simulation.watchers import Recorded, Watcher
from upload_tui.monitor import Change

__all__ = ["World"]


class World:
    """Everything of one run."""

    def __init__(self, options: Options, seed: int, folder: Path) -> None:
        self.options = options
        self.trace = Trace()
        self.folder = folder
        self.disk = Disk(self.trace)
        self.chunk_disk = Disk(self.trace)
        rng = Random(f"{seed} world")
        self.hosts: list[Host] = [
            Host(number, options, self.trace, Random(f"{seed} {number}")) for number in range(len(options.shapes))
        ]
        self.embedded: EmbeddedHost | None = None
        self.source = SourceHost(self.trace, Random(f"{seed} source")) if options.has_source else None
        self.watchers = [Watcher(self, number, folder) for number in range(options.watchers)]
        self.recordings: list[Recorded] = []
        self.deletions = 0
        """How often the user has deleted the stores."""
        self.is_over = False
        """Whether nothing happens any more: what is shown must become what is listed."""
        self.on_change: list[Callable[[Watcher, Change], None]] = []
        if options.has_embedded:
            number = len(self.hosts) - 1
            rng_of_host, mistakes = Random(f"{seed} {number}"), Random(f"{seed} mistakes")
            self.embedded = EmbeddedHost(number, options, self.trace, rng_of_host, folder, mistakes)
            self.hosts[-1] = self.embedded
        for index in range(options.uploads):
            for place in self.places():
                if place is self.embedded:
                    continue
                place.insert(rng, 3.0 * (options.uploads - index))
                for _ in range(rng.randrange(3)):
                    place.advance(rng)

    def places(self) -> Iterator[Host | SourceHost]:
        """The services and the source."""
        yield from self.hosts
        if self.source is not None:
            yield self.source

    def handle_change(self, watcher: Watcher, change: Change) -> None:
        self.trace.add(f"watcher {watcher.number} {type(change).__name__} {getattr(change, 'upload', '')}")
        for call in self.on_change:
            call(watcher, change)
