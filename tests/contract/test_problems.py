"""docs/problems.md lists every code, with its status, where a client meets it."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re

import pytest

from infra.gateway_responses import RESPONSES
from infra.openapi import generate
from orders.model import reason as reasons_of_orders
from tests.contract.documents import code, rows, sections
from tests.contract.project import CONTEXTS, ROOT, app_of, context_modules, parsed
from tradepost.kernel.errors import DomainError, UnavailableError
from tradepost.platform.http import status_of

BORDER = "Every route"
GATEWAY = "API Gateway"
REASONS = "Reasons of a failed checkout"
INSIDE = "Codes no client meets"

# What every problem document has; a fact of that name would be lost.
MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}

# The border gives these itself: to a fault, and in the place of a refusal of Chalice's.
WITHOUT_A_CLASS = {("internal_error", 500), ("unsupported_media_type", 415)}


def told(section):
    return {(code(row[0]), int(row[1])) for row in rows(sections("problems.md")[section])}


def error_classes():
    """Every refusal of the contexts and of the layer, by the context it belongs to."""
    for name in (*CONTEXTS, "tradepost"):
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            importlib.import_module(module.name)
    waiting, found = [DomainError, UnavailableError], {}
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        owner = error.__module__.partition(".")[0]
        if owner in (*CONTEXTS, "tradepost"):
            found.setdefault(owner, set()).add(error)
    return found


def with_status(errors):
    return {(error.code, status_of(error.__new__(error)).value) for error in errors}


def declared(context):
    """The refusals that a context's routes declare and that are its own."""
    return {
        refusal
        for spec in app_of(context).specs
        for refusal in spec.refusals
        if refusal.__module__.partition(".")[0] == context
    }


def test_every_problem_document_a_class_makes_is_listed_and_no_other():
    of_classes = {pair for errors in error_classes().values() for pair in with_status(errors)}
    listed = {pair for section in (BORDER, INSIDE, *outward()) for pair in told(section)}

    assert listed == of_classes | WITHOUT_A_CLASS


def outward():
    return [context for context in CONTEXTS if context in sections("problems.md")]


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_client_meets_what_the_routes_of_a_context_declare(context):
    listed = told(context) if context in outward() else set()

    assert listed == with_status(declared(context))


def test_what_no_client_meets_is_declared_by_no_route():
    told_outside = {
        pair
        for context in outward()
        for pair in told(context)
        if pair[0] not in {error.code for error in error_classes()["tradepost"]}
    }

    assert told(INSIDE) & told_outside == set()


def test_every_answer_of_api_gateway_is_listed_and_no_other():
    answers = {(response.code, response.status.value) for response in RESPONSES.values()}

    assert told(GATEWAY) == answers


def test_every_problem_that_the_description_tells_of_is_listed():
    document = generate([app_of(context) for context in CONTEXTS])
    described = {
        (name, int(status))
        for path in document["paths"].values()
        for operation in path.values()
        for status, answer in operation["responses"].items()
        for name in re.findall(r"^- `(\w+)`", answer["description"], re.MULTILINE)
    }
    listed = {pair for section in (BORDER, GATEWAY, *outward()) for pair in told(section)}

    assert described - listed == set()


def test_the_reasons_of_a_failed_checkout_are_those_that_orders_gives():
    given = {
        *reasons_of_orders._REASONS.values(),
        reasons_of_orders._REASON_OF_A_FAULT,
        *reasons_of_orders.Cancelled,
    }

    listed = [code(row[0]) for row in rows(sections("problems.md")[REASONS])]

    assert set(listed) == given
    assert len(listed) == len(given)


def test_the_reasons_of_a_refused_edit_are_those_that_orders_gives():
    of_steps = {"out_of_stock", "payment_declined", "insufficient_funds", "capture_refused"}
    given = {
        *of_steps,
        *reasons_of_orders._REASONS_OF_EDITS.values(),
        reasons_of_orders._FAULT_OF_AN_EDIT,
        reasons_of_orders.PARCEL_PACKED,
        *(set(reasons_of_orders.Cancelled) - {reasons_of_orders.Cancelled.TOO_LATE}),
    }

    listed = [code(row[0]) for row in rows(sections("problems.md")["Reasons of a refused edit"])]

    assert of_steps < set(reasons_of_orders._REASONS.values())
    assert set(listed) == given
    assert len(listed) == len(given)


@pytest.mark.parametrize("path", context_modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_fact_of_a_refusal_is_named_as_what_every_problem_says(path):
    facts = [
        (error.name, target.attr)
        for error in ast.walk(parsed(path))
        if isinstance(error, ast.ClassDef) and error.name.endswith("Error")
        for assignment in ast.walk(error)
        if isinstance(assignment, ast.Assign)
        for target in assignment.targets
        if isinstance(target, ast.Attribute)
    ]

    assert [(name, fact) for name, fact in facts if fact in MEMBERS] == []


def test_a_reason_is_the_code_of_the_refusal_behind_it():
    codes = {error.__name__: error.code for errors in error_classes().values() for error in errors}

    assert {name: codes[name] for name in reasons_of_orders._REASONS} == reasons_of_orders._REASONS
