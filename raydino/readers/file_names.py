"""Names of files as the rest of raydino may use them, the same from a folder, a zip or a bucket."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import quote


def portable(name: str) -> str:
    """``name``, or for one that is not UTF-8 its bytes percent-encoded, with a slash at the end.

    Such a name cannot be hashed, printed or written to a CSV. No file's own name ends in a slash, so
    no two files get one name; ``urllib.parse.unquote_to_bytes`` leads back.

    >>> portable("ward/r\\udcf6ntgen.dcm")
    'ward/r%F6ntgen.dcm/'
    """
    try:
        name.encode()
        return name
    except UnicodeEncodeError:
        pass
    try:
        return quote(name.encode("utf-8", "surrogateescape")) + "/"
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        return quote(name.encode("utf-8", "surrogatepass")) + "/"


def is_hidden(name: str) -> bool:
    """Whether the file or a folder above it has a name that begins with a dot."""
    return any(part.startswith(".") for part in PurePosixPath(name).parts)


def is_index(name: str) -> bool:
    """Whether it is a DICOMDIR (PS3.10), which lists films that are files of their own."""
    return PurePosixPath(name).name.upper() == "DICOMDIR"


def leads_outside(name: str) -> bool:
    """Whether unpacking a member of this name could write outside the folder chosen for it."""
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or "\0" in name


class UniqueNames:
    """Second and later files of one name get a number: an archive may hold a name twice."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def of(self, name: str) -> str:
        """``name``, or ``name#2`` and so on."""
        count = self._seen[name] = self._seen.get(name, 0) + 1
        return name if count == 1 else self.of(f"{name}#{count}")
