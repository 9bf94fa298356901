"""Learning from preferences: the losses, sampled stories, GRPO, DPO, the reward model, replies."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tiny_server import CONTEXT, random_model, tiny_tokenizer

from benchmarks import preferences as benchmark
from utils.data.bpe import Tokenizer
from utils.data.chat_template import Template, with_roles
from utils.data.conversations import REFUSALS
from utils.data.dialogues import Message
from utils.data.keras_tokenizers import as_keras
from utils.evaluation.examination import Question
from utils.generation.generator import Generator
from utils.models.gpt2 import build_gpt2, from_ids
from utils.models.sizes import ModelSize
from utils.paths import DATASETS
from utils.preferences import answers
from utils.preferences import stories as told
from utils.preferences.__main__ import advice, encode, main
from utils.preferences.dpo import DpoRecipe, log_probs_of, pair_network, train_on_pairs
from utils.preferences.grpo import (
    GrpoRecipe,
    OnPolicy,
    RewardError,
    token_advantages,
    train_with_reward,
)
from utils.preferences.losses import (
    bernoulli_kl,
    best_of_n_kl,
    bradley_terry_loss,
    dpo_loss,
    frontier,
    group_advantages,
    optimal_share,
)
from utils.preferences.pair_file import Pair, PairsError, read_pairs
from utils.preferences.pairs import as_rows, chat_ids, pair_batches, split, text_ids
from utils.preferences.replies import (
    ReplyScorer,
    cases,
    exchanges,
    hits_at_1,
    mutual_information,
    turned,
)
from utils.preferences.reward_model import (
    RewardRecipe,
    auc,
    load_reward_model,
    score,
    train_reward_model,
)
from utils.preferences.stories import (
    Storyteller,
    as_stories,
    distinct,
    is_valid,
    story_log_probs,
    wrong_tokens,
)
from utils.tales import corpus, tell
from utils.training import runs
from utils.training.presets import load_preset, save_preset

rng = np.random.default_rng(21)
TOKENIZER = tiny_tokenizer()
TALES = Tokenizer.load(DATASETS / "tokenizer-en")


# ---- losses --------------------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_bradley_terry_is_minus_log_of_the_sigmoid_of_the_difference():
    chosen, rejected = rng.normal(size=(2, 5)).astype("float32")
    by_hand = -np.log(sigmoid(chosen - rejected)).mean()
    assert np.isclose(bradley_terry_loss(chosen, rejected), by_hand)


def test_the_gradient_of_dpo_is_that_of_the_paper():
    log_probs, reference = rng.normal(-50, 5, (2, 6, 2)).astype("float32")
    beta, variable = 0.3, tf.Variable(log_probs)
    with tf.GradientTape() as tape:
        loss = dpo_loss(variable, reference, beta)
    implicit = beta * (log_probs - reference)
    wrong = sigmoid(implicit[:, 1] - implicit[:, 0])  # how sure it is of the wrong order
    by_hand = beta * np.stack([-wrong, wrong], axis=1) / len(wrong)
    assert np.abs(tape.gradient(loss, variable) - by_hand).max() < 1e-6


def test_a_model_that_is_still_the_reference_has_the_loss_log_2():
    log_probs = rng.normal(-50, 5, (4, 2))
    assert np.isclose(dpo_loss(log_probs, log_probs, 0.1), np.log(2))


def test_advantages_have_mean_0_and_deviation_1_and_equal_rewards_teach_nothing():
    advantages = group_advantages(np.array([0.0, 1, 1, 0, 1]))
    assert abs(advantages.mean()) < 1e-6 and np.isclose(advantages.std(), 1, atol=1e-3)
    assert np.all(group_advantages(np.ones(4)) == 0)


def test_no_policy_is_above_the_frontier_and_the_optimum_is_on_it():
    base, good = rng.dirichlet(np.ones(8)), np.arange(8) < 3
    v = base[good].sum()
    for policy in rng.dirichlet(np.ones(8), 500):
        kl = np.sum(policy * np.log(policy / base))
        assert policy[good].sum() <= frontier(v, kl) + 1e-6
    for beta in (0.3, 1.0, 4.0):
        best = base * np.exp(good / beta)
        best /= best.sum()
        assert np.isclose(best[good].sum(), optimal_share(v, beta))
        kl = np.sum(best * np.log(best / base))
        assert np.isclose(kl, bernoulli_kl(optimal_share(v, beta), v))
        assert np.isclose(frontier(v, kl), best[good].sum(), atol=1e-4)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_divergence_of_best_of_n(n):
    """Of many equally likely texts in the order of their scores."""
    edges = np.linspace(0, 1, 100_001)
    p = np.diff(edges**n)
    kl = np.sum(p[p > 0] * np.log(p[p > 0] * (len(edges) - 1)))
    assert np.isclose(best_of_n_kl(n), kl, atol=1e-3)


# ---- stories -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    return random_model(len(TOKENIZER.tokens))


def test_a_seed_gives_the_same_stories_and_others_other_ones(model):
    teller = Storyteller(model, TOKENIZER)
    one, again, other = (teller.tell(70, seed) for seed in (1, 1, 2))
    assert len(one.texts) == 70 and one.texts == again.texts != other.texts
    assert len(set(one.texts[64:]) - set(one.texts[:64])) > 0  # the second batch is another one
    assert np.all(one.rows[:, 0] == TOKENIZER.end_id)


def test_the_log_probability_is_that_of_the_sampled_tokens_and_the_end(model):
    ids = [[TOKENIZER.end_id, 5, 7, TOKENIZER.end_id], [TOKENIZER.end_id, 3, 4, 9, 2]]
    found = as_stories(ids, TOKENIZER, 6)
    for temperature in (1.0, 0.7):
        ours = story_log_probs(model, temperature)(found)
        for row, text in zip(ours, ids, strict=True):
            logits = np.asarray(from_ids(model)(np.array([text[:-1]])))[0] / temperature
            log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
            assert np.isclose(row, log_p[np.arange(len(text) - 1), text[1:]].sum(), atol=1e-3)


def test_new_weights_are_taken_over(model):
    teller = Storyteller(model, TOKENIZER)
    before = teller.tell(4, 1).texts
    teller.update(random_model(len(TOKENIZER.tokens), seed=3))
    assert teller.tell(4, 1).texts != before


def test_the_parser_is_the_reward():
    tale = tell("en", 5).text
    assert is_valid(tale) == 1 and is_valid(tale[:-10]) == 0 and is_valid("") == 0


def test_the_wrong_word_is_found_in_the_tokens():
    tale = tell("en", 5)
    hero = tale.memory["hero"]
    place = tale.text.rindex(f" {hero}")
    text = f"{tale.text[:place]} Zanzibar{tale.text[place + 1 + len(hero) :]}"
    ids = TALES.encode(text)
    first, after = wrong_tokens(text, ids, TALES)
    assert "Zanzibar".startswith(TALES.decode(ids[first:after]).strip()[:3])
    assert TALES.decode(ids[:first]) == tale.text[:place]
    ids = TALES.encode(tale.text)
    assert wrong_tokens(tale.text, ids, TALES) == (len(ids), len(ids))


def test_only_the_wrong_word_is_blamed_and_what_follows_does_not_count():
    tale = tell("en", 5).text
    broken = tale.replace(".", " zebra.", 1)
    rows = [[TALES.end_id, *TALES.encode(text), TALES.end_id] for text in (tale, broken)]
    cut = [TALES.end_id, *TALES.encode(tale)[:30]]  # sampled to the full length, without an end
    found = as_stories([*rows, cut], TALES, max(map(len, rows)))
    good, bad, endless = token_advantages(found, TALES)
    assert np.all(good[found.mask[0] == 1] > 0) and np.all(good[found.mask[0] == 0] == 0)
    blamed = np.flatnonzero(bad < 0)
    assert "zebra" in TALES.decode(found.rows[1, 1:][blamed])
    assert np.all(bad[blamed[-1] + 1 :] == 0) and np.all(bad[: blamed[0]] > 0)
    assert endless[29] < 0 and np.all(endless[:29] > 0)


def test_distinct_counts_different_runs_of_words():
    assert distinct(["a b c d", "a b c d"]) == 0.5 and distinct(["a b"]) == 0


# ---- training ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The preset of a tiny model that writes."""
    folder = tmp_path_factory.mktemp("base") / "tiny"
    save_preset(random_model(len(TOKENIZER.tokens)), as_keras(TOKENIZER), folder)
    return folder


