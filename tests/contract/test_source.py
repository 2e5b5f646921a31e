"""What application code must not do, found in its syntax tree."""

from __future__ import annotations

import ast

import pytest

from tests.contract.project import LAYER, application_modules, context_modules, parsed, place

# Time and chance come from the kernel, so that a simulation can stand behind them.
KERNEL = {LAYER / "kernel" / "clock.py", LAYER / "kernel" / "randomness.py"}
# Clients come from one place, so that a test can stand behind them.
CLIENTS = {LAYER / "platform" / "aws.py"}

FORBIDDEN_CALLS = {
    "datetime.now": KERNEL,
    "datetime.utcnow": KERNEL,
    "datetime.today": KERNEL,
    "date.today": KERNEL,
    "datetime.datetime.now": KERNEL,
    "datetime.date.today": KERNEL,
    "time.time": KERNEL,
    "time.time_ns": KERNEL,
    "os.urandom": KERNEL,
    "boto3.client": CLIENTS,
    "boto3.resource": CLIENTS,
    "boto3.Session": CLIENTS,
}
FORBIDDEN_IMPORTS = {"random": KERNEL, "secrets": KERNEL, "uuid": KERNEL, "boto3": CLIENTS}

WRITES = {"put_item", "update_item", "delete_item"}
TRANSACTION_WRITES = {"Put", "Update", "Delete"}
CONDITION = "ConditionExpression"
# On the line of a write that needs no condition, followed by the reason.
EXCUSE = "# unconditional:"


def dotted(node):
    """Write `a.b.c` for the attribute chain it is, an empty text for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def calls(path):
    return [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]


def imported(path):
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node


@pytest.mark.parametrize("forbidden", FORBIDDEN_CALLS)
def test_time_chance_and_clients_are_asked_of_their_one_place(forbidden):
    found = [
        place(path, call)
        for path in application_modules()
        if path not in FORBIDDEN_CALLS[forbidden]
        for call in calls(path)
        if dotted(call.func) == forbidden
    ]

    assert found == []


@pytest.mark.parametrize("forbidden", FORBIDDEN_IMPORTS)
def test_modules_of_chance_and_clients_are_imported_in_their_one_place(forbidden):
    found = [
        place(path, node)
        for path in application_modules()
        if path not in FORBIDDEN_IMPORTS[forbidden]
        for name, node in imported(path)
        if name.partition(".")[0] == forbidden
    ]

    assert found == []


def test_no_function_reads_a_whole_table():
    found = [
        place(path, node)
        for path in context_modules()
        for node in ast.walk(parsed(path))
        if (isinstance(node, ast.Attribute) and node.attr == "scan")
        or (isinstance(node, ast.Constant) and node.value in ("scan", "Scan"))
    ]

    assert found == []


def test_no_module_that_knows_money_knows_floating_point():
    found = [
        place(path, node)
        for path in application_modules()
        if knows_money(path)
        for node in ast.walk(parsed(path))
        if (isinstance(node, ast.Name) and node.id == "float")
        or (isinstance(node, ast.Constant) and isinstance(node.value, float))
    ]

    assert found == []


def knows_money(path):
    # A simulator stands in for somebody else's machine; its only fractions are seconds.
    return path.name != "simulator.py" and (
        path.name == "money.py"
        or any(name == "tradepost.kernel.money" for name, _ in imported(path))
    )


def test_every_write_names_the_past_it_depends_on():
    found = [
        place(path, node)
        for path in context_modules()
        for node in unconditional_writes(parsed(path))
        if not excused(path, node)
    ]

    assert found == [], f"add a {CONDITION}, or say why none is needed: {EXCUSE} ..."


def unconditional_writes(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            # A call with ** takes its request from a dictionary, which is looked at below.
            names = [keyword.arg for keyword in node.keywords]
            if node.func.attr in WRITES and CONDITION not in names and None not in names:
                yield node
        elif isinstance(node, ast.Dict):
            for key, request in zip(node.keys, node.values, strict=True):
                names_a_write = isinstance(key, ast.Constant) and key.value in TRANSACTION_WRITES
                if names_a_write and isinstance(request, ast.Dict) and not has_condition(request):
                    yield key


def has_condition(request):
    # A key of None is a `**other`, whose content is not seen here.
    return any(
        key is None or (isinstance(key, ast.Constant) and key.value == CONDITION)
        for key in request.keys
    )


def excused(path, node):
    lines = path.read_text().splitlines()
    return any(EXCUSE in line for line in lines[max(0, node.lineno - 2) : node.lineno])


@pytest.mark.parametrize(
    "source",
    [
        "client.put_item(TableName=t, Item=i)",
        "client.update_item(TableName=t, Key=k)",
        "[{'Put': {'TableName': t, 'Item': i}}]",
        "[{'Delete': {'TableName': t, 'Key': k}}]",
    ],
)
def test_a_write_without_a_condition_is_seen(source):
    assert list(unconditional_writes(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "client.put_item(TableName=t, Item=i, ConditionExpression=c)",
        "[{'Update': {'TableName': t, 'ConditionExpression': c}}]",
    ],
)
def test_a_write_with_a_condition_is_left_alone(source):
    assert not list(unconditional_writes(ast.parse(source)))
