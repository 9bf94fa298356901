"""The grammar's notation and its readings: drawing, listing, following."""

import math
from collections import Counter
from fractions import Fraction

import pytest

from utils.tales.derivations import (
    Draw,
    Everything,
    Follow,
    Replay,
    derivations,
    log_probability,
    probability,
)
from utils.tales.grammar import GrammarError, Option, Rule
from utils.tales.memoryless import memoryless
from utils.tales.notation import read_grammar
from utils.tales.story import grammar

PETS = """
story:
    [owner] has a [pet]. {Pron} feeds the {pet} [food {pet}].

owner:
    3 Ann :: pron=she; friend={owner}'s friend
    Bob :: pron=he

pet:
    cat
    2 [big|small] dog :: size=any

food cat:
    fish

food big dog:
    meat
    2 bones

food small dog:
    bones
"""


def small_grammar():
    return read_grammar(PETS.replace("; friend={owner}'s friend", ""))


def test_everything_lists_each_story_once_and_the_probabilities_sum_to_one():
    told = list(derivations(small_grammar(), Everything()))
    texts = [telling.told for telling in told]
    assert len(set(texts)) == len(texts) == 8
    assert sum(probability(small_grammar(), telling.derivation) for telling in told) == 1
    assert "Ann has a small dog. She feeds the small dog bones." in texts


def test_the_probability_of_a_story_is_the_product_of_its_choices():
    told = {
        telling.told: telling.derivation for telling in derivations(small_grammar(), Everything())
    }
    derivation = told["Ann has a big dog. She feeds the big dog bones."]
    expected = Fraction(3, 4) * Fraction(2, 3) * Fraction(1, 2) * Fraction(2, 3)
    assert probability(small_grammar(), derivation) == expected
    assert log_probability(small_grammar(), derivation) == pytest.approx(math.log(expected))


def test_draws_follow_the_weights():
    drawn = Counter(
        next(derivations(small_grammar(), Draw(seed))).told[:3] for seed in range(2_000)
    )
    assert drawn["Ann"] == pytest.approx(1_500, abs=80)


@pytest.mark.parametrize("seed", range(20))
def test_following_and_replaying_find_the_derivation_again(seed):
    drawn = next(derivations(small_grammar(), Draw(seed)))
    assert [t.derivation for t in derivations(small_grammar(), Follow(drawn.told))] == [
        drawn.derivation
    ]
    assert next(derivations(small_grammar(), Replay(drawn.derivation))).told == drawn.told


def test_an_option_may_be_empty_with_or_without_a_weight():
    source = "story:\n    x[a][ y|]\n\na:\n    3\n    z\n"
    assert {t.told for t in derivations(read_grammar(source), Everything())} == {
        "x",
        "x y",
        "xz",
        "xz y",
    }


def test_the_memory_keeps_what_was_told_last():
    source = "story:\n    [a] {a} [a=b] {a}\n\na:\n    x\n\nb:\n    y :: a=z\n"
    assert [t.told for t in derivations(read_grammar(source), Everything())] == ["x x y y"]


def test_only_the_grammar_without_memory_tells_an_inconsistent_story():
    text = "Ann has a cat. He feeds the cat bones."
    assert not list(derivations(small_grammar(), Follow(text)))
    assert list(derivations(memoryless(small_grammar()), Follow(text)))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("story:\n    [nobody]\n", "no rule 'nobody'"),
        ("story:\n    {a} [b {c}]\n", "no rule 'b'"),
        ("story:\n    a\nstory:\n    b\n", "written twice"),
        ("story:\n", "empty"),
        ("story:\n    [a {b} c]\n", "cannot read"),
        ("story:\n    a :: b\n", "cannot read"),
        ("story:\n    a :: b=[c|d]\n", "but not choose"),
        ("    a\nstory:\n    b\n", "before the first title"),
    ],
)
def test_wrong_rules_are_named(source, message):
    with pytest.raises(GrammarError, match=message):
        read_grammar(source)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_cut_down_language_sums_to_one_with_distinct_texts(language):
    """One option of each rule, all options of a few: small enough to list every story."""
    kept = {"en": ("child", "thing", "trouble wood"), "zh": ("child", "thing 只", "trouble wood")}[
        language
    ]
    cut = cut_down(grammar(language), kept)
    told = list(derivations(cut, Everything()))
    assert len(told) > 300
    assert len({telling.told for telling in told}) == len(told)
    assert sum(probability(cut, telling.derivation) for telling in told) == 1


def cut_down(full, kept):
    def options(rule):
        if rule.title in kept or rule.title.startswith(("helper ", "boast ", "plot")):
            return rule.options
        return rule.options[:1]

    rules = {title: Rule(title, options(rule)) for title, rule in full.rules.items()}
    first = full.rules["story"].options[0]
    rules["story"] = Rule("story", [Option(1, first.pieces, first.notes)])
    return type(full)(rules, "story", full.remembered)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_there_are_more_than_a_million_million_stories(language):
    """No story is more probable than the limit and all add up to 1: there are at least 1/limit."""
    limit = grammar(language).log_prob_limit()
    assert math.exp(-limit) > 1e12
    drawn = (next(derivations(grammar(language), Draw(seed))) for seed in range(300))
    assert all(log_probability(grammar(language), telling.derivation) < limit for telling in drawn)


def test_the_limit_is_reached_where_nothing_depends_on_the_memory():
    source = "story:\n    [a] [a]\n\na:\n    3 x\n    1 y\n"
    assert read_grammar(source).log_prob_limit() == pytest.approx(2 * math.log(3 / 4))
