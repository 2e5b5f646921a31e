"""How the CloudFormation types that moto leaves out are created: by plain boto3 calls."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import boto3

Properties = dict[str, Any]
# What Ref gives, and what Fn::GetAtt gives by attribute.
Created = tuple[str, dict[str, str]]
Create = Callable[[Properties, str], Created]


@dataclass(frozen=True, slots=True)
class Creator:
    """How one type is created, which property names it, and what Fn::GetAtt knows."""

    create: Create
    name_property: str
    attributes: tuple[str, ...]


CREATORS: dict[str, Creator] = {}


def _creates(
    resource_type: str, name_property: str = "", attributes: tuple[str, ...] = ()
) -> Callable[[Create], Create]:
    def register(create: Create) -> Create:
        CREATORS[resource_type] = Creator(create, name_property, attributes)
        return create

    return register


@functools.cache
def _client(service: str) -> Any:
    return boto3.client(cast(Any, service))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


def _picked(properties: Properties, *names: str) -> Properties:
    return {name: properties[name] for name in names if name in properties}


@_creates("AWS::SQS::QueuePolicy")
def _queue_policy(properties: Properties, name: str) -> Created:
    for url in properties["Queues"]:
        attributes = {"Policy": _text(properties["PolicyDocument"])}
        _client("sqs").set_queue_attributes(QueueUrl=url, Attributes=attributes)
    return name, {}


@_creates("AWS::SNS::TopicPolicy")
def _topic_policy(properties: Properties, name: str) -> Created:
    policy = _text(properties["PolicyDocument"])
    for arn in properties["Topics"]:
        _client("sns").set_topic_attributes(
            TopicArn=arn, AttributeName="Policy", AttributeValue=policy
        )
    return name, {}


@_creates("AWS::SNS::Subscription", attributes=("Arn",))
def _subscription(properties: Properties, name: str) -> Created:  # noqa: ARG001 - a Create
    attributes = {
        key: _text(value)
        for key, value in _picked(properties, "FilterPolicy", "RedrivePolicy").items()
    }
    attributes |= _picked(properties, "FilterPolicyScope")
    # moto takes any text for true.
    if _is_true(properties.get("RawMessageDelivery")):
        attributes["RawMessageDelivery"] = "true"
    arn: str = _client("sns").subscribe(
        TopicArn=properties["TopicArn"],
        Protocol=properties["Protocol"],
        Endpoint=properties["Endpoint"],
        Attributes=attributes,
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    return arn, {"Arn": arn}


@_creates("AWS::SecretsManager::Secret", "Name", ("Id",))
def _secret(properties: Properties, name: str) -> Created:
    client = _client("secretsmanager")
    text = properties.get("SecretString")
    generate = properties.get("GenerateSecretString")
    if text is None and generate is not None:
        password = client.get_random_password(
            PasswordLength=int(generate.get("PasswordLength", 32)),
            ExcludePunctuation=_is_true(generate.get("ExcludePunctuation")),
            ExcludeCharacters=generate.get("ExcludeCharacters", ""),
        )["RandomPassword"]
        text = password
        if "GenerateStringKey" in generate:
            template = json.loads(generate.get("SecretStringTemplate", "{}"))
            text = json.dumps({**template, generate["GenerateStringKey"]: password})
    secret = {} if text is None else {"SecretString": text}
    arn: str = client.create_secret(Name=properties.get("Name", name), **secret)["ARN"]
    return arn, {"Id": arn}


@_creates("AWS::CloudWatch::Alarm", "AlarmName", ("Arn",))
def _alarm(properties: Properties, name: str) -> Created:
    request = {key: value for key, value in properties.items() if key != "Tags"}
    request["AlarmName"] = name = properties.get("AlarmName", name)
    if "Threshold" in request:
        request["Threshold"] = float(request["Threshold"])
    for key in ("Period", "EvaluationPeriods", "DatapointsToAlarm"):
        if key in request:
            request[key] = int(request[key])
    client = _client("cloudwatch")
    client.put_metric_alarm(**request)
    alarms = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return name, {"Arn": alarms[0]["AlarmArn"]}


@_creates("AWS::CloudWatch::CompositeAlarm", "AlarmName")
def _composite_alarm(properties: Properties, name: str) -> Created:
    # moto has no API for it, and locally nobody is called.
    return properties.get("AlarmName", name), {}


@_creates("AWS::Logs::MetricFilter", "FilterName")
def _metric_filter(properties: Properties, name: str) -> Created:
    name = properties.get("FilterName", name)
    _client("logs").put_metric_filter(
        logGroupName=properties["LogGroupName"],
        filterName=name,
        filterPattern=properties["FilterPattern"],
        metricTransformations=[
            {
                "metricName": metric["MetricName"],
                "metricNamespace": metric["MetricNamespace"],
                "metricValue": str(metric["MetricValue"]),
            }
            for metric in properties["MetricTransformations"]
        ],
    )
    return name, {}


@_creates("AWS::Scheduler::Schedule", "Name", ("Arn",))
def _schedule(properties: Properties, name: str) -> Created:
    name = properties.get("Name", name)
    arn: str = _client("scheduler").create_schedule(
        Name=name,
        **_picked(
            properties,
            "FlexibleTimeWindow",
            "GroupName",
            "ScheduleExpression",
            "ScheduleExpressionTimezone",
            "State",
            "Target",
        ),
    )["ScheduleArn"]
    return name, {"Arn": arn}


@_creates("AWS::SES::EmailIdentity", "EmailIdentity")
def _email_identity(properties: Properties, name: str) -> Created:
    identity = properties.get("EmailIdentity", name)
    _client("sesv2").create_email_identity(EmailIdentity=identity)
    # moto sends only from what it holds for verified.
    if "@" in identity:
        _client("ses").verify_email_identity(EmailAddress=identity)
    else:
        _client("ses").verify_domain_identity(Domain=identity)
    return identity, {}


@_creates("AWS::SES::ConfigurationSet", "Name")
def _configuration_set(properties: Properties, name: str) -> Created:
    name = properties.get("Name", name)
    _client("sesv2").create_configuration_set(ConfigurationSetName=name)
    return name, {}


@_creates("AWS::CloudFront::OriginAccessControl", attributes=("Id",))
def _origin_access_control(properties: Properties, name: str) -> Created:  # noqa: ARG001 - a Create
    # Locally nobody stands between the bucket and who looks: infra/cli/local_shop.py shows it.
    return name, {"Id": name}


@_creates("AWS::CloudFront::Distribution", attributes=("DomainName", "Id"))
def _distribution(properties: Properties, name: str) -> Created:  # noqa: ARG001 - a Create
    return name, {"DomainName": "localhost", "Id": name}


@_creates("AWS::S3::BucketPolicy")
def _bucket_policy(properties: Properties, name: str) -> Created:
    policy = _text(properties["PolicyDocument"])
    _client("s3").put_bucket_policy(Bucket=properties["Bucket"], Policy=policy)
    return name, {}
