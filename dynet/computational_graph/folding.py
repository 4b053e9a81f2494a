"""Repeats in a list, folded, so that a loop reads as its first round and how many follow.

A loop that ran 784 times left 784 copies of the same few functions. Where rounds of alike items
follow each other, the first is kept and the others become one ``Fold``. What comes of it is folded
again until nothing repeats: so also loops within loops.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

# What hides fewer lines than this is not worth the reader's while.
WORTH = 10

# A round is looked for up to this length, where its first item comes again for up to so many times.
LONGEST_ROUND = 2000
TRIES = 24


class Fold(NamedTuple):
    """Rounds that are like the one before them.

    Attributes:
        first, last: the first and the last item that is folded.
        rounds: how many rounds they are.
        model: the first and the last item of the round that is not folded.
    """

    first: int
    last: int
    rounds: int
    model: tuple[int, int]


def fold(keys: Sequence[Hashable]) -> list[int | Fold]:
    """What is left of a list: the numbers of the items that stay, and folds.

    Args:
        keys: for each item a key; items with equal keys are alike.

    >>> fold("abc" + 7 * "xy" + "z")
    [0, 1, 2, 3, 4, Fold(first=5, last=16, rounds=6, model=(3, 4)), 17]
    """
    items, keys = list(range(len(keys))), list(keys)
    while True:
        n = len(items)
        items, keys = _fold_once(items, keys)
        if len(items) == n:
            return items


def _fold_once(items, keys):
    n = len(items)
    # For each item, where the next one like it is.
    following, last = [n] * n, {}
    for i in reversed(range(n)):
        following[i] = last.get(keys[i], n)
        last[keys[i]] = i

    left, left_keys = [], []
    i = 0
    while i < n:
        start, end, period = _repeat_at(i, keys, following)
        left += items[i:start]
        left_keys += keys[i:start]
        if start < end:
            hidden = items[start:end]
            rounds = len(hidden) // period
            model = _first(items[start - period]), _last(items[start - 1])
            left.append(Fold(_first(hidden[0]), _last(hidden[-1]), rounds, model))
            left_keys.append((rounds, *keys[start - period : start]))
        i = end
    return left, left_keys


def _repeat_at(i, keys, following):
    """Which items can be folded if rounds begin at ``i``: from, to, and the length of a round.

    Where there are none, the end of what stays: ``i + 1`` twice.
    """
    j = i
    for _ in range(TRIES):
        j = following[j]
        period = j - i
        if period > LONGEST_ROUND or j + period > len(keys):
            break
        if keys[i:j] != keys[j : j + period]:
            continue
        end = j + period
        while end < len(keys) and keys[end] == keys[end - period]:
            end += 1
        # Loops begin with a round that is a little different, and end with a whole one.
        start = i + (end - i) % period + period
        if end - start >= WORTH:
            return start, end, period
    return i + 1, i + 1, 0


def _first(item):
    return item.first if isinstance(item, Fold) else item


def _last(item):
    return item.last if isinstance(item, Fold) else item
