"""What the infrastructure templates hand to the functions: outputs, by name and by variable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from infra.cloudformation import Template, environment_name, load_template
from infra.package.layout import PackagingError


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """The templates of `infra/templates`, and which of them gives which output."""

    templates: dict[str, Template]
    given_by: dict[str, str]

    def variables(self) -> dict[str, str]:
        """Map each environment variable to the output it carries."""
        return {environment_name(output): output for output in sorted(self.given_by)}

    def output_like(self, name: str, *suffixes: str) -> str | None:
        """Find the output that is `name` plus a suffix, spelled in any case and with any dashes."""
        wanted = {_letters(name + suffix) for suffix in suffixes}
        for output in sorted(self.given_by):
            if _letters(output) in wanted:
                return output
        return None


def read_infrastructure(folder: Path) -> Infrastructure:
    """Read every template of `folder`.

    Raises
    ------
    PackagingError
        Two templates give an output of the same name.
    """
    templates = {path.stem: load_template(path) for path in sorted(folder.glob("*.yaml"))}
    given_by: dict[str, str] = {}
    for name, template in templates.items():
        for output in template.get("Outputs") or {}:
            if output in given_by:
                raise PackagingError(f"{given_by[output]} and {name} both have output {output}")
            given_by[output] = name
    return Infrastructure(templates, given_by)


def _letters(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())
