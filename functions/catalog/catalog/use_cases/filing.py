"""How a merchant describes categories, and what customers see of them."""

from __future__ import annotations

from catalog.model.category import (
    CategoriesChangedError,
    CategoryInUseError,
    CategoryTree,
    Place,
    derived_title,
)
from catalog.ports import Category, CategoryRepository, SearchIndex
from tradepost.kernel.errors import StaleError

# Merchants describing categories at once; each attempt lets at least one of them through.
_ATTEMPTS_MAX = 5


def put_category(
    place: Place, *, version: int | None, categories: CategoryRepository
) -> CategoryTree:
    """Describe a category, rename it or move it with all that is in it. Safe to repeat.

    Products are not touched: what they name is the slug, which stays.

    Raises
    ------
    CategoriesChangedError
        The categories are not at `version`.
    InvalidCategoryError
        It cannot be there.
    StaleError
        Others kept changing them.
    """
    for _ in range(_ATTEMPTS_MAX):
        tree = categories.tree()
        if tree.places.get(place.slug) == place:
            return tree
        _require_version(tree, version)
        changed = tree.with_place(place)
        try:
            categories.save(changed)
        except StaleError:
            continue
        return changed
    raise StaleError("others keep changing the categories")


def delete_category(
    slug: str, *, version: int | None, categories: CategoryRepository, index: SearchIndex
) -> None:
    """Forget the description of a category that holds nothing.

    A product that is put into it at this very moment is in it: the category is then one that
    nobody described, which is nothing bad.

    Raises
    ------
    CategoryNotFoundError
        Nobody described it.
    CategoryInUseError
        Products, on sale or not, or other categories are in it.
    CategoriesChangedError
        The categories are not at `version`.
    StaleError
        Others kept changing them.
    """
    for _ in range(_ATTEMPTS_MAX):
        tree = categories.tree()
        changed = tree.without(slug)
        _require_version(tree, version)
        if index.is_category_used(slug):
            raise CategoryInUseError(slug, "products")
        try:
            categories.save(changed)
        except StaleError:
            continue
        return
    raise StaleError("others keep changing the categories")


def list_categories(*, categories: CategoryRepository, index: SearchIndex) -> list[Category]:
    """List what a customer can go into: each category with a product on sale in it or below it.

    In the order of their slugs; what a category counts is what is in it itself.
    """
    tree = categories.tree()
    counts = dict(index.counts())
    shown = {slug for slug, count in counts.items() if count > 0}
    shown |= {above for slug in shown for above in tree.above(slug)}
    return [_category(tree, slug, counts.get(slug, 0)) for slug in sorted(shown)]


def list_all_categories(
    *, categories: CategoryRepository, index: SearchIndex
) -> tuple[list[Category], int]:
    """List all that were described or are used, and the version of the descriptions."""
    tree = categories.tree()
    counts = dict(index.counts())
    known = {*tree.places, *(slug for slug, count in counts.items() if count > 0)}
    return [_category(tree, slug, counts.get(slug, 0)) for slug in sorted(known)], tree.version


def _category(tree: CategoryTree, slug: str, count: int) -> Category:
    place = tree.places.get(slug)
    if place is None:
        return Category(slug, derived_title(slug), None, count)
    return Category(slug, place.title, place.parent, count)


def _require_version(tree: CategoryTree, version: int | None) -> None:
    if version is not None and version != tree.version:
        raise CategoriesChangedError(tree.version)
