"""The one REST API: every context's routes under one host, each integrated with its own function.

Chalice would give each context an API. Their paths all begin with `/v1`, and a custom domain maps
a base path to one API only, so the routes are brought together here instead.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from infra.cloudformation import Template
from infra.gateway_responses import as_api_definition
from infra.package.chalice_project import HTTP_HANDLER, Function
from infra.package.layout import PackagingError

_INTEGRATION = "x-amazon-apigateway-integration"
_AUTHORIZER = "x-amazon-apigateway-authorizer"
_BINARY = "x-amazon-apigateway-binary-media-types"


@dataclass(frozen=True, slots=True)
class ContextApi:
    """A context's part of the API: the template that Chalice generated, and its functions."""

    context: str
    raw: Template
    functions: list[Function]


def gateway_template(parts: list[ContextApi], *, stage: str) -> Template:
    """Build the template of the API.

    Raises
    ------
    PackagingError
        Two contexts claim one path.
    """
    answering = [part for part in parts if _definition(part) is not None]
    definition = _merged_definition(answering)
    authorizer = authorizer_parameter(answering)
    handlers = [handler_parameter(part.context, HTTP_HANDLER) for part in answering]
    called = handlers if authorizer is None else [*handlers, authorizer]
    api = _api(definition, _compression(answering), stage)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Description": "Tradepost's one REST API over the functions of all contexts",
        "Parameters": {
            **{name: {"Type": "String"} for name in sorted(called)},
            "DomainName": {"Type": "String", "Default": ""},
            "CertificateArn": {"Type": "String", "Default": ""},
        },
        "Conditions": {"HasDomain": {"Fn::Not": [{"Fn::Equals": [{"Ref": "DomainName"}, ""]}]}},
        "Resources": {
            "RestAPI": api,
            **{f"{name.removesuffix('Arn')}Permission": _permission(name) for name in called},
            **_domain(),
        },
        "Outputs": {
            "RestAPIId": {"Value": {"Ref": "RestAPI"}},
            "EndpointURL": {
                "Value": {
                    "Fn::Sub": "https://${RestAPI}.execute-api.${AWS::Region}.${AWS::URLSuffix}/"
                    + stage
                }
            },
        },
    }


def handler_parameter(context: str, function: str) -> str:
    """Name the parameter with the ARN of a context's function."""
    logical_id = Function(function).logical_id
    return f"{context.title()}{logical_id}Arn"


def authorizer_of(parts: list[ContextApi]) -> tuple[str, Function] | None:
    """Choose the authorizer's one home: the first context that has it, `users` before all.

    The platform declares it in every app, so that each can be called alone; deployed together
    they need it once.
    """
    for part in sorted(parts, key=lambda part: (part.context != "users", part.context)):
        for function in part.functions:
            if function.is_authorizer:
                return part.context, function
    return None


def authorizer_parameter(parts: list[ContextApi]) -> str | None:
    """Name the parameter with the authorizer's ARN."""
    home = authorizer_of(parts)
    return None if home is None else handler_parameter(home[0], home[1].name)


def _definition(part: ContextApi) -> dict[str, Any] | None:
    api = part.raw["Resources"].get("RestAPI")
    return None if api is None else api["Properties"]["DefinitionBody"]


def _merged_definition(parts: list[ContextApi]) -> dict[str, Any]:
    authorizer = authorizer_parameter(parts)
    paths: dict[str, Any] = {}
    owners: dict[str, str] = {}
    securities: dict[str, Any] = {}
    binary: set[str] = set()
    for part in parts:
        definition = copy.deepcopy(_definition(part) or {})
        for path, methods in definition["paths"].items():
            if path in owners:
                raise PackagingError(f"{owners[path]} and {part.context} both answer {path}")
            owners[path] = part.context
            paths[path] = _integrated(methods, handler_parameter(part.context, HTTP_HANDLER))
        securities |= definition.get("securityDefinitions", {})
        binary |= set(definition.get(_BINARY, ()))
    for security in securities.values():
        if _AUTHORIZER in security and authorizer is not None:
            security[_AUTHORIZER]["authorizerUri"] = _invocation(authorizer)
    return {
        "swagger": "2.0",
        "info": {"title": "tradepost", "version": "1"},
        "schemes": ["https"],
        "paths": dict(sorted(paths.items())),
        "securityDefinitions": securities,
        "definitions": {"Empty": {"type": "object", "title": "Empty Schema"}},
        "x-amazon-apigateway-gateway-responses": as_api_definition(),
        _BINARY: sorted(binary),
    }


def _integrated(methods: dict[str, Any], handler: str) -> dict[str, Any]:
    for method in methods.values():
        # A preflight is answered by API Gateway itself.
        if method[_INTEGRATION]["type"] == "aws_proxy":
            method[_INTEGRATION]["uri"] = _invocation(handler)
    return methods


def _invocation(parameter: str) -> dict[str, str]:
    return {
        "Fn::Sub": "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path"
        f"/2015-03-31/functions/${{{parameter}}}/invocations"
    }


def _api(definition: dict[str, Any], compression: int | None, stage: str) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "Name": f"tradepost-{stage}",
        "StageName": stage,
        "EndpointConfiguration": {"Type": "REGIONAL"},
        "TracingEnabled": True,
        "MethodSettings": [{"HttpMethod": "*", "ResourcePath": "/*", "MetricsEnabled": True}],
        "DefinitionBody": definition,
    }
    if compression is not None:
        properties["MinimumCompressionSize"] = compression
    return {"Type": "AWS::Serverless::Api", "Properties": properties}


def _compression(parts: list[ContextApi]) -> int | None:
    sizes = [
        part.raw["Resources"]["RestAPI"]["Properties"].get("MinimumCompressionSize")
        for part in parts
    ]
    return min((size for size in sizes if size is not None), default=None)


def _permission(parameter: str) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::Permission",
        "Properties": {
            "Action": "lambda:InvokeFunction",
            "FunctionName": {"Ref": parameter},
            "Principal": "apigateway.amazonaws.com",
            "SourceArn": {
                "Fn::Sub": "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}"
                ":${RestAPI}/*"
            },
        },
    }


def _domain() -> dict[str, Any]:
    return {
        "Domain": {
            "Type": "AWS::ApiGateway::DomainName",
            "Condition": "HasDomain",
            "Properties": {
                "DomainName": {"Ref": "DomainName"},
                "RegionalCertificateArn": {"Ref": "CertificateArn"},
                "EndpointConfiguration": {"Types": ["REGIONAL"]},
                "SecurityPolicy": "TLS_1_2",
            },
        },
        "DomainMapping": {
            "Type": "AWS::ApiGateway::BasePathMapping",
            "Condition": "HasDomain",
            "Properties": {
                "DomainName": {"Ref": "Domain"},
                "RestApiId": {"Ref": "RestAPI"},
                # SAM names the stage's resource after the API and the stage.
                "Stage": {"Ref": "RestAPI.Stage"},
            },
        },
    }
