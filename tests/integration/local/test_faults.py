"""Plans of faults: what they may say, what they do at each boundary, and that a seed decides."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
from collections.abc import Iterator
from datetime import timedelta

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from infra.local.boundaries import KilledError
from infra.local.clock import Clock
from infra.local.faults.plan import PlanError, read_plan
from infra.local.faults.switchboard import Outside
from infra.local.server import LocalSite
from infra.local.stack import LocalStack
from tests.integration.local.conftest import SHOP

FUNCTIONS = "tradepost-local"
COUNT = f"{FUNCTIONS}-counter-count"


class SilentError(Exception):
    """Nobody answered."""


class DeclinedError(Exception):
    """They said no."""


class Bank:
    """Somebody outside."""

    done: list[str] = []

    def pay(self, *, method: str) -> str:
        if method == "refused":
            raise DeclinedError
        self.done.append(method)
        return "paid"


def with_a_refused_card(given):
    given["kwargs"]["method"] = "refused"


def outside():
    return (Outside("provider", (Bank,), ("pay",), SilentError, {"pay": with_a_refused_card}),)


@pytest.fixture(scope="module")
def running_stack() -> Iterator[LocalStack]:
    with LocalStack(SHOP, clock=Clock(skips_pauses=True), outside=outside) as stack:
        yield stack


@pytest.fixture
def switched(stack):
    """Switch one fault on."""

    def on(**fault):
        stack.faults.switch_on(read_plan(json.dumps({"seed": 3, "faults": [fault]})))

    yield on
    stack.faults.switch_off()


@pytest.fixture
def runs(stack, monkeypatch):
    """Have a function do this, and invoke it; what it raises is put in what is returned."""

    def run(handler, **event):
        raised = []

        def watched(event, context):
            try:
                return handler(event)
            except BaseException as error:
                raised.append(error)
                raise

        function = dataclasses.replace(stack.functions.by_name[COUNT], handler=watched)
        monkeypatch.setitem(stack.functions.by_name, COUNT, function)
        answer, failed = stack.functions.run(COUNT, json.dumps(event))
        return json.loads(answer), failed, (raised or [None])[0]

    return run


@pytest.fixture
def put(dynamodb, table):
    def put(event):
        dynamodb.put_item(TableName=table, Item={"pk": {"S": "x"}, "sk": {"S": "y"}})
        return "done"

    return put


@pytest.fixture
def is_there(dynamodb, table):
    key = {"pk": {"S": "x"}, "sk": {"S": "y"}}
    return lambda: "Item" in dynamodb.get_item(TableName=table, Key=key)


@pytest.mark.parametrize(
    ("kind", "error", "code", "done"),
    [
        ("crash_before", KilledError, None, False),
        ("crash_after", KilledError, None, True),
        ("request_lost", ReadTimeoutError, None, False),
        ("answer_lost", ReadTimeoutError, None, True),
        ("throttled", ClientError, "ThrottlingException", False),
        ("server_error", ClientError, "InternalServerError", False),
        ("conflict", ClientError, "TransactionConflictException", False),
    ],
)
def test_a_call_of_aws_fails_as_its_kind_says(
    switched, runs, put, is_there, kind, error, code, done
):
    switched(at="aws", kind=kind, table="counter", operation="Put*", probability=1)

    told, failed, raised = runs(put)

    assert failed
    assert isinstance(raised, error)
    assert code is None or raised.response["Error"]["Code"] == code
    assert is_there() is done
    assert told["errorType"] == (
        "Lambda.Unknown" if error is KilledError else type(raised).__name__
    )


def test_a_transaction_is_told_which_of_its_items_met_a_conflict(switched, runs, dynamodb, table):
    switched(at="aws", kind="conflict", probability=1)
    writes = [
        {"Put": {"TableName": table, "Item": {"pk": {"S": name}, "sk": {"S": "y"}}}}
        for name in "ab"
    ]

    _, _, raised = runs(lambda event: dynamodb.transact_write_items(TransactItems=writes))

    assert [reason["Code"] for reason in raised.response["CancellationReasons"]] == [
        "TransactionConflict",
        "None",
    ]


@pytest.mark.parametrize(
    ("kind", "error", "times"),
    [
        ("crash_before", "Lambda.Unknown", 0),
        ("crash_after", "Lambda.Unknown", 1),
        ("timeout_after", "Sandbox.Timedout", 1),
        ("twice", None, 2),
    ],
)
def test_a_function_fails_as_its_kind_says(switched, runs, kind, error, times):
    called = []
    switched(at="function", kind=kind, function="counter-*", probability=1)

    told, failed, _ = runs(called.append)

    assert (failed, len(called)) == (error is not None, times)
    assert error is None or told["errorType"] == error


@pytest.mark.parametrize(
    ("kind", "error", "done"),
    [
        ("timeout_before", SilentError, []),
        ("timeout_after", SilentError, ["card"]),
        ("decline", DeclinedError, []),
    ],
)
def test_somebody_outside_fails_as_the_kind_says(switched, runs, kind, error, done, monkeypatch):
    monkeypatch.setattr(Bank, "done", [])
    switched(at="provider", kind=kind, operation="pay", probability=1)

    _, failed, raised = runs(lambda event: Bank().pay(method="card"))

    assert failed
    assert isinstance(raised, error)
    assert Bank.done == done


def test_somebody_outside_who_is_slow_answers_all_the_same(switched, runs):
    switched(at="provider", kind="slow", seconds=0.001, probability=1)

    assert runs(lambda event: Bank().pay(method="card"))[0] == "paid"


def test_a_test_that_calls_from_outside_a_function_meets_no_fault(switched, put, is_there):
    switched(at="aws", kind="crash_before", probability=1)

    put({})

    assert is_there()


def publish(*bodies):
    for body in bodies:
        boto3.client("sqs").send_message(QueueUrl=os.environ["READER_QUEUE_URL"], MessageBody=body)


def test_messages_come_twice(stack, switched, batches):
    switched(at="queue", kind="twice", queue="reader-events", probability=1)
    publish("a", "b")

    stack.drain()

    assert batches == [["a", "b"], ["a", "b"]]


def test_messages_come_late_and_that_counts_as_no_attempt(stack, switched, batches):
    switched(at="queue", kind="delayed", seconds=60, nth=1)
    publish("a", "poison")

    stack.drain()
    at_first = list(batches)
    stack.clock.set_forward(stack.clock.now() + 61)
    stack.drain()

    assert at_first == []
    # As often as the queue lets a message be received.
    assert batches == [["a", "poison"], ["poison"], ["poison"]]


def test_the_first_message_comes_behind_the_others(stack, switched, batches):
    switched(at="queue", kind="reordered", seconds=60, nth=1)
    publish("a", "b", "c")

    stack.drain()
    stack.clock.set_forward(stack.clock.now() + 61)
    stack.drain()

    assert batches == [["b", "c"], ["a"]]


@pytest.fixture
def post(runs):
    """Post a webhook to our own API, as a simulator does; tell what it was answered."""

    def post():
        event = {"httpMethod": "POST", "path": "/read", "body": "{}"}

        def posts(_):
            answer = boto3.client("lambda").invoke(
                FunctionName=f"{FUNCTIONS}-reader-api_handler", Payload=json.dumps(event)
            )
            return json.loads(answer["Payload"].read())

        return runs(posts)[0]["statusCode"]

    return post


@pytest.fixture
def heard(stack, monkeypatch):
    """The webhooks that reach our API."""
    heard = []
    name = f"{FUNCTIONS}-reader-api_handler"

    def hears(event, context):
        heard.append(event["path"])
        return {"statusCode": 200, "body": ""}

    function = dataclasses.replace(stack.functions.by_name[name], handler=hears)
    monkeypatch.setitem(stack.functions.by_name, name, function)
    return heard


@pytest.mark.parametrize(("kind", "answer", "times"), [("lost", 204, 0), ("twice", 200, 2)])
def test_a_webhook_goes_wrong_and_its_sender_does_not_know(
    switched, post, heard, kind, answer, times
):
    switched(at="webhook", kind=kind, path="/read", probability=1)

    assert post() == answer
    assert heard == ["/read"] * times


def test_a_late_webhook_arrives_when_its_time_has_come(stack, switched, post, heard):
    switched(at="webhook", kind="late", seconds=60, probability=1)

    answer = post()
    stack.drain()
    at_once = list(heard)
    stack.clock.set_forward(stack.clock.now() + 61)
    stack.drain()

    assert (answer, at_once, heard) == (204, [], ["/read"])


def fired(stack, calls, runs, **fault):
    """Make so many calls under a fault; tell which of them it befell."""
    befell = []
    for number in range(1, calls + 1):
        if runs(lambda event: "done")[1]:
            befell.append(number)
    return befell


def test_the_nth_calls_are_those_that_fail_and_no_more_than_so_often(stack, switched, runs):
    switched(at="function", kind="crash_before", nth=[2, 5, 7], times=2)

    assert fired(stack, 10, runs) == [2, 5]


def test_one_seed_chooses_the_same_calls_and_another_others(stack, runs):
    def chosen(seed):
        plan = {
            "seed": seed,
            "faults": [{"at": "function", "kind": "crash_before", "probability": 0.2}],
        }
        stack.faults.switch_on(read_plan(json.dumps(plan)))
        try:
            return fired(stack, 100, runs)
        finally:
            stack.faults.switch_off()

    first, again, other = chosen(1), chosen(1), chosen(2)

    assert first == again != other
    assert 10 < len(first) < 30


def test_what_fired_is_told_with_its_order_and_counted(stack, switched, runs, put):
    order_id = "ord_0123456789abcdefghjkmnpqrs"
    switched(at="aws", kind="throttled", service="dynamodb", nth=2)

    for _ in range(3):
        runs(put, order_id=order_id)

    told = stack.faults.told()
    (fault,), (one,) = told["faults"], told["fired"]
    assert (told["on"], told["seed"]) == (True, 3)
    assert (fault["met"], fault["fired"]) == (3, 1)
    assert (one["kind"], one["met"], one["order_id"]) == ("aws throttled", 2, order_id)
    assert (one["function"], one["what"]) == ("counter-count", "dynamodb PutItem counter")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("faults: [", "not YAML"),
        ("[]", "the plan: should be a valid dictionary"),
        ("faults: []", "faults: List should have at least 1 item"),
        ("faults: [{at: moon, kind: full, nth: 1}]", "faults[0]: "),
        ("faults: [{at: aws, kind: decline, nth: 1}]", "faults[0].kind: should be 'crash_before'"),
        ("faults: [{at: aws, kind: throttled}]", "faults[0]: say either probability or nth"),
        (
            "faults: [{at: aws, kind: throttled, nth: 1, probability: 1}]",
            "faults[0]: say either probability or nth",
        ),
        ("faults: [{at: queue, kind: twice, nth: 0}]", "faults[0].nth[0]: should be greater"),
        ("faults: [{at: aws, kind: throttled, probability: 7}]", "faults[0].probability: "),
        (
            "{seed: 1, faults: [{at: queue, kind: twice, nth: 1, table: x}]}",
            "faults[0].table: is not known here",
        ),
        (f"# {'x' * 70_000}", "a plan has at most 65,536 bytes"),
    ],
)
def test_what_is_no_plan_is_refused_in_one_line_that_says_where(text, said):
    with pytest.raises(PlanError) as refused:
        read_plan(text)

    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.fixture
def http(stack, monkeypatch):
    functions = stack.functions.by_name
    for name in (f"{FUNCTIONS}-counter-tick", COUNT):
        idle = dataclasses.replace(functions[name], handler=lambda event, context: None)
        monkeypatch.setitem(functions, name, idle)
    site = LocalSite(stack, "", administrator=("boss@example.com", "open sesame"))
    with httpx.Client(transport=httpx.WSGITransport(app=site), base_url="http://x") as client:
        yield client
    stack.faults.switch_off()


BOSS = ("boss@example.com", "open sesame")
PLAN = "faults: [{at: function, kind: crash_before, probability: 1}]"


def test_an_administrator_switches_faults_on_and_off_whatever_they_are(http, runs):
    on = http.put("/_local/faults", content=PLAN, auth=BOSS).json()
    failed = runs(lambda event: "done")[1]
    off = http.delete("/_local/faults", auth=BOSS).json()

    assert (on["on"], failed, off["on"]) == (True, True, False)
    assert off["faults"][0]["fired"] == 1
    assert runs(lambda event: "done")[1] is False


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Basic " + base64.b64encode(b"boss@example.com:guessed").decode(),
        "Basic %%%",
        "Bearer nonsense",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_nobody_else_sees_or_switches_faults(http, stack, method, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}

    answer = http.request(method, "/_local/faults", content=PLAN, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert not stack.faults.is_on


def test_what_is_no_plan_is_refused_by_the_shop_too(http, stack):
    answer = http.put("/_local/faults", content="faults: 3", auth=BOSS)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_plan")
    assert not stack.faults.is_on


@pytest.mark.parametrize("body", [{"by": "P8D"}, {"by": 691_200}, {"by": "PT192H"}])
def test_the_clock_of_the_shop_is_set_forward(http, stack, body):
    before = stack.clock.now()

    told = http.post("/_local/clock", json=body).json()

    assert stack.clock.now() - before == pytest.approx(8 * 86_400, abs=30)
    assert told["next_due"] is None  # The schedules have nothing to find.


def test_the_clock_of_the_shop_is_set_forward_to_a_moment(http, stack):
    to = stack.clock.utc_now() + timedelta(days=1)

    http.post("/_local/clock", json={"to": to.isoformat()})

    assert (stack.clock.utc_now() - to).total_seconds() == pytest.approx(0, abs=30)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"by": "-PT1S"}', "invalid_advance"),
        ('{"by": "P367D"}', "invalid_advance"),
        ('{"to": "2020-01-01T00:00:00Z"}', "invalid_advance"),
        ('{"to": "2020-01-01T00:00:00"}', "invalid_request"),
        ('{"by": "soon"}', "invalid_request"),
        ('{"by": 1, "to": "2030-01-01T00:00:00Z"}', "invalid_request"),
        ("{}", "invalid_request"),
        ("", "invalid_request"),
        ('{"by": NaN}', "invalid_request"),
        ('{"by": 1e300}', "invalid_request"),
    ],
)
def test_the_clock_goes_no_other_way(http, stack, body, code):
    before = stack.clock.now()

    answer = http.post("/_local/clock", content=body)

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert stack.clock.now() - before < 30
