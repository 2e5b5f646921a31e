"""The OpenAPI document: every route of every context, in the words of its own declaration."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from infra.openapi.problems import PROBLEM_SCHEMA, responses
from infra.openapi.schemas import Schema, Schemas, answers
from tradepost.platform.auth import PUBLIC, TOKEN_BYTES_MAX
from tradepost.platform.service import RouteSpec, Service

_DESCRIPTION = """\
A shop's backend. Log in with `POST /v1/sessions`, or become a guest with `POST /v1/guests`, and
send the `access_token` as a bearer token (here: *Authorize*).

Amounts are integers in the currency's minor unit. A `POST` with an `Idempotency-Key` may be
repeated with the same key: it is done once. Refusals are problem documents (RFC 9457)."""

_PATH_PARAMETER: Schema = {"type": "string", "minLength": 1, "maxLength": 256}

_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "Chosen by the caller for this one request; a repetition sends it again.",
    "schema": {"type": "string", "pattern": r"^[\x21-\x7e]{1,255}$"},
    "example": "try-1",
}

_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` the caller read; refused with 412 if it has changed since.",
    "schema": {"type": "string", "pattern": r'^(\*|\s*(W/)?"\d{1,15}"\s*)$'},
}


_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of the answer the caller has; 304 without a body if it still holds.",
    "schema": {"type": "string"},
}

_TEXT: dict[str, Any] = {"schema": {"type": "string"}}


def generate(apps: Iterable[Service]) -> dict[str, Any]:
    """Describe the API of the apps. The same apps give the same document, key for key."""
    ordered = sorted(apps, key=lambda app: str(app.app_name))
    schemas = Schemas(spec for app in ordered for spec in app.specs)
    paths: dict[str, dict[str, Any]] = {}
    for app in ordered:
        for spec in app.specs:
            paths.setdefault(spec.path, {})[spec.method.lower()] = _operation(app, spec, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tradepost", "version": "1", "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [_tag(app) for app in ordered if app.specs],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {
                "access_token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": (
                        f"At most {TOKEN_BYTES_MAX} bytes. A partner's API key is sent alike."
                    ),
                }
            },
            "schemas": {**schemas.components, "ProblemDocument": PROBLEM_SCHEMA},
        },
    }


def _tag(app: Service) -> dict[str, str]:
    package = sys.modules.get(app.app_name)
    told = (package.__doc__ or "") if package is not None else ""
    return {"name": app.app_name, "description": told.strip()}


def _operation(app: Service, spec: RouteSpec, schemas: Schemas) -> dict[str, Any]:
    route = app.routes[spec.path][spec.method]
    operation: dict[str, Any] = {
        "operationId": f"{app.app_name}.{route.view_name}",
        "tags": [app.app_name],
        "summary": spec.summary,
        "description": _description(spec),
        "parameters": _parameters(spec, schemas),
        "responses": {**_success(spec, schemas), **responses(spec)},
        "security": [] if spec.roles == PUBLIC else [{"access_token": []}],
        "x-roles": sorted(spec.roles),
        **({"x-scope": spec.scope} if spec.scope else {}),
    }
    if spec.body is not None:
        operation["requestBody"] = {
            # A body whose every field has a default may be left out.
            "required": any(field.is_required() for field in spec.body.model_fields.values()),
            "content": {
                content_type: {"schema": schemas.of(spec.body, "validation")}
                for content_type in route.content_types
            },
        }
    return operation


def _description(spec: RouteSpec) -> str:
    roles = ", ".join(sorted(spec.roles)) or "anyone, without a token"
    told = [spec.description, f"For: {roles}."]
    if spec.scope is not None:
        told.append(f"For partners: an API key with the scope `{spec.scope}`.")
    if spec.repeatable is not None:
        told.append(f"May be repeated: {spec.repeatable}.")
    return "\n\n".join(part for part in told if part)


def _parameters(spec: RouteSpec, schemas: Schemas) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _PATH_PARAMETER}
        for name in re.findall(r"{(\w+)}", spec.path)
    ]
    if spec.query is not None:
        fields, required = schemas.fields(spec.query)
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": _given(schema)}
            for name, schema in fields.items()
        ]
    if spec.needs_idempotency_key:
        parameters.append(_IDEMPOTENCY_KEY)
    if spec.takes_if_match:
        parameters.append(_IF_MATCH)
    if spec.is_cacheable:
        parameters.append(_IF_NONE_MATCH)
    return parameters


def _given(schema: Schema) -> Schema:
    """Take `null` out: a query's field is given or left out, and cannot be null."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    if rest.get("default", ...) is None:
        del rest["default"]
    if len(options) == 1:
        return {**rest, **options[0]}
    return {**rest, "anyOf": options} if options else rest


def _success(spec: RouteSpec, schemas: Schemas) -> dict[str, Any]:
    models = answers(spec)
    nothing = spec.answer is type(None) or spec.answer is None
    status = HTTPStatus.NO_CONTENT if nothing else HTTPStatus(spec.status)
    headers: dict[str, Any] = {"X-Request-Id": _TEXT}
    if spec.takes_if_match or spec.is_cacheable:
        headers["ETag"] = _TEXT
    if spec.is_cacheable:
        headers["Cache-Control"] = _TEXT
    response: dict[str, Any] = {"description": status.phrase, "headers": headers}
    if models:
        options = [schemas.of(model, "serialization") for model in models]
        schema = options[0] if len(options) == 1 else {"anyOf": options}
        response["content"] = {"application/json": {"schema": schema}}
    elif spec.answer is str:
        response["content"] = {"text/html": {"schema": {"type": "string"}}}
    told = {str(status.value): response}
    if spec.is_cacheable:
        unchanged = HTTPStatus.NOT_MODIFIED
        told[str(unchanged.value)] = {"description": unchanged.phrase, "headers": headers}
    return told
