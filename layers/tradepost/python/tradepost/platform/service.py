"""A context's Chalice app: typed routes, saga steps and consumers declared on it.

A view names what it needs and the border provides it, by the parameter's type:

* `body: Model`, `query: Model`: parsed and checked by pydantic; unknown fields are refused
* `caller: Caller`: the verified subject; absent on public routes
* `idempotency_key: IdempotencyKey`, `if_match: IfMatch`, `correlation_id: str`
* `client_address: ClientAddress`: where the request came from, for those who count
* `raw: RawRequest`: the bytes and headers, for a webhook whose signature is its caller
* anything else is a path parameter and a string

It returns a model, a `Reply` where headers or the status vary, or None for 204. It raises
refusals; `tradepost.platform.http` says how they look outside.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Generic, TypeVar, cast, get_args, get_origin, get_type_hints

from chalice import Chalice, CORSConfig, Response
from chalice.app import Request
from pydantic import BaseModel

from tradepost.kernel.errors import DomainError, ForbiddenError, UnavailableError
from tradepost.platform import arguments, aws
from tradepost.platform.auth import PUBLIC, Role, Scope, access_token, authorizers, bearer
from tradepost.platform.bodies import StepInput
from tradepost.platform.dynamodb import passing_faults_named
from tradepost.platform.http import (
    PROBLEM_CONTENT_TYPE,
    SECURITY_HEADERS,
    problem,
    shareable,
    status_of,
)
from tradepost.platform.logger import log_keys, logger
from tradepost.platform.partners import KeyRefusedError, PartnerKey, Partners

_CORS = CORSConfig(
    # No cookie is ever read, so a foreign page can do nothing here that curl could not.
    allow_origin="*",
    allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match"],
    expose_headers=["ETag", "Location", "Retry-After", "X-Request-Id"],
    max_age=600,
)


class RoleError(ForbiddenError):
    code = "role_forbidden"

    def __init__(self) -> None:
        super().__init__("your role does not reach this route")


class ScopeError(ForbiddenError):
    code = "scope_missing"

    def __init__(self, scope: Scope | None) -> None:
        super().__init__(
            f"this takes a key with the scope {scope}" if scope else "no key reaches this route"
        )
        self.scope = scope


Body = TypeVar("Body", bound=BaseModel | bytes | str | None)


@dataclass(frozen=True, slots=True)
class Reply(Generic[Body]):
    """An answer whose status or headers are not the route's usual ones.

    A cacheable route says with each for how long it may be kept without asking again.
    """

    body: Body
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None
    fresh_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """What a route promises, read by the OpenAPI generator and by the tests of policy."""

    method: str
    path: str
    roles: frozenset[Role]
    scope: Scope | None
    status: int
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    answer: Any
    refusals: tuple[type[DomainError | UnavailableError], ...]
    needs_idempotency_key: bool
    takes_if_match: bool
    is_cacheable: bool
    repeatable: str | None
    body_bytes_max: int
    content_types: tuple[str, ...]
    summary: str
    description: str


View_ = Callable[..., Any]


class Service(Chalice):
    """One context's Chalice app. `Chalice(configure_logs=True)` would double every log line."""

    def __init__(self, name: str) -> None:
        super().__init__(app_name=name, configure_logs=False)
        self.log = logger  # type: ignore[assignment]  # it logs as the standard one does
        self.api.cors = _CORS
        self.register_blueprint(authorizers)
        self.specs: list[RouteSpec] = []

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        request_id = event.get("requestContext", {}).get("requestId")
        with log_keys(service=self.app_name, request_id=request_id):
            answer: dict[str, Any] = super().__call__(event, context)
            return _as_problem(answer, request_id or "")

    def get(self, path: str, **promise: Any) -> Callable[[View_], View_]:
        return self._typed_route("GET", path, **promise)

    def post(self, path: str, **promise: Any) -> Callable[[View_], View_]:
        return self._typed_route("POST", path, **promise)

    def put(self, path: str, **promise: Any) -> Callable[[View_], View_]:
        return self._typed_route("PUT", path, **promise)

    def patch(self, path: str, **promise: Any) -> Callable[[View_], View_]:
        return self._typed_route("PATCH", path, **promise)

    def delete(self, path: str, **promise: Any) -> Callable[[View_], View_]:
        return self._typed_route("DELETE", path, **promise)

    def step(self, step: Callable[[Any], Mapping[str, Any] | None]) -> Any:
        """Declare a saga step: a Lambda function that parses only what it reads.

        The step's one parameter is a `StepInput`. What it raises reaches Step Functions under the
        exception's class name, so an exception that the state machine names is a public name: a
        fault of AWS that may pass is always `UnavailableError`, which every step repeats.
        """
        (parameter,) = inspect.signature(step).parameters
        model: type[StepInput] = get_type_hints(step)[parameter]

        @functools.wraps(step)
        def run(event: dict[str, Any], _context: object) -> dict[str, Any]:
            given = model.model_validate(event)
            with log_keys(
                service=self.app_name,
                step=step.__name__,
                order_id=given.order_id,
                correlation_id=given.correlation_id,
            ):
                try:
                    with passing_faults_named():
                        return dict(step(given) or {})
                except DomainError as refusal:
                    logger.info("step refused", code=refusal.code)
                    raise

        del run.__wrapped__
        return self.lambda_function(name=step.__name__)(run)

    def _typed_route(
        self,
        method: str,
        path: str,
        *,
        roles: frozenset[Role] | set[Role],
        scope: Scope | None = None,
        status: int = 200,
        refusals: tuple[type[DomainError | UnavailableError], ...] = (),
        repeatable: str | None = None,
        cacheable: bool = False,
        body_bytes_max: int = arguments.BODY_BYTES_MAX,
        content_types: tuple[str, ...] = ("application/json",),
    ) -> Callable[[View_], View_]:
        """Declare a route. There is no default for `roles`: a route without a policy cannot exist.

        Parameters
        ----------
        roles
            Who may call it; `PUBLIC` for anyone, with or without a token.
        scope
            What a partner's key needs to be let in as well; None lets no key in.
        refusals
            The errors the view may raise, for the API's description.
        repeatable
            For a POST without an Idempotency-Key: why repeating it does no harm.
        cacheable
            Everybody gets the same answer and may keep it: it has an ETag, and whoever sends that
            along is spared the body. The view answers a `Reply` with `fresh_seconds`.
        """
        if cacheable and (method != "GET" or frozenset(roles) != PUBLIC):
            raise TypeError(f"{path}: only what everybody may read may be kept by everybody")
        if scope is not None and frozenset(roles) == PUBLIC:
            raise TypeError(f"{path}: what everybody may do takes no key")

        def declare(view: View_) -> View_:
            spec = _spec_of(
                view,
                method,
                path,
                roles=frozenset(roles),
                scope=scope,
                status=status,
                refusals=refusals,
                is_cacheable=cacheable,
                repeatable=repeatable,
                body_bytes_max=body_bytes_max,
                content_types=content_types,
            )
            if method == "POST" and not spec.needs_idempotency_key and repeatable is None:
                raise TypeError(f"{path}: a POST takes an Idempotency-Key or says why it need not")
            self.specs.append(spec)
            self.route(
                path,
                methods=[method],
                name=view.__name__,
                authorizer=access_token if spec.roles != PUBLIC else None,
                content_types=list(content_types),
            )(self._border(view, spec))
            return view

        return declare

    def _border(self, view: View_, spec: RouteSpec) -> View_:
        """Wrap a view so that arguments are made from the request, and refusals into problems."""
        providers = _providers(view, spec)

        @functools.wraps(view)
        def bordered(**path_parameters: str) -> Response:
            request = cast(Request, self.current_request)
            request_id: str = request.context.get("requestId", "")
            try:
                given: dict[str, Any] = {
                    name: arguments.path_parameter(value) for name, value in path_parameters.items()
                }
                _require_policy(request, spec)
                for name, provide in providers.items():
                    given[name] = provide(request)
                with passing_faults_named():
                    result = view(**given)
                return _answer(result, spec, request, request_id)
            except DomainError as refusal:
                logger.info("request refused", code=refusal.code, route=spec.path)
                return problem(
                    status_of(refusal), refusal.code, str(refusal), request_id, **refusal.facts
                )
            except UnavailableError as error:
                logger.warning("dependency unavailable", code=error.code, route=spec.path)
                return problem(status_of(error), error.code, "try again in a moment", request_id)
            except Exception:  # noqa: BLE001 - the border: a fault must not show its insides
                logger.exception("request failed", route=spec.path)
                return problem(
                    HTTPStatus.INTERNAL_SERVER_ERROR,
                    "internal_error",
                    "something went wrong on our side; quote the request id to support",
                    request_id,
                )

        # functools.wraps would let Chalice see the view's own parameters through __wrapped__.
        del bordered.__wrapped__
        return bordered


