"""Put on PYTHONPATH, this sets the clock of a Python process off by CLOCK_OFFSET seconds."""

import datetime as dt
import os
import time

OFFSET = int(os.environ["CLOCK_OFFSET"])
_time, _time_ns, _gmtime, _localtime = time.time, time.time_ns, time.gmtime, time.localtime
_datetime = dt.datetime


class _Kind(type):
    """True datetimes, as C code makes them, are instances of the one that stands in for them."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, _datetime)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(kind, _datetime)


class _Shifted(_datetime, metaclass=_Kind):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]  # a true one
        return _datetime.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls) -> dt.datetime:  # type: ignore[override]  # a true one
        return _datetime.fromtimestamp(time.time(), dt.UTC).replace(tzinfo=None)


time.time = lambda: _time() + OFFSET
time.time_ns = lambda: _time_ns() + OFFSET * 10**9
time.gmtime = lambda seconds=None: _gmtime(time.time() if seconds is None else seconds)
time.localtime = lambda seconds=None: _localtime(time.time() if seconds is None else seconds)
dt.datetime = _Shifted  # type: ignore[misc]
