"""Schemas, samples, catalogue and subscriptions say what the event classes say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from infra.cloudformation import load_template
from infra.event_schemas import schema_of
from notifications.words import TYPES
from tests.contract.project import CONTEXTS, ROOT
from tradepost.contracts.published import published

EVENTS = ROOT / "events"
PUBLISHED = published()
ROW = re.compile(
    r"^\| `(?P<type>[a-z_.0-9]+)` \| (?P<publisher>\w+) \| (?P<consumers>[^|]*) \|", re.M
)


def publisher_of(event):
    return event.__module__.rpartition(".")[2]


def by_type(event):
    return event.TYPE


def catalogue():
    return {row["type"]: row for row in ROW.finditer((EVENTS / "README.md").read_text())}


def test_an_event_is_a_past_participle_with_a_version():
    for event in PUBLISHED:
        assert re.fullmatch(r"[a-z]+\.[a-z_]+\.v[1-9]\d*", event.TYPE)
        assert event.model_fields["type"].default == event.TYPE


@pytest.mark.parametrize("event", PUBLISHED, ids=by_type)
def test_the_committed_schema_is_the_one_the_code_publishes(event):
    committed = json.loads((EVENTS / "schemas" / f"{event.TYPE}.json").read_text())

    assert committed == schema_of(event), (
        "a published version never changes shape: write the next version; or run `make schemas`"
        " if this one was never published"
    )


@pytest.mark.parametrize(
    "event", [one for one in PUBLISHED if publisher_of(one) in CONTEXTS], ids=by_type
)
def test_the_sample_is_what_the_event_looks_like_on_the_wire(event):
    text = (EVENTS / "samples" / f"{event.TYPE}.json").read_text()

    read = event.model_validate_json(text)

    written = json.loads(read.model_dump_json())
    assert event.model_validate(written, strict=False) == read
    assert written.keys() == json.loads(text).keys()
    assert {name: written[name] for name in written if name != "occurred_at"} == {
        name: value for name, value in json.loads(text).items() if name != "occurred_at"
    }


def test_every_sample_and_every_schema_is_of_an_event():
    types = {event.TYPE for event in PUBLISHED}

    for folder in ("samples", "schemas"):
        assert {path.stem for path in (EVENTS / folder).glob("*.json")} <= types


def test_the_catalogue_has_a_row_for_every_event_and_no_other():
    assert {name: row["publisher"] for name, row in catalogue().items()} == {
        event.TYPE: publisher_of(event) for event in PUBLISHED
    }


def test_the_catalogue_names_the_consumers_that_subscribe():
    subscribed: dict[str, set[str]] = {event.TYPE: set() for event in PUBLISHED}
    template = load_template(ROOT / "infra" / "templates" / "messaging.yaml")
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::SNS::Subscription":
            if "FilterPolicy" not in resource["Properties"]:
                continue
            queue = resource["Properties"]["Endpoint"]["Fn::GetAtt"][0]
            consumer = re.match(r"[A-Z][a-z]+", queue)[0].lower()
            for event_type in resource["Properties"]["FilterPolicy"]["type"]:
                subscribed[event_type].add(consumer)

    told = {name: set(re.findall(r"\w+", row["consumers"])) for name, row in catalogue().items()}
    assert told == subscribed


def test_a_merchant_may_hear_of_every_event_and_no_other_consumer_does():
    template = load_template(ROOT / "infra" / "templates" / "messaging.yaml")
    unfiltered = [
        resource["Properties"]["Endpoint"]["Fn::GetAtt"][0]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::SNS::Subscription"
        and "FilterPolicy" not in resource["Properties"]
    ]

    assert unfiltered == ["NotificationsWebhooksQueue"]


def test_every_fact_that_has_a_mail_is_heard_of():
    template = load_template(ROOT / "infra" / "templates" / "messaging.yaml")
    subscription = template["Resources"]["NotificationsFactsSubscription"]["Properties"]

    subscribed = set(subscription["FilterPolicy"]["type"])
    assert subscribed == TYPES


def test_triggers_carry_events_as_they_are_published():
    types = {event.TYPE: event for event in PUBLISHED}
    message = json.loads((EVENTS / "triggers" / "sqs_batch.json").read_text())["Records"][0]
    record = json.loads((EVENTS / "triggers" / "dynamodb_stream.json").read_text())["Records"][0]
    image = record["dynamodb"]["NewImage"]

    sent = types[message["messageAttributes"]["type"]["stringValue"]]
    assert sent.model_validate_json(message["body"])
    assert types[image["type"]["S"]].model_validate_json(image["body"]["S"])


def test_no_event_has_a_field_for_personal_data():
    personal = {"email", "name", "address", "phone", "shipping_address", "password"}

    assert [event.TYPE for event in PUBLISHED if personal & event.model_fields.keys()] == []
    assert Path(EVENTS / "README.md").exists()
