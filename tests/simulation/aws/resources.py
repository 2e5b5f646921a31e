"""The resources that infra/templates describe, made in the model of AWS.

It reads the files that are deployed. A type of resource that is neither modelled nor known to have
no part in what functions do is refused, so that nothing is left out unseen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from infra.cloudformation import load_template
from tests.simulation.aws.dynamodb import DynamoDB
from tests.simulation.aws.keys import KMS, SecretsManager
from tests.simulation.aws.machines import Machine, StepFunctions
from tests.simulation.aws.queues import Queue, policy_of
from tests.simulation.aws.refusals import NotModelledError
from tests.simulation.aws.tables import Table
from tests.simulation.aws.topics import SNS, Subscription, Topic

ACCOUNT = "123456789012"
REGION = "eu-west-1"

_PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::URLSuffix": "amazonaws.com",
}
# They watch, permit or describe; no function's call meets them.
_WITHOUT_PART = (
    "AWS::CloudWatch::",
    "AWS::IAM::",
    "AWS::Logs::",
    # Pictures: no flow puts one in.
    "AWS::CloudFront::",
    "AWS::S3::",
    "AWS::SES::",
    "AWS::SQS::QueuePolicy",
)


class Account(Protocol):
    """Where resources are made."""

    dynamodb: DynamoDB
    sns: SNS
    queues: dict[str, Queue]  # by name
    kms: KMS
    secrets_manager: SecretsManager
    step_functions: StepFunctions


def create(folder: Path, account: Account, parameters: Mapping[str, str]) -> dict[str, str]:
    """Create what all templates of a folder describe; return their outputs by name."""
    outputs: dict[str, str] = {}
    for path in sorted(folder.glob("*.yaml")):
        outputs |= _Stack(load_template(path), parameters).create_in(account)
    return outputs


class _Stack:
    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        self._template = template
        self._values = {
            **_PSEUDO,
            **{
                name: str(parameters.get(name, described.get("Default", "")))
                for name, described in template.get("Parameters", {}).items()
            },
        }
        self._conditions = template.get("Conditions", {})
        self._resources = {
            name: resource
            for name, resource in template["Resources"].items()
            if "Condition" not in resource or self._holds(self._conditions[resource["Condition"]])
        }

    def create_in(self, account: Account) -> dict[str, str]:
        for name, resource in self._resources.items():
            properties = self._resolved(resource["Properties"])
            _create(resource["Type"], self._name(name), properties, account)
        # Those refer to queues and topics, which have to be there.
        for resource in self._resources.values():
            _connect(resource["Type"], self._resolved(resource["Properties"]), account)
        outputs = self._template.get("Outputs", {})
        return {name: str(self._resolved(output["Value"])) for name, output in outputs.items()}

    def _holds(self, condition: Any) -> bool:
        if not isinstance(condition, Mapping) or "Fn::Equals" not in condition:
            raise NotModelledError(f"condition {condition}")
        one, other = self._resolved(condition["Fn::Equals"])
        return bool(one == other)

    def _name(self, logical: str) -> str:
        """Tell the name that a resource is deployed under; its logical one if it has none."""
        properties = self._resolved(
            {
                key: value
                for key, value in self._resources[logical].get("Properties", {}).items()
                if key in ("TableName", "QueueName", "TopicName", "Name", "StateMachineName")
            }
        )
        return str(next(iter(properties.values()), f"{self._values['Stage']}-{logical}"))

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._resolved(member) for member in value]
        if not isinstance(value, Mapping):
            return value
        match list(value.items()):
            case [("Ref", str(name))]:
                return self._values[name] if name in self._values else self._reference(name)
            case [("Fn::GetAtt", [name, attribute])]:
                return self._attribute(name, attribute)
            case [("Fn::Sub", str(text))]:
                return re.sub(r"\$\{([\w:.]+)\}", lambda found: self._substituted(found[1]), text)
            case [("Fn::If", [condition, one, other])]:
                return self._resolved(one if self._holds(self._conditions[condition]) else other)
            case [("Fn::ImportValue", name)]:
                return f"imported:{self._resolved(name)}"
        return {key: self._resolved(member) for key, member in value.items()}

    def _substituted(self, name: str) -> str:
        if "." in name:
            return self._attribute(*name.split(".", 1))
        return str(self._resolved({"Ref": name}))

    def _reference(self, logical: str) -> str:
        name = self._name(logical)
        kind = self._resources[logical]["Type"]
        return name if kind in _REFERRED_TO_BY_NAME else _arn(kind, name)

    def _attribute(self, logical: str, attribute: str) -> str:
        name = self._name(logical)
        arn = _arn(self._resources[logical]["Type"], name)
        match attribute:
            case "Arn":
                return arn
            case "StreamArn":
                return f"{arn}/stream/1"
            case "QueueName":
                return name
            case _ if self._resources[logical]["Type"].startswith(_WITHOUT_PART):
                return f"{name}.{attribute}"
        raise NotModelledError(f"GetAtt {logical}.{attribute}")


_REFERRED_TO_BY_NAME = frozenset({"AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::S3::Bucket"})
_SERVICES = {
    "AWS::S3::Bucket": "s3:::{2}",
    "AWS::DynamoDB::Table": "dynamodb:{}:{}:table/{}",
    "AWS::IAM::Role": "iam:{}:{}:role/{}",
    "AWS::KMS::Key": "kms:{}:{}:key/{}",
    "AWS::Logs::LogGroup": "logs:{}:{}:log-group:{}",
    "AWS::SNS::Topic": "sns:{}:{}:{}",
    "AWS::SQS::Queue": "sqs:{}:{}:{}",
    "AWS::SecretsManager::Secret": "secretsmanager:{}:{}:secret:{}",
    "AWS::StepFunctions::StateMachine": "states:{}:{}:stateMachine:{}",
}


def _arn(kind: str, name: str) -> str:
    return "arn:aws:" + _SERVICES.get(kind, "other:{}:{}:{}").format(REGION, ACCOUNT, name)


def _create(kind: str, name: str, properties: Mapping[str, Any], account: Account) -> None:
    match kind:
        case "AWS::DynamoDB::Table":
            account.dynamodb.tables[name] = Table.described(name, properties)
        case "AWS::SNS::Topic":
            account.sns.topics[_arn(kind, name)] = Topic(_arn(kind, name))
        case "AWS::SQS::Queue":
            seconds = float(properties.get("VisibilityTimeout", 30))
            account.queues[name] = Queue(name, _arn(kind, name), seconds)
        case "AWS::KMS::Key":
            account.kms.create(name)
        case "AWS::SecretsManager::Secret":
            _create_secret(_arn(kind, name), name, properties, account.secrets_manager)
        case "AWS::StepFunctions::StateMachine":
            _create_machine(_arn(kind, name), properties, account.step_functions)
        case "AWS::SNS::Subscription":
            pass
        case _ if not kind.startswith(_WITHOUT_PART):
            raise NotModelledError(f"{kind} {name}")


def _connect(kind: str, properties: Mapping[str, Any], account: Account) -> None:
    by_arn = {queue.arn: queue for queue in account.queues.values()}
    match kind:
        case "AWS::SNS::Subscription":
            if properties["Protocol"] != "sqs":
                raise NotModelledError(f"a subscription by {properties['Protocol']}")
            subscription = Subscription.described(by_arn[properties["Endpoint"]], properties)
            account.sns.topics[properties["TopicArn"]].subscriptions.append(subscription)
        case "AWS::SQS::Queue":
            policy = policy_of(properties)
            if policy is not None:
                queue = account.queues[properties["QueueName"]]
                queue.dead_letters, queue.receives_max = by_arn[policy[0]], policy[1]


def _create_secret(
    arn: str, name: str, properties: Mapping[str, Any], secrets: SecretsManager
) -> None:
    generated = properties["GenerateSecretString"]
    told = json.loads(generated.get("SecretStringTemplate", "{}"))
    # As good as any for signing, and the same in each run.
    told[generated["GenerateStringKey"]] = f"simulated-secret-of-{name}".ljust(64, "x")
    secrets.secrets[arn] = secrets.secrets[name] = json.dumps(told)


def _create_machine(arn: str, properties: Mapping[str, Any], machines: StepFunctions) -> None:
    text = properties["DefinitionString"]
    for name, value in properties.get("DefinitionSubstitutions", {}).items():
        text = text.replace(f"${{{name}}}", str(value))
    is_standard = properties.get("StateMachineType", "STANDARD") == "STANDARD"
    machines.machines[arn] = Machine.read(arn, text, is_standard=is_standard)
