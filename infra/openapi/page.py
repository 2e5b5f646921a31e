"""A page to try the API: Swagger UI, with the document inside and nothing fetched from afar."""

from __future__ import annotations

import html
import json
from importlib.resources import files
from string import Template
from typing import Any

# Powertools ships Swagger UI 5.31 for its own resolvers; no other package here has it.
_ASSETS = "aws_lambda_powertools.event_handler.openapi.swagger_ui"

_PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<link rel="icon" href="data:,">
<style>$css</style>
<style>body { margin: 0; } .swagger-ui .info { margin: 24px 0; }</style>
</head>
<body>
<div id="api"></div>
<script>$script</script>
<script>
window.ui = SwaggerUIBundle({
  dom_id: "#api",
  spec: $spec,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: true,
  // The default would show the document to a validator on another host.
  validatorUrl: null,
});
</script>
</body>
</html>
"""
)


def page(spec: dict[str, Any]) -> str:
    """Make the page that shows an OpenAPI document and sends requests to the host it came from."""
    return _PAGE.substitute(
        title=html.escape(spec["info"]["title"]),
        css=_asset("swagger-ui.min.css"),
        script=_asset("swagger-ui-bundle.min.js"),
        spec=_for_script(spec),
    )


def _asset(name: str) -> str:
    return files(_ASSETS).joinpath(name).read_text(encoding="utf-8")


def _for_script(spec: dict[str, Any]) -> str:
    """Write JSON that cannot end the script element it stands in."""
    return json.dumps(spec).replace("<", "\\u003c")
