"""Webhooks of our own simulators, delivered as the internet would: to the function of the routes.

A simulated provider or carrier has no line to API Gateway, and must not need one to be believed:
its webhook goes to the API's function as API Gateway would hand it over, signature and all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tradepost.kernel.ids import derived_id

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

FAULT = 500


def deliver(
    client: LambdaClient,
    function: str,
    path: str,
    *,
    body: str,
    headers: Mapping[str, str],
    message_id: str,
) -> int:
    """Send a webhook to the function with the routes; return the status it was answered with."""
    sent = {**headers, "content-type": "application/json"}
    event: dict[str, Any] = {
        "resource": path,
        "path": path,
        "httpMethod": "POST",
        "headers": sent,
        "multiValueHeaders": {name: [text] for name, text in sent.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": path,
            "path": path,
            "httpMethod": "POST",
            "protocol": "HTTP/1.1",
            "requestId": derived_id("req", message_id),
            "identity": {"sourceIp": "127.0.0.1", "userAgent": "simulator"},
        },
        "body": body,
        "isBase64Encoded": False,
    }
    answer = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
    told: dict[str, Any] = json.loads(answer["Payload"].read())
    return FAULT if "FunctionError" in answer else int(told["statusCode"])
