"""The categories of a shop: what each is called, and which is inside which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from catalog.model.texts import wrong_slug, wrong_text
from tradepost.kernel.errors import ConflictError, InvalidError, NotFoundError

TITLE_LENGTH_MAX = 100
SLUG_LENGTH_MAX = 100
# What products name is a category, too, so nobody is told that there is none.
_NOT_DESCRIBED = "nobody has described this category yet"
# With the lengths above all of them fit into one DynamoDB item of 400 KB.
TREE_CATEGORIES_MAX = 500
# A category at the top is one deep.
DEPTH_MAX = 5
# A category is browsed by reading one listing for it and one for each below it.
BELOW_MAX = 60


class InvalidCategoryError(InvalidError):
    """It cannot be called so, or cannot be there. `field` is what is wrong."""

    code = "invalid_category"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class CategoryNotFoundError(NotFoundError):
    """Nobody described such a category."""

    code = "category_not_found"

    def __init__(self, slug: str) -> None:
        super().__init__(_NOT_DESCRIBED)
        self.slug = slug


class CategoryInUseError(ConflictError):
    """Products or other categories are in it. Nothing was deleted."""

    code = "category_in_use"

    def __init__(self, slug: str, holds: str) -> None:
        super().__init__(f"{holds} are in it")
        self.slug = slug
        self.holds = holds


class CategoriesChangedError(ConflictError):
    """The categories changed since the caller saw the version it names."""

    code = "version_mismatch"

    def __init__(self, version: int) -> None:
        super().__init__(f"the categories are at version {version}")
        self.version = version


@dataclass(frozen=True, slots=True)
class Place:
    """A category as a merchant described it: its title, and the category it is in."""

    slug: str
    title: str
    parent: str | None

    def __post_init__(self) -> None:
        for field, problem in (
            ("slug", wrong_slug(self.slug) or wrong_text(self.slug, SLUG_LENGTH_MAX)),
            ("title", wrong_text(self.title, TITLE_LENGTH_MAX, required=True)),
        ):
            if problem is not None:
                raise InvalidCategoryError(field, problem)


@dataclass(frozen=True, slots=True)
class CategoryTree:
    """All categories that were described. `version` counts the writes they have survived.

    A product may name one that nobody described: it is at the top, and called as its slug reads.
    """

    places: Mapping[str, Place]
    version: int

    def with_place(self, place: Place) -> CategoryTree:
        """Describe a category, or another title or parent for it.

        Raises
        ------
        InvalidCategoryError
            The parent was not described or is inside of it, or there would be too many or too deep.
        """
        if place.parent is not None and place.parent not in self.places:
            raise InvalidCategoryError("parent", f"{_NOT_DESCRIBED}; PUT it first")
        if place.parent is not None and place.parent in self.with_those_below(place.slug):
            raise InvalidCategoryError("parent", "it is this category, or inside of it")
        changed = CategoryTree({**self.places, place.slug: place}, self.version + 1)
        if len(changed.places) > TREE_CATEGORIES_MAX:
            raise InvalidCategoryError("slug", f"at most {TREE_CATEGORIES_MAX} categories")
        top = (place.slug, *changed.above(place.slug))[-1]
        inside = changed.with_those_below(top)
        if len(inside) - 1 > BELOW_MAX:
            raise InvalidCategoryError("parent", f"at most {BELOW_MAX} categories in one")
        if any(len(changed.above(slug)) >= DEPTH_MAX for slug in inside):
            raise InvalidCategoryError("parent", f"at most {DEPTH_MAX} categories deep")
        return changed

    def without(self, slug: str) -> CategoryTree:
        """Take out a category.

        Raises
        ------
        CategoryNotFoundError
            Nobody described it.
        CategoryInUseError
            Others are in it.
        """
        if slug not in self.places:
            raise CategoryNotFoundError(slug)
        if len(self.with_those_below(slug)) > 1:
            raise CategoryInUseError(slug, "categories")
        left = {name: place for name, place in self.places.items() if name != slug}
        return CategoryTree(left, self.version + 1)

    def above(self, slug: str) -> tuple[str, ...]:
        """Name the categories it is in, the nearest first."""
        found: list[str] = []
        place = self.places.get(slug)
        while place is not None and place.parent is not None:
            found.append(place.parent)
            place = self.places.get(place.parent)
        return tuple(found)

    def with_those_below(self, slug: str) -> tuple[str, ...]:
        """Name the category and all that are in it, however deep."""
        children: dict[str, list[str]] = {}
        for place in self.places.values():
            if place.parent is not None:
                children.setdefault(place.parent, []).append(place.slug)
        found = [slug]
        for each in found:
            found += children.get(each, [])
        return tuple(found)


NO_CATEGORIES = CategoryTree({}, version=0)


def derived_title(slug: str) -> str:
    """Name a category that nobody described."""
    return slug.replace("-", " ").capitalize()