def _require_policy(request: Request, spec: RouteSpec) -> None:
    """Let through whom the route names. Raises RoleError, ScopeError, and as `Partners.admit`."""
    if spec.roles == PUBLIC:
        return
    caller = arguments.caller(request)
    if caller.role is not Role.PARTNER:
        if caller.role not in spec.roles:
            raise RoleError
        return
    if spec.scope is None or spec.scope not in caller.scopes:
        raise ScopeError(spec.scope)
    # What the gateway remembers of a key may be a minute old; this is not.
    key = PartnerKey.parse(bearer(request.headers.get("authorization", "")))
    if key is None:
        raise KeyRefusedError
    Partners(aws.functions(), os.environ["STAGE"]).admit(key)


def _as_problem(answer: dict[str, Any], request_id: str) -> dict[str, Any]:
    """Give the refusals that Chalice makes before a view is reached (405, 415) our shape."""
    if answer["statusCode"] < HTTPStatus.BAD_REQUEST:
        return answer
    if answer["headers"].get("Content-Type") == PROBLEM_CONTENT_TYPE:
        return answer
    status = HTTPStatus(answer["statusCode"])
    code = status.phrase.lower().replace(" ", "_")
    told = problem(status, code, status.description, request_id).to_dict()
    return {**told, "headers": {**answer["headers"], **told["headers"]}}


