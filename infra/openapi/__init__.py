"""The API described as OpenAPI 3.1 from the routes themselves, and a page to try it."""

from infra.openapi.document import generate
from infra.openapi.page import page
from infra.openapi.routes import documentation

__all__ = ["documentation", "generate", "page"]
