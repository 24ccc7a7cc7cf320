"""Fetching OHIF (MIT) from the npm registry, only when somebody says so, into a folder of the user's.

The archive is checked against the SHA-512 that the registry tells; of it only ``package/dist`` and the licence are
kept. Neighbours: ``ohif_build``, which says what is changed in its files; ``ohif``, which serves them.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from adapters.serving.ohif_build import BASE, LEFT_OUT, adapted
from raydino.errors import UserError
from raydino.readers.base import require_extra

VERSION = "3.13.2"  # the one that the tests open
REGISTRY = "https://registry.npmjs.org"
LICENCE = "MIT"
_PACKAGE = "@ohif/app"
_MARK = "raydino.json"
_MOST_BYTES = 300 * 2**20  # of the archive; 3.13.2 has 50 MB
_MOST_UNPACKED_BYTES = 2**30  # 3.13.2 has 204 MB
_MOST_FILES = 5000
_SECONDS = (10.0, 60.0)


@dataclass(frozen=True)
class Ohif:
    """An installed OHIF. ``version`` is "" where it came from a file that does not tell it."""

    folder: Path
    version: str
    integrity: str  # sha512-BASE64 of the archive

    @property
    def dist(self) -> Path:
        """What is served."""
        return self.folder / "dist"


def default_folder() -> Path:
    """Of this user."""
    return Path.home() / ".local" / "share" / "raydino" / "ohif"


def installed(folder: Path) -> Ohif:
    """Raises UserError where the folder holds no OHIF that ``install`` put there for this raydino."""
    remedy = "raydino viewer install"
    try:
        said = json.loads((folder / _MARK).read_text(encoding="utf-8"))
        found = Ohif(folder, str(said["version"]), str(said["integrity"]))
        is_ours = said["base"] == BASE and (found.dist / "index.html").is_file()
    except FileNotFoundError:
        raise UserError("OHIF is not installed", where=folder, remedy=remedy) from None
    except (OSError, ValueError, KeyError, TypeError):
        is_ours = False
    if not is_ours:
        raise UserError("holds no OHIF that this raydino can serve", where=folder, remedy=remedy)
    return found


def fetch(version: str = VERSION, registry: str = REGISTRY) -> bytes:
    """The package's archive from the registry, checked. Raises UserError."""
    if re.fullmatch(r"\d+\.\d+\.\d+(-[a-z0-9.]+)?", version) is None:
        raise UserError(f"{version!r} is no version", remedy=f"as in --version {VERSION}")
    where = f"{registry}/{_PACKAGE}/{version}"
    try:
        said = json.loads(_get(where, 2**20))["dist"]
        archive, integrity = str(said["tarball"]), str(said["integrity"])
    except (ValueError, KeyError, TypeError):
        raise UserError("the registry's answer is none", where=where) from None
    if not archive.startswith(f"{registry}/"):
        raise UserError("the registry names another host", where=where)
    content = _get(archive, _MOST_BYTES)
    if integrity_of(content) not in integrity.split():
        raise UserError("the archive is not the one that the registry tells (SHA-512)", where=archive)
    return content


def integrity_of(content: bytes) -> str:
    """As npm writes it (Subresource Integrity)."""
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def install(content: bytes, folder: Path) -> Ohif:
    """Unpack the archive into ``folder``, which takes the place of an OHIF there. Raises UserError."""
    if folder.exists() and not (folder / _MARK).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError("is there already and holds no OHIF", where=folder, remedy="choose another folder with --to")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        (partial / "dist").mkdir(parents=True)
        version = ""
        for name, data in _members(content):
            if name == "package.json":
                version = str(json.loads(data).get("version", ""))
                continue
            target = partial / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        if not (partial / "dist" / "index.html").exists():
            raise UserError("the archive holds no package/dist/index.html", remedy="it is that of npm pack @ohif/app")
        mark = {"version": version, "integrity": integrity_of(content), "base": BASE, "licence": LICENCE}
        (partial / _MARK).write_text(json.dumps(mark, indent=1), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise UserError(f"the archive cannot be unpacked ({type(error).__name__})") from None
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror})", where=folder) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return installed(folder)


def _members(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Plain files of the archive that are kept: package.json, LICENSE and what lies in dist. Raises UserError."""
    n_bytes = n_files = 0
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        for member in archive:
            n_bytes, n_files = n_bytes + member.size, n_files + 1
            if n_bytes > _MOST_UNPACKED_BYTES or n_files > _MOST_FILES:
                raise UserError("the archive holds more than an OHIF does")
            parts = PurePosixPath(member.name).parts
            if not member.isfile() or parts[0] != "package" or ".." in parts:
                continue
            name = "/".join(parts[1:])
            file = archive.extractfile(member)
            if file is None or ":" in name or "\\" in name:
                continue
            if name in ("package.json", "LICENSE"):
                yield name, file.read()
            elif parts[1] == "dist" and len(parts) > 2 and name[5:] not in LEFT_OUT:
                yield name, adapted(name[5:], file.read())


def _get(url: str, most_bytes: int) -> bytes:
    require_extra("pacs", "requests")
    import requests

    content = bytearray()
    try:
        with requests.get(url, timeout=_SECONDS, stream=True, allow_redirects=False) as answer:
            if answer.status_code != 200:
                raise UserError(f"the registry answers {answer.status_code}", where=url)
            for chunk in answer.iter_content(2**20):
                content += chunk
                if len(content) > most_bytes:
                    raise UserError(f"is larger than {most_bytes >> 20} MiB", where=url)
    except requests.RequestException as error:
        remedy = f"on a machine with a network: npm pack {_PACKAGE}@{VERSION}; then raydino viewer install --from FILE"
        raise UserError(f"cannot be fetched ({type(error).__name__})", where=url, remedy=remedy) from None
    return bytes(content)
