"""The HTTP client: what it repeats, and what it tells."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import httpx
import pytest

from infra.cli.buying import growing_pauses
from infra.cli.shop import (
    Session,
    Shop,
    ShopAsksToWaitError,
    ShopInterruptedError,
    ShopRefusedError,
    ShopUnreachableError,
    session_of,
)


def busy(seconds: int) -> httpx.Response:
    problem = {"code": "too_many_requests", "detail": f"try again in {seconds} seconds"}
    return httpx.Response(429, json=problem, headers={"Retry-After": str(seconds)})


class Answers:
    """Answers given one after another; an exception is raised."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []
        self.told: list[str] = []

    def client(self, **options: Any) -> Shop:
        transport = httpx.MockTransport(self._answer)
        options = {"pause": self.pauses.append, "say": self.told.append, **options}
        return Shop("http://shop.test/", transport=transport, **options)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_busy_shop_is_asked_again_ever_later():
    answers = Answers(
        httpx.Response(503), httpx.ReadTimeout("slow"), httpx.Response(200, json={"ok": 1})
    )

    assert answers.client().call("GET", "/v1/cart") == {"ok": 1}
    assert answers.pauses == [0.1, 0.2]


def test_a_repeated_request_keeps_its_key():
    answers = Answers(httpx.Response(503), httpx.Response(202, json={}))

    answers.client().call("POST", "/v1/checkouts", {}, key="k")

    assert [request.headers["Idempotency-Key"] for request in answers.requests] == ["k", "k"]


def test_server_errors_are_counted_even_when_a_repetition_succeeds():
    answers = Answers(httpx.Response(503), httpx.Response(200, json={}))
    shop = answers.client()

    shop.call("GET", "/v1/cart")

    assert shop.server_errors == 1


def test_a_refusal_is_one_line_with_its_code():
    problem = {"code": "cart_changed", "detail": "the total is another one"}
    answers = Answers(httpx.Response(409, json=problem))

    with pytest.raises(ShopRefusedError) as refusal:
        answers.client().call("POST", "/v1/checkouts")

    assert str(refusal.value) == "POST /v1/checkouts: 409 cart_changed: the total is another one"


def test_a_fault_of_the_shop_is_not_repeated():
    answers = Answers(httpx.Response(500, json={"code": "internal"}))

    with pytest.raises(ShopRefusedError):
        answers.client().call("GET", "/v1/cart")


def test_what_answers_without_json_is_no_shop():
    answers = Answers(httpx.Response(200, text="<html>"))

    with pytest.raises(ShopUnreachableError, match="is this a shop"):
        answers.client().call("GET", "/v1/cart")


def test_a_shop_that_never_answers_is_given_up():
    answers = Answers(*(httpx.ConnectError("refused") for _ in range(8)))

    with pytest.raises(ShopUnreachableError, match="no shop answers at"):
        answers.client().call("GET", "/v1/cart")


def test_an_expired_session_logs_in_once_more():
    unauthorized = httpx.Response(401, json={"code": "unauthorized"})
    answers = Answers(unauthorized, httpx.Response(200, json={}))
    tokens = iter(["old", "new"])

    Session(answers.client(), lambda: next(tokens)).call("GET", "/v1/cart")

    sent = [request.headers["Authorization"] for request in answers.requests]
    assert sent == ["Bearer old", "Bearer new"]


def test_a_session_that_is_refused_twice_gives_up():
    unauthorized = [httpx.Response(401, json={"code": "unauthorized"}) for _ in range(2)]
    answers = Answers(*unauthorized)

    with pytest.raises(ShopRefusedError, match="unauthorized"):
        Session(answers.client(), lambda: "token").call("GET", "/v1/cart")


def test_pauses_grow_to_a_bound_and_fill_the_patience():
    pauses = growing_pauses(30)

    assert pauses == sorted(pauses)
    assert pauses[-1] == 1.0
    assert 30 <= sum(pauses) < 31


def test_a_wait_the_shop_asks_for_is_told_once_with_its_length():
    answers = Answers(busy(40), busy(40), httpx.Response(200, json={"access_token": "t"}))

    answers.client().call("POST", "/v1/sessions", {})

    assert answers.told == ["the shop asks to wait 40 s: too many log-ins"]
    assert answers.pauses == [40.0, 40.0]


