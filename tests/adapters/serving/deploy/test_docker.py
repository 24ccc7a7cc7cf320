"""docker/: no engine builds it here, so each command in it is tried without one."""

import ast
import inspect
import json
import re
import shlex
import subprocess
import sys
import threading
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import uvicorn
import yaml
from packaging.requirements import Requirement
from packaging.version import Version
from typer.main import get_command

from adapters.serve_command import serve
from adapters.serving.access import LOOPBACK, AccessLog, Keeper
from adapters.serving.app import create_app
from adapters.serving.desk import Desk, Gate
from adapters.serving.service import Service
from raydino.readers.web_request import LOGIN_VARIABLE


@pytest.fixture(scope="module")
def dockerfile(root: Path) -> list[tuple[str, str]]:
    """Instructions and their arguments."""
    lines = (root / "docker" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    return [tuple(line.split(" ", 1)) for line in lines if line and not line.startswith("#")]  # type: ignore[misc]


@pytest.fixture(scope="module")
def compose(root: Path) -> dict[str, Any]:
    return yaml.safe_load((root / "docker" / "compose.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def command_line(compose: dict[str, Any]) -> dict[str, Any]:
    """What typer makes of the service's options."""
    name, *options = compose["services"]["raydino"]["command"]
    assert name == "serve"
    app = typer.Typer()
    app.command()(serve)
    return get_command(app).make_context("serve", list(options)).params


def test_the_image_is_of_a_user_without_rights_and_without_a_compiler(dockerfile: list[tuple[str, str]]) -> None:
    names = [name for name, _ in dockerfile]
    last = len(names) - 1 - names[::-1].index("FROM")
    final = dockerfile[last:]
    user = next(said for name, said in final if name == "USER")
    assert user.split(":")[0].isdecimal()
    assert int(user.split(":")[0]) > 0
    assert not any("pip" in said or "apt" in said for name, said in final if name == "RUN")
    assert next(said for name, said in final if name == "FROM").endswith("-slim-bookworm")
    assert ast.literal_eval(next(said for name, said in final if name == "ENTRYPOINT")) == ["raydino"]


def test_what_pip_installs_is_there_and_pinned(dockerfile: list[tuple[str, str]], root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", (root / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE))
    pins = {name.lower().replace("_", "-"): Version(version) for name, version in pins.items()}
    installs = [
        shlex.split(said) for name, said in dockerfile if name == "RUN" and " install " in said and "pip" in said
    ]
    assert len(installs) == 2
    assert all(words[words.index("--constraint") + 1] == "constraints.txt" for words in installs)
    (extra,) = re.findall(r"^\.\[([\w-]+)\]$", installs[-1][-1])
    wanted, extras = list(project["dependencies"]), [extra]
    while extras:
        for line in project["optional-dependencies"][extras.pop()]:
            requirement = Requirement(line)
            extras += requirement.extras if requirement.name == "raydino" else ()
            wanted += [line] if requirement.name != "raydino" else []
    for requirement in map(Requirement, [*wanted, installs[0][-1]]):
        assert requirement.specifier.contains(pins[requirement.name.lower()]), requirement
    python = next(said for name, said in dockerfile if name == "FROM").split(":")[1].split("-")[0]
    assert f"Python {python}" in (root / "constraints.txt").read_text(encoding="utf-8").splitlines()[0]


def test_what_is_copied_makes_the_package(dockerfile: list[tuple[str, str]], root: Path, tmp_path: Path) -> None:
    """setup reads what COPY brings and nothing else; the ignore file lets it through."""
    ignore = (root / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = {line[1:] for line in ignore if line.startswith("!")}
    copied = [
        word for name, said in dockerfile if name == "COPY" and "--from" not in said for word in said.split()[:-1]
    ]
    assert set(copied) == let_through
    assert "*" in ignore
    for name in copied:
        (tmp_path / name).symlink_to(root / name)
    asked = (
        "import setuptools.build_meta as b, os; os.makedirs('out'); print(b.prepare_metadata_for_build_wheel('out'))"
    )
    made = subprocess.run([sys.executable, "-c", asked], cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-2000:]
    metadata = next((tmp_path / "out").rglob("METADATA")).read_text()
    assert "Provides-Extra: reading-room" in metadata
    assert "serve = adapters.serve_command:serve" in next((tmp_path / "out").rglob("entry_points.txt")).read_text()


def test_every_option_is_one_of_serve_and_points_into_a_mount(
    command_line: dict[str, Any], compose: dict[str, Any], dockerfile: list[tuple[str, str]]
) -> None:
    assert set(command_line) == set(inspect.signature(serve).parameters)
    service = compose["services"]["raydino"]
    mounts = [Path(line.split(":")[1]) for line in service["volumes"]]
    mounts += [Path("/run/secrets") / secret for secret in service["secrets"]]
    paths = [value for value in (*command_line.values(), *command_line["adapter"]) if isinstance(value, Path)]
    assert len(paths) >= 5
    assert all(any(mount in (path, *path.parents) for mount in mounts) for path in paths)
    home = next(said for name, said in dockerfile if name == "VOLUME")
    assert Path(home) in mounts
    assert command_line["port"] in map(int, next(said for name, said in dockerfile if name == "EXPOSE").split())


def test_it_asks_for_a_login_and_is_published_here_alone(
    command_line: dict[str, Any], compose: dict[str, Any], root: Path
) -> None:
    assert command_line["host"] not in LOOPBACK
    assert command_line["token_file"] is not None
    assert set(compose["secrets"]) == {command_line["token_file"].name}
    ignored = (root / "docker" / ".gitignore").read_text().split()
    assert Path(compose["secrets"]["raydino_token"]["file"]).name in ignored
    for service in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert compose["services"]["raydino"]["read_only"] is True


@pytest.fixture
def served(open_service: Callable[..., Service], tmp_path: Path) -> Iterator[int]:
    """A service over HTTP; its port."""
    service = open_service()
    gate = Gate(Keeper("a token of this test"), AccessLog(tmp_path / "access.jsonl"), LOOPBACK)
    desk = Desk(service.queue, service.intake, service.looking, service.monitoring, gate)
    server = uvicorn.Server(uvicorn.Config(create_app(desk), port=0, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


def test_the_health_check(dockerfile: list[tuple[str, str]], served: int) -> None:
    said = next(said for name, said in dockerfile if name == "HEALTHCHECK")
    program, *arguments = ast.literal_eval(said.partition(" CMD ")[2])
    assert program == "python"
    assert "127.0.0.1:8000/healthz" in arguments[-1]
    here = [arguments[0], arguments[1].replace("8000", str(served))]
    assert subprocess.run([sys.executable, *here], capture_output=True, timeout=30).returncode == 0
    nowhere = [arguments[0], arguments[1].replace("8000", "1")]
    assert subprocess.run([sys.executable, *nowhere], capture_output=True, timeout=30).returncode != 0


def test_the_pacs_of_the_image_serves_who_knows_the_password(
    start_orthanc: Callable[..., Any], compose: dict[str, Any], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its configuration in a real Orthanc, with this test's ports and folder; our way into it is that of compose."""
    configuration = json.loads((root / "docker" / "orthanc" / "orthanc.json").read_text(encoding="utf-8"))
    assert all(Path(plugin).exists() for plugin in configuration["Plugins"])
    of_the_test = ("StorageDirectory", "IndexDirectory", "HttpPort", "DicomPort")
    monkeypatch.setenv("PACS_PASSWORD", "of-this-test")
    pacs = start_orthanc(**{key: value for key, value in configuration.items() if key not in of_the_test})
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{pacs.web}/studies", timeout=10)
    service = compose["services"]["raydino"]
    login = re.sub(r"\$\{PACS_PASSWORD[^}]*\}", "of-this-test", service["environment"][LOGIN_VARIABLE])
    monkeypatch.setenv(LOGIN_VARIABLE, login)
    monkeypatch.delenv("RAYDINO_DICOMWEB_TOKEN", raising=False)
    from adapters.serving.pacs import open_pacs

    (address,) = (word.partition("=")[2] for word in service["command"] if word.startswith("--pacs="))
    assert address.endswith(":{}{}".format(configuration["HttpPort"], configuration["DicomWeb"]["Root"].rstrip("/")))
    from datetime import date

    assert open_pacs(pacs.web).studies(date(2019, 1, 1)) == {}


def test_the_image_of_the_pacs_has_what_ci_installs(root: Path) -> None:
    said = (root / "docker" / "orthanc" / "Dockerfile").read_text(encoding="utf-8")
    packages = re.findall(r"--no-install-recommends ([\w -]+?) &&", said)[0].split()
    in_ci = (root / ".ci" / "run").read_text(encoding="utf-8")
    assert all(re.search(rf"\s{package}\s", in_ci) for package in packages)
