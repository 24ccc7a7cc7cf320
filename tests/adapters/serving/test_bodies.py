"""What all requests hold at a time is bounded, not only what each of them may send."""

import asyncio
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from adapters.serving.intake import Full
from adapters.serving.limits import Bodies
from adapters.serving.service import Service


def test_bodies_of_requests_that_are_being_answered_add_up() -> None:
    answered = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await answered.wait()

    async def part() -> Message:
        return {"type": "http.request", "body": bytes(40), "more_body": False}

    async def nowhere(message: Message) -> None:
        raise AssertionError("nothing is sent here")

    async def ask() -> None:
        bodies = Bodies(slow, most_bytes=100)
        held = [asyncio.create_task(bodies({"type": "http"}, part, nowhere)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Full):
            await bodies({"type": "http"}, part, nowhere)
        answered.set()
        await asyncio.gather(*held)
        await bodies({"type": "http"}, part, nowhere)  # what was answered, or refused, holds nothing any more
        assert bodies._held == 0

    asyncio.run(ask())


@pytest.mark.parametrize("kind", ["bare", "form"])
def test_a_sender_is_told_to_wait(
    kind: str,
    open_service: Callable[..., Service],
    client_of: Callable[..., TestClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("adapters.serving.app._REQUESTS", 0.5)
    client = client_of(open_service(), most_bytes=2**20)
    body = {"content": bytes(2**20), "headers": {"Content-Type": "application/dicom"}}
    form = {"files": {"files": ("film", bytes(2**20 - 2**10))}}
    for _ in range(2):
        answer = client.post("/studies", **(body if kind == "bare" else form))  # type: ignore[arg-type]
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    small = client.post("/studies", content=b"x", headers={"Content-Type": "application/dicom"})
    assert small.status_code == 202
