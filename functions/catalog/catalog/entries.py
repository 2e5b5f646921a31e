"""What the index holds of one product: the words it is found by, and what orders it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from catalog.model.product import Product
from catalog.ports import ProductQuery, Sort, Summary
from catalog.words import Wanted, first_words, fold, words_of
from tradepost.kernel.clock import to_text

# With CATEGORIES_MAX this is what one transaction can exchange: catalog.indexing asserts it.
WORDS_MAX = 36

# A DynamoDB sort key takes 1,024 bytes, and a letter up to four.
_KEY_LENGTH = 100

# A hit in the title counts for more than one elsewhere, a whole word for more than another form
# of it, and that for more than a beginning.
_TITLE_WORD, _TITLE_FORM, _TITLE_BEGINNING = 8, 7, 5
_OTHER_WORD, _OTHER_FORM, _OTHER_BEGINNING = 3, 2, 1

# A description explains: its short words are mostly grammar.
_DESCRIPTION_WORD_LENGTH_MIN = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """A product as a search sees it: enough to choose and order it without reading it."""

    handle: str
    amount_minor: int  # the lowest price
    currency: str
    categories: tuple[str, ...]
    title_key: str
    on_sale_since: str
    title_words: tuple[str, ...]
    other_words: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        return (*self.title_words, *self.other_words)

    def passes(self, query: ProductQuery) -> bool:
        """Tell whether the filters let it through; the words are `relevance`'s business."""
        if query.categories and not set(query.categories) & set(self.categories):
            return False
        if query.currency is not None and query.currency != self.currency:
            return False
        if query.amount_min is not None and self.amount_minor < query.amount_min:
            return False
        return query.amount_max is None or self.amount_minor <= query.amount_max

    def relevance(self, wanted: Sequence[Wanted]) -> int:
        """Weigh how well it answers the words; 0 if one of them is none of its own."""
        weights = [
            _weight(each, self.title_words, (_TITLE_WORD, _TITLE_FORM, _TITLE_BEGINNING))
            or _weight(each, self.other_words, (_OTHER_WORD, _OTHER_FORM, _OTHER_BEGINNING))
            for each in wanted
        ]
        return sum(weights) if all(weights) else 0


def _weight(wanted: Wanted, words: Sequence[str], weights: tuple[int, int, int]) -> int:
    """Weigh a word, a form or a beginning of one among these; 0 if there is none."""
    as_word, as_form, as_beginning = weights
    if wanted.word in words:
        return as_word
    if any(wanted.is_form_of(word) for word in words):
        return as_form
    return as_beginning if any(wanted.begins(word) for word in words) else 0


@dataclass(frozen=True, slots=True, order=True)
class Rank:
    """The place of a hit in the order asked for. `handle` makes every place different."""

    number: int  # of relevance, price or time; negative where more comes first
    text: str
    handle: str


def rank(entry: Entry, query: ProductQuery, wanted: Sequence[Wanted]) -> Rank:
    """Tell where a hit stands. It depends on the hit alone, so that pages fit together."""
    match query.sort:
        case Sort.PRICE:
            return Rank(entry.amount_minor, "", entry.handle)
        case Sort.PRICE_DESCENDING:
            return Rank(-entry.amount_minor, "", entry.handle)
        case Sort.TITLE:
            return Rank(0, entry.title_key, entry.handle)
        case Sort.NEWEST:
            return Rank(-_digits(entry.on_sale_since), "", entry.handle)
        case Sort.RELEVANCE:
            return Rank(-entry.relevance(wanted), entry.title_key, entry.handle)


def _digits(moment: str) -> int:
    return int("".join(character for character in moment if character.isdigit()))


def sort_keys(entry: Entry) -> dict[str, str]:
    """Make what the listings are sorted by: texts that sort as prices, titles and moments do."""
    tie_breaker = entry.handle[:_KEY_LENGTH]
    return {
        "by_price": f"{amount_key(entry.amount_minor)}#{tie_breaker}",
        "by_title": f"{entry.title_key}#{tie_breaker}",
        "by_newest": f"{entry.on_sale_since}#{tie_breaker}",
    }


def amount_key(amount_minor: int) -> str:
    """Write an amount with as many digits as the largest has."""
    return f"{amount_minor:016d}"


def _title_key(title: str) -> str:
    return " ".join(fold(title).split())[:_KEY_LENGTH]


def entry_of(product: Product) -> Entry:
    """Make the entry of a product on sale."""
    content = product.content
    assert product.on_sale_since is not None
    in_title = first_words([content.title], WORDS_MAX)
    found = first_words(
        [
            content.title,
            " ".join(content.skus[:1]),
            content.vendor,
            " ".join(content.categories),
            " ".join(content.tags),
            " ".join(content.attributes.values()),
            " ".join(value for variant in content.variants for value in variant.option_values),
            " ".join(content.skus[1:]),
            " ".join(
                word
                for word in words_of(content.description)
                if len(word) >= _DESCRIPTION_WORD_LENGTH_MIN
            ),
        ],
        WORDS_MAX,
    )
    return Entry(
        handle=content.handle,
        amount_minor=content.price_from.amount_minor,
        currency=content.price_from.currency,
        categories=content.categories,
        title_key=_title_key(content.title),
        on_sale_since=to_text(product.on_sale_since),
        title_words=tuple(in_title),
        other_words=tuple(found[len(in_title) :]),
    )


def summary_of(product: Product) -> Summary:
    """Make what a listing shows of a product."""
    content = product.content
    return Summary(
        product_id=product.product_id,
        handle=content.handle,
        title=content.title,
        vendor=content.vendor,
        categories=content.categories,
        image=content.images[0] if content.images else None,
        price_from=content.price_from,
        price_to=content.price_to,
        variant_count=len(content.variants),
    )