@pytest.fixture(scope="module")
def chat_base(tmp_path_factory):
    """The preset of a tiny model that knows the roles of a chat."""
    folder = tmp_path_factory.mktemp("chat") / "tiny"
    save_preset(random_model(len(TOKENIZER.tokens) + 3), with_roles(TOKENIZER), folder)
    return folder


@pytest.fixture(autouse=True)
def own_checkpoints(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path / "checkpoints"))


def stopped_after(number, train):
    """Train, but stop after a number of checkpoints, as Ctrl-C does."""
    save, saved = runs.save_checkpoint, []

    def save_some(*about):
        saved.append(save(*about))
        if len(saved) == number:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(runs, "save_checkpoint", save_some)
        train()


def weights(run):
    return load_preset(run.preset).backbone.get_weights()


def test_grpo_gains_reward_and_goes_on_where_it_was_stopped(base, monkeypatch, tmp_path):
    monkeypatch.setitem(told.REWARDS, "fox", lambda text: text.count("h") / 10)
    monkeypatch.setattr(told, "LENGTH", 32)
    recipe = GrpoRecipe(steps=8, batch_size=64, learning_rate=0.02, reward="fox", evaluations=4)
    run = train_with_reward(base, TOKENIZER, recipe)
    found = [evaluation["reward"] for evaluation in run.history]
    assert found[-1] > found[0] + 0.05 and -run.validation_loss > found[0]
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path / "again"))
    stopped_after(2, lambda: train_with_reward(base, TOKENIZER, recipe))
    again = train_with_reward(base, TOKENIZER, recipe)
    assert all(map(np.array_equal, weights(run), weights(again)))


