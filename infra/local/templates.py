"""CloudFormation templates put in order and deployed into moto.

Templates depend on one another through exports only.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import boto3

from infra.cloudformation import load_template
from infra.local.corrections import cloudformation


class DeploymentError(Exception):
    """A template cannot be deployed locally; the message says which and why."""


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
