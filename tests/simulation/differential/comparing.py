"""Two implementations given the same operations: where do answers, errors or items differ?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tests.simulation.aws.attributes import Item, number
from tests.simulation.aws.dynamodb import DynamoDB
from tests.simulation.aws.refusals import refusal
from tests.simulation.aws.tables import Table
from tests.simulation.differential.operations import SCHEMA, TABLE, Operation

Call = Callable[[str, dict[str, Any]], Any]

_COMPARED = (
    "Item",
    "Attributes",
    "Items",
    "Count",
    "ScannedCount",
    "LastEvaluatedKey",
    "Responses",
)


@dataclass(frozen=True, slots=True)
class Difference:
    operation: Operation
    ours: Any
    theirs: Any

    def __str__(self) -> str:
        return f"{self.operation.name} {self.operation.request}\n  {self.ours}\n  {self.theirs}"


def model() -> DynamoDB:
    """Make our model with the table."""
    dynamodb = DynamoDB(now=lambda: 0.0)
    dynamodb.tables[TABLE] = Table.described(TABLE, SCHEMA)
    return dynamodb


def client_call(client: Any) -> Call:
    """Call a boto3 client by the operation's name."""
    return lambda name, request: client._make_api_call(name, request)


def differences(
    operations: Iterable[Operation], ours: DynamoDB, theirs: Call
) -> Iterator[Difference]:
    """Do each operation on both; tell those that were answered differently.

    Where only one of them refused, theirs is given our items again, so that each difference is told
    once. Where both did it and tell it differently, their items have to be equal all the same.
    """
    for operation in operations:
        one, other = _answer(ours.call, operation), _answer(_surviving(theirs), operation)
        if one != other:
            yield Difference(operation, one, other)
            if isinstance(one, tuple) != isinstance(other, tuple):
                _align(operation, ours, theirs)


def _align(operation: Operation, ours: DynamoDB, theirs: Call) -> None:
    """Have theirs hold what ours holds under every key that an operation may have touched."""
    table = ours.tables[TABLE]
    for key in _keys(operation.request):
        theirs("DeleteItem", {"TableName": TABLE, "Key": key})
        item = table.get(table.key_of(key))
        if item is not None:
            theirs("PutItem", {"TableName": TABLE, "Item": item})


def _keys(request: Any) -> Iterator[Item]:
    if isinstance(request, list):
        for member in request:
            yield from _keys(member)
    elif isinstance(request, dict):
        if "pk" in request and "sk" in request and "S" in request["pk"]:
            yield {"pk": request["pk"], "sk": request["sk"]}
        else:
            for member in request.values():
                yield from _keys(member)


def _surviving(call: Call) -> Call:
    """Have an implementation's own bugs be answers: an emulator in this process may just crash."""

    def survives(name: str, request: dict[str, Any]) -> Any:
        try:
            return call(name, request)
        except ClientError:
            raise
        except Exception as error:
            raise refusal(f"crashed with {type(error).__name__}") from error

    return survives


def written(items: Iterable[Item]) -> set[str]:
    """Write items so that two tables can be compared."""
    return {repr(_canonical({"M": item})) for item in items}


def _answer(call: Call, operation: Operation) -> Any:
    try:
        answer = call(operation.name, operation.request)
    except ClientError as error:
        return _refusal(error)
    told = {name: answer[name] for name in _COMPARED if name in answer}
    if operation.name == "BatchGetItem":
        return sorted(repr(_canonical({"M": one})) for one in told["Responses"].get(TABLE, ()))
    canonical = {name: _canonical_answer(value) for name, value in told.items()}
    # An answer without attributes may have none, or say so.
    return {name: value for name, value in canonical.items() if value is not None}


def _refusal(error: ClientError) -> Any:
    response: Any = error.response
    code = response["Error"]["Code"]
    reasons = [
        (reason.get("Code"), _canonical_answer(reason.get("Item")))
        for reason in response.get("CancellationReasons", ())
    ]
    return code, reasons, _canonical_answer(response.get("Item"))


def _canonical_answer(value: Any) -> Any:
    """Write an answer's part so that equal items are equal: sets have no order."""
    if isinstance(value, list):
        return [_canonical_answer(member) for member in value]
    if isinstance(value, dict):
        if "Item" in value and len(value) == 1:
            return {"Item": _canonical({"M": value["Item"]})}
        return _canonical({"M": value}) if value else None
    return value


def _canonical(value: dict[str, Any]) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "M":
            return "M", sorted((name, _canonical(member)) for name, member in content.items())
        case "L":
            return "L", [_canonical(member) for member in content]
        case "N":
            return "N", str(number(content))
        case "NS":
            return "NS", sorted(str(number(member)) for member in content)
        case "SS" | "BS":
            return kind, sorted(content)
    return kind, content
