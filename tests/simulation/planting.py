"""Bugs planted in the running application, to see that the proof would find them.

A bug replaces a piece of a module's or a machine's text. The module is compiled anew, and each
function whose code differs is given the new one in place, so that whoever holds the function, or an
object with it, has the bug; afterwards each gets its own back.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from tests.simulation.aws.machines import Machine
from tests.simulation.world.world import ROOT, STAGE, World

MACHINES = ROOT / "infra" / "state_machines"


@dataclass(frozen=True, slots=True)
class Bug:
    """A mistake that somebody could make.

    `where` is a module, or a file of infra/state_machines; `right` stands there exactly once.
    `found_by` is the flow or the meeting that is explored until it is found.
    """

    name: str
    where: str
    right: str
    wrong: str
    found_by: str


class NothingToReplaceError(Exception):
    """The text that a bug replaces has changed: plant it anew."""


@contextmanager
def planted(bug: Bug, world: World) -> Iterator[None]:
    """Let the application have a bug for a while."""
    if bug.where.endswith(".json"):
        with _in_machine(bug, world):
            yield
    else:
        with _in_module(bug):
            yield


def _replaced(text: str, bug: Bug) -> str:
    if text.count(bug.right) != 1:
        raise NothingToReplaceError(f"{bug.name}: {text.count(bug.right)} times in {bug.where}")
    return text.replace(bug.right, bug.wrong)


@contextmanager
def _in_machine(bug: Bug, world: World) -> Iterator[None]:
    right = (MACHINES / bug.where).read_text()
    wrong = _replaced(right, bug)
    machines = world.account.step_functions.machines
    (arn,) = (arn for arn in machines if arn.endswith(f"-{bug.where.partition('.')[0]}"))
    machine = machines[arn]
    prefix = f"arn:aws:lambda:eu-west-1:123456789012:function:tradepost-{STAGE}"
    text = wrong.replace("${FunctionPrefix}", prefix)
    machines[arn] = Machine.read(arn, text, is_standard=machine.is_standard)
    try:
        yield
    finally:
        machines[arn] = machine


@contextmanager
def _in_module(bug: Bug) -> Iterator[None]:
    module = importlib.import_module(bug.where)
    assert module.__file__ is not None
    wrong = _replaced(Path(module.__file__).read_text(), bug)
    fresh = ModuleType(module.__name__)
    fresh.__dict__.update(__file__=module.__file__, __package__=module.__package__)
    exec(compile(wrong, module.__file__, "exec"), fresh.__dict__)
    undo: list[tuple[Any, str, Any]] = []
    for holder, name, mine, its in _differing(module, fresh, module.__name__):
        target, attribute, old, new = (
            (mine, "__code__", mine.__code__, its.__code__)
            if isinstance(mine, FunctionType)
            else (holder, name, mine, its)
        )
        undo.append((target, attribute, old))
        setattr(target, attribute, new)
    assert undo, bug.name
    try:
        yield
    finally:
        for target, attribute, old in undo:
            setattr(target, attribute, old)


def _differing(mine: Any, its: Any, module: str) -> Iterator[tuple[Any, str, Any, Any]]:
    """Find the functions with another code, and the texts and tables that differ."""
    for name, new in list(vars(its).items()):
        old = vars(mine).get(name)
        if isinstance(old, property) and isinstance(new, property):
            old, new = old.fget, new.fget
        old, new = inspect.unwrap(old) if callable(old) else old, _unwrapped(new)
        if isinstance(old, FunctionType) and isinstance(new, FunctionType):
            if old.__module__ == module and _code(old.__code__) != _code(new.__code__):
                yield mine, name, old, new
        elif isinstance(old, type) and isinstance(new, type):
            if old.__module__ == module:
                yield from _differing(old, new, module)
        elif _is_constant(name, old, new) and repr(old) != repr(new):
            yield mine, name, old, new


def _is_constant(name: str, old: Any, new: Any) -> bool:
    return isinstance(old, str | dict) and type(old) is type(new) and not name.startswith("__")


def _unwrapped(value: Any) -> Any:
    return inspect.unwrap(value) if callable(value) else value


def _code(code: CodeType) -> Any:
    """What a code does, wherever its lines stand."""
    constants = [_code(one) if isinstance(one, CodeType) else one for one in code.co_consts]
    return code.co_code, code.co_names, repr(constants)
