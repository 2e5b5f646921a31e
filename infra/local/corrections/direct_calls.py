"""The calls an order makes most often, handed to moto's backends without HTTP in between.

In one process a request is signed, sent, matched against the URLs of every service, parsed,
answered, serialised and parsed again: two thirds of what a small call costs. botocore lets a
`before-call` handler answer instead of the network. It sees requests as botocore serialised them,
and what it does not know goes the long way. Clients with another endpoint are left alone.
"""

from __future__ import annotations

import io
import json
import uuid
from dataclasses import dataclass
from typing import Any

import botocore.handlers
from botocore.response import StreamingBody
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.exceptions import JsonRESTError
from moto.core.models import botocore_stubber
from moto.core.utils import camelcase_to_underscores
from moto.dynamodb.responses import DynamoHandler
from moto.sns.models import sns_backends
from moto.stepfunctions.responses import get_backend

from infra.local import idleness
from infra.local.corrections import lambda_functions
from infra.local.corrections.dynamodb_lock import LOCK

Parsed = dict[str, Any]

_DYNAMODB = {
    name: camelcase_to_underscores(name)
    for name in (
        "BatchGetItem",
        "BatchWriteItem",
        "DeleteItem",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "TransactGetItems",
        "TransactWriteItems",
        "UpdateItem",
    )
}
_PARAMETERS = "infra_local_parameters"
SNS_BATCH_MAX = 10


@dataclass(frozen=True, slots=True)
class DirectResponse:
    """As much of an HTTP response as botocore's client looks at."""

    status_code: int


def install() -> None:
    """Register the handlers for all clients made from now on."""
    handlers = botocore.handlers.BUILTIN_HANDLERS
    for service in ("sns", "lambda"):
        handlers.append((f"provide-client-params.{service}", _keep_parameters))
    for service in ("dynamodb", "lambda", "sns", "sfn"):
        handlers.append((f"before-call.{service}", _before_call))


def answer(service: str, operation: Any, request: Any, context: Any) -> tuple[int, Parsed] | None:
    """Return status and parsed answer of a call, None if it must go the long way."""
    match service:
        case "dynamodb":
            return _dynamodb(operation, request, context)
        case "lambda":
            return _lambda(operation, context)
        case "sns":
            return _sns(operation, context)
        case "stepfunctions":
            return _step_functions(operation, request, context)
    return None


def _keep_parameters(params: Any, context: Any, **_: Any) -> None:
    # What the query protocol and Lambda's put on the wire is dear to read back.
    context[_PARAMETERS] = params


def _before_call(
    model: Any, params: Any, context: Any, **_: Any
) -> tuple[DirectResponse, Parsed] | None:
    if not botocore_stubber.enabled or ".amazonaws.com" not in params["url"]:
        return None
    answered = answer(model.service_model.service_name, model, params, context)
    if answered is None:
        return None
    status, parsed = answered
    parsed["ResponseMetadata"] = {
        "RequestId": str(uuid.uuid4()),
        "HTTPStatusCode": status,
        "HTTPHeaders": {},
        "RetryAttempts": 0,
    }
    return DirectResponse(status), parsed


def _dynamodb(operation: Any, request: Any, context: Any) -> tuple[int, Parsed] | None:
    action = _DYNAMODB.get(operation.name)
    body = request["body"]
    # Bytes are base64 in the body; the long way turns them back.
    if action is None or b'"B"' in body or b'"BS"' in body:
        return None
    handler = DynamoHandler()
    handler.region = context["client_region"]
    handler.current_account = DEFAULT_ACCOUNT_ID
    handler.body = handler.params = json.loads(body)
    with LOCK:
        try:
            result = getattr(handler, action)().result
        except JsonRESTError as error:
            return int(error.code or 400), _error(json.loads(error.description))
        idleness.note_request(handler.body, handler.dynamodb_backend.tables)
    members = operation.output_shape.members
    return 200, {
        name: value for name, value in result.items() if value is not None and name in members
    }


def _error(described: Parsed) -> Parsed:
    code = described.pop("__type", "").rsplit("#", 1)[-1]
    message = described.pop("message", None) or described.pop("Message", "")
    return {**described, "Error": {"Code": code, "Message": message}, "message": message}


def _lambda(operation: Any, context: Any) -> tuple[int, Parsed] | None:
    parameters = context.get(_PARAMETERS)
    if operation.name != "Invoke" or parameters is None:
        return None
    if parameters.keys() - {"FunctionName", "Payload"}:
        return None
    called = lambda_functions.call(
        parameters["FunctionName"],
        parameters.get("Payload"),
        account=DEFAULT_ACCOUNT_ID,
        region=context["client_region"],
    )
    if called is None:
        return None
    payload, error = called
    answered: Parsed = {
        "StatusCode": 200,
        "ExecutedVersion": "$LATEST",
        "Payload": StreamingBody(io.BytesIO(payload), len(payload)),
    }
    if error is not None:
        answered["FunctionError"] = error
    return 200, answered


def _sns(operation: Any, context: Any) -> tuple[int, Parsed] | None:
    parameters = context.get(_PARAMETERS)
    if operation.name != "PublishBatch" or parameters is None:
        return None
    backend = sns_backends[DEFAULT_ACCOUNT_ID][context["client_region"]]
    entries = parameters["PublishBatchRequestEntries"]
    ids = {entry["Id"] for entry in entries}
    if parameters["TopicArn"] not in backend.topics or not 0 < len(entries) <= SNS_BATCH_MAX:
        return None
    if len(ids) < len(entries):
        return None
    published = [
        {**entry, "MessageAttributes": _sns_attributes(entry.get("MessageAttributes") or {})}
        for entry in entries
    ]
    successful, failed = backend.publish_batch(parameters["TopicArn"], published)
    return 200, {"Successful": successful, "Failed": failed}


def _sns_attributes(attributes: Parsed) -> Parsed:
    return {
        name: {
            "Type": value["DataType"],
            "Value": value["StringValue"] if "StringValue" in value else value["BinaryValue"],
        }
        for name, value in attributes.items()
    }


def _step_functions(operation: Any, request: Any, context: Any) -> tuple[int, Parsed] | None:
    if operation.name != "StartExecution":
        return None
    parameters = json.loads(request["body"])
    backend = get_backend(DEFAULT_ACCOUNT_ID, context["client_region"])
    try:
        execution = backend.start_execution(
            parameters["stateMachineArn"], parameters.get("name"), parameters.get("input")
        )
    except Exception:  # noqa: BLE001 - nothing has started, so the long way refuses it again
        return None
    return 200, {"executionArn": execution.exec_arn, "startDate": execution.start_date}
