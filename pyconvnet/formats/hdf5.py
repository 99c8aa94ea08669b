"""PatientFile: a draft that HDF5 writes to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO


class PatientFile:
    """A file for HDF5, which crashes where one of its calls fails: the error is kept until HDF5 has closed the file."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.tell = file.tell
        self.error: BaseException | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.flush()
        if self.error is not None:
            raise self.error from None

    def _try(self, call: Callable[[], int | None], instead: int) -> int | None:
        if self.error is None:
            try:
                return call()
            except BaseException as error:  # Ctrl-C as well
                self.error = error
        return instead

    def seek(self, to: int, whence: int = 0) -> int | None:
        return self._try(lambda: self.file.seek(to, whence), to)

    def write(self, data: Any) -> int | None:
        return self._try(lambda: self.file.write(data), memoryview(data).nbytes)

    def read(self, size: int) -> bytes:
        return self.file.read(size) if self.error is None else bytes(size)

    def truncate(self, size: int) -> int | None:
        return self._try(lambda: self.file.truncate(size), size)

    def flush(self) -> None:
        self._try(self.file.flush, 0)
