"""Mermaid diagrams, drawn from transition tables and state machines."""

from __future__ import annotations

_SHAPES = {"Task": "[{}]", "Choice": "{{{}}}", "Succeed": "([{}])", "Fail": "[[{}]]"}


def state_diagram(successors, *, begins, tombstones=()):
    """Draw a transition table; `tombstones` are states that a thing may also begin in."""
    lines = ["stateDiagram-v2", *(f"    [*] --> {state}" for state in (begins, *tombstones))]
    for state, followers in successors.items():
        # The table's own order of states, because a set has none.
        lines += [f"    {state} --> {after}" for after in successors if after in followers]
        if not followers:
            lines.append(f"    {state} --> [*]")
    return "\n".join(lines) + "\n"


def flowchart(machine):
    """Draw a state machine: what follows a state as an arrow, what follows an error dotted."""
    lines = ["flowchart TD", f"    Start([start]) --> {machine['StartAt']}"]
    for name, state in machine["States"].items():
        lines.append(f"    {name}{_SHAPES[state['Type']].format(name)}")
        lines += [
            f"    {name} -->|{compared_with(rule)}| {rule['Next']}"
            for rule in state.get("Choices", ())
        ]
        if "Default" in state:
            lines.append(f"    {name} -->|otherwise| {state['Default']}")
        if "Next" in state:
            lines.append(f"    {name} --> {state['Next']}")
        for rule in state.get("Catch", ()):
            errors = ", ".join(rule["ErrorEquals"]).replace("States.ALL", "any error")
            lines.append(f"    {name} -.->|{errors}| {rule['Next']}")
    return "\n".join(lines) + "\n"


def compared_with(rule):
    """Read what a choice compares with, whatever its type."""
    (value,) = (value for name, value in rule.items() if name.endswith("Equals"))
    return value