def test_the_kl_penalty_is_part_of_the_loss(base):
    gpt2, beta = load_preset(base), 0.5
    model = OnPolicy(gpt2, TOKENIZER, GrpoRecipe(beta=beta))
    ids = [[TOKENIZER.end_id, *rng.integers(0, 40, length).tolist()] for length in (8, 5)]
    stories = as_stories(ids, TOKENIZER, 12)
    nothing = np.zeros_like(stories.mask)
    assert abs(model.loss_of(stories.rows, stories.mask, nothing)) < 1e-5  # still the base
    gpt2.backbone.set_weights(random_model(len(TOKENIZER.tokens), seed=4).backbone.get_weights())
    log_p, log_q = (
        tf.nn.log_softmax(from_ids(one)(stories.rows[:, :-1])).numpy()
        for one in (gpt2, load_preset(base))
    )
    by_hand = sum(
        (np.exp(log_p[n, t]) * (log_p[n, t] - log_q[n, t])).sum()
        for n, length in enumerate((8, 5))
        for t in range(length)
    )
    loss = model.loss_of(stories.rows, stories.mask, nothing)
    assert np.isclose(loss, beta * by_hand / 2, rtol=1e-4) and loss > 0.1
    weights = {id(weight) for weight in gpt2.backbone.weights}
    assert {id(weight) for weight in model.weights} == weights  # the base is not trained


