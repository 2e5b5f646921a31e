"""
A made-up shop of any size as a Shopify product CSV, the same for the same seed.

    .venv/bin/python tests/bench/large_catalogue.py products.csv [--products 10000] [--seed 1]
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TextIO

import typer

HEADING = (
    "Handle", "Title", "Body (HTML)", "Vendor", "Type", "Tags", "Published", "Option1 Name",
    "Option1 Value", "Variant SKU", "Variant Grams", "Variant Inventory Qty", "Variant Price",
    "Variant Taxable", "Image Src", "Image Position", "Image Alt Text", "Status",
)  # fmt: skip

_MATERIALS = ("Ash", "Brass", "Clay", "Cotton", "Glass", "Linen", "Oak", "Steel", "Stone", "Wool")
_THINGS = (
    "Apron", "Basket", "Blanket", "Bowl", "Candle", "Chair", "Clock", "Cushion", "Dish", "Frame",
    "Jug", "Kettle", "Lamp", "Mirror", "Mug", "Pan", "Planter", "Rug", "Shelf", "Stool", "Table",
    "Towel", "Tray", "Vase",
)  # fmt: skip
_MOODS = (
    "Calm", "Coastal", "Everyday", "Folded", "Garden", "Harbour", "Heavy", "Little", "Morning",
    "Narrow", "Northern", "Plain", "Round", "Simple", "Striped", "Tall", "Winter",
)  # fmt: skip
_COLOURS = ("Blue", "Clay", "Green", "Ink", "Oat", "Rose", "Sand", "Slate")
_VENDORS = tuple(f"{name} & Co" for name in ("Fennel", "Halden", "Loom", "Marsh", "Paper", "Weir"))


def rows(products: int, seed: int) -> Iterator[list[list[str]]]:
    """Write the rows of each product: one a variant, then one a further picture."""
    chance = random.Random(seed)
    for number in range(products):
        thing, material = chance.choice(_THINGS), chance.choice(_MATERIALS)
        title = f"{chance.choice(_MOODS)} {material} {thing} {number}"
        handle = title.lower().replace(" ", "-")
        text = " ".join(chance.choices([*_MOODS, *_MATERIALS, *_COLOURS], k=30)).lower()
        colours = chance.sample(_COLOURS, chance.choice((1, 1, 2, 3, 4)))
        image = f"https://pictures.example/{handle}"
        about = [
            title, f"<p>{title}: {text}.</p>", chance.choice(_VENDORS), thing,
            ", ".join(chance.sample(_MOODS, 3)), chance.choice(("true",) * 19 + ("false",)),
        ]  # fmt: skip
        grams, price = str(chance.randrange(50, 5_000)), chance.randrange(200, 20_000)
        written = []
        for position, colour in enumerate(colours, start=1):
            sku = f"{material}-{thing}-{number}-{colour}".upper()
            option = ["Colour", colour] if len(colours) > 1 else ["Title", "Default Title"]
            written.append([
                handle, *(about if position == 1 else [""] * len(about)),
                *(option if position == 1 else ["", option[1]]),
                sku, grams, str(chance.randrange(0, 200)), f"{price / 100:.2f}", "true",
                f"{image}-{position}.jpg", str(position), f"{title} in {colour}", "active",
            ])  # fmt: skip
        yield written


def write(file: TextIO, products: list[list[list[str]]]) -> None:
    writer = csv.writer(file)
    writer.writerow(HEADING)
    for product in products:
        writer.writerows(product)


def main(
    output: Annotated[Path, typer.Argument(dir_okay=False)],
    products: Annotated[int, typer.Option(min=1)] = 10_000,
    seed: int = 1,
) -> None:
    """Write the file."""
    with output.open("w", encoding="utf-8", newline="") as file:
        write(file, list(rows(products, seed)))


if __name__ == "__main__":
    typer.run(main)
