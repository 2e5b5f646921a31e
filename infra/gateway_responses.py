"""What API Gateway itself answers when a request does not reach a function: one table.

The local gateway answers from it, and packaging writes it into the API's definition, so a refusal
looks the same wherever it happens. The bodies are problem documents (RFC 9457) as the functions
write them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

REQUEST_ID = "$context.requestId"

HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag,Location,Retry-After,X-Request-Id",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """One of API Gateway's own answers; `type` is its name in the API's definition."""

    type: str
    status: HTTPStatus
    code: str
    detail: str

    def headers(self) -> dict[str, str]:
        """Return the headers besides the content type and the request's id."""
        if self.status is HTTPStatus.UNAUTHORIZED:
            return {**HEADERS, "WWW-Authenticate": "Bearer"}
        return HEADERS

    def body(self, request_id: str) -> str:
        """Return the problem document; `REQUEST_ID` makes it API Gateway's template."""
        return json.dumps(
            {
                "type": f"urn:tradepost:problem:{self.code}",
                "title": self.status.phrase,
                "status": self.status.value,
                "detail": self.detail,
                "code": self.code,
                "request_id": request_id,
            }
        )


_ALL = (
    # API Gateway says so of a path or a method that does not exist.
    GatewayResponse(
        "MISSING_AUTHENTICATION_TOKEN", HTTPStatus.NOT_FOUND, "not_found", "there is no such route"
    ),
    GatewayResponse(
        "RESOURCE_NOT_FOUND", HTTPStatus.NOT_FOUND, "not_found", "there is no such route"
    ),
    GatewayResponse(
        "UNAUTHORIZED",
        HTTPStatus.UNAUTHORIZED,
        "unauthorized",
        "send a valid access token or API key as Authorization: Bearer TOKEN",
    ),
    GatewayResponse("ACCESS_DENIED", HTTPStatus.FORBIDDEN, "forbidden", "this is not yours to do"),
    GatewayResponse(
        "AUTHORIZER_FAILURE",
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "the access token could not be checked; try again in a moment",
    ),
    GatewayResponse(
        "REQUEST_TOO_LARGE",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body_too_large",
        "the body is larger than 10 MB",
    ),
    GatewayResponse(
        "UNSUPPORTED_MEDIA_TYPE",
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "this content type is not understood here",
    ),
    GatewayResponse(
        "THROTTLED",
        HTTPStatus.TOO_MANY_REQUESTS,
        "too_many_requests",
        "too many requests; try again in a moment",
    ),
    GatewayResponse(
        "INTEGRATION_FAILURE",
        HTTPStatus.BAD_GATEWAY,
        "bad_gateway",
        "the function did not answer; quote the request id to support",
    ),
    GatewayResponse(
        "INTEGRATION_TIMEOUT",
        HTTPStatus.GATEWAY_TIMEOUT,
        "gateway_timeout",
        "the function did not answer in time",
    ),
    GatewayResponse(
        "DEFAULT_4XX", HTTPStatus.BAD_REQUEST, "bad_request", "the request is malformed"
    ),
    GatewayResponse(
        "DEFAULT_5XX",
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "something went wrong on our side; quote the request id to support",
    ),
)
RESPONSES = {response.type: response for response in _ALL}

# The catch-all responses also stand for refusals with a status of their own.
_KEEPS_STATUS = frozenset({"DEFAULT_4XX", "DEFAULT_5XX"})


def as_api_definition() -> dict[str, Any]:
    """Return the value of `x-amazon-apigateway-gateway-responses` of an API's definition."""
    definition: dict[str, Any] = {}
    for response in _ALL:
        headers = {**response.headers(), "Content-Type": "application/problem+json"}
        definition[response.type] = {
            "responseParameters": {
                f"gatewayresponse.header.{name}": "'" + value.replace("'", "\\'") + "'"
                for name, value in headers.items()
            }
            | {"gatewayresponse.header.X-Request-Id": "context.requestId"},
            "responseTemplates": {"application/json": response.body(REQUEST_ID)},
        }
        if response.type not in _KEEPS_STATUS:
            definition[response.type]["statusCode"] = response.status.value
    return definition
