"""What categories may be inside of what."""

from __future__ import annotations

import random

import pytest

from catalog.model.category import (
    BELOW_MAX,
    DEPTH_MAX,
    NO_CATEGORIES,
    TREE_CATEGORIES_MAX,
    CategoryInUseError,
    CategoryNotFoundError,
    CategoryTree,
    InvalidCategoryError,
    Place,
)


def tree_of(**parents: str | None) -> CategoryTree:
    tree = NO_CATEGORIES
    for slug, parent in parents.items():
        tree = tree.with_place(Place(slug, slug.title(), parent))
    return tree


HOME = tree_of(home=None, kitchen="home", mugs="kitchen", cups="kitchen", garden=None)


def test_a_category_holds_what_is_in_the_categories_inside_of_it():
    assert set(HOME.with_those_below("home")) == {"home", "kitchen", "mugs", "cups"}
    assert HOME.with_those_below("mugs") == ("mugs",)
    assert HOME.with_those_below("nobody-described-it") == ("nobody-described-it",)


def test_a_category_is_moved_with_all_that_is_in_it():
    moved = HOME.with_place(Place("kitchen", "Kitchen", "garden"))

    assert set(moved.with_those_below("garden")) == {"garden", "kitchen", "mugs", "cups"}
    assert moved.with_those_below("home") == ("home",)
    assert moved.version == HOME.version + 1


@pytest.mark.parametrize("parent", ["home", "kitchen", "mugs", "nobody-described-it"])
def test_a_category_is_not_put_into_itself_or_into_what_is_not_there(parent):
    with pytest.raises(InvalidCategoryError):
        HOME.with_place(Place("home", "Home", parent))


@pytest.mark.parametrize(
    ("slug", "title"),
    [("Not A Slug", "x"), ("x" * 101, "x"), ("x", ""), ("x", " x"), ("x", "x" * 101), ("x", "\a")],
)
def test_a_category_that_cannot_be_called_so_cannot_be_made(slug, title):
    with pytest.raises(InvalidCategoryError):
        Place(slug, title, None)


def test_a_category_is_put_into_no_other_before_somebody_has_described_that():
    with pytest.raises(InvalidCategoryError, match=r"parent: nobody has .* yet; PUT it first"):
        NO_CATEGORIES.with_place(Place("mugs", "Mugs", "kitchen"))


def test_categories_are_so_deep_and_no_deeper():
    deepest = tree_of(**{f"c{n}": f"c{n - 1}" if n else None for n in range(DEPTH_MAX)})

    with pytest.raises(InvalidCategoryError, match="deep"):
        deepest.with_place(Place("deeper", "Deeper", f"c{DEPTH_MAX - 1}"))
    with pytest.raises(InvalidCategoryError, match="deep"):
        deepest.with_place(Place("top", "Top", None)).with_place(Place("c0", "C0", "top"))


def test_so_many_categories_are_in_one_and_no_more():
    full = tree_of(top=None, **{f"c{n}": "top" for n in range(BELOW_MAX)})

    with pytest.raises(InvalidCategoryError, match=f"at most {BELOW_MAX}"):
        full.with_place(Place("more", "More", "c0"))


def test_there_are_so_many_categories_and_no_more():
    full = tree_of(**{f"c{n}": None for n in range(TREE_CATEGORIES_MAX)})

    with pytest.raises(InvalidCategoryError, match=f"at most {TREE_CATEGORIES_MAX}"):
        full.with_place(Place("more", "More", None))


def test_a_category_with_others_in_it_is_not_taken_out():
    with pytest.raises(CategoryInUseError):
        HOME.without("kitchen")
    with pytest.raises(CategoryNotFoundError, match=r"^nobody has described this category yet$"):
        HOME.without("nobody-described-it")

    assert "mugs" not in HOME.without("mugs").places


def test_whatever_is_described_and_moved_nothing_goes_in_a_circle():
    chance = random.Random(5)
    slugs = [f"c{n}" for n in range(12)]
    tree = NO_CATEGORIES
    for _ in range(400):
        try:
            tree = tree.with_place(
                Place(chance.choice(slugs), "Title", chance.choice([None, *slugs]))
            )
        except InvalidCategoryError:
            continue

        tops = [slug for slug, place in tree.places.items() if place.parent is None]
        reached = [slug for top in tops for slug in tree.with_those_below(top)]
        assert sorted(reached) == sorted(tree.places)
        assert all(len(tree.above(slug)) < DEPTH_MAX for slug in tree.places)
