"""What many threads do at once comes out as if one did it after another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.usefixtures("often_switching")

REFUSALS = ("ConditionalCheckFailedException", "TransactionCanceledException")


def at_once(threads: int, work: Callable[[int], Any]) -> list[Any]:
    """Run `work` on so many threads at the same moment; return what each returned or raised."""
    barrier = threading.Barrier(threads)
    results: list[Any] = [None] * threads

    def run(place: int) -> None:
        barrier.wait()
        try:
            results[place] = work(place)
        except Exception as error:  # noqa: BLE001 - told to the test
            results[place] = error

    workers = [threading.Thread(target=run, args=(place,)) for place in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return results


def refused(call: Callable[[], Any]) -> bool:
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] not in REFUSALS:
            raise
        return True
    return False


def key(name: str) -> dict[str, Any]:
    return {"pk": {"S": name}, "sk": {"S": "STOCK"}}


def decrement(table: str) -> dict[str, Any]:
    return {
        "TableName": table,
        "Key": key("MUG"),
        "UpdateExpression": "SET stock = stock - :one",
        "ConditionExpression": "stock >= :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }


def stock_of(dynamodb: Any, table: str) -> int:
    return int(dynamodb.get_item(TableName=table, Key=key("MUG"))["Item"]["stock"]["N"])


def test_conditional_decrements_never_sell_more_than_there_is(dynamodb, table):
    dynamodb.put_item(TableName=table, Item={**key("MUG"), "stock": {"N": "60"}})

    sold = at_once(
        30,
        lambda _: sum(
            not refused(lambda: dynamodb.update_item(**decrement(table))) for _ in range(4)
        ),
    )

    assert sum(sold) == 60
    assert stock_of(dynamodb, table) == 0


def test_of_many_who_put_if_absent_exactly_one_wins(dynamodb, table):
    for game in range(10):
        won = at_once(
            20,
            lambda place, game=game: (
                not refused(
                    lambda: dynamodb.put_item(
                        TableName=table,
                        Item={**key(f"LOCK{game}"), "owner": {"S": str(place)}},
                        ConditionExpression="attribute_not_exists(pk)",
                    )
                )
            ),
        )

        assert won.count(True) == 1


def test_transactions_and_plain_puts_lose_nothing_of_each_other(dynamodb, table):
    dynamodb.put_item(TableName=table, Item={**key("MUG"), "stock": {"N": "40"}})

    def buy_or_note(place: int) -> list[str]:
        acknowledged = []
        for turn in range(6):
            name = f"{place}-{turn}"
            put = {"TableName": table, "Item": {**key(name), "n": {"N": "1"}}}
            if place % 4 == 3:
                dynamodb.put_item(**put)
                acknowledged.append(name)
            elif not refused(
                lambda put=put: dynamodb.transact_write_items(
                    TransactItems=[{"Update": decrement(table)}, {"Put": put}]
                )
            ):
                acknowledged.append(name)
        return acknowledged

    acknowledged = [name for names in at_once(16, buy_or_note) for name in names]

    stored = {item["pk"]["S"] for item in dynamodb.scan(TableName=table)["Items"]}
    assert stored == {"MUG", *acknowledged}
    bought = [name for name in acknowledged if int(name.split("-")[0]) % 4 != 3]
    assert len(bought) == 40
    assert stock_of(dynamodb, table) == 0


def test_a_message_is_received_by_one_of_many_and_none_is_lost(stack):
    import boto3

    client = boto3.client("sqs")
    url = client.create_queue(QueueName="race", Attributes={"VisibilityTimeout": "60"})["QueueUrl"]

    def send_then_receive(place: int) -> list[str]:
        for turn in range(10):
            client.send_message(QueueUrl=url, MessageBody=f"{place}-{turn}")
        bodies = []
        while messages := client.receive_message(QueueUrl=url, MaxNumberOfMessages=3).get(
            "Messages"
        ):
            for message in messages:
                bodies.append(message["Body"])
                client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    received = [body for bodies in at_once(10, send_then_receive) for body in bodies]

    assert sorted(received) == sorted(
        f"{place}-{turn}" for place in range(10) for turn in range(10)
    )