def test_a_wait_that_nobody_notices_is_not_told():
    answers = Answers(busy(1), httpx.Response(200, json={}))

    answers.client().call("GET", "/v1/cart")

    assert answers.told == []


def test_a_wait_is_told_even_by_an_answer_without_json():
    starting = httpx.Response(503, text="<html>", headers={"Retry-After": "9"})
    answers = Answers(starting, httpx.Response(200, json={}))

    answers.client().call("GET", "/v1/cart")

    assert answers.told == ["the shop asks to wait 9 s: Service Unavailable"]


def test_a_wait_of_more_than_a_minute_is_given_up_at_once():
    answers = Answers(busy(446))

    with pytest.raises(ShopAsksToWaitError) as refusal:
        answers.client().call("POST", "/v1/sessions", {})

    assert str(refusal.value) == "the shop asks to wait 446 s: too many log-ins"
    assert (refusal.value.status, refusal.value.code) == (429, "too_many_requests")
    assert (answers.pauses, answers.told) == ([], [])


def test_an_interrupt_ends_the_pauses_of_all_threads():
    waiting = threading.Semaphore(0)
    answers = Answers(*(busy(60) for _ in range(3)))
    shop = answers.client(pause=None, say=lambda _line: waiting.release())

    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(shop.call, "GET", "/v1/cart") for _ in range(3)]
        assert waiting.acquire(timeout=5)
        shop.interrupt()
        done, _ = wait(calls, timeout=5)

    assert len(done) == 3
    assert all(isinstance(call.exception(), ShopInterruptedError) for call in calls)


def logs_in_four_times_at_once(shop: Shop, arrived: threading.Barrier) -> list[Exception | None]:
    session = session_of(shop, "ada@example.com", "a long enough password")

    def call() -> None:
        arrived.wait(5)
        session.call("GET", "/v1/cart")

    with ThreadPoolExecutor(4) as pool:
        return [each.exception() for each in [pool.submit(call) for _ in range(4)]]


def test_four_threads_log_in_once():
    log_ins = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/sessions":
            log_ins.append(request)
            return httpx.Response(201, json={"access_token": f"t{len(log_ins)}"})
        return httpx.Response(200, json={})

    shop = Shop("http://shop.test", transport=httpx.MockTransport(answer))

    assert logs_in_four_times_at_once(shop, threading.Barrier(4)) == [None] * 4
    assert len(log_ins) == 1


def test_threads_whose_token_expired_together_log_in_once_more():
    log_ins = []
    refused = threading.Barrier(4)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/sessions":
            log_ins.append(request)
            return httpx.Response(201, json={"access_token": f"t{len(log_ins)}"})
        if request.headers["Authorization"] == "Bearer t1":
            refused.wait(5)
            return httpx.Response(401, json={"code": "unauthorized"})
        return httpx.Response(200, json={})

    shop = Shop("http://shop.test", transport=httpx.MockTransport(answer))

    assert logs_in_four_times_at_once(shop, threading.Barrier(4)) == [None] * 4
    assert len(log_ins) == 2


class WatchedLock:
    """A lock that tells how many have come to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.arrivals = threading.Semaphore(0)

    def __enter__(self) -> None:
        self.arrivals.release()
        self._lock.acquire()

    def __exit__(self, *_error: object) -> None:
        self._lock.release()


def test_a_log_in_that_fails_fails_for_all_who_waited_for_it_and_may_be_tried_again(monkeypatch):
    log_ins = []
    lock = WatchedLock()

    def log_in() -> str:
        log_ins.append(lock)
        if len(log_ins) > 1:
            return "token"
        for _ in range(2):
            assert lock.arrivals.acquire(timeout=5)
        raise ShopRefusedError("POST /v1/sessions", 429, "too_many_requests", "later")

    session = Session(Answers(httpx.Response(200, json={})).client(), log_in)
    monkeypatch.setattr(session, "_logging_in", lock)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(session.call, "GET", "/v1/cart") for _ in range(2)]

    assert [type(call.exception()) for call in calls] == [ShopRefusedError] * 2
    assert len(log_ins) == 1
    session.call("GET", "/v1/cart")
    assert len(log_ins) == 2
