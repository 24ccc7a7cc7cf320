"""Who may come in: by token, session, proxy or from this machine; and what the log says of it."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from adapters.serving.access import COOKIE, SESSION_SECONDS, AccessLog, Keeper, read_token
from adapters.serving.headers import POLICY
from adapters.serving.service import Service
from raydino.errors import UserError

TOKEN = "a-token-of-enough-characters"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
Open = Callable[..., Service]
ClientOf = Callable[..., TestClient]


def log_of(tmp_path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (tmp_path / "access.jsonl").read_text().splitlines()]


def test_on_loopback_without_a_token_nobody_logs_in(open_service: Open, client_of: ClientOf) -> None:
    assert client_of(open_service()).get("/results").json() == {"jobs": []}


@pytest.mark.parametrize(
    "path", ["/results", "/results/" + "0" * 32, "/metrics", "/openapi.json", "/nowhere", "/viewer/"]
)
def test_with_a_token_nothing_but_the_page_is_open(open_service: Open, client_of: ClientOf, path: str) -> None:
    client = client_of(open_service(), Keeper(TOKEN))
    refused = client.get(path)
    assert (refused.status_code, refused.json()) == (401, {"detail": "a login is needed"})
    assert refused.headers["www-authenticate"] == "Bearer"
    assert client.post("/studies", content=b"x").status_code == 401
    assert client.post("/logout").status_code == 401
    for wrong in ("Bearer", "Bearer ", "Bearer x", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer \xff"):
        assert client.get(path, headers={"Authorization": wrong.encode("latin-1")}).status_code == 401
    assert client.get(path, headers=BEARER).status_code in (200, 404)
    for open_path in ("/", "/page/page.css", "/healthz", "/favicon.ico"):
        assert client.get(open_path).status_code == 200


@pytest.mark.parametrize("path", ["/page/../results", "/page/%2e%2e/results", "/healthz/../results", "/Results"])
def test_no_way_round_leads_to_results(open_service: Open, client_of: ClientOf, path: str) -> None:
    client = client_of(open_service(), Keeper(TOKEN))
    assert client.get(path).status_code in (401, 404)


def test_a_session_begins_with_the_token_and_ends(open_service: Open, client_of: ClientOf) -> None:
    now = [0.0]
    keeper = Keeper(TOKEN, clock=lambda: now[0])
    client = client_of(open_service(), keeper)
    for form in ({"token": "wrong"}, {}, {"token": "\u20ac"}):
        assert client.post("/login", data=form).status_code == 401
    assert COOKIE not in client.cookies
    begun = client.post("/login", data={"token": TOKEN})
    assert begun.status_code == 204
    said = begun.headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=strict" in said
    assert TOKEN not in said
    assert client.get("/results").status_code == 200
    now[0] = SESSION_SECONDS - 1
    assert client.get("/results").status_code == 200
    now[0] = SESSION_SECONDS + 1
    assert client.get("/results").status_code == 401
    client.post("/login", data={"token": TOKEN})
    kept = client.cookies[COOKIE]
    assert client.post("/logout").status_code == 204
    assert COOKIE not in client.cookies
    assert client.get("/results", headers={"Cookie": f"{COOKIE}={kept}"}).status_code == 401
    for cookie in (f"{COOKIE}=", f'{COOKIE}="', "=;=", f"{COOKIE}=x; {COOKIE}=y", "\x7f" * 50):
        assert client.get("/results", headers={"Cookie": cookie}).status_code == 401


def test_the_cookie_travels_only_by_tls_where_there_is_tls(open_service: Open, client_of: ClientOf) -> None:
    answer = client_of(open_service(), Keeper(TOKEN), is_tls=True).post("/login", data={"token": TOKEN})
    assert "secure" in answer.headers["set-cookie"].lower()
    assert answer.headers["strict-transport-security"].startswith("max-age=")


def test_a_proxy_s_word_counts_only_from_the_proxy(open_service: Open, client_of: ClientOf, tmp_path: Path) -> None:
    client = client_of(open_service(), Keeper(proxy_header="x-forwarded-user"))
    assert client.get("/results").status_code == 401
    named = {"X-Forwarded-User": "dr.who"}
    assert client.get("/results", headers=named).status_code == 200
    # The proxy says for whom it asks: that address is no reason to distrust the proxy.
    assert client.get("/results", headers=named | {"X-Forwarded-For": "203.0.113.9"}).status_code == 200
    assert {line["who"] for line in log_of(tmp_path)} == {None, "dr.who"}
    stranger = TestClient(client.app, base_url="http://localhost", client=("203.0.113.9", 4000))
    for claim in ({}, {"X-Forwarded-For": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1"}):
        assert stranger.get("/results", headers=named | claim).status_code == 401


def test_behind_a_proxy_each_user_has_a_rate(open_service: Open, client_of: ClientOf) -> None:
    client = client_of(open_service(), Keeper(proxy_header="x-user"), per_second=0.001, burst=2)
    statuses = [
        client.get("/results", headers={"X-User": "u", "X-Forwarded-For": f"203.0.113.{number}"}).status_code
        for number in (1, 1, 1, 2, 2)
    ]
    assert statuses == [200, 200, 429, 200, 200]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(("localhost", 200), ("localhost:8000", 200), ("127.0.0.1:1", 200), ("[::1]:8000", 200), ("LOCALHOST", 200)),
        *(("reading.example", 200), ("Reading.Example:443", 200)),
        *(("evil.example", 400), ("localhost.evil.example", 400), ("", 400), ("[", 400), ("localhost:x", 200)),
    ],
)
def test_a_name_that_is_not_ours_is_refused(open_service: Open, client_of: ClientOf, host: str, status: int) -> None:
    """DNS rebinding: a page of evil.example whose name suddenly means this machine."""
    assert client_of(open_service()).get("/results", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    "said",
    [
        *({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://localhost:1"}),
        *({"Origin": "http://["}, {"Origin": ""}, {"Origin": "http://localhost.evil.example"}),
        *({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}),
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    ],
)
def test_another_site_cannot_send_for_a_user(open_service: Open, client_of: ClientOf, said: dict[str, str]) -> None:
    client = client_of(open_service())
    for path in ("/studies", "/login", "/logout"):
        refused = client.post(path, headers=said)
        assert (refused.status_code, refused.json()) == (403, {"detail": "another site may not ask for this"})
    ours = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}
    assert client.post("/logout", headers=ours).status_code == 204
    assert client.get("/results", headers={"Sec-Fetch-Site": "none"}).status_code == 200


def test_every_answer_has_the_headers_also_that_of_a_bug(
    open_service: Open,
    client_of: ClientOf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = open_service()
    client = client_of(service, most_bytes=100)

    def broken(limit: int) -> None:
        raise KeyError("Doe^Jane")

    monkeypatch.setattr(service.queue, "newest", broken)
    answers = [
        *(client.get("/"), client.get("/results/x"), client.get("/nowhere"), client.delete("/results")),
        client.get("/", headers={"Host": "evil.example"}),
        client.post("/studies", content=b"x" * 101),
        client.get("/results"),
    ]
    assert [answer.status_code for answer in answers] == [200, 422, 404, 405, 400, 413, 500]
    for answer in answers:
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers
    assert all(list(answer.json()) == ["detail"] for answer in answers[1:])
    assert answers[-1].json() == {"detail": "the service failed on this request"}
    assert "Doe" not in caplog.text
    assert "KeyError in the service, at test_access.py:" in caplog.text
    assert [line["status"] for line in log_of(tmp_path)] == [answer.status_code for answer in answers]


def test_the_log_holds_routes_and_no_identifier(open_service: Open, client_of: ClientOf, tmp_path: Path) -> None:
    os.umask(0o022)
    client = client_of(open_service(), Keeper(TOKEN))
    client.get("/results?limit=7&name=Doe^Jane", headers=BEARER | {"User-Agent": "Doe^Jane", "Referer": "http://Doe"})
    client.get(f"/results/{'0' * 32}?token={TOKEN}", headers=BEARER)
    client.get("/patients/Doe^Jane", headers=BEARER)
    client.post("/login", data={"token": "Doe^Jane"})
    text = (tmp_path / "access.jsonl").read_text()
    assert "Doe" not in text
    assert TOKEN not in text
    assert stat.S_IMODE((tmp_path / "access.jsonl").stat().st_mode) == 0o600
    lines = log_of(tmp_path)
    assert [(line["who"], line["method"], line["route"], line["status"]) for line in lines] == [
        ("token", "GET", "/results", 200),
        ("token", "GET", "/results/{job_id}", 404),
        ("token", "GET", "", 404),
        (None, "POST", "/login", 401),
    ]
    assert [line["job"] for line in lines] == [None, "0" * 32, None, None]
    assert set(lines[0]) == {"time", "who", "peer", "method", "route", "job", "status", "seconds"}
    AccessLog(tmp_path / "access.jsonl").write(more=1)  # a restart appends
    assert len(log_of(tmp_path)) == 5


def test_tokens_that_are_no_secret_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    with pytest.raises(UserError, match="cannot be read"):
        read_token(path)
    for content, mode, match in (
        (TOKEN, 0o644, "others on this machine"),
        ("short", 0o600, "at least 16"),
        ("\u20ac" * 20, 0o600, "ASCII"),
        (TOKEN + "\nand more", 0o600, "ASCII"),
    ):
        path.write_text(content)
        path.chmod(mode)
        with pytest.raises(UserError, match=match) as told:
            read_token(path)
        assert "\n" not in str(told.value)
    path.write_text(f"  {TOKEN}\n")
    assert read_token(path) == TOKEN
