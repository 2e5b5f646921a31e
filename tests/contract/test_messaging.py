"""infra/templates/messaging.yaml: every consumer's queue has what an operator counts on."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from infra.cloudformation import load_template
from orders.model import LEFT_ALONE_MAX
from tests.contract.documents import code, rows
from tests.contract.project import ROOT

RESOURCES = load_template(ROOT / "infra" / "templates" / "messaging.yaml")["Resources"]
QUEUES = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::SQS::Queue"
}
CONSUMED = [name for name, properties in QUEUES.items() if "RedrivePolicy" in properties]
RUNBOOK = "docs/runbooks/dead-letters.md"


def dead_letter_queue_of(queue):
    return QUEUES[queue]["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]


def alarms_on(queue):
    return [
        resource["Properties"]
        for resource in RESOURCES.values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
        and resource["Properties"].get("Dimensions")
        == [{"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}]
    ]


def plain_name(queue):
    return re.search(r"\$\{Stage\}-(.+)", QUEUES[queue]["QueueName"]["Fn::Sub"])[1]


def test_every_queue_is_consumed_or_takes_dead_letters():
    assert {*CONSUMED, *map(dead_letter_queue_of, CONSUMED)} == QUEUES.keys()


@pytest.mark.parametrize("queue", CONSUMED)
def test_a_message_is_tried_five_times_and_then_kept_for_fourteen_days(queue):
    dead_letters = dead_letter_queue_of(queue)

    assert int(QUEUES[queue]["RedrivePolicy"]["maxReceiveCount"]) == 5
    assert int(QUEUES[dead_letters]["MessageRetentionPeriod"]) == 14 * 24 * 3600
    assert plain_name(dead_letters) == f"{plain_name(queue)}-dlq"


def test_news_that_waits_for_an_order_waits_longer_than_the_order_is_left_alone():
    """docs/decisions/0049: an early fact comes again until the sweep has taken its order up."""
    queue = QUEUES["OrdersFactsQueue"]
    pauses = int(queue["RedrivePolicy"]["maxReceiveCount"]) - 1
    waits = timedelta(seconds=pauses * int(queue["VisibilityTimeout"]))

    assert waits >= LEFT_ALONE_MAX + timedelta(minutes=5)


@pytest.mark.parametrize("queue", CONSUMED)
def test_the_first_dead_letter_raises_an_alarm_that_names_the_runbook(queue):
    (alarm,) = alarms_on(dead_letter_queue_of(queue))

    assert alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    assert (alarm["ComparisonOperator"], int(alarm["Threshold"])) == ("GreaterThanThreshold", 0)
    assert (alarm["Statistic"], int(alarm["EvaluationPeriods"])) == ("Maximum", 1)
    assert alarm["AlarmActions"] == [{"Ref": "AlarmsTopic"}]
    assert RUNBOOK in alarm["AlarmDescription"]


def test_the_runbook_says_of_every_queue_what_a_message_there_means():
    text = (ROOT / RUNBOOK).read_text()
    told = {code(row[0]) for row in rows(text) if re.match(r"`[a-z-]+`$", row[0])}

    assert {plain_name(queue) for queue in CONSUMED} <= told
