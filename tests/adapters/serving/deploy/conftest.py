"""What docs/deploy and docker/ say, and a service that runs with the very command line of the systemd unit."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
START_SECONDS = 90.0


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def deploy_blocks() -> list[str]:
    """The blocks of commands in docs/deploy.md that tests run."""
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    return re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="session")
def block(deploy_blocks: list[str]) -> Callable[[str], str]:
    """``block(word)``: the one that holds the word."""

    def find(word: str) -> str:
        (found,) = (one for one in deploy_blocks if word in one)
        return found

    return find


@pytest.fixture(scope="session")
def unit() -> dict[str, list[str]]:
    """The systemd unit: values by key, in order."""
    values: dict[str, list[str]] = {}
    for line in (ROOT / "docs" / "deploy" / "raydino.service").read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            values.setdefault(key, []).append(value)
    return values


@dataclass
class Running:
    """A service as a process. ``folder`` holds cert.pem, key.pem, token and room."""

    folder: Path
    process: subprocess.Popen[str]
    command: list[str]
    port: int


@pytest.fixture(scope="session")
def running(
    unit: dict[str, list[str]],
    block: Callable[[str], str],
    reading_encoder: Path,
    bundles: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    """ExecStart of the unit, with paths and the port of this test, a certificate made as the page says."""
    if shutil.which("openssl") is None or shutil.which("curl") is None:
        pytest.skip("openssl or curl is not installed")
    folder = tmp_path_factory.mktemp("running")
    subprocess.run(["sh", "-ec", block("openssl req")], cwd=folder, check=True, capture_output=True)
    (folder / "token").write_text("a token of this test alone\n")
    (folder / "token").chmod(0o600)
    places = {
        "/etc/raydino/encoder": reading_encoder,
        "/etc/raydino/findings": bundles["classification"],
        "/etc/raydino/lungs": bundles["segmentation"],
        "/var/lib/raydino/room": folder / "room",
        "/etc/raydino/token": folder / "token",
        "/etc/raydino/cert.pem": folder / "cert.pem",
        "/etc/raydino/key.pem": folder / "key.pem",
        "0.0.0.0": "127.0.0.1",
        "8443": "0",
    }
    program, *arguments = shlex.split(unit["ExecStart"][0])
    assert program == "/opt/raydino/bin/raydino"
    start = [sys.executable, "-c", "from raydino.cli import main; main()"]
    command = [*start, *(str(places.get(argument, argument)) for argument in arguments), "--device", "cpu"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": "/tmp"}
    with (folder / "messages").open("w") as messages:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=messages, text=True, umask=0o022
        )
    try:
        yield Running(folder, process, command, _port(process, folder / "messages"))
    finally:
        process.terminate()
        process.wait(30)


def _port(process: subprocess.Popen[str], messages: Path) -> int:
    assert process.stdout is not None
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        found = re.match(r"https://127\.0\.0\.1:(\d+) ", process.stdout.readline())
        if found:
            time.sleep(0.3)  # it says so just before it accepts
            return int(found[1])
    raise RuntimeError(f"the service did not start: {messages.read_text()}")