def test_only_the_last_normalizations_are_trained_where_the_recipe_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(told.REWARDS, "fox", lambda text: text.count("h") / 10)
    monkeypatch.setattr(told, "LENGTH", 32)
    base = tmp_path / "two blocks"
    size = ModelSize(layers=2, heads=2, width=8, feed_forward=16, context=CONTEXT)
    save_preset(build_gpt2(len(TOKENIZER.tokens), size), as_keras(TOKENIZER), base)
    recipe = GrpoRecipe(steps=2, reward="fox", parameters="last norms", evaluations=1)
    after = load_preset(train_with_reward(base, TOKENIZER, recipe).preset).backbone
    before = load_preset(base).backbone
    changed = {
        old.path
        for old, new in zip(before.weights, after.weights, strict=True)
        if not np.array_equal(np.array(old), np.array(new))
    }
    block = "transformer_layer_1"
    norms = [f"{block}/self_attention_layer_norm", f"{block}/feedforward_layer_norm", "layer_norm"]
    assert changed == {f"{norm}/{part}" for norm in norms for part in ("gamma", "beta")}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"reward": "nice"}, "no reward 'nice'"),
        ({"credit": "word"}, "credit must be"),
        ({"parameters": "some"}, "parameters must be all or last norms"),
        ({"credit": "token", "reward": "hedgehog"}, "which tokens"),
    ],
)
def test_a_reward_that_there_is_not_is_one_sentence(base, wrong, sentence):
    with pytest.raises(RewardError, match=sentence):
        train_with_reward(base, TOKENIZER, GrpoRecipe(**wrong))


@pytest.fixture(scope="module")
def pairs():
    """To end at once with "fox" is preferred to ending with "hare"."""
    starts = ["the ", "said ", "to ", "the fox ", "the hare "]
    found = [
        tuple(text_ids(starts[n % 5], text, TOKENIZER) for text in ("fox", "hare"))
        for n in range(40)
    ]
    return as_rows(found, TOKENIZER.end_id)


def test_dpo_prefers_what_was_chosen(base, pairs):
    recipe = DpoRecipe(steps=12, batch_size=8, learning_rate=0.01)
    run = train_on_pairs(pairs, "fox", base, recipe)
    assert run.validation_loss < 0.5 * np.log(2)
    before, after = (
        log_probs_of(pair_network(load_preset(preset), pairs), pairs)
        for preset in (base, run.preset)
    )
    gains = after - before
    assert np.all(gains[:, 0] > gains[:, 1])


def test_a_batch_of_pairs_is_a_function_of_its_step(pairs):
    train, targets = split(len(pairs.rows))[0], np.arange(len(pairs.rows))

    def batches(first_step):
        found = pair_batches(pairs, targets, train, DpoRecipe(batch_size=8), first_step)
        return [wanted.numpy() for _, wanted in found.take(9 - first_step)]

    every, later = batches(0), batches(6)
    assert all(map(np.array_equal, every[6:], later))
    counts = np.bincount(np.concatenate(every), minlength=len(targets))  # 72 places, 36 pairs
    assert np.all(counts[train] == 2) and counts.sum() == 72


def test_the_network_for_pairs_counts_the_continuation_only(base, pairs):
    gpt2 = load_preset(base)
    ours = log_probs_of(pair_network(gpt2, pairs), pairs.part(slice(1)))[0]
    for side, total in enumerate(ours):
        start, rest = text_ids("the ", ("fox", "hare")[side], TOKENIZER)
        ids = np.array([[*start, *rest]])
        logits = np.asarray(from_ids(gpt2)(ids[:, :-1]))[0]
        log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        by_hand = log_p[np.arange(len(log_p)), ids[0, 1:]][len(start) - 1 :].sum()
        assert np.isclose(total, by_hand, atol=1e-3)


def test_a_reward_model_learns_an_easy_preference(base, pairs):
    recipe = RewardRecipe(steps=20, batch_size=8, learning_rate=0.01)
    run = train_reward_model(pairs, "fox", base, recipe)
    assert run.validation_loss < 0.5 * np.log(2)
    scorer = load_reward_model(run, base)
    chosen, rejected = (score(scorer, pairs.rows[:, i], pairs.mask[:, i]) for i in (0, 1))
    assert auc(chosen, rejected) > 0.95


def test_the_area_under_the_curve():
    assert auc(np.array([2.0, 3.0]), np.array([1.0, 2.0])) == 7 / 8
    assert auc(np.zeros(3), np.zeros(4)) == 0.5


