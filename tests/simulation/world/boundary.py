"""The boundary between the application and AWS: every call passes here, and may meet its fault."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from botocore.client import BaseClient
from botocore.validate import ParamValidator

from tests.simulation.aws.account import Account
from tests.simulation.aws.refusals import refusal
from tests.simulation.world import faults
from tests.simulation.world.faults import Fault, Killed, Plan, Site
from tests.simulation.world.time import VirtualClock
from tests.simulation.world.turns import NOTHING, Frame, Touched, Turns

Request = Mapping[str, Any]


class Step(NamedTuple):
    """One line of a trace: what was called where, in whose turn, and what came of it."""

    task: str
    site: Site
    call: str
    outcome: str
    may_be_stale: bool


class Boundary:
    """Carries calls to the account, and faults to where the plan has them.

    `watch` is called after each call that may have changed something.
    """

    def __init__(self, account: Account, turns: Turns, clock: VirtualClock) -> None:
        self._account = account
        self._turns = turns
        self._clock = clock
        self._clients: dict[str, BaseClient] = {}
        self._validator = ParamValidator()
        self._counts: Counter[str] = Counter()
        self._tokens = 0
        self.plan: Plan = {}
        self.hit: set[Site] = set()
        self.trace: list[Step] = []
        self.calls = 0
        self.validates = False
        self.records: Callable[[str, Request, Any], None] | None = None
        self.watch: Callable[[], None] = lambda: None

    def restart(self, plan: Plan) -> None:
        """Begin a history."""
        self.plan = plan
        self.hit = set()
        self.trace = []
        self._counts.clear()
        self._tokens = 0

    def adopt(self, service: str, client: BaseClient) -> None:
        """Have a client's calls come here instead of going out."""
        self._clients[service] = client

        def call(operation: str, parameters: Request) -> Any:
            return self.call(service, operation, parameters)

        client._make_api_call = call

    # --- invocations ----------------------------------------------------------------------------

    def enter(self, function: str) -> Frame:
        """Note that an invocation begins; `leave` ends it."""
        self._counts[function] += 1
        frame = Frame(function, self._counts[function])
        self._turns.current.frames.append(frame)
        return frame

    def leave(self) -> None:
        frames = self._turns.current.frames
        frames.pop()
        self._clock.skew_ms = frames[-1].skew_ms if frames else 0

    def fault_of(self, frame: Frame, *, is_step: bool) -> Fault | None:
        """Tell the invocation's own fault, and take it into the trace."""
        site = Site(frame.function, frame.nth, 0)
        fault = self.plan.get(site)
        call = "step" if is_step else "invocation"
        self.trace.append(Step(self._turns.current.name, site, call, fault or "", False))
        if fault is not None:
            self.hit.add(site)
        if fault in (Fault.CLOCK_IS_FAST, Fault.CLOCK_IS_SLOW):
            frame.skew_ms = faults.SKEW_MS if fault is Fault.CLOCK_IS_FAST else -faults.SKEW_MS
        self._clock.skew_ms = frame.skew_ms
        return fault

    # --- calls ----------------------------------------------------------------------------------

    def call(self, service: str, operation: str, parameters: Request) -> Any:
        self.calls += 1
        if self.validates:
            self._validate(service, operation, parameters)
        frames = self._turns.current.frames
        if not frames:
            # The test itself looks into the tables.
            return self._account.call(service, operation, parameters)
        frame = frames[-1]
        frame.calls += 1
        site = Site(frame.function, frame.nth, frame.calls)
        if self._turns.is_side_by_side:
            self._turns.pause(touched(service, operation, parameters))
        self._clock.skew_ms = frame.skew_ms
        self._clock.tick()
        fault = self.plan.get(site)
        may_be_stale = self._may_be_stale(operation, parameters)
        step = Step(
            self._turns.current.name, site, f"{service}.{operation}", fault or "", may_be_stale
        )
        self.trace.append(step)
        if operation == "TransactWriteItems" and "ClientRequestToken" not in parameters:
            # botocore adds one, and sends the same one with each of its attempts.
            self._tokens += 1
            parameters = {**parameters, "ClientRequestToken": f"token-{self._tokens}"}
        if fault is None:
            answer = self._carry_out(service, operation, parameters)
        else:
            self.hit.add(site)
            answer = self._fail(fault, service, operation, parameters)
        if self.records is not None:
            self.records(str(step), parameters, answer)
        return answer

    def _carry_out(self, service: str, operation: str, parameters: Request) -> Any:
        answer = self._account.call(service, operation, parameters)
        self.watch()
        return answer

    def _fail(self, fault: Fault, service: str, operation: str, parameters: Request) -> Any:
        match fault:
            case Fault.DIES_BEFORE:
                raise Killed
            case Fault.DIES_AFTER:
                self._carry_out(service, operation, parameters)
                raise Killed
            case Fault.IS_LOST:
                raise faults.no_answer()
            case Fault.LOSES_ITS_ANSWER:
                self._carry_out(service, operation, parameters)
                raise faults.no_answer()
            case Fault.IS_DONE_TWICE:
                self._carry_out(service, operation, parameters)
                return self._carry_out(service, operation, parameters)
            case Fault.IS_THROTTLED:
                raise faults.throttled(service, operation, parameters)
            case Fault.FAILS:
                raise faults.failed(service)
            case Fault.CONFLICTS:
                raise faults.conflict(operation, parameters)
            case Fault.IS_STALE:
                return self._account.dynamodb.call_stale(operation, parameters, 1)
            case Fault.IS_PARTLY_DONE:
                return self._partly(service, operation, parameters)
        raise ValueError(f"{fault} is no fault of a call")

    def _partly(self, service: str, operation: str, parameters: Request) -> Any:
        """Do all of a batch but its last member."""
        if operation == "PublishBatch":
            *done, left = parameters["PublishBatchRequestEntries"]
            successful = []
            if done:
                some = {**parameters, "PublishBatchRequestEntries": done}
                successful = self._carry_out(service, operation, some)["Successful"]
            told = {"Id": left["Id"], "Code": "InternalError", "SenderFault": False}
            return {"Successful": successful, "Failed": [told]}
        *done, left = (
            (table, request)
            for table, requests in parameters["RequestItems"].items()
            for request in requests
        )
        if done:
            some_items: dict[str, list[Any]] = {}
            for table, request in done:
                some_items.setdefault(table, []).append(request)
            self._carry_out(service, operation, {"RequestItems": some_items})
        return {"UnprocessedItems": {left[0]: [left[1]]}}

    def _may_be_stale(self, operation: str, parameters: Request) -> bool:
        if operation not in ("GetItem", "Query", "BatchGetItem"):
            return False
        if parameters.get("ConsistentRead"):
            return False
        names = parameters.get("RequestItems") or [parameters.get("TableName")]
        return any(self._account.dynamodb.tables[name].changes for name in names)

    def _validate(self, service: str, operation: str, parameters: Request) -> None:
        """Check the request against botocore's model, as a client that validates would."""
        model = self._clients[service].meta.service_model.operation_model(operation)
        report = self._validator.validate(dict(parameters), model.input_shape)
        if report.has_errors():
            raise refusal("ParamValidationError", report.generate_report())


