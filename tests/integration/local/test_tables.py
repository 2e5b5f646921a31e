"""Transactions, queries and streams do as DynamoDB does; each test fails when moto changes."""

from __future__ import annotations

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.dynamodb.models import dynamodb_backends

from infra.local.corrections import dynamodb_streams


def item(pk, sk="A", **attributes):
    return {"pk": {"S": pk}, "sk": {"S": sk}, **attributes}


def shard_of(table):
    return dynamodb_backends["123456789012"]["eu-west-1"].tables[table].stream_shard


def stream_names(table):
    shard = shard_of(table)
    _, records = dynamodb_streams.read(shard, 0, 100)
    return [(record.event_name, record.keys()["pk"]["S"]) for record in records]


def failing_transaction(table):
    absent = {"ConditionExpression": "attribute_exists(pk)"}
    return [
        {"Put": {"TableName": table, "Item": item("first")}},
        {"Put": {"TableName": table, "Item": item("second"), **absent}},
    ]


def test_a_refused_transaction_writes_nothing_and_leaves_no_record(dynamodb, table):
    with pytest.raises(ClientError) as refused:
        dynamodb.transact_write_items(TransactItems=failing_transaction(table))

    reasons = refused.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "ConditionalCheckFailed"]
    assert dynamodb.scan(TableName=table)["Count"] == 0
    assert stream_names(table) == []


def test_a_transaction_that_fails_half_way_is_undone(dynamodb, table):
    dynamodb.put_item(TableName=table, Item=item("kept", n={"N": "1"}))
    update = {
        "TableName": table,
        "Key": item("kept"),
        "UpdateExpression": "ADD n :word",
        "ExpressionAttributeValues": {":word": {"S": "x"}},
    }

    with pytest.raises(ClientError):
        dynamodb.transact_write_items(
            TransactItems=[{"Put": {"TableName": table, "Item": item("new")}}, {"Update": update}]
        )

    stored = dynamodb.scan(TableName=table)["Items"]
    assert stored == [item("kept", n={"N": "1"})]
    assert stream_names(table) == [("INSERT", "kept")]


def test_a_refusal_tells_the_item_that_stood_in_the_way(dynamodb, table):
    dynamodb.put_item(TableName=table, Item=item("a", owner={"S": "me"}))
    put = {
        "TableName": table,
        "Item": item("a"),
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }

    with pytest.raises(ClientError) as alone:
        dynamodb.put_item(**put)
    with pytest.raises(ClientError) as together:
        dynamodb.transact_write_items(TransactItems=[{"Put": put}])

    assert alone.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert alone.value.response["Item"]["owner"] == {"S": "me"}
    assert together.value.response["CancellationReasons"][0]["Item"]["owner"] == {"S": "me"}


def test_a_request_token_applies_a_transaction_once(dynamodb, table):
    add = {
        "TableName": table,
        "Key": item("a"),
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    for _ in range(2):
        dynamodb.transact_write_items(TransactItems=[{"Update": add}], ClientRequestToken="t" * 20)

    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        dynamodb.transact_write_items(
            TransactItems=failing_transaction(table), ClientRequestToken="t" * 20
        )

    assert dynamodb.get_item(TableName=table, Key=item("a"))["Item"]["n"] == {"N": "1"}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("sk = :b", ["03"]),
        ("sk < :b", ["00", "01", "02"]),
        ("sk <= :b", ["00", "01", "02", "03"]),
        ("sk > :b", ["04", "05", "10"]),
        ("sk >= :b", ["03", "04", "05", "10"]),
        ("sk BETWEEN :b AND :d", ["03", "04", "05"]),
        ("begins_with(sk, :p)", ["00", "01", "02", "03", "04", "05"]),
    ],
)
def test_a_query_finds_what_its_key_condition_says(dynamodb, table, condition, expected):
    for name in ("10", *(f"0{number}" for number in range(6))):
        dynamodb.put_item(TableName=table, Item=item("P", name))
    dynamodb.put_item(TableName=table, Item=item("Q", "03"))
    values = {":pk": {"S": "P"}, ":b": {"S": "03"}, ":d": {"S": "05"}, ":p": {"S": "0"}}
    used = {name: value for name, value in values.items() if name in f"pk = :pk AND {condition}"}

    found = [
        [
            one["sk"]["S"]
            for page in dynamodb.get_paginator("query").paginate(
                TableName=table,
                KeyConditionExpression=f"pk = :pk AND {condition}",
                ExpressionAttributeValues=used,
                ScanIndexForward=forward,
                PaginationConfig={"PageSize": size},
            )
            for one in page["Items"]
        ]
        for forward in (True, False)
        for size in (1, 2, 100)
    ]

    assert found == [expected] * 3 + [expected[::-1]] * 3