def _spec_of(
    view: View_,
    method: str,
    path: str,
    *,
    roles: frozenset[Role],
    scope: Scope | None,
    status: int,
    refusals: tuple[type[DomainError | UnavailableError], ...],
    is_cacheable: bool,
    repeatable: str | None,
    body_bytes_max: int,
    content_types: tuple[str, ...],
) -> RouteSpec:
    hints = get_type_hints(view)
    documentation = inspect.getdoc(view) or ""
    summary, _, description = documentation.partition("\n")
    return RouteSpec(
        method=method,
        path=path,
        roles=roles,
        scope=scope,
        status=status,
        body=hints.get("body"),
        query=hints.get("query"),
        answer=_answered(hints.get("return")),
        refusals=refusals,
        needs_idempotency_key=hints.get("idempotency_key") is arguments.IdempotencyKey,
        takes_if_match="if_match" in hints,
        is_cacheable=is_cacheable,
        repeatable=repeatable,
        body_bytes_max=body_bytes_max,
        content_types=content_types,
        summary=summary,
        description=description.strip(),
    )


def _answered(returned: Any) -> Any:
    """Name the body's type, which a view that sets headers returns inside a `Reply`."""
    return get_args(returned)[0] if get_origin(returned) is Reply else returned


def _providers(view: View_, spec: RouteSpec) -> dict[str, Callable[[Request], Any]]:
    """Map each parameter that is not in the path to the function that makes it."""
    in_path = set(re.findall(r"{(\w+)}", spec.path))
    known: dict[str, Callable[[Request], Any]] = {
        "body": functools.partial(arguments.body, spec.body or BaseModel, spec.body_bytes_max),
        "query": functools.partial(arguments.query, spec.query or BaseModel),
        "caller": arguments.caller,
        "idempotency_key": arguments.idempotency_key,
        "if_match": arguments.if_match,
        "correlation_id": arguments.correlation_id,
        "client_address": arguments.client_address,
        "raw": functools.partial(arguments.raw, spec.body_bytes_max),
    }
    names = [name for name in inspect.signature(view).parameters if name not in in_path]
    unknown = [name for name in names if name not in known]
    if unknown or in_path - set(inspect.signature(view).parameters):
        raise TypeError(f"{spec.path}: the view's parameters do not match: {unknown or in_path}")
    if "caller" in names and spec.roles == PUBLIC:
        raise TypeError(f"{spec.path}: a public route has no caller")
    return {name: known[name] for name in names}


def _answer(result: Any, spec: RouteSpec, request: Request, request_id: str) -> Response:
    reply = result if isinstance(result, Reply) else Reply(result)
    headers = {**SECURITY_HEADERS, "X-Request-Id": request_id}
    if spec.is_cacheable:
        return shareable(
            reply.body,
            {**headers, "Content-Type": "application/json"},
            fresh_seconds=reply.fresh_seconds or 0,
            known=request.headers.get("if-none-match"),
        )
    body: bytes | str = ""
    if isinstance(reply.body, BaseModel):
        headers["Content-Type"] = "application/json"
        body = reply.body.model_dump_json()
    elif reply.body is not None:
        body = reply.body
    status = reply.status or (spec.status if reply.body is not None else HTTPStatus.NO_CONTENT)
    return Response(body, headers={**headers, **reply.headers}, status_code=int(status))
