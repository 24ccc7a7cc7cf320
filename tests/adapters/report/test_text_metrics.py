"""Against sacrebleu, rouge-score, pycocoevalcap's figures and plain loops, on random and on odd texts."""

import math
from collections import Counter

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer
from sacrebleu.metrics import BLEU

from adapters.report.metrics.bleu import BleuCounts, corpus_bleu, sentence_bleu
from adapters.report.metrics.cider import cider
from adapters.report.metrics.corpus import FIGURES, TextScores
from adapters.report.metrics.rouge import rouge_l
from adapters.report.metrics.words import words

# Drafts and references of our own, and what pycocoevalcap 1.2 (COCO's caption evaluation) prints for them:
# Cider(), Rouge() and Bleu(4), each .compute_score(references, drafts), on these texts' words joined by spaces.
PAIRS = [
    ("The heart is normal in size. The lungs are clear.", "Heart size is normal. The lungs are clear."),
    ("No pleural effusion or pneumothorax.", "No pleural effusion or pneumothorax."),
    ("Small left pleural effusion with basal atelectasis.", "There is a small left pleural effusion."),
    ("", "The heart is mildly enlarged."),
    ("Effusion.", "Large right effusion; cardiothoracic ratio 0.61."),
    ("the the the the the the the", "The cat is on the mat."),
    ("Patchy opacity in the right lower lobe, possibly pneumonia.", "Stable cardiomegaly without edema."),
]
CIDER_D = [4.367903984156396, 10.0, 4.01011398032275, 0.0, 0.33766800426739063, 0.3130087328319842, 0.0]
ROUGE_L = [0.7936802973977695, 1.0, 0.5714285714285714, 0.0, 0.25311203319502074, 0.31202046035805625, 0.0]
COCO_BLEU = [0.4871849645956665, 0.39278107556568115, 0.3321415455874371, 0.2789379228578394]
DRAFTS, REFERENCES = zip(*PAIRS, strict=True)
ODD = [
    ("", "a b c"),
    ("a", "a"),
    ("a", "b"),
    ("a b c d e", "a b c d e"),
    ("a b", "a b c d e f g"),
    ("a a a a", "a"),
    (" ", ""),
]