def test_an_index_is_sorted_by_number_and_follows_every_write(dynamodb, table):
    def rank(pk, number):
        return item(pk, group={"S": "G"}, rank={"N": str(number)})

    def ranked(**rest):
        answer = dynamodb.query(
            TableName=table,
            IndexName="by-rank",
            KeyConditionExpression="#group = :group AND #rank > :low",
            ExpressionAttributeNames={"#group": "group", "#rank": "rank"},
            ExpressionAttributeValues={":group": {"S": "G"}, ":low": {"N": "5"}},
            **rest,
        )
        return [one["pk"]["S"] for one in answer["Items"]]

    for name, number in (("a", 100), ("b", 20), ("c", 9), ("d", 1)):
        dynamodb.put_item(TableName=table, Item=rank(name, number))
    before = ranked()
    dynamodb.put_item(TableName=table, Item=rank("d", 50))
    dynamodb.delete_item(TableName=table, Key=item("b"))
    dynamodb.update_item(
        TableName=table,
        Key=item("a"),
        UpdateExpression="REMOVE #rank",
        ExpressionAttributeNames={"#rank": "rank"},
    )

    assert before == ["c", "b", "a"]
    assert ranked() == ["c", "d"]
    assert ranked(ScanIndexForward=False, Limit=1) == ["d"]


def test_a_write_that_changes_nothing_leaves_no_record(dynamodb, table):
    for _ in range(2):
        dynamodb.put_item(TableName=table, Item=item("a", n={"N": "1"}))
    dynamodb.delete_item(TableName=table, Key=item("absent"))

    assert stream_names(table) == [("INSERT", "a")]


def test_a_record_keeps_the_images_of_its_own_moment(dynamodb, table):
    for number in ("1", "2", "3"):
        dynamodb.update_item(
            TableName=table,
            Key=item("a"),
            UpdateExpression="SET #m.#n = :n" if number != "1" else "SET #m = :m",
            ExpressionAttributeNames={"#m": "m", "#n": "n"} if number != "1" else {"#m": "m"},
            ExpressionAttributeValues=(
                {":n": {"N": number}} if number != "1" else {":m": {"M": {"n": {"N": "1"}}}}
            ),
        )

    _, records = dynamodb_streams.read(shard_of(table), 0, 10)
    images = [record.to_json()["dynamodb"]["NewImage"]["m"]["M"]["n"]["N"] for record in records]
    assert images == ["1", "2", "3"]


def test_an_open_iterator_survives_a_refused_transaction(dynamodb, table):
    streams = boto3.client("dynamodbstreams")
    arn = dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]

    with pytest.raises(ClientError):
        dynamodb.transact_write_items(TransactItems=failing_transaction(table))
    dynamodb.put_item(TableName=table, Item=item("after"))

    records = streams.get_records(ShardIterator=iterator)["Records"]
    assert [record["dynamodb"]["Keys"]["pk"]["S"] for record in records] == ["after"]


def test_records_that_every_reader_has_are_forgotten(dynamodb, table, stack):
    for number in range(dynamodb_streams.RECORDS_KEPT * 2 + 200):
        shard_of(table).add(None, _stored(dynamodb, table, number))
    stack.drain()

    assert len(shard_of(table).items) < dynamodb_streams.RECORDS_KEPT * 2


def _stored(dynamodb, table, number):
    backend = dynamodb_backends["123456789012"]["eu-west-1"]
    if number == 0:
        dynamodb.put_item(TableName=table, Item=item("a"))
    return next(iter(next(iter(backend.tables[table].items.values())).values()))


def test_a_condition_is_read_with_the_values_of_its_own_request(dynamodb, table):
    dynamodb.put_item(TableName=table, Item=item("a", n={"N": "5"}))

    def holds(number):
        try:
            dynamodb.update_item(
                TableName=table,
                Key=item("a"),
                UpdateExpression="SET seen = :n",
                ConditionExpression="n > :n",
                ExpressionAttributeValues={":n": {"N": str(number)}},
            )
        except ClientError:
            return False
        return True

    assert [holds(number) for number in (4, 5, 4, 6)] == [True, False, True, False]


def test_an_item_larger_than_dynamodb_takes_is_refused(dynamodb, table):
    with pytest.raises(ClientError, match="ValidationException"):
        dynamodb.put_item(TableName=table, Item=item("a", text={"S": "x" * 410_000}))


def test_expired_items_are_deleted_and_the_stream_says_by_whom(stack, dynamodb, table):
    now = int(stack.clock.now())
    dynamodb.put_item(TableName=table, Item=item("old", expires_at={"N": str(now - 10)}))
    dynamodb.put_item(TableName=table, Item=item("young", expires_at={"N": str(now + 1000)}))

    assert stack.pump.expire_items() == 1

    _, records = dynamodb_streams.read(shard_of(table), 0, 10)
    assert records[-1].to_json()["userIdentity"]["principalId"] == "dynamodb.amazonaws.com"
    assert [one["pk"]["S"] for one in dynamodb.scan(TableName=table)["Items"]] == ["young"]
