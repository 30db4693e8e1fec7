"""What a process knows of clients' pasts since its own latest writing.

Nothing of it need be read again while the streams are where it left them: who else writes, moves them.
"""

from collections.abc import Collection, Iterable, Mapping

from src.domain.event_batches import ALL, Past

MOST = 5_000  # clients; each takes a few kilobytes


class KnownPasts:
    def __init__(self) -> None:
        self._pasts: dict[str, Past] = {}  # the one that was used last at the end
        self._left: int | None = None  # where the stream of all events was; of those of clients, pasts tell

    def take(self, names: Iterable[str]) -> dict[str, Past]:
        """Those that are known. They are the taker's: what is not given back is forgotten."""
        taken = {name: past for name in names if (past := self._pasts.pop(name, None))}
        for past in taken.values():
            if past.stream == ALL:
                past.latest = self._left
        return taken

    def take_all(self, names: Collection[str]) -> dict[str, Past]:
        """All of them, or, unless all are known, none."""
        return self.take(names) if all(name in self._pasts for name in names) else {}

    def keep(self, pasts: Mapping[str, Past], latest: Mapping[int, int], depths: tuple[int, int]) -> None:
        """After a writing that is committed: the pasts that it began with, and how far the streams came."""
        for name, past in pasts.items():
            if past.client_id is None:
                continue
            if past.stream == ALL and past.latest != self._left:  # another process has written meanwhile
                self._pasts.clear()
                self._left = past.latest
            past.history.shorten(*depths)
            self._pasts[name] = past
        for past in pasts.values():
            past.latest = latest.get(past.stream, past.latest)
        self._left = latest.get(ALL, self._left)
        while len(self._pasts) > MOST:
            del self._pasts[next(iter(self._pasts))]

    def forget(self, names: Iterable[str]) -> None:
        """What was kept of these has not come true; where there is one stream, no other's holds either."""
        if self._left is not None:
            self.clear()
        for name in names:
            self._pasts.pop(name, None)

    def clear(self) -> None:
        self._pasts.clear()
