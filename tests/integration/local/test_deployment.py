"""Templates become what they say, or the deployment fails."""

from __future__ import annotations

import json
import os
import socket

import boto3
import pytest

from infra.cloudformation import environment_name
from infra.local import templates
from infra.local.corrections.cloudformation import UnsupportedResourceError, require_supported
from infra.local.server import PortTakenError, listen


def test_every_resource_is_created_with_the_properties_it_names(stack, table):
    dynamodb = boto3.client("dynamodb")
    described = dynamodb.describe_table(TableName=table)["Table"]
    recovery = dynamodb.describe_continuous_backups(TableName=table)
    key = boto3.client("kms").describe_key(KeyId=os.environ["SIGNING_KEY_ID"])["KeyMetadata"]
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["CURSOR_SECRET"])

    assert described["GlobalSecondaryIndexes"][0]["IndexName"] == "by-rank"
    assert described["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    status = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert status["TimeToLiveStatus"] == "ENABLED"
    description = recovery["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert description["PointInTimeRecoveryStatus"] == "ENABLED"
    assert (key["KeySpec"], key["KeyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")
    assert len(json.loads(secret["SecretString"])["key"]) == 48
    alarms = boto3.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert [alarm["Threshold"] for alarm in alarms] == [1.0]


def test_a_type_that_cannot_be_created_fails_the_deployment():
    template = {"Resources": {"Ring": {"Type": "AWS::NoSuch::Thing"}}}

    with pytest.raises(UnsupportedResourceError, match="Ring"):
        require_supported(template)


def test_templates_are_deployed_after_those_they_import_from():
    exporting = {"Outputs": {"A": {"Value": "1", "Export": {"Name": {"Fn::Sub": "x-${Stage}"}}}}}
    importing = {"Resources": {"B": {"P": {"Fn::ImportValue": {"Fn::Sub": "x-${Stage}"}}}}}

    order = templates.in_order({"a": importing, "b": exporting}, {"Stage": "local"})

    assert order == ["b", "a"]
    with pytest.raises(templates.DeploymentError, match="x-local"):
        templates.in_order({"a": importing}, {"Stage": "local"})


@pytest.mark.parametrize(
    ("output", "variable"),
    [
        ("OrdersTable", "ORDERS_TABLE"),
        ("EventsTopicArn", "EVENTS_TOPIC_ARN"),
        ("JWTKey", "JWT_KEY"),
    ],
)
def test_an_output_is_known_to_functions_by_its_own_name(output, variable):
    assert environment_name(output) == variable


def test_a_function_is_invoked_through_lambdas_api(stack):
    client = boto3.client("lambda")

    answer = client.invoke(FunctionName="tradepost-local-counter-count", Payload=b'{"name": "x"}')
    failed = client.invoke(
        FunctionName="tradepost-local-counter-count", Payload=b'{"name": "x", "max": 0}'
    )

    assert json.load(answer["Payload"]) == {"value": 1}
    assert failed["FunctionError"] == "Unhandled"
    assert json.load(failed["Payload"])["errorType"] == "TooManyError"


def test_sent_mail_can_be_read_newest_first(stack):
    for subject in ("first", "second"):
        boto3.client("sesv2").send_email(
            FromEmailAddress="shop@example.com",
            Destination={"ToAddresses": ["a@example.com"]},
            Content={
                "Simple": {
                    "Subject": {"Data": subject},
                    "Body": {"Text": {"Data": "plain"}, "Html": {"Data": "<b>rich</b>"}},
                }
            },
        )

    mails = stack.mailbox.list(to="a@example.com")

    assert [(mail["subject"], mail["text"]) for mail in mails] == [
        ("second", "plain"),
        ("first", "plain"),
    ]
    assert stack.mailbox.list(to="b@example.com") == []
    assert "second" in stack.mailbox.page()


def test_the_mailbox_shows_a_mail_as_text_and_as_the_page_it_is(stack):
    stack.mailbox.clear()
    boto3.client("sesv2").send_email(
        FromEmailAddress="shop@example.com",
        Destination={"ToAddresses": ["a@example.com"]},
        Content={
            "Simple": {
                "Subject": {"Data": "<i>both</i>"},
                "Body": {"Text": {"Data": "1 < 2"}, "Html": {"Data": '<p class="x">rich</p>'}},
            }
        },
    )

    page = stack.mailbox.page()

    assert "<pre>1 &lt; 2</pre>" in page
    assert 'srcdoc="&lt;p class=&quot;x&quot;&gt;rich&lt;/p&gt;"' in page
    assert "<iframe sandbox " in page
    assert "<i>" not in page


def test_a_taken_port_is_told_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(PortTakenError) as refused:
            listen("127.0.0.1", port)

    assert str(refused.value) == f"cannot listen on 127.0.0.1:{port}: Address already in use"