def random_pairs(seed: int, n: int) -> list[tuple[str, str]]:
    """Texts of up to 30 words out of few, so that n-grams of every order are shared and repeated."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(list("abcdefg"), size=rng.integers(0, 30))) for _ in range(2 * n)]
    return list(zip(texts[::2], texts[1::2], strict=True))


def _corpus(pairs: list[tuple[str, str]]) -> np.ndarray:
    counts = [BleuCounts.of(words(draft), words(reference)) for draft, reference in pairs]
    return corpus_bleu(BleuCounts.stacked(counts).weighted(np.ones((1, len(pairs)))))[0]


def test_words_are_lower_case_without_punctuation_and_numbers_stay_whole() -> None:
    assert words("No Effusion; ratio 0.61 (T12), follow-up. Ödem_x") == [
        "no",
        "effusion",
        "ratio",
        "0.61",
        "t12",
        "follow",
        "up",
        "ödem",
        "x",
    ]
    assert words(" .,;\n") == []


@pytest.mark.parametrize("pairs", [*(random_pairs(seed, 6) for seed in range(8)), *([odd] for odd in ODD), ODD])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_corpus_bleu_is_sacrebleus(pairs: list[tuple[str, str]], order: int) -> None:
    metric = BLEU(tokenize="none", smooth_method="none", max_ngram_order=order, force=True)
    expected = metric.corpus_score([draft.strip() for draft, _ in pairs], [[reference for _, reference in pairs]])
    assert _corpus(pairs)[order - 1] == pytest.approx(expected.score / 100, abs=1e-12)


@pytest.mark.parametrize("pair", [*random_pairs(99, 30), *ODD])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_sentence_bleu_is_sacrebleus(pair: tuple[str, str], order: int) -> None:
    metric = BLEU(tokenize="none", smooth_method="exp", effective_order=True, max_ngram_order=order, force=True)
    expected = metric.sentence_score(pair[0].strip(), [pair[1]]).score / 100
    assert sentence_bleu(words(pair[0]), words(pair[1]))[order - 1] == pytest.approx(expected, abs=1e-12)


class _Words(Tokenizer):
    def tokenize(self, text: str) -> list[str]:
        return words(text)


@pytest.mark.parametrize("pair", [*random_pairs(7, 30), *ODD, *PAIRS])
def test_rouge_l_is_rouge_scores(pair: tuple[str, str]) -> None:
    expected = RougeScorer(["rougeL"], tokenizer=_Words()).score(pair[1], pair[0])["rougeL"].fmeasure
    assert rouge_l(words(pair[0]), words(pair[1]), beta=1) == pytest.approx(expected, abs=1e-12)


def test_the_figures_that_cocos_evaluation_prints() -> None:
    said, wanted = [words(text) for text in DRAFTS], [words(text) for text in REFERENCES]
    np.testing.assert_allclose(cider(said, wanted).cider_d, CIDER_D, atol=1e-12)
    np.testing.assert_allclose([rouge_l(a, b) for a, b in zip(said, wanted, strict=True)], ROUGE_L, atol=1e-12)
    np.testing.assert_allclose(_corpus(PAIRS), COCO_BLEU, atol=1e-9)  # it adds 1e-15 to each count


@pytest.mark.parametrize("pairs", [random_pairs(3, 12), random_pairs(4, 2), ODD])
def test_cider_is_the_papers_formula_in_a_plain_loop(pairs: list[tuple[str, str]]) -> None:
    references = [reference.split() for _, reference in pairs]

    def vector(text: list[str], n: int) -> dict[tuple[str, ...], float]:
        grams = [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]
        rare = {g: math.log(len(pairs) / max(1, sum(g in _grams(r, n) for r in references))) for g in grams}
        return {g: k * rare[g] for g, k in Counter(grams).items()}

    def _grams(text: list[str], n: int) -> set[tuple[str, ...]]:
        return {tuple(text[i : i + n]) for i in range(len(text) - n + 1)}

    expected = []
    for draft, reference in pairs:
        total = 0.0
        for n in (1, 2, 3, 4):
            a, b = vector(draft.split(), n), vector(reference.split(), n)
            norms = math.sqrt(sum(v * v for v in a.values())) * math.sqrt(sum(v * v for v in b.values()))
            total += sum(a[g] * b.get(g, 0.0) for g in a) / norms if norms else 0.0
        expected.append(10 * total / 4)
    found = cider([words(a) for a, _ in pairs], references)
    np.testing.assert_allclose(found.cider, expected, atol=1e-12)
    assert (found.cider_d <= found.cider + 1e-12).all()


def test_perfect_and_undefined_corpora() -> None:
    same = TextScores(REFERENCES, REFERENCES).figures()
    assert same == pytest.approx(dict.fromkeys(FIGURES[:5], 1.0) | {"cider": 10.0, "cider_d": 10.0})
    assert TextScores([], []).figures() == dict.fromkeys(FIGURES)
    alone = TextScores(["no effusion"], ["no effusion seen"])
    assert alone.figures()["cider"] is None  # nothing is rare among a single reference
    assert alone.figures()["rouge_l"] is not None
    assert alone.intervals(["p0"]) == dict.fromkeys(FIGURES)


def test_order_changes_nothing_and_weights_are_repetition() -> None:
    drafts, references = map(list, zip(*random_pairs(5, 9), strict=True))
    scores = TextScores(drafts, references)
    turned = TextScores(drafts[::-1], references[::-1])
    assert turned.figures() == pytest.approx(scores.figures(), abs=1e-12)
    weights = np.array([3, 0, 1, 1, 0, 2, 1, 0, 1])
    repeated = [pair for pair, n in zip(zip(drafts, references, strict=True), weights, strict=True) for _ in range(n)]
    found = scores.weighted(weights[None].astype(float))[0]
    again = TextScores(*map(list, zip(*repeated, strict=True))).figures()
    for place in range(5):  # CIDEr's rarity is held fixed when films are drawn
        assert found[place] == pytest.approx(again[FIGURES[place]], abs=1e-12)


def test_intervals_draw_patients_with_all_their_films() -> None:
    drafts, references = map(list, zip(*random_pairs(6, 40), strict=True))
    scores = TextScores(drafts, references)
    figures, alone = scores.figures(), scores.intervals([f"p{i}" for i in range(40)])
    assert alone == scores.intervals([f"p{i}" for i in range(40)])
    for name in FIGURES:
        low, high = alone[name]
        assert low < figures[name] < high
    twice = TextScores(drafts * 4, references * 4)  # copies within a patient must not narrow anything
    clustered = twice.intervals([f"p{i}" for i in range(40)] * 4)
    naive = twice.intervals([f"p{i}" for i in range(160)])
    width = {
        k: v[1] - v[0]
        for k, v in (("one", alone["rouge_l"]), ("copies", clustered["rouge_l"]), ("naive", naive["rouge_l"]))
    }
    assert width["copies"] == pytest.approx(width["one"], rel=1e-9)
    assert width["naive"] < 0.7 * width["one"]
