"""A context's template: what Chalice generated, plus all that Chalice cannot say."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from infra.cloudformation import Template
from infra.package.chalice_project import Function
from infra.package.layout import PackagingError
from infra.package.outputs import Infrastructure
from infra.package.source import Needs

LAYER_PARAMETERS = ("DepsLayerArn", "TradepostLayerArn")


@dataclass(frozen=True, slots=True)
class ContextParts:
    """What a context's template is finished from."""

    context: str
    stage: str
    functions: list[Function]
    needs: Needs
    infrastructure: Infrastructure
    lets_partners_in: bool = False


def deployed_name(stage: str, context: str, function: str) -> str:
    """Name a function as everything outside its template calls it."""
    return f"tradepost-{stage}-{context}-{function}"


def queue_output(parts: ContextParts, function: Function) -> str | None:
    """Find the output with the ARN of the queue that a function takes messages from.

    Raises
    ------
    PackagingError
        No template has such a queue.
    """
    if function.queue is None:
        return None
    name = function.queue.rpartition(":")[2].removeprefix(f"tradepost-{parts.stage}-")
    output = parts.infrastructure.output_like(name, "Arn", "QueueArn")
    if output is None:
        raise PackagingError(f"{parts.context}: no template has an output for queue {name}")
    return output


def stream_output(parts: ContextParts, function: Function) -> str | None:
    """Find the output with the ARN of the table's stream that a function reads.

    Raises
    ------
    PackagingError
        No template has such a stream.
    """
    if function.stream_of is None:
        return None
    output = parts.infrastructure.output_like(function.stream_of, "TableStreamArn")
    if output is None:
        raise PackagingError(
            f"{parts.context}: no template has an output for the stream of {function.stream_of}"
        )
    return output


def finish(raw: Template, parts: ContextParts) -> Template:
    """Turn Chalice's template into the one that is deployed.

    The API, its permissions and the log groups are left behind: the API is one for all
    contexts (see `gateway`), and the log groups are written anew.
    """
    resources = _own_resources(raw, parts)
    variables = _variables(parts)
    for function in parts.functions:
        resource = resources[function.logical_id]
        _finish_function(resource["Properties"], parts, function, variables)
        _finish_events(resource["Properties"], parts, function)
        _require_variables(resource["Properties"], parts)
        resources[_log_group_id(function)] = _log_group(raw, parts, function)
    parameters = ["Stage", *LAYER_PARAMETERS]
    parameters += sorted(set(references(resources)) & parts.infrastructure.given_by.keys())
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Description": f"Tradepost's functions of {parts.context}",
        "Parameters": {name: {"Type": "String"} for name in parameters},
        "Resources": dict(sorted(resources.items())),
        "Outputs": {
            arn_output(function): {"Value": {"Fn::GetAtt": [function.logical_id, "Arn"]}}
            for function in parts.functions
        },
    }


def arn_output(function: Function) -> str:
    """Name the output with a function's ARN."""
    return f"{function.logical_id}Arn"


def references(value: Any) -> Iterator[str]:
    """Find every name that a template part refers to, by Ref, Fn::GetAtt or Fn::Sub."""
    if isinstance(value, dict):
        for key, member in value.items():
            if key == "Ref":
                yield member
            elif key == "Fn::GetAtt":
                yield member[0]
            elif key == "Fn::Sub":
                text = member if isinstance(member, str) else member[0]
                yield from _placeholders(text)
            yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)


def _placeholders(text: str) -> Iterable[str]:
    return [part.partition("}")[0].partition(".")[0] for part in text.split("${")[1:]]


def _variables(parts: ContextParts) -> dict[str, Any]:
    outputs = parts.infrastructure.variables()
    return {
        "STAGE": {"Ref": "Stage"},
        "POWERTOOLS_SERVICE_NAME": parts.context,
        **{name: {"Ref": outputs[name]} for name in sorted(outputs.keys() & parts.needs.texts)},
    }


def _require_variables(properties: dict[str, Any], parts: ContextParts) -> None:
    missing = parts.needs.required - properties["Environment"]["Variables"].keys()
    if missing:
        raise PackagingError(
            f"{parts.context} reads {', '.join(sorted(missing))}, which no template's output and"
            " no environment_variables give"
        )


def _finish_function(
    properties: dict[str, Any],
    parts: ContextParts,
    function: Function,
    variables: dict[str, Any],
) -> None:
    own = properties.get("Environment", {}).get("Variables", {})
    properties["FunctionName"] = deployed_name(parts.stage, parts.context, function.name)
    properties["CodeUri"] = f"./{parts.context}.zip"
    properties["Environment"] = {"Variables": {**variables, **own}}
    properties["Layers"] = [{"Ref": name} for name in LAYER_PARAMETERS]
    # The group must be there before the function writes, or Lambda makes one that keeps for ever.
    properties["LoggingConfig"] = {
        "LogFormat": "JSON",
        "LogGroup": {"Ref": _log_group_id(function)},
    }
    # Chalice tags with its own version and the app's name.
    properties["Tags"] = {"project": "tradepost", "stage": parts.stage, "context": parts.context}


def _finish_events(properties: dict[str, Any], parts: ContextParts, function: Function) -> None:
    """Put in where the records come from; how they are taken stands in `merge.json`."""
    for event in properties.get("Events", {}).values():
        queue = queue_output(parts, function)
        stream = stream_output(parts, function)
        if queue is not None:
            event["Properties"]["Queue"] = {"Ref": queue}
        if stream is not None:
            event["Properties"]["Stream"] = {"Ref": stream}


def _own_resources(raw: Template, parts: ContextParts) -> Template:
    """Take the functions that are deployed here, and the roles they run as."""
    functions = {
        function.logical_id: raw["Resources"][function.logical_id] for function in parts.functions
    }
    roles = {
        name: raw["Resources"][name]
        for name in references(functions)
        if raw["Resources"].get(name, {}).get("Type") == "AWS::IAM::Role"
    }
    return copy.deepcopy({**functions, **roles})


def _log_group(raw: Template, parts: ContextParts, function: Function) -> Template:
    """Write the log group anew: Chalice 1.34 refers to a function by a name it has changed."""
    name = deployed_name(parts.stage, parts.context, function.name)
    properties: dict[str, Any] = {"LogGroupName": f"/aws/lambda/{name}"}
    for resource in raw["Resources"].values():
        if resource["Type"] == "AWS::Logs::LogGroup":
            properties["RetentionInDays"] = resource["Properties"]["RetentionInDays"]
    return {
        "Type": "AWS::Logs::LogGroup",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": properties,
    }


def _log_group_id(function: Function) -> str:
    return f"{function.logical_id}LogGroup"
