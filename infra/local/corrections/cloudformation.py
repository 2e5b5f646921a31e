"""CloudFormation types that moto leaves out or creates wrongly.

moto logs a warning for a type it does not know and calls the stack complete. New types are
subclasses of its CloudFormationModel, which is the registry, so nothing is patched for them;
`cloudformation_types` says how each is created. The existing ones mended here ignore what the
template says: a table its expiry and its recovery, a state machine goes to a backend that executes
nothing, and every key is symmetric. And a template in JSON is read as JSON, which takes a
thirtieth of the time that moto takes to read it as YAML.
"""

from __future__ import annotations

import json
from typing import Any

from moto.cloudformation import parsing
from moto.cloudformation.exceptions import UnformattedGetAttTemplateException
from moto.cloudformation.models import Stack
from moto.core.common_models import CloudFormationModel
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table
from moto.kms.models import Key, kms_backends
from moto.sns.models import Topic
from moto.sqs.models import Queue
from moto.stepfunctions.models import StateMachine, cfn_to_api_tags
from moto.stepfunctions.responses import get_backend

from infra.local.corrections.cloudformation_types import CREATORS, Creator

_created_types: list[type[CloudFormationModel]] = []
_moto_template = Stack.parse_template
_moto_table = Table.create_from_cloudformation_json.__func__
_moto_topic_attribute = Topic.get_cfn_attribute
_moto_queue_attribute = Queue.get_cfn_attribute


class UnsupportedResourceError(Exception):
    """The local stack cannot create a resource of this type."""


def install() -> None:
    """Register the missing types and mend the wrong ones."""
    known = set(parsing.get_model_map())
    for name, creator in CREATORS.items():
        if name not in known:
            _created_types.append(_model(name, creator))
    for cached in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
        cached.cache_clear()
    Table.create_from_cloudformation_json = classmethod(_create_table)  # type: ignore[arg-type]
    Key.create_from_cloudformation_json = classmethod(_create_key)  # type: ignore[arg-type]
    Stack.parse_template = staticmethod(_template)
    StateMachine.create_from_cloudformation_json = classmethod(_create_machine)  # type: ignore[arg-type]
    StateMachine.has_cfn_attr = classmethod(lambda _, name: name in ("Arn", "Name"))
    StateMachine.get_cfn_attribute = _machine_attribute
    Topic.has_cfn_attr = classmethod(lambda _, name: name in ("TopicName", "TopicArn"))
    Topic.get_cfn_attribute = _topic_attribute
    Queue.has_cfn_attr = classmethod(lambda _, name: name in ("Arn", "QueueName", "QueueUrl"))
    Queue.get_cfn_attribute = _queue_attribute


