"""ROUGE-L (Lin 2004): the longest common subsequence of words, as an F measure of one text."""

from __future__ import annotations

BETA = 1.2  # what captioning and report generation publish with (the COCO caption evaluation); ROUGE's own is 1


def rouge_l(draft: list[str], reference: list[str], beta: float = BETA) -> float:
    """(1 + β²)·P·R / (R + β²·P), 0..1, with P and R the subsequence's share of draft and reference."""
    common = longest_common_subsequence(draft, reference)
    if not common:
        return 0.0
    precision, recall = common / len(draft), common / len(reference)
    return (1 + beta**2) * precision * recall / (recall + beta**2 * precision)


def longest_common_subsequence(a: list[str], b: list[str]) -> int:
    """Its length; words in order, not side by side. Time len(a)·len(b), memory len(b)."""
    row = [0] * (len(b) + 1)
    for word in a:
        diagonal = 0
        for place, other in enumerate(b, start=1):
            above = row[place]
            row[place] = diagonal + 1 if word == other else max(above, row[place - 1])
            diagonal = above
    return row[-1]
