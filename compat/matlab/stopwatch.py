"""Time: tic, toc, now, datestr."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from pyconvnet.values import number, whole_number

__all__ = ["datestr", "now", "tic", "toc"]

_started: list[int] = []
_FORMS = {0: "dd-mmm-yyyy HH:MM:SS", 1: "dd-mmm-yyyy", 13: "HH:MM:SS", 23: "mm/dd/yyyy", 29: "yyyy-mm-dd"}
_FORMS |= {30: "yyyymmddTHHMMSS", 31: "yyyy-mm-dd HH:MM:SS"}
_EPOCH = datetime(1, 1, 1)  # datenum 367
_MONTHS = "January February March April May June July August September October November December".split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


def tic() -> int:
    """Start the clock; the number it returns stands for this start, for toc."""
    _started[:] = [time.perf_counter_ns()]
    return _started[0]


def toc(start: int | None = None) -> float:
    """Seconds since the last tic, or since the one that returned `start`."""
    if start is None and not _started:
        raise ValueError("toc: tic must be called before")
    return (time.perf_counter_ns() - (_started[0] if start is None else whole_number("toc: start", start, 0))) / 1e9


def now() -> float:
    """The local time in days, as datenum counts them: 1 is the first of January of the year 0."""
    return datenum_of(time.time())


def datenum_of(seconds: float) -> float:
    """The local time in days, of seconds since 1970."""
    since = datetime.fromtimestamp(seconds) - _EPOCH
    return 367 + since.days + (since.seconds + since.microseconds / 1e6) / 86400


def datestr(when: Any = "now", form: Any = None) -> str:
    """A date as text.

    when  "now", a number of days as now() gives it, or a datetime
    form  made of yyyy yy mmmm mmm mm dddd ddd dd HH MM SS FFF AM; or one of MATLAB's numbers 0, 1, 13, 23, 29, 30, 31

    >>> datestr(730736.65149, "yyyy-mm-dd HH:MM:SS")
    '2000-09-07 15:38:09'
    """
    if isinstance(when, datetime):
        moment = when
    elif isinstance(when, str):
        if when != "now":
            raise NotImplementedError(f"datestr: text must be 'now', got {when!r}; datetime.strptime reads dates")
        moment = datetime.now()
    else:
        years = "a date of the years 1 to 9999, in days"
        days = number("datestr: when", when, years, lambda v: 367 <= v < 3652425)
        moment = _EPOCH + timedelta(milliseconds=round((days - 367) * 86400000))
    if form is None:
        form = 1 if (moment.hour, moment.minute, moment.second) == (0, 0, 0) else 0
    if not isinstance(form, str):
        form = number("datestr: form", form)
        if form not in _FORMS:
            raise ValueError(f"datestr: form must be text or one of {', '.join(map(str, _FORMS))}, got {form!r}")
        form = _FORMS[form]
    if "FFF" not in form:  # seconds are rounded
        moment = (moment + timedelta(milliseconds=500)).replace(microsecond=0)
    twelve = "AM" in form or "PM" in form
    month, day = _MONTHS[moment.month - 1], _DAYS[moment.weekday()]
    hour = (moment.hour % 12 or 12) if twelve else moment.hour
    parts = {
        "yyyy": f"{moment.year:04d}", "yy": f"{moment.year % 100:02d}",
        "mmmm": month, "mmm": month[:3], "mm": f"{moment.month:02d}",
        "dddd": day, "ddd": day[:3], "dd": f"{moment.day:02d}",
        "HH": f"{hour:2d}" if twelve else f"{hour:02d}", "MM": f"{moment.minute:02d}", "SS": f"{moment.second:02d}",
        "FFF": f"{moment.microsecond // 1000:03d}", "AM": "PM" if moment.hour > 11 else "AM",
    }  # fmt: skip
    parts["PM"] = parts["AM"]
    out = ""
    while form:
        name = next((n for n in parts if form.startswith(n)), None)
        out += form[0] if name is None else parts[name]
        form = form[1 if name is None else len(name) :]
    return out
