"""Random operations on one table, the same ones for a seed: mostly right, sometimes wrong.

They work on few keys, so that conditions fail and transactions meet, and use every function and
comparison of the expressions that the model knows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

TABLE = "differential"
SCHEMA: dict[str, Any] = {
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
        {"AttributeName": "shelf", "AttributeType": "S"},
        {"AttributeName": "rank", "AttributeType": "N"},
        {"AttributeName": "due", "AttributeType": "S"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-rank",
            "KeySchema": [
                {"AttributeName": "shelf", "KeyType": "HASH"},
                {"AttributeName": "rank", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        },
        {
            "IndexName": "due",
            "KeySchema": [
                {"AttributeName": "shelf", "KeyType": "HASH"},
                {"AttributeName": "due", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["text"]},
        },
    ],
}

Value = dict[str, Any]


class Operation(NamedTuple):
    name: str  # as botocore's model names it: PutItem
    request: dict[str, Any]


def operations(seed: int, count: int) -> Iterator[Operation]:
    """Make the operations of a seed. All keys begin with it, so that seeds do not meet."""
    maker = _Maker(seed)
    for _ in range(count):
        yield maker.operation()


class _Maker:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.names: dict[str, str] = {}
        self.values: dict[str, Value] = {}
        self._makers: list[Callable[[], Operation]] = [
            *[self.put] * 5,
            *[self.update] * 9,
            *[self.delete] * 2,
            *[self.get] * 3,
            *[self.query] * 4,
            *[self.query_index] * 4,
            *[self.transaction] * 5,
            self.batch_get,
            self.batch_write,
            self.transact_get,
            *[self.mistake] * 2,
        ]

    def operation(self) -> Operation:
        self.names, self.values = {}, {}
        return self.chance.choice(self._makers)()

    # --- values ---------------------------------------------------------------------------------

    def partition(self) -> Value:
        return {"S": f"{self.seed}#{self.chance.choice('ab')}"}

    def sort(self) -> Value:
        return {"S": self.chance.choice(["A#1", "A#2", "A#10", "B#1", "B#é", "C"])}

    def key(self) -> dict[str, Value]:
        return {"pk": self.partition(), "sk": self.sort()}

    def shelf(self) -> Value:
        return {"S": f"{self.seed}#{self.chance.choice('xy')}"}

    def number(self) -> Value:
        return {"N": str(self.chance.choice([-3, -1, 0, 1, 2, 7, 10, 1250, 99999999999999999999]))}

    def text(self) -> Value:
        return {"S": self.chance.choice(["", "open", "closed", "OPEN", "öffen", "o"])}

    def document(self) -> Value:
        inner: dict[str, Value] = {"count": self.number()}
        if self.chance.random() < 0.5:
            inner["text"] = self.text()
        return {"M": inner}

    def of(self, attribute: str) -> Value:
        """Make a value of the kind that an attribute usually has."""
        match attribute:
            case "count" | "version" | "rank":
                return self.number()
            case "text" | "status":
                return self.text()
            case "due":
                return {"S": f"2026-01-0{self.chance.randint(1, 9)}"}
            case "shelf":
                return self.shelf()
            case "tags":
                return {
                    "SS": self.chance.sample(["red", "blue", "green"], self.chance.randint(1, 3))
                }
            case "sizes":
                return {"NS": self.chance.sample(["1", "2", "30"], self.chance.randint(1, 3))}
            case "lines":
                return {"L": [self.document() for _ in range(self.chance.randint(0, 3))]}
            case "by":
                return self.document()
            case "is_new":
                return {"BOOL": self.chance.random() < 0.5}
        return {"NULL": True}

    def item(self) -> dict[str, Value]:
        wanted = self.chance.sample(_ATTRIBUTES, self.chance.randint(0, len(_ATTRIBUTES)))
        return {**self.key(), **{name: self.of(name) for name in wanted}}

    # --- placeholders ---------------------------------------------------------------------------

    def name(self, attribute: str) -> str:
        self.names[f"#{attribute}"] = attribute
        return f"#{attribute}"

    def value(self, value: Value) -> str:
        placeholder = f":v{len(self.values)}"
        self.values[placeholder] = value
        return placeholder

    def with_placeholders(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.names:
            request["ExpressionAttributeNames"] = dict(self.names)
        if self.values:
            request["ExpressionAttributeValues"] = dict(self.values)
        return request

    def path(self) -> str:
        chosen = self.chance.random()
        if chosen < 0.15:
            return f"{self.name('by')}.{self.name('count')}"
        if chosen < 0.25:
            return f"{self.name('lines')}[{self.chance.randint(0, 2)}].{self.name('count')}"
        return self.name(self.chance.choice(_ATTRIBUTES))

    # --- expressions ----------------------------------------------------------------------------

    def condition(self, depth: int = 2) -> str:
        chosen = self.chance.random()
        if depth and chosen < 0.3:
            joined = self.chance.choice([" AND ", " OR "])
            return f"({self.condition(depth - 1)}{joined}{self.condition(depth - 1)})"
        if depth and chosen < 0.37:
            return f"NOT {self.condition(0)}"
        return self.simple_condition()

    def simple_condition(self) -> str:
        attribute = self.chance.choice(_ATTRIBUTES)
        match self.chance.randint(0, 9):
            case 0 | 1:
                return f"attribute_exists({self.path()})"
            case 2 | 3:
                return f"attribute_not_exists({self.chance.choice(['pk', self.path()])})"
            case 4:
                text = self.value({"S": self.chance.choice(["o", "op", "2026-01"])})
                return f"begins_with({self.name(self.chance.choice(['text', 'due']))}, {text})"
            case 5:
                tags = self.chance.choice(["tags", "text"])
                part = self.value({"S": self.chance.choice(["red", "o", "pen"])})
                return f"contains({self.name(tags)}, {part})"
            case 6:
                listed = ", ".join(self.value(self.of(attribute)) for _ in range(2))
                return f"{self.name(attribute)} IN ({listed})"
            case 7:
                low, high = sorted((self.number(), self.number()), key=lambda one: int(one["N"]))
                return f"{self.name('count')} BETWEEN {self.value(low)} AND {self.value(high)}"
            case 8:
                whole = self.name(self.chance.choice(["tags", "lines", "text", "by"]))
                return f"size({whole}) {self.sign()} {self.value({'N': '1'})}"
        # Sets, lists and documents have no order.
        sign = self.sign() if attribute in _ORDERED else self.chance.choice(["=", "<>"])
        return f"{self.name(attribute)} {sign} {self.value(self.of(attribute))}"

    def sign(self) -> str:
        return self.chance.choice(["=", "<>", "<", "<=", ">", ">="])

    def changes(self) -> str:
        attributes = self.chance.sample(_ATTRIBUTES, self.chance.randint(1, 4))
        clauses: dict[str, list[str]] = {}
        for attribute in attributes:
            action, clause = self.change(attribute)
            clauses.setdefault(action, []).append(clause)
        return " ".join(f"{action} {', '.join(parts)}" for action, parts in clauses.items())

    def change(self, attribute: str) -> tuple[str, str]:
        name = self.name(attribute)
        chosen = self.chance.random()
        if chosen < 0.15:
            return "REMOVE", name
        match attribute:
            case "count" | "version":
                if chosen < 0.4:
                    return "ADD", f"{name} {self.value(self.small())}"
                sign = self.chance.choice("+-")
                operand = self.value(self.small())
                if chosen < 0.7:
                    base = f"if_not_exists({name}, {self.value({'N': '0'})})"
                    return "SET", f"{name} = {base} {sign} {operand}"
                return "SET", f"{name} = {name} {sign} {operand}"
            case "tags" | "sizes":
                if chosen < 0.8:
                    action = self.chance.choice(["ADD", "DELETE"])
                    return action, f"{name} {self.value(self.of(attribute))}"
            case "lines":
                if chosen < 0.4:
                    return (
                        "SET",
                        f"{name}[{self.chance.randint(0, 4)}] = {self.value(self.document())}",
                    )
                if chosen < 0.5:
                    return "REMOVE", f"{name}[{self.chance.randint(0, 2)}]"
                if chosen < 0.8:
                    more = self.value(self.of("lines"))
                    base = f"if_not_exists({name}, {self.value({'L': []})})"
                    return "SET", f"{name} = list_append({base}, {more})"
            case "by":
                if chosen < 0.6:
                    return "SET", f"{name}.{self.name('count')} = {self.value(self.number())}"
        return "SET", f"{name} = {self.value(self.of(attribute))}"

    def small(self) -> Value:
        return {"N": str(self.chance.randint(-3, 9))}

    def maybe_condition(self, request: dict[str, Any]) -> None:
        if self.chance.random() < 0.6:
            request["ConditionExpression"] = self.condition()
            if self.chance.random() < 0.5:
                request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"

    # --- operations -----------------------------------------------------------------------------

    def put(self) -> Operation:
        request = {"TableName": TABLE, "Item": self.item()}
        self.maybe_condition(request)
        if self.chance.random() < 0.3:
            request["ReturnValues"] = "ALL_OLD"
        return Operation("PutItem", self.with_placeholders(request))

    def update(self) -> Operation:
        request = {"TableName": TABLE, "Key": self.key(), "UpdateExpression": self.changes()}
        self.maybe_condition(request)
        if self.chance.random() < 0.6:
            request["ReturnValues"] = self.chance.choice(
                ["ALL_OLD", "ALL_NEW", "UPDATED_NEW", "UPDATED_OLD"]
            )
        return Operation("UpdateItem", self.with_placeholders(request))

    def delete(self) -> Operation:
        request = {"TableName": TABLE, "Key": self.key()}
        self.maybe_condition(request)
        if self.chance.random() < 0.3:
            request["ReturnValues"] = "ALL_OLD"
        return Operation("DeleteItem", self.with_placeholders(request))

    def get(self) -> Operation:
        request = {"TableName": TABLE, "Key": self.key(), "ConsistentRead": True}
        if self.chance.random() < 0.5:
            request["ProjectionExpression"] = self.projection()
        return Operation("GetItem", self.with_placeholders(request))

    def projection(self) -> str:
        return ", ".join(self.name(one) for one in self.chance.sample(_ATTRIBUTES, 3))

    def query(self) -> Operation:
        terms = [f"pk = {self.value(self.partition())}"]
        if self.chance.random() < 0.7:
            terms.append(self.sort_term("sk", self.sort, with_prefix=True))
        return self.asked(terms, {"ConsistentRead": True}, ("pk", "sk"))

    def query_index(self) -> Operation:
        index, sort = self.chance.choice([("by-rank", "rank"), ("due", "due")])
        terms = [f"{self.name('shelf')} = {self.value(self.shelf())}"]
        if self.chance.random() < 0.7:
            term = self.sort_term(self.name(sort), lambda: self.of(sort), with_prefix=sort == "due")
            terms.append(term)
        return self.asked(terms, {"IndexName": index}, ("shelf", sort))

    def sort_term(self, name: str, value: Callable[[], Value], *, with_prefix: bool) -> str:
        chosen = self.chance.random()
        if with_prefix and chosen < 0.3:
            start = self.chance.choice(["A", "A#1", "B", "2026-01-0"])
            return f"begins_with({name}, {self.value({'S': start})})"
        if chosen < 0.5:
            low, high = value(), value()
            if _plain(low) > _plain(high):
                low, high = high, low
            return f"{name} BETWEEN {self.value(low)} AND {self.value(high)}"
        sign = self.chance.choice(["=", "<", "<=", ">", ">="])
        return f"{name} {sign} {self.value(value())}"

    def asked(self, terms: list[str], request: dict[str, Any], keys: tuple[str, str]) -> Operation:
        request |= {"TableName": TABLE, "KeyConditionExpression": " AND ".join(terms)}
        if self.chance.random() < 0.4:
            request["ScanIndexForward"] = self.chance.random() < 0.5
        if self.chance.random() < 0.4:
            request["Limit"] = self.chance.randint(1, 4)
        if self.chance.random() < 0.3:
            others = [name for name in ("count", "version", "text", "status") if name not in keys]
            attribute = self.chance.choice(others)
            value = self.value(self.of(attribute))
            request["FilterExpression"] = f"{self.name(attribute)} {self.sign()} {value}"
        if self.chance.random() < 0.2:
            request["Select"] = "COUNT"
        elif self.chance.random() < 0.2:
            request["ProjectionExpression"] = f"pk, {self.name('text')}"
        return Operation("Query", self.with_placeholders(request))

    def transaction(self) -> Operation:
        writes = []
        keys: list[dict[str, Value]] = []
        for _ in range(self.chance.randint(1, 4)):
            key = self.key()
            if key in keys:
                continue
            keys.append(key)
            self.names, self.values = {}, {}
            writes.append(self.one_write(key))
        return Operation("TransactWriteItems", {"TransactItems": writes})

    def one_write(self, key: dict[str, Value]) -> dict[str, Any]:
        kind = self.chance.choice(["Put", "Update", "Update", "Delete", "ConditionCheck"])
        request: dict[str, Any] = {"TableName": TABLE}
        match kind:
            case "Put":
                request["Item"] = {**self.item(), **key}
            case "Update":
                request |= {"Key": key, "UpdateExpression": self.changes()}
            case _:
                request["Key"] = key
        if kind == "ConditionCheck":
            request["ConditionExpression"] = self.condition()
        else:
            self.maybe_condition(request)
        return {kind: self.with_placeholders(request)}

    def batch_get(self) -> Operation:
        keys = {str(key): key for key in (self.key() for _ in range(4))}
        asked = {"Keys": list(keys.values()), "ConsistentRead": True}
        return Operation("BatchGetItem", {"RequestItems": {TABLE: asked}})

    def batch_write(self) -> Operation:
        requests = {}
        for _ in range(3):
            item = self.item()
            key = {"pk": item["pk"], "sk": item["sk"]}
            put = {"PutRequest": {"Item": item}}
            requests[str(key)] = (
                put if self.chance.random() < 0.5 else {"DeleteRequest": {"Key": key}}
            )
        return Operation("BatchWriteItem", {"RequestItems": {TABLE: list(requests.values())}})

    def transact_get(self) -> Operation:
        keys = {str(key): key for key in (self.key() for _ in range(3))}
        gets = [{"Get": {"TableName": TABLE, "Key": key}} for key in keys.values()]
        return Operation("TransactGetItems", {"TransactItems": gets})

    # --- mistakes -------------------------------------------------------------------------------

    def mistake(self) -> Operation:
        """Make a request that no state of the table makes right."""
        update = {"TableName": TABLE, "Key": self.key()}
        one = {":one": {"N": "1"}}
        match self.chance.randint(0, 9):
            case 0:
                wrong = {"UpdateExpression": "SET sk = :one", "ExpressionAttributeValues": one}
            case 1:
                wrong = {"UpdateExpression": "SET a = :two", "ExpressionAttributeValues": one}
            case 2:
                names = {"#a": "a", "#b": "b"}
                wrong = {
                    "UpdateExpression": "SET #a = :one",
                    "ExpressionAttributeNames": names,
                    "ExpressionAttributeValues": one,
                }
            case 3:
                wrong = {"UpdateExpression": "SET a = :one, ", "ExpressionAttributeValues": one}
            case 4:
                wrong = {
                    "UpdateExpression": "SET a = :one, a = :one",
                    "ExpressionAttributeValues": one,
                }
            case 5:
                wrong = {"UpdateExpression": "SET #a = :one", "ExpressionAttributeValues": one}
            case 6:
                wrong = {
                    "UpdateExpression": "SET a = nothing_like_it + :one",
                    "ExpressionAttributeValues": one,
                }
            case 7:
                return Operation("GetItem", {"TableName": TABLE, "Key": {"pk": self.partition()}})
            case 8:
                key = {"pk": {"N": "1"}, "sk": self.sort()}
                return Operation("GetItem", {"TableName": TABLE, "Key": key})
            case _:
                key = self.key()
                twice = [{"Delete": {"TableName": TABLE, "Key": key}}] * 2
                return Operation("TransactWriteItems", {"TransactItems": twice})
        return Operation("UpdateItem", {**update, **wrong})


_ATTRIBUTES = [
    "count", "version", "rank", "text", "status", "due", "shelf", "tags", "sizes", "lines", "by",
    "is_new", "nothing",
]  # fmt: skip
_ORDERED = {"count", "version", "rank", "text", "status", "due", "shelf"}


def _plain(value: Value) -> Any:
    ((kind, content),) = value.items()
    return int(content) if kind == "N" else content
