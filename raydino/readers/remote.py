"""Trees and archives behind an address that fsspec knows: ``s3://``, ``gs://``, ``az://``, ``file://`` and others.

fsspec comes with torch; a cloud's own package and its credentials (by the cloud's usual environment
variables and files) are the user's. Neighbours: ``dicom_tree`` and ``archive_file``, which ``file://``
addresses go to.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, cast

from raydino.errors import UserError
from raydino.readers.archive_file import archive_images, is_archive, require_readable
from raydino.readers.base import (
    LARGEST_FILE_BYTES,
    Reader,
    ReaderOptions,
    Refused,
    SourceGone,
    SourceImage,
    open_reader,
    refuse_table,
)
from raydino.readers.file_names import is_hidden, is_index, portable

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)(::|://)")
_OF_THIS_PROCESS = ("memory",)  # what lies there, a worker cannot see


@dataclass(frozen=True)
class RemoteFile:
    """Opens a file of a file system, read in blocks as it is needed."""

    files: Any  # an fsspec file system; it pickles itself as the way to make it again
    path: str

    def __call__(self) -> BinaryIO:
        try:
            return cast(BinaryIO, self.files.open(self.path, "rb"))
        except (ConnectionError, TimeoutError):
            raise SourceGone("the storage stopped answering") from None
        except OSError as error:
            raise OSError(error.errno or errno.EIO, error.strerror or type(error).__name__) from None
        except Exception as error:  # a cloud's package raises what it likes
            raise OSError(errno.EIO, type(error).__name__) from None


class Remote:
    """Implements ``Reader``. Files come in order of their path relative to ``source``."""

    cohort = "dicom"

    def __init__(self, source: str, options: ReaderOptions) -> None:
        refuse_table("remote", options)
        self.labels: tuple[str, ...] = ()
        self.left_out: Mapping[str, str] = {}
        self.notes: Sequence[str] = ()
        self._local: Reader | None = None
        from fsspec.implementations.local import LocalFileSystem

        self._files, root = _file_system(source)
        if isinstance(self._files, LocalFileSystem):
            name = "archive" if os.path.isfile(root) else "dicom"
            self._local = open_reader(root, name, options)[1]
            self.notes = self._local.notes
            return
        self._paths = _listed(self._files, root, source)

    @classmethod
    def recognises(cls, source: str) -> bool:
        if (found := _SCHEME.match(source)) is None:
            return False
        from fsspec.registry import known_implementations

        return found[1] in known_implementations

    def total(self) -> int | None:
        if self._local:
            return self._local.total()
        return None if any(map(is_archive, self._paths)) else len(self._paths)

    def images(self) -> Iterator[SourceImage]:
        images = self._local.images() if self._local else self._remote_images()
        in_process = not set(_OF_THIS_PROCESS).isdisjoint(_protocols(self._files))
        yield from map(_with_content, images) if in_process else images

    def _remote_images(self) -> Iterator[SourceImage]:
        for name, path in self._paths.items():
            file = RemoteFile(self._files, path)
            if is_archive(path):
                yield from archive_images(file, name)
            else:
                yield SourceImage(portable(name), opener=file)


def _file_system(source: str) -> tuple[Any, str]:
    """The file system and the path on it. Raises UserError where a package is missing."""
    import fsspec
    from fsspec.registry import known_implementations

    scheme = source.split(":")[0]
    try:
        files, root = fsspec.core.url_to_fs(source)
    except ImportError:
        package = known_implementations[scheme]["class"].split(".")[0]
        told = f"pip install {package}" if package != "fsspec" else known_implementations[scheme].get("err", "")
        raise UserError(f"{scheme}:// needs a package that is not installed", where=source, remedy=told) from None
    except Exception as error:  # a file system's own check of the address or of credentials
        raise UserError(f"cannot be opened ({type(error).__name__})", where=source) from None
    return files, str(root)


def _listed(files: Any, root: str, source: str) -> dict[str, str]:
    """Paths by name: of an archive ``""`` alone, of a tree all files but hidden ones and indexes."""
    root = root.rstrip("/")
    try:
        if files.isfile(root):
            if not is_archive(root):
                raise UserError("is a file, not a folder and no archive", where=source)
            require_readable(RemoteFile(files, root), source)
            return {"": root}
        found = files.find(root)
    except UserError:
        raise
    except Exception as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise UserError(f"cannot be listed ({why})", where=source, remedy="check address and credentials") from None
    names = {path.removeprefix(root).lstrip("/"): path for path in found}
    kept = {name: names[name] for name in sorted(names) if not is_hidden(name) and not is_index(name)}
    if not kept:
        raise UserError("no DICOM file found: nothing lies there", where=source)
    return kept


def _protocols(files: Any) -> tuple[str, ...]:
    return (files.protocol,) if isinstance(files.protocol, str) else tuple(files.protocol)


def _with_content(image: SourceImage) -> SourceImage:
    """The same with its bytes, for a worker that cannot open it. One image at a time is in memory."""
    if image.opener is None:
        return image
    try:
        with image.opener() as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        return replace(image, opener=Refused(error.strerror or type(error).__name__))
    if len(content) > LARGEST_FILE_BYTES:
        return replace(image, opener=Refused(f"larger than {LARGEST_FILE_BYTES // 2**20} MiB"))
    return replace(image, opener=None, content=content)
