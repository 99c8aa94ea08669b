"""Names for what a network or a file gets that has none of its own."""

from __future__ import annotations


def free_name(wanted: str, taken: set[str]) -> str:
    """`wanted`, or that and a number: a name that was not taken and is from now on."""
    name, n = wanted, 1
    while name in taken:
        n += 1
        name = f"{wanted}_{n}"
    taken.add(name)
    return name
