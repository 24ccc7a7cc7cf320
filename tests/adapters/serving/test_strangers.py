"""Who guesses tokens, or only makes noise, is answered ever more rarely, and fills no disk with lines of the log."""

from collections.abc import Callable
from pathlib import Path

from fastapi.testclient import TestClient

from adapters.serving.access import Keeper
from adapters.serving.limits import Rate
from adapters.serving.service import Service

TOKEN = "the-right-token-of-all"


def test_guesses_are_counted(
    open_service: Callable[..., Service], client_of: Callable[..., TestClient], tmp_path: Path
) -> None:
    now = [0.0]
    keeper = Keeper(TOKEN, strangers=Rate(per_second=1.0, burst=5.0, clock=lambda: now[0]))
    client = client_of(open_service(), keeper)
    guesses = [client.get("/results", headers={"Authorization": f"Bearer guess {n}"}) for n in range(9)]
    assert [guess.status_code for guess in guesses] == [401] * 5 + [429] * 4
    assert guesses[-1].headers["retry-after"] == "10"
    assert len((tmp_path / "access.jsonl").read_text().splitlines()) == 5

    known = {"Authorization": f"Bearer {TOKEN}"}  # who is known is not kept out by a stranger at the same address
    assert client.get("/results", headers=known).status_code == 200
    assert client.get("/").status_code == 200
    assert len((tmp_path / "access.jsonl").read_text().splitlines()) == 7
    now[0] = 10.0
    assert client.get("/results").status_code == 401
    refused = [client.get("/results", headers={"Host": "rebound.example"}) for _ in range(9)]
    assert [answer.status_code for answer in refused] == [400] * 4 + [429] * 5


def test_where_nobody_logs_in_nothing_is_counted(
    open_service: Callable[..., Service], client_of: Callable[..., TestClient]
) -> None:
    client = client_of(open_service(), Keeper(strangers=Rate(per_second=0.001, burst=1.0)))
    assert [client.get("/results").status_code for _ in range(5)] == [200] * 5