def touched(service: str, operation: str, parameters: Request) -> Touched:
    """Tell the partitions that a call of DynamoDB reads or writes."""
    if service != "dynamodb":
        return NOTHING
    return frozenset(_partitions(operation, parameters))


def _partitions(operation: str, parameters: Request) -> Iterator[tuple[str, str]]:
    match operation:
        case "TransactWriteItems" | "TransactGetItems":
            for one in parameters["TransactItems"]:
                (asked,) = one.values()
                yield asked["TableName"], _partition(asked.get("Key") or asked["Item"])
        case "BatchGetItem":
            for table, asked in parameters["RequestItems"].items():
                for key in asked["Keys"]:
                    yield table, _partition(key)
        case "BatchWriteItem":
            for table, requests in parameters["RequestItems"].items():
                for request in requests:
                    (asked,) = request.values()
                    yield table, _partition(asked.get("Key") or asked["Item"])
        case "Query":
            values = parameters["ExpressionAttributeValues"]
            first = str(next(iter(values.values())))
            yield parameters["TableName"], str(parameters.get("IndexName", first))
        case _:
            yield parameters["TableName"], _partition(parameters.get("Key") or parameters["Item"])


def _partition(key: Mapping[str, Any]) -> str:
    return str(key["pk"])


def printed(record: Any) -> str:
    """Write a request or an answer on one line, the same in every run."""
    return json.dumps(record, sort_keys=True, default=_shown)


def _shown(value: Any) -> str:
    # A stream's own name is its address, which differs from run to run.
    content = value.getvalue() if isinstance(value, io.BytesIO) else value
    return repr(content)
