"""CloudFormation templates as this project writes them, read into plain values.

A template may name a file where AWS wants text: `DefinitionString: file://../x.asl.json` stands
for that file's text, relative to the template.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import yaml

FILE_REFERENCE = "file://"

Template = dict[str, Any]


# libyaml's is eight times as fast, and is in PyYAML's wheels.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class TemplateLoader(_Loader):  # type: ignore[misc, valid-type]
    """YAML with CloudFormation's short forms: `!Ref X` is `{"Ref": "X"}`."""


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if name == "Fn::GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(cast(yaml.MappingNode, node), deep=True)
    return {name: value}


TemplateLoader.add_multi_constructor("!", _intrinsic)


def _text(loader: yaml.SafeLoader, node: yaml.Node) -> str:
    return str(loader.construct_scalar(cast(yaml.ScalarNode, node)))


# A template's version is a text, not a date.
TemplateLoader.add_constructor("tag:yaml.org,2002:timestamp", _text)


def load_template(path: Path) -> Template:
    """Read a template with its short forms written out and its files put in."""
    # A subclass of yaml.SafeLoader: it builds plain values only.
    template = yaml.load(path.read_text(), Loader=TemplateLoader)  # noqa: S506
    return cast(Template, _with_files(template, path.parent))


def _with_files(value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return {key: _with_files(member, folder) for key, member in value.items()}
    if isinstance(value, list):
        return [_with_files(member, folder) for member in value]
    if isinstance(value, str) and value.startswith(FILE_REFERENCE):
        return (folder / value.removeprefix(FILE_REFERENCE)).read_text()
    return value


def environment_name(output: str) -> str:
    """Tell the environment variable of an output: `OrdersTableArn` is `ORDERS_TABLE_ARN`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", output).upper()
