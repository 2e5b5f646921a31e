"""The HTTP client: what it repeats, and what it tells."""

from __future__ import annotations

import httpx
import pytest

from infra.cli.buying import growing_pauses
from infra.cli.shop import Session, Shop, ShopRefusedError, ShopUnreachableError


class Answers:
    """Answers given one after another; an exception is raised."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []

    def client(self) -> Shop:
        transport = httpx.MockTransport(self._answer)
        return Shop("http://shop.test/", transport=transport, pause=self.pauses.append)

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