def test_too_few_pairs_are_refused(base, pairs):
    with pytest.raises(PairsError, match="There are 9 pairs"):
        train_on_pairs(pairs.part(slice(9)), "few", base, DpoRecipe())
    assert [len(part) for part in split(25)] == [23, 2]


# ---- one's own pairs -----------------------------------------------------------------------------

GOOD = {"prompt": "the fox?", "chosen": "fox!", "rejected": "hare!"}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("no json", "line 3: this is not JSON"),
        (json.dumps(GOOD | {"chosen": "hi \ud83d"}), 'line 3: "chosen" has half of a character'),
        ("[1]", 'line 3: a pair is {"prompt"'),
        (json.dumps({"prompt": "a", "chosen": "b"}), 'line 3: a pair is {"prompt"'),
        (json.dumps(GOOD | {"chosen": 3}), 'line 3: "chosen" must be a text'),
        (json.dumps(GOOD | {"rejected": " "}), 'line 3: "rejected" is empty'),
        (json.dumps(GOOD | {"rejected": "fox!"}), "line 3: both texts are the same"),
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path, line, sentence):
    path = tmp_path / "my.jsonl"
    path.write_text(f"{json.dumps(GOOD)}\n\n{line}\n", encoding="utf-8")
    with pytest.raises(PairsError) as found:
        read_pairs(path)
    assert sentence in str(found.value) and "\n" not in str(found.value)


def test_a_file_without_pairs_is_refused(tmp_path):
    (tmp_path / "my.jsonl").write_text("\n", encoding="utf-8")
    with pytest.raises(PairsError, match="holds no pair"):
        read_pairs(tmp_path / "my.jsonl")


def test_the_command_trains_on_a_file(chat_base, tmp_path, capsys):
    path = tmp_path / "my.jsonl"
    lines = [GOOD | {"prompt": f"{n}?"} for n in range(20)]
    lines.append(GOOD | {"chosen": "fox " * 200})
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    words = ["--pairs", str(path), "--base", str(chat_base), "--steps", "8"]
    main([*words, "--learning-rate", "0.01", "--batch-size", "4"])
    said = capsys.readouterr().out
    assert "my.jsonl: 18 pairs to learn from, 2 held out; 1 are longer" in said
    assert "duplicates" not in said
    assert "after    100.0%" in said and said.count("before: ") == 2
    assert "likelier, beside the rejected one, in 100.0%." in said
    assert list((tmp_path / "checkpoints").glob("dpo-my-*/preset/config.json"))


def test_a_pair_that_is_there_twice_is_learnt_or_held_out_but_not_both(
    chat_base, tmp_path, monkeypatch, capsys
):
    def stop(rows, *_):
        given.append(rows)
        raise KeyboardInterrupt

    given, path = [], tmp_path / "my.jsonl"
    lines = [json.dumps(GOOD | {"prompt": f"{n}?"}) for n in range(20)]
    path.write_text("\n".join(lines * 2), encoding="utf-8")
    monkeypatch.setattr("utils.preferences.dpo.train_on_pairs", stop)
    with pytest.raises(KeyboardInterrupt):
        main(["--pairs", str(path), "--base", str(chat_base)])
    assert np.array_equal(given[0].rows, encode(read_pairs(path)[:20], chat_base)[1].rows)
    said = capsys.readouterr().out
    assert "18 pairs to learn from, 2 held out; 0 are longer" in said
    assert said.endswith("; 20 duplicates were left out\n")


def test_the_command_says_what_to_do_if_the_rejected_texts_stay_likelier():
    before = np.array([-9.0, -8.0, -7.0])
    assert advice(before, np.array([1.0, 2.0, -1.0])) == ""
    assert "fine-tune it on the chosen texts first" in advice(before, before + 2)
    assert "give more pairs" in advice(before, before - 1)


