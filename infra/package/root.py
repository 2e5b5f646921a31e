"""The root template: one nested stack per template, parameters filled from outputs."""

from __future__ import annotations

from typing import Any

from infra.cloudformation import Template
from infra.package.context_template import LAYER_PARAMETERS
from infra.package.layout import PackagingError, Target

_LAYERS = dict(zip(LAYER_PARAMETERS, ("DepsLayer", "TradepostLayer"), strict=True))
_ASKED_OF_THE_DEPLOYER = ("DomainName", "CertificateArn")


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
    for name, (file, template) in children.items():
        parameters = {
            parameter: _value(parameter, given_by)
            for parameter, declared in template.get("Parameters", {}).items()
            if parameter in _known(given_by) or "Default" not in declared
        }
        resources[logical_id(name)] = {
            "Type": "AWS::CloudFormation::Stack",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Properties": {"TemplateURL": f"./{file}", "Parameters": parameters},
        }
    gateway = resources.get("Gateway")
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Tradepost, stage {stage}",
        "Parameters": {
            "Stage": {"Type": "String", "Default": stage, "AllowedValues": [stage]},
            **{name: {"Type": "String", "Default": ""} for name in _ASKED_OF_THE_DEPLOYER},
        },
        "Resources": resources,
        "Outputs": {"URL": {"Value": {"Fn::GetAtt": ["Gateway", "Outputs.EndpointURL"]}}}
        if gateway
        else {},
    }


def logical_id(name: str) -> str:
    """Name the nested stack of a template: `data` is `Data`."""
    return "".join(part.title() for part in name.replace("_", "-").split("-"))


def _known(given_by: dict[str, tuple[str, str]]) -> set[str]:
    return {"Stage", *_LAYERS, *_ASKED_OF_THE_DEPLOYER, *given_by}


def _value(parameter: str, given_by: dict[str, tuple[str, str]]) -> dict[str, Any]:
    if parameter == "Stage" or parameter in _ASKED_OF_THE_DEPLOYER:
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
