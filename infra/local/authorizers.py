"""Authorizers enforced as API Gateway enforces them: token, policy, cache."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

from chalice.app import ChaliceAuthorizer

from infra.local.clock import Clock
from infra.local.functions import Functions

# API Gateway's default for a TOKEN authorizer.
TTL_SECONDS = 300
CACHED_MAX = 10_000


class RefusedError(Exception):
    """The request does not pass; `response` is the name of the gateway's answer."""

    def __init__(self, response: str) -> None:
        super().__init__(response)
        self.response = response


class Authorizers:
    """Asks the authorizer of a route, and remembers its answer by token."""

    def __init__(self, functions: Functions, clock: Clock) -> None:
        self._functions = functions
        self._clock = clock
        self._answers: dict[tuple[str, str, str], tuple[float, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Ask again about every token."""
        with self._lock:
            self._answers.clear()

    def authorize(
        self, app: str, route: Any, method_arn: str, headers: Mapping[str, str]
    ) -> dict[str, Any] | None:
        """Return what the event's `requestContext.authorizer` is, None if the route is open.

        Raises
        ------
        RefusedError
            No token, a token the authorizer does not accept or whose policy does not allow this
            method, or an authorizer that failed.
        """
        authorizer = route.authorizer
        if authorizer is None:
            return None
        if not isinstance(authorizer, ChaliceAuthorizer):
            raise RefusedError("AUTHORIZER_FAILURE")
        token = headers.get(authorizer.config.header.lower())
        if not token:
            raise RefusedError("UNAUTHORIZED")
        answer = self._answer(app, authorizer, token, method_arn)
        if not is_allowed(answer.get("policyDocument", {}), method_arn):
            raise RefusedError("ACCESS_DENIED")
        return {**(answer.get("context") or {}), "principalId": answer.get("principalId", "")}

    def _answer(self, app: str, authorizer: Any, token: str, method_arn: str) -> dict[str, Any]:
        key = (app, authorizer.config.name, token)
        now = self._clock.now()
        known = self._answers.get(key)
        if known is not None and known[0] > now:
            return known[1]
        event = {"type": "TOKEN", "authorizationToken": token, "methodArn": method_arn}
        name = self._functions.deployed_name(app, authorizer.config.name)
        function = self._functions.by_name[name]
        try:
            answer: dict[str, Any] = function.call(event, function.new_context())
        except Exception as error:
            # API Gateway knows this one message; any other failure is the authorizer's.
            refused = str(error) == "Unauthorized"
            raise RefusedError("UNAUTHORIZED" if refused else "AUTHORIZER_FAILURE") from error
        ttl = authorizer.config.ttl_seconds
        seconds = TTL_SECONDS if ttl is None else ttl
        if seconds:
            with self._lock:
                if len(self._answers) >= CACHED_MAX:
                    self._answers.clear()
                self._answers[key] = (now + seconds, answer)
        return answer


def is_allowed(policy: Mapping[str, Any], method_arn: str) -> bool:
    """Tell whether a policy lets `method_arn` be invoked: one Allow, and no Deny."""
    effects = {
        statement["Effect"]
        for statement in policy.get("Statement", ())
        if any(_matches(pattern, method_arn) for pattern in _listed(statement["Resource"]))
        and any(_matches(action, "execute-api:Invoke") for action in _listed(statement["Action"]))
    }
    return effects == {"Allow"}


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _matches(pattern: str, text: str) -> bool:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.IGNORECASE | re.DOTALL) is not None