def test_to_a_model_that_cannot_chat_a_prompt_is_the_beginning_of_a_text(base):
    kept, rows = encode([Pair("", "fox", "hare"), Pair("the", " fox", " hare")], base)
    assert len(kept) == 2
    for pair, row, mask in zip(kept, rows.rows, rows.mask, strict=True):
        text = TOKENIZER.encode(pair.prompt) + TOKENIZER.encode(pair.chosen)
        assert row[0, : len(text) + 2].tolist() == [TOKENIZER.end_id, *text, TOKENIZER.end_id]
        assert mask[0].sum() == len(TOKENIZER.encode(pair.chosen)) + 1


def test_a_wrong_flag_of_the_command_is_one_sentence(tmp_path, capsys):
    for words in (["--pairs", "nowhere.jsonl"], [], ["--pairs", __file__, "--beta", "0"]):
        with pytest.raises(SystemExit) as stopped:
            main(words)
        assert stopped.value.code == 2 and capsys.readouterr().err.count("\n") == 1


def test_an_empty_prompt_is_for_models_that_cannot_chat(chat_base, tmp_path):
    path = tmp_path / "my.jsonl"
    path.write_text(f"{json.dumps(GOOD | {'prompt': ''})}\n" * 12, encoding="utf-8")
    with pytest.raises(PairsError, match="Pair 1 has an empty prompt"):
        main(["--pairs", str(path), "--base", str(chat_base)])


def test_a_special_token_in_a_text_is_plain_text():
    template = Template(TOKENIZER)
    _, rest = chat_ids("the fox", "<|endoftext|><|assistant|>", template)
    assert rest[-1] == template.end_id and max(rest[:-1]) < template.end_id


# ---- replies -------------------------------------------------------------------------------------


def test_a_case_has_the_right_reply_and_nine_other_ones():
    found = exchanges("en", "validation")
    some = cases(found, 20, seed=1)
    right = dict(found)
    assert len(some) == 20 and some == cases(found, 20, seed=1) != cases(found, 20, seed=2)
    for case in some:
        assert case.candidates[0] == right[case.message] and len(set(case.candidates)) == 10


def test_backward_the_reply_is_given_and_the_message_said():
    ((user, assistant),) = [dialogue.messages for dialogue in turned([("Hello!", "Hi, you.")])]
    assert (user.role, user.content, assistant.content) == ("user", "Hi, you.", "Hello!")


def test_a_reply_is_scored_by_its_tokens_and_its_end(chat_base):
    model, scorer, template = load_preset(chat_base), ReplyScorer(chat_base), Template(TOKENIZER)
    pairs = [("the fox", "the hare"), ("to the hare to the fox", "said")]
    for (message, reply), ours in zip(pairs, scorer(pairs), strict=True):
        start, rest = chat_ids(message, reply, template)
        ids = np.array([[*start, *rest]])
        logits = np.asarray(from_ids(model)(ids[:, :-1]))[0]
        log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        by_hand = log_p[np.arange(len(log_p)), ids[0, 1:]][len(start) - 1 :].sum()
        assert np.isclose(ours, by_hand, atol=1e-3)


def test_both_directions_together_find_what_neither_finds_alone():
    ahead, back = np.array([[-5.0, -4.0, -9.0]]), np.array([[-6.0, -9.0, -5.0]])
    assert hits_at_1(ahead) == hits_at_1(back) == 0
    assert hits_at_1(mutual_information(ahead, back, 0.5)) == 1
    assert np.array_equal(mutual_information(ahead, back, 0.0), ahead)


# ---- right answers -------------------------------------------------------------------------------


def test_questions_of_training_have_a_right_answer_or_none():
    found = answers.questions_of_training("en", 30)
    told = {story.text for story in corpus("en", "train", 30)}
    assert {question.messages[0].content for question in found} <= told
    assert {question.kind for question in found} <= set(answers.KINDS)
    refused = [question for question in found if question.kind == "unanswered"]
    assert refused and all(question.answer == "" for question in refused)


