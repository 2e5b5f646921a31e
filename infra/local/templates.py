"""CloudFormation templates read, put in order and deployed into moto.

A template may name a file of the repository where AWS wants text: `DefinitionString:
file://../x.asl.json` stands for the text of that file, relative to the template. Templates depend
on one another through exports only.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

import boto3
import yaml

from infra.local.corrections import cloudformation

FILE_REFERENCE = "file://"


class DeploymentError(Exception):
    """A template cannot be deployed locally; the message says which and why."""


class TemplateLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref X` is `{"Ref": "X"}`."""


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if name == "Fn::GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(cast(yaml.MappingNode, node), deep=True)
    return {name: value}


TemplateLoader.add_multi_constructor("!", _intrinsic)


def load_template(path: Path) -> dict[str, Any]:
    """Read a template with its short forms written out and its files put in."""
    # A subclass of yaml.SafeLoader: it builds plain values only.
    template = yaml.load(path.read_text(), Loader=TemplateLoader)  # noqa: S506
    return cast(dict[str, Any], _with_files(template, path.parent))


def _with_files(value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return {key: _with_files(member, folder) for key, member in value.items()}
    if isinstance(value, list):
        return [_with_files(member, folder) for member in value]
    if isinstance(value, str) and value.startswith(FILE_REFERENCE):
        return (folder / value.removeprefix(FILE_REFERENCE)).read_text()
    return value


def in_order(templates: dict[str, dict[str, Any]], parameters: dict[str, str]) -> list[str]:
    """Return the names so that each template comes after those whose exports it imports.

    Raises
    ------
    DeploymentError
        An import that nobody exports, or a circle of imports.
    """
    exporters = {
        _substituted(output["Export"]["Name"], parameters): name
        for name, template in templates.items()
        for output in (template.get("Outputs") or {}).values()
        if "Export" in output
    }
    needs: dict[str, set[str]] = {}
    for name, template in templates.items():
        imports = {_substituted(value, parameters) for value in _imports(template)}
        unknown = imports - exporters.keys()
        if unknown:
            raise DeploymentError(
                f"{name} imports what nobody exports: {', '.join(sorted(unknown))}"
            )
        needs[name] = {exporters[one] for one in imports} - {name}
    ordered: list[str] = []
    while len(ordered) < len(templates):
        ready = sorted(
            name for name in needs if name not in ordered and needs[name] <= set(ordered)
        )
        if not ready:
            raise DeploymentError(
                f"templates import one another in a circle: {sorted(set(needs) - set(ordered))}"
            )
        ordered += ready
    return ordered


def _imports(value: Any) -> list[Any]:
    if isinstance(value, dict):
        found = [value["Fn::ImportValue"]] if "Fn::ImportValue" in value else []
        return found + [one for member in value.values() for one in _imports(member)]
    if isinstance(value, list):
        return [one for member in value for one in _imports(member)]
    return []


def _substituted(value: Any, parameters: dict[str, str]) -> str:
    text = value["Fn::Sub"] if isinstance(value, dict) else value
    return re.sub(r"\$\{(\w+)\}", lambda found: parameters.get(found[1], found[0]), text)


def deploy(folder: Path, stack_prefix: str, parameters: dict[str, str]) -> dict[str, str]:
    """Create a stack per template of `folder`; return all their outputs by name.

    Raises
    ------
    DeploymentError
        A template that moto refuses, a type it does not have, or a resource that was not created.
    """
    templates = {path.stem: load_template(path) for path in sorted(folder.glob("*.yaml"))}
    outputs: dict[str, str] = {}
    for name in in_order(templates, parameters):
        outputs |= _deploy_one(f"{stack_prefix}-{name}", templates[name], parameters)
    return outputs


def _deploy_one(stack: str, template: dict[str, Any], parameters: dict[str, str]) -> dict[str, str]:
    client = boto3.client("cloudformation")
    try:
        cloudformation.require_supported(template)
        client.create_stack(
            StackName=stack,
            # JSON is YAML, and moto reads no short forms.
            TemplateBody=json.dumps(template, default=str),
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value}
                for key, value in parameters.items()
                if key in (template.get("Parameters") or {})
            ],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
    except Exception as error:
        raise DeploymentError(f"{stack}: {type(error).__name__}: {error}") from error
    pages = client.get_paginator("list_stack_resources").paginate(StackName=stack)
    created = {one["LogicalResourceId"] for page in pages for one in page["StackResourceSummaries"]}
    missing = {
        name for name, one in template["Resources"].items() if "Condition" not in one
    } - created
    if missing:
        raise DeploymentError(f"{stack}: not created: {', '.join(sorted(missing))}")
    described = client.describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def environment_name(output: str) -> str:
    """Return the environment variable of a template's output: `OrdersTable` is `ORDERS_TABLE`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", output).upper()
