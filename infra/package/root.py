"""The root template: one nested stack per template, parameters filled from outputs."""

from __future__ import annotations

from typing import Any

from infra.cloudformation import Template
from infra.package.context_template import LAYER_PARAMETERS
from infra.package.layout import PackagingError, Target

_LAYERS = dict(zip(LAYER_PARAMETERS, ("DepsLayer", "TradepostLayer"), strict=True))


def root_template(
    stage: str,
    target: Target,
    children: dict[str, tuple[str, Template]],
    given_by: dict[str, tuple[str, str]],
) -> Template:
    """Build the template that deploys all others.

    Parameters
    ----------
    children
        By name: the nested template's file beside this one, and its content.
    given_by
        By parameter: the child and the output that fill it.

    Raises
    ------
    PackagingError
        A template has a parameter that no output fills and that has no default.
    """
    resources: dict[str, Any] = {
        "DepsLayer": _layer(stage, target, "deps"),
        "TradepostLayer": _layer(stage, target, "tradepost"),
    }
    asked: dict[str, Any] = {}
    for name, (file, template) in children.items():
        declared = template.get("Parameters", {})
        # What has a default is the deployer's to say; the root asks for it in the same words.
        own = {one: declared[one] for one in declared if "Default" in declared[one]}
        asked |= own
        resources[logical_id(name)] = {
            "Type": "AWS::CloudFormation::Stack",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Properties": {
                "TemplateURL": f"./{file}",
                "Parameters": {
                    one: {"Ref": one} if one in own else _value(one, given_by) for one in declared
                },
            },
        }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Tradepost, stage {stage}",
        "Parameters": {
            "Stage": {"Type": "String", "Default": stage, "AllowedValues": [stage]},
            **dict(sorted(asked.items())),
        },
        "Resources": resources,
        "Outputs": {"URL": {"Value": {"Fn::GetAtt": ["Gateway", "Outputs.EndpointURL"]}}},
    }


def logical_id(name: str) -> str:
    """Name the nested stack of a template: `data` is `Data`."""
    return "".join(part.title() for part in name.replace("_", "-").split("-"))


def _value(parameter: str, given_by: dict[str, tuple[str, str]]) -> dict[str, Any]:
    if parameter == "Stage":
        return {"Ref": parameter}
    if parameter in _LAYERS:
        return {"Ref": _LAYERS[parameter]}
    if parameter not in given_by:
        raise PackagingError(f"no template has an output that fills the parameter {parameter}")
    child, output = given_by[parameter]
    return {"Fn::GetAtt": [logical_id(child), f"Outputs.{output}"]}


def _layer(stage: str, target: Target, name: str) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::LayerVersion",
        "Properties": {
            "LayerName": f"tradepost-{stage}-{name}",
            "Content": f"./layers/{name}.zip",
            "CompatibleRuntimes": [target.runtime],
            "CompatibleArchitectures": [target.architecture],
        },
    }