def test_a_right_answer_earns_1_and_so_does_a_refusal_where_there_is_none():
    asked = [Question((), "Behind the church.", "where"), Question((), "", "unanswered")]
    assert answers.answer_rewards(["Behind the church.", REFUSALS["en"][1]], asked).tolist() == [
        1,
        1,
    ]
    assert answers.answer_rewards([REFUSALS["en"][0], "Behind the church."], asked).tolist() == [
        0,
        0,
    ]


def test_a_reply_is_masked_from_its_first_token_to_its_end(chat_base):
    gpt2 = load_preset(chat_base)
    template = Template(TOKENIZER)
    prompts = [template.prompt([Message("user", text)]) for text in ("the fox", "to the hare")]
    generator = Generator(gpt2, template.end_id)
    found = answers.sample_replies(generator, template, prompts, seed=1)
    again = answers.sample_replies(generator, template, prompts[:1], seed=1)
    assert found.texts[0] == again.texts[0]
    for prompt, row, mask, text in zip(prompts, *found, strict=True):
        assert row[: len(prompt)].tolist() == prompt and mask[: len(prompt) - 1].sum() == 0
        replied = row[1:][mask == 1]
        assert template.reply(replied) == text and template.end_id not in replied[:-1]


def test_a_chat_model_learns_what_is_right(chat_base, monkeypatch):
    monkeypatch.setattr(answers, "is_right", lambda reply, *_: "the" in reply)
    asked = [Question((Message("user", text),), "", "what") for text in ("fox", "hare", "said")]
    recipe = answers.AnswerRecipe(steps=8, batch_size=3, replies=21, learning_rate=0.02)
    run = answers.train_on_answers(chat_base, recipe, asked)
    found = [evaluation["reward"] for evaluation in run.history]
    assert found[-1] > found[0] + 0.1


# ---- the benchmark -------------------------------------------------------------------------------


def test_best_of_n_takes_the_highest_score_of_each_group():
    scores = np.array([1.0, 2.0, 5.0, 4.0, 0.0, 3.0, 9.0, 8.0])
    valid = np.array([0, 1, 1, 0, 1, 0, 1, 0], bool)
    assert benchmark.best_of(scores, valid) == {"2": 0.75, "4": 1.0, "8": 1.0}


def test_the_signal_to_noise_ratio_of_known_gradients():
    noise = rng.normal(size=(400, 50))
    signal, error = benchmark.signal_to_noise(noise + 0.5)  # squared lengths 12.5 and 62.5
    assert abs(signal - 0.2) < 3 * error < 0.05
    signal, error = benchmark.signal_to_noise(noise)
    assert abs(signal) < 3 * error < 0.01


def test_a_benchmark_that_was_stopped_goes_on(tmp_path, monkeypatch):
    made = []
    one = dict.fromkeys(("valid", "hedgehog", "kl", "loss", "distinct_3"), 0.5)
    monkeypatch.setattr(benchmark, "make", lambda _, setting: made.append(setting) or one)
    for part in ("predict_validity", "rank_replies", "right_answers", "gradient_noise"):
        monkeypatch.setattr(benchmark, part, lambda _: {"done": True})
    path = tmp_path / "results.json"
    benchmark.complete(benchmark.Results(path), lambda: None)
    assert made == list(benchmark.plan().values())
    results = benchmark.Results(path)
    del results.data["runs"]["base"]
    benchmark.complete(results, lambda: None)
    assert made[-1] == benchmark.plan()["base"] and len(made) == len(benchmark.plan()) + 1


def test_the_shipped_file_has_all_policies_and_no_one_is_above_the_frontier():
    data = json.loads((Path(DATASETS) / "preferences.json").read_text(encoding="utf-8"))
    assert set(benchmark.plan()) <= set(data["runs"])
    base = data["runs"]["base"]["valid"]
    for name, made in data["runs"].items():
        noise = 3 * (made["valid"] * (1 - made["valid"]) / made["setting"]["stories"]) ** 0.5
        kl = max(0.0, made["kl"] + 3 * made["kl_error"])
        assert made["valid"] <= frontier(base, kl) + noise + 0.02, name
