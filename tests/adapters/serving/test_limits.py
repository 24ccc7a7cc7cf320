"""How much and how often somebody may ask: 413 before a body is read whole, 429 for each who asks too often."""

from collections.abc import Callable, Iterator

from fastapi.testclient import TestClient

from adapters.serving.access import Keeper
from adapters.serving.limits import LOGINS_PER_MINUTE, Rate
from adapters.serving.service import Service

Open = Callable[..., Service]
ClientOf = Callable[..., TestClient]
DICOM = {"Content-Type": "application/dicom"}


def test_a_bucket_is_refilled_with_time() -> None:
    now = [0.0]
    rate = Rate(per_second=2.0, burst=3.0, clock=lambda: now[0])
    assert [rate.allows("a") for _ in range(4)] == [True, True, True, False]
    assert rate.allows("b")
    now[0] = 0.5
    assert [rate.allows("a") for _ in range(2)] == [True, False]
    now[0] = 1000.0
    assert [rate.allows("a") for _ in range(4)] == [True, True, True, False]


def test_who_asks_too_often_is_let_in_at_the_rate_not_never() -> None:
    now = [0.0]
    rate = Rate(per_second=10.0, burst=5.0, clock=lambda: now[0])
    allowed = 0
    for step in range(1, 4001):  # 40 requests a second for 100 s
        now[0] = step / 40
        allowed += rate.allows("eager")
    assert abs(allowed - (5 + 10 * 100)) <= 2


def test_it_remembers_a_bounded_number_of_peers() -> None:
    rate = Rate(per_second=0.001, burst=1.0, clock=lambda: 0.0)
    for number in range(10_050):
        assert rate.allows(str(number))
    assert len(rate._buckets) == 10_000
    assert not rate.allows("10049")


def test_429_says_when_to_come_again(open_service: Open, client_of: ClientOf) -> None:
    client = client_of(open_service(), per_second=0.001, burst=3)
    answers = [client.get("/healthz") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].headers["retry-after"] == "1"
    assert answers[-1].json() == {"detail": "too many requests"}


def test_tokens_cannot_be_guessed_quickly(open_service: Open, client_of: ClientOf) -> None:
    client = client_of(open_service(), Keeper("the-right-token-of-all"))
    statuses = [client.post("/login", data={"token": f"guess {n}"}).status_code for n in range(LOGINS_PER_MINUTE + 2)]
    assert statuses == [401] * LOGINS_PER_MINUTE + [429] * 2
    assert client.post("/login", data={"token": "the-right-token-of-all"}).headers["retry-after"] == "10"
    assert client.get("/healthz").status_code == 200


def test_413_before_anything_is_read(open_service: Open, client_of: ClientOf) -> None:
    service = open_service()
    client = client_of(service, most_bytes=2**20)
    sent: list[int] = []

    def parts(n: int) -> Iterator[bytes]:
        for number in range(n):
            sent.append(number)
            yield b"x" * 2**16

    too_large = {"detail": "a request has at most 1 MiB"}
    for length in ("1048577", "9" * 5000, "-1", "one", "1e9"):
        refused = client.post("/studies", content=parts(1), headers=DICOM | {"Content-Length": length})
        assert (refused.status_code, refused.json()) == (413, too_large)
    for kind in ("application/dicom", "multipart/form-data; boundary=x"):
        refused = client.post("/studies", content=parts(40), headers={"Content-Type": kind})
        if kind == "application/dicom":  # a form that is none is refused as that at once
            assert (refused.status_code, refused.json()) == (413, too_large)
        assert refused.status_code in (400, 413)
    form = {"files": ("film.dcm", b"x" * 2**20)}
    assert client.post("/studies", files=form).status_code == 413
    assert client.post("/studies", content=parts(16), headers=DICOM).status_code == 202
    assert sum(service.queue.counts().values()) == 1


def test_a_full_service_says_so_and_loses_nothing(open_service: Open, client_of: ClientOf) -> None:
    service = open_service(most_waiting=2)  # not started: what comes waits
    client = client_of(service)
    assert client.get("/healthz").json()["status"] == "ok"
    files = [("files", (f"{number}.dcm", f"film {number}".encode())) for number in range(3)]
    full = client.post("/studies", files=files)
    assert (full.status_code, full.headers["retry-after"]) == (503, "10")
    assert client.get("/healthz").json() | {"notice": ""} == {"status": "full", "waiting": 2, "notice": ""}
    assert client.post("/studies", files=files[:2]).status_code == 202  # they are there already
    service.intake.most_waiting = 3
    assert len(client.post("/studies", files=files).json()["jobs"]) == 3
    assert sum(service.queue.counts().values()) == 3