def _template(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return _moto_template(text)


def require_supported(template: dict[str, Any]) -> None:
    """Raise UnsupportedResourceError naming every resource whose type cannot be created."""
    supported = parsing.get_model_map()
    unsupported = sorted(
        f"{name} ({resource['Type']})"
        for name, resource in template["Resources"].items()
        if resource["Type"] not in supported
    )
    if unsupported:
        raise UnsupportedResourceError(", ".join(unsupported))


def _model(resource_type: str, creator: Creator) -> type[CloudFormationModel]:
    class Resource(CloudFormationModel):  # type: ignore[misc]
        # moto takes the second part of the module's name for the service.
        __module__ = "infra.local.resource"

        def __init__(self, physical_id: str, attributes: dict[str, str]) -> None:
            self.physical_id = physical_id
            self.attributes = attributes

        @property
        def physical_resource_id(self) -> str:
            return self.physical_id

        @staticmethod
        def cloudformation_name_type() -> str:
            return creator.name_property

        @staticmethod
        def cloudformation_type() -> str:
            return resource_type

        @classmethod
        def has_cfn_attr(cls, attr: str) -> bool:
            return attr in creator.attributes

        def get_cfn_attribute(self, attribute_name: str) -> str:
            if attribute_name not in self.attributes:
                raise UnformattedGetAttTemplateException
            return self.attributes[attribute_name]

        @classmethod
        def create_from_cloudformation_json(
            cls, resource_name: str, cloudformation_json: Any, *_: Any, **__: Any
        ) -> Any:
            return cls(*creator.create(cloudformation_json["Properties"], resource_name))

        @classmethod
        def update_from_cloudformation_json(cls, *_: Any, **__: Any) -> Any:
            raise NotImplementedError(f"{resource_type} cannot be updated locally")

        @classmethod
        def delete_from_cloudformation_json(cls, *_: Any, **__: Any) -> None:
            """Leave the resource: stacks live as long as the process."""

        def is_created(self) -> bool:
            return True

    return Resource


def _create_table(
    cls: Any, name: str, cloudformation_json: Any, account_id: str, region_name: str, **rest: Any
) -> Any:
    properties = cloudformation_json["Properties"]
    table = _moto_table(cls, name, cloudformation_json, account_id, region_name, **rest)
    backend = dynamodb_backends[account_id][region_name]
    expiry = properties.get("TimeToLiveSpecification")
    if expiry:
        enabled = str(expiry["Enabled"]).lower() == "true"
        backend.update_time_to_live(
            table.name, {"Enabled": enabled, "AttributeName": expiry["AttributeName"]}
        )
    recovery = properties.get("PointInTimeRecoverySpecification")
    if recovery:
        enabled = str(recovery["PointInTimeRecoveryEnabled"]).lower() == "true"
        backend.update_continuous_backups(table.name, {"PointInTimeRecoveryEnabled": enabled})
    return table


def _create_key(
    _: Any, __: str, cloudformation_json: Any, account_id: str, region_name: str, **___: Any
) -> Any:
    properties = cloudformation_json["Properties"]
    policy = properties.get("KeyPolicy")
    key = kms_backends[account_id][region_name].create_key(
        policy=json.dumps(policy) if isinstance(policy, dict) else policy,
        key_usage=properties.get("KeyUsage", "ENCRYPT_DECRYPT"),
        key_spec=properties.get("KeySpec", "SYMMETRIC_DEFAULT"),
        description=properties.get("Description", ""),
        tags=[
            {"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in properties.get("Tags", [])
        ],
    )
    key.key_rotation_status = str(properties.get("EnableKeyRotation")).lower() == "true"
    key.enabled = str(properties.get("Enabled", True)).lower() == "true"
    return key


def _create_machine(
    _: Any, name: str, cloudformation_json: Any, account_id: str, region_name: str, **__: Any
) -> Any:
    properties = cloudformation_json["Properties"]
    definition = properties.get("DefinitionString") or json.dumps(properties["Definition"])
    for variable, value in (properties.get("DefinitionSubstitutions") or {}).items():
        definition = definition.replace(f"${{{variable}}}", str(value))
    logging = properties.get("LoggingConfiguration") or {}
    tracing = properties.get("TracingConfiguration") or {}
    return get_backend(account_id, region_name).create_state_machine(
        properties.get("StateMachineName", name),
        definition,
        properties["RoleArn"],
        tags=cfn_to_api_tags(properties.get("Tags", [])),
        sm_type=properties.get("StateMachineType", "STANDARD"),
        loggingConfiguration={"level": logging.get("Level", "OFF")},
        tracingConfiguration={"enabled": bool(tracing.get("Enabled"))},
    )


def _machine_attribute(self: Any, attribute_name: str) -> Any:
    match attribute_name:
        case "Arn":
            return self.arn
        case "Name":
            return self.name
    raise UnformattedGetAttTemplateException


def _topic_attribute(self: Any, attribute_name: str) -> Any:
    if attribute_name == "TopicArn":
        return self.arn
    return _moto_topic_attribute(self, attribute_name)


def _queue_attribute(self: Any, attribute_name: str) -> Any:
    if attribute_name == "QueueUrl":
        return self.physical_resource_id
    return _moto_queue_attribute(self, attribute_name)
