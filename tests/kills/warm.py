"""Importing this trains a little, so that processes forked from here have loaded all that they need."""

from tests.kills.trial import CASES, fit

for case in CASES:
    fit(case, None, 1, lambda: None)
