"""Installing OHIF from an archive: checked, unpacked inside its folder alone, and moved below /viewer."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adapters.serving import ohif_install
from adapters.serving.ohif_build import adapted
from adapters.serving.ohif_install import fetch, install, installed, integrity_of
from adapters.viewer_command import viewer
from raydino.errors import UserError

PAGE = (
    '<html><link rel="manifest" href="/manifest.json"><script>window.PUBLIC_URL="/"</script>'
    '<script src="/app-config.js"></script><script type="module" src="/init-service-worker.js"></script>'
    '<script defer src="/app.js"></script><link href="/app.css" rel="stylesheet"></html>'
)


def archive(**others: bytes) -> bytes:
    """A small package with the shape of OHIF's; ``others`` by name."""
    files = {
        "package/package.json": b'{"version": "3.13.2"}',
        "package/LICENSE": b"MIT",
        "package/README.md": b"read",
        "package/dist/index.html": PAGE.encode(),
        "package/dist/app.js": b'__webpack_require__.p = "/";',
        "package/dist/app.css": b"a{src:url(/a.woff2)}",
        "package/dist/sw.js": b"importScripts('https://elsewhere')",
        **others,
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("package/dist/link.js")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return made.getvalue()


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def test_what_is_kept_and_what_is_changed(tmp_path: Path) -> None:
    found = install(archive(), tmp_path / "ohif")
    assert installed(tmp_path / "ohif") == found
    assert found.version == "3.13.2"
    assert names(found.folder) == {"raydino.json", "LICENSE", "dist/index.html", "dist/app.js", "dist/app.css"}
    page = (found.dist / "index.html").read_text()
    assert page == (
        '<html><script src="/viewer/app-config.js"></script><script defer src="/viewer/app.js"></script>'
        '<link href="/viewer/app.css" rel="stylesheet"></html>'
    )
    assert (found.dist / "app.js").read_text() == '__webpack_require__.p = "/viewer/";'
    assert (found.dist / "app.css").read_text() == "a{src:url(/viewer/a.woff2)}"
    install(archive(**{"package/dist/new.js": b""}), tmp_path / "ohif")  # takes its place
    assert "dist/new.js" in names(tmp_path / "ohif")
    assert names(tmp_path) == {f"ohif/{name}" for name in names(tmp_path / "ohif")}
    assert adapted("a.wasm", b"\0asm") == b"\0asm"


@pytest.mark.parametrize(
    "name", ["package/dist/../../../evil.js", "/evil.js", "../evil.js", "package/dist/..\\evil.js"]
)
def test_nothing_is_written_outside(name: str, tmp_path: Path) -> None:
    install(archive(**{name: b"evil"}), tmp_path / "in" / "ohif")
    assert not [path for path in names(tmp_path) if "evil" in path]


def test_what_is_no_ohif(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="OHIF is not installed"):
        installed(tmp_path / "ohif")
    for content in (b"no archive", archive()[:200]):
        with pytest.raises(UserError, match="cannot be unpacked"):
            install(content, tmp_path / "ohif")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds no OHIF"):
        install(archive(), tmp_path / "mine")
    monkeypatch.setattr(ohif_install, "_MOST_UNPACKED_BYTES", 10)
    with pytest.raises(UserError, match="more than an OHIF does"):
        install(archive(), tmp_path / "ohif")
    assert names(tmp_path) == {"mine/thesis.txt"}


@pytest.fixture
def registry() -> Iterator[Callable[..., str]]:
    """``serve(content, integrity)``: the address of a registry that holds that archive."""
    servers = []

    def serve(content: bytes, integrity: str, host: str = "") -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                where = f"http://127.0.0.1:{self.server.server_address[1]}"
                told = {"dist": {"tarball": f"{host or where}/-/app.tgz", "integrity": integrity}}
                body = content if self.path.endswith(".tgz") else json.dumps(told).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    (tmp_path / "app.tgz").write_bytes(archive())
    with pytest.raises(UserError, match="OHIF is not installed; raydino viewer install"):
        CliRunner().invoke(viewer, [], catch_exceptions=False)
    done = CliRunner().invoke(viewer, ["install", "--from", str(tmp_path / "app.tgz")], catch_exceptions=False)
    assert "Its licence is MIT" in done.output
    assert "OHIF 3.13.2 (MIT)" in CliRunner().invoke(viewer, []).output
    with pytest.raises(UserError, match="cannot be read"):
        CliRunner().invoke(viewer, ["install", "--from", str(tmp_path / "nowhere")], catch_exceptions=False)


def test_only_the_archive_that_the_registry_tells(registry: Callable[..., str]) -> None:
    content = archive()
    assert fetch(registry=registry(content, integrity_of(content))) == content
    with pytest.raises(UserError, match="SHA-512"):
        fetch(registry=registry(content + b"x", integrity_of(content)))
    with pytest.raises(UserError, match="names another host"):
        fetch(registry=registry(content, integrity_of(content), host="https://elsewhere.example"))
    with pytest.raises(UserError, match="is no version"):
        fetch("../../other")
    with pytest.raises(UserError, match="cannot be fetched"):
        fetch(registry="http://127.0.0.1:9")
