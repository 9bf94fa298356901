"""Several processes train one model: what they agree on, and what happens when one of them dies."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from argparse import Namespace
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError

import keras
import numpy as np
import psutil
import pytest
from tiny_gpt2 import RECIPE

from utils.cluster import check
from utils.command_line import address
from utils.data.corpora import load_corpus
from utils.distributed.availability import jax_problem
from utils.distributed.jobs import UNEXPECTED, Job
from utils.distributed.launcher import COMMAND, Workers
from utils.distributed.peers import Address, ClusterError, Meeting, Peers, gather, join
from utils.distributed.together import Place, train
from utils.errors import CourseError
from utils.training import runs
from utils.training.identity import Identity
from utils.training.presets import load_preset
from utils.training.pretraining import identity_of, pretrain

TEXT = "".join(
    f"The {animal} saw the {thing}. " for animal in ("hen", "fox", "cow", "cat", "duck", "owl")
    for thing in ("egg", "bun", "hat", "key", "cake", "pot", "jug")
) * 12  # fmt: skip
IDENTITY = Identity("farm", {"corpus": "a"}, {"steps": 60}, (0, 5), "code", {"keras": "3"})
SECONDS = 20  # from the death of a process to the end of the others

needs_jax = pytest.mark.skipif(jax_problem() is not None, reason=str(jax_problem()))


@pytest.fixture(scope="module")
def text_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "farm.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture
def corpus(text_file, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA", str(text_file.parent / "data"))
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path / "checkpoints"))
    return load_corpus(str(text_file), RECIPE.vocabulary_size)


def losses(run):
    return [[entry["loss"], entry["validation_loss"]] for entry in run.history]


# ---- the settings --------------------------------------------------------------------------------


def asked_for(**changes):
    fine = {"processes": 2, "coordinator": None, "process_id": None, "batch_size": 16}
    return Namespace(**{**fine, **changes})


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"coordinator": "a:1"}, "both --coordinator and --process-id"),
    ({"process_id": 0}, "both --coordinator and --process-id"),
    ({"coordinator": "a:1", "process_id": 2}, "from 0 to 1, below --processes, and not 2"),
    ({"processes": 3}, "3 processes cannot share a batch of 16 evenly: give --batch-size 15"),
    ({"processes": 32}, "give --batch-size 32"),
])  # fmt: skip
def test_settings_that_do_not_fit_together_are_told(changes, sentence, monkeypatch):
    monkeypatch.setattr("utils.distributed.availability.version", lambda name: "0.10.2")
    check(asked_for())
    with pytest.raises(CourseError, match=sentence):
        check(asked_for(**changes))


def test_without_jax_one_sentence_says_how_to_install_it(monkeypatch):
    def version(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("utils.distributed.availability.version", version)
    with pytest.raises(CourseError, match=r"JAX, which is not installed: run .*'\.\[cluster\]'"):
        check(asked_for())


def test_the_jax_of_an_intel_mac_is_refused_before_anything_waits(monkeypatch):
    monkeypatch.setattr("utils.distributed.availability.version", lambda name: "0.4.34")
    with pytest.raises(CourseError, match=r"needs JAX 0\.8 or newer, and this is 0\.4\.34"):
        check(asked_for())


def test_addresses_are_read_as_people_write_them():
    assert Address.read("box.local:7000") == ("box.local", 7000)
    assert Address.read("[::1]:7000") == ("::1", 7000) and str(Address("::1", 7)) == "[::1]:7"
    for wrong in ("box", "box:", ":7000", "box:port", "box:70000"):
        with pytest.raises(ValueError):
            address().convert(wrong)


# ---- how machines meet ---------------------------------------------------------------------------


class Machine(threading.Thread):
    """What a machine would do, in a thread: meet the others, then `then(peers)`."""

    def __init__(self, meet, then=lambda peers: None, **options):
        super().__init__(daemon=True)
        self.meet, self.then, self.options = meet, then, options
        self.met: Meeting | None = None
        self.said = ""
        self.start()

    def run(self):
        try:
            with Peers("A machine", **self.options) as peers:
                self.met = self.meet(peers)
                self.then(peers)
        except ClusterError as error:
            self.said = str(error)

    def end(self):
        self.join(timeout=30)
        assert not self.is_alive(), "waits for ever"
        return self.said


def leader(place, world=2, then=lambda peers: None, finished=False, **options):
    return Machine(lambda peers: gather(peers, place, world, IDENTITY, finished), then, **options)


def other(place, rank=1, world=2, identity=IDENTITY, then=lambda peers: None, **options):
    return Machine(lambda peers: join(peers, place, rank, world, identity), then, **options)


def watch(peers, seconds=10):
    """Be in touch until something happens, at the end of the others at the latest."""
    end = time.monotonic() + seconds
    while peers.lines and time.monotonic() < end:
        peers.watch(0.05)


@pytest.fixture
def place():
    return Address.free("127.0.0.1")


def test_machines_meet_in_any_order_and_agree_where_the_engines_meet(place):
    second, first, third = other(place, 2, 3), leader(place, 3, then=watch), other(place, 1, 3)
    assert [machine.end() for machine in (first, second, third)] == ["", "", ""]
    assert first.met == second.met == third.met
    assert first.met.host == "127.0.0.1" == first.met.engine.host and not first.met.finished


def test_a_machine_that_was_stopped_while_it_waited_may_come_again(place):
    first = leader(place, 3, then=watch)
    with connected(place) as early:
        hello = {"process": 1, "processes": 3, "identity": asdict(IDENTITY)}
        early.sendall(json.dumps(hello).encode() + b"\n")
        time.sleep(0.2)
        early.sendall(b'{"failed": "A machine was stopped"}\n')
    again, third = other(place, 1, 3), other(place, 2, 3)
    assert [machine.end() for machine in (first, again, third)] == ["", "", ""]


def test_what_is_finished_is_said_to_the_others(place):
    first, second = leader(place, finished=True), other(place)
    assert first.end() == second.end() == "" and second.met.finished


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"identity": replace(IDENTITY, data={"corpus": "b"})}, "something else .*other data"),
    ({"identity": replace(IDENTITY, recipe={"steps": 61})}, "steps 61, not 60"),
    ({"identity": replace(IDENTITY, snapshots=())}, "other snapshots"),
    ({"world": 3}, "--processes 3, process 0 with 2"),
    ({"rank": 2}, "--process-id 2: give each one its own number, from 0 to 1"),
])  # fmt: skip
def test_a_machine_that_would_train_something_else_ends_it_on_both(place, changes, sentence):
    first, second = leader(place), other(place, **changes)
    assert first.end() == second.end()
    assert re.search(sentence, first.said), first.said


def test_strangers_are_not_taken_for_machines(place):
    first = leader(place, then=watch)
    for noise in (b"GET / HTTP/1.1\r\n\r\n", b"[]\n", b'{"process": "x"}\n', b"", b"\xff\n"):
        with connected(place) as stranger:
            stranger.sendall(noise)
    second = other(place)
    assert first.end() == second.end() == ""


def connected(place):
    """A connection, as soon as somebody listens."""
    while True:
        try:
            return socket.create_connection(place)
        except ConnectionRefusedError:
            time.sleep(0.02)


@pytest.mark.parametrize("who", ["process 0", "another"])
def test_why_a_machine_cannot_go_on_reaches_all_others(place, who):
    def fail(peers):
        raise ClusterError("The disk is full.")

    first = leader(place, 3, then=fail if who == "process 0" else watch)
    second = other(place, 1, 3, then=watch)
    third = other(place, 2, 3, then=fail if who == "another" else watch)
    assert {machine.end() for machine in (first, second, third)} == {"The disk is full."}


def test_a_machine_that_hangs_up_is_lost(place):
    def vanish(peers):
        for line in peers.lines:
            line.connection.close()
        peers.lines.clear()

    first, second = leader(place, then=watch), other(place, then=vanish)
    assert second.end() == ""
    assert first.end().startswith("The machine of process 1 is lost")
    assert first.said.endswith("the same command goes on from the last checkpoint.")


def test_a_machine_that_says_nothing_is_lost(place):
    first = leader(place, then=watch, silence=0.5)
    second = other(place, then=lambda peers: first.join(timeout=30))  # it is there, but frozen
    assert "said nothing" in first.end()
    second.end()


def test_machines_that_give_signs_of_life_are_not_lost(place):
    """Although no message but these arrives for longer than the silence that is allowed."""

    first = leader(place, then=lambda peers: watch(peers, 6), silence=3.0)
    second = other(place, then=lambda peers: watch(peers, 6), silence=3.0)
    assert first.end() == second.end() == ""


# ---- how the processes of a machine are looked after ---------------------------------------------

# Stands in for a worker: its program is the text in place of the name of the corpus.
ACTOR = """
import json, os, signal, sys, time
job = json.loads(sys.stdin.readline())
exec(job["corpus"].split("|")[job["rank"]])
"""
SLEEP, KILLED = "time.sleep(60)", "os.kill(os.getpid(), signal.SIGKILL)"
LOST_NEIGHBOUR = "print('C++ stack', file=open(job['log'], 'w')); os.abort()"
SENTENCE = "open(job['last_words'], 'w').write('The loss became nan.'); sys.exit(2)"


def act(*roles, peers=None):
    """Start a process for each role, and wait for their end."""
    job = Job(len(roles), "", "", "|".join(roles), {}, "", [])
    with Workers(range(len(roles)), job, [sys.executable, "-c", ACTOR]) as workers:
        processes = [worker.process for worker in workers.workers]
        try:
            workers.watch(peers or Peers("A machine"))
        finally:
            folder = workers.folder.name
    assert all(process.poll() is not None for process in processes)
    assert not os.path.exists(folder)


def test_processes_that_end_well_are_waited_for():
    act("time.sleep(0.5)", "pass")


@pytest.mark.parametrize(("roles", "sentence"), [
    ((SLEEP, KILLED), r"Process 1 was killed \(SIGKILL\), .*: all processes have stopped, and"),
    ((KILLED, SLEEP, SLEEP), r"Process 0 was killed"),
    ((LOST_NEIGHBOUR, f"time.sleep(0.5); {KILLED}"), r"Process 1 was killed"),
    ((SLEEP, SENTENCE), r"^The loss became nan\.$"),
    (("sys.exit(3)", f"time.sleep(0.5); {SENTENCE}"), r"^The loss became nan\.$"),
    ((SLEEP, LOST_NEIGHBOUR), r"Process 1 has failed, its last lines are above"),
])  # fmt: skip
def test_the_cause_is_said_in_one_sentence_and_nobody_goes_on(roles, sentence, capsys):
    with pytest.raises(ClusterError, match=sentence) as error:
        act(*roles)
    assert "\n" not in str(error.value)
    assert ("C++ stack" in capsys.readouterr().err) == ("above" in str(error.value))


def test_the_cause_may_be_on_another_machine(place):
    def fail(peers):
        time.sleep(0.5)
        raise ClusterError("Process 1 was killed.")

    first = leader(place, then=lambda peers: act("sys.exit(3)", peers=peers))
    second = other(place, then=fail)
    assert first.end() == second.end() == "Process 1 was killed."


def test_a_process_does_not_outlive_its_launcher(tmp_path):
    """However that ends, the pipe between them closes."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    job = Job(1, "", "", "tales", {}, "", [], 0, str(folder / "log"), str(folder / "words"))
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, encoding="utf-8") as worker:
        worker.stdin.write(job.line())
        worker.stdin.flush()
        wait_until((folder / "log").exists)
        worker.stdin.close()
        assert worker.wait(timeout=60) == UNEXPECTED
    assert not folder.exists()


# ---- real processes ------------------------------------------------------------------------------


def workers_of(pid):
    """The processes that train, those of a launcher, by rank."""
    children = psutil.Process(pid).children(recursive=True)
    found = [child for child in children if "utils.distributed.worker" in " ".join(child.cmdline())]
    return sorted(found, key=lambda child: child.create_time())


def wait_until(happens, seconds=400):
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.05)


@needs_jax
def test_two_processes_go_on_with_what_one_has_begun(corpus, text_file, monkeypatch):
    """The losses are those of one process, and only the leading one has written files."""
    recipe, snapshots = replace(RECIPE, steps=40), (10, 30)
    alone = pretrain(corpus, recipe, snapshots)
    alone_weights = load_preset(alone.preset).backbone.get_weights()
    snapshot = alone.model_at(30).backbone.get_weights()
    files = sorted(path.name for path in alone.folder.iterdir())
    shutil.rmtree(alone.folder)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "Progress", lambda **_: Interrupt(25))
        with pytest.raises(Interrupted):
            pretrain(corpus, recipe, snapshots)
    together = train(str(text_file), corpus, recipe, snapshots, Place(2))

    np.testing.assert_allclose(losses(together), losses(alone), rtol=1e-3)
    assert [entry["step"] for entry in together.history] == [*range(2, 41, 2)]
    assert sorted(path.name for path in alone.folder.iterdir()) == files
    assert sorted(path.name for path in alone.folder.parent.iterdir()) == [alone.folder.name]
    for trained, expected in (
        (load_preset(together.preset), alone_weights),
        (together.model_at(30), snapshot),
    ):
        for mine, other_one in zip(trained.backbone.get_weights(), expected, strict=True):
            np.testing.assert_allclose(mine, other_one, atol=2e-3)
    assert train(str(text_file), corpus, recipe, snapshots, Place(3)) == together  # only read


class Interrupted(Exception):
    """What an Interrupt raises."""


class Interrupt(keras.callbacks.Callback):
    """Ends a training in the middle, as Ctrl-C would."""

    def __init__(self, step):
        super().__init__()
        self.step, self.done = step, 0

    def on_train_batch_end(self, batch, logs=None):
        self.done += 1
        if self.done == self.step:
            raise Interrupted


# ---- two machines --------------------------------------------------------------------------------


def network_namespaces(names):
    """Make two, like two machines with a cable between; return why that fails, or ""."""
    if shutil.which("ip") is None:
        return "network namespaces need Linux and its command ip"
    cards = [f"{name}x" for name in names]
    commands = [f"ip netns add {name}" for name in names]
    commands.append(
        f"ip link add {cards[0]} netns {names[0]} type veth peer name {cards[1]} netns {names[1]}"
    )
    for number, (name, card) in enumerate(zip(names, cards, strict=True), 1):
        commands += [
            f"ip -n {name} addr add 10.199.7.{number}/24 dev {card}",
            f"ip -n {name} link set {card} up",
            f"ip -n {name} link set lo up",
        ]
    for command in commands:
        done = subprocess.run(command.split(), capture_output=True, encoding="utf-8")
        if done.returncode:
            return f"no network namespaces here: {done.stderr.strip()}"
    return ""


@pytest.fixture(params=["two network namespaces", "localhost"])
def machines(request):
    """What to put in front of a command to run it on one of two machines, and where they meet."""
    names = [f"gpt{os.getpid()}-{number}" for number in (1, 2)]
    problem = network_namespaces(names)
    try:
        if request.param == "localhost":
            if not problem:
                pytest.skip("the same is tested in network namespaces")
            yield [[], []], Address.free("127.0.0.1")
        else:
            if problem:
                pytest.skip(problem)
            yield [["ip", "netns", "exec", name] for name in names], Address("10.199.7.1", 7000)
    finally:
        for name in names if shutil.which("ip") else ():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


@needs_jax
def test_two_machines_learn_of_a_death_and_one_process_goes_on(
    machines, corpus, text_file, tmp_path
):
    prefixes, coordinator = machines
    recipe = replace(RECIPE, steps=400)
    folder = identity_of(corpus, recipe).folder
    flags = [f"--corpus={text_file}", "--steps=400", "--batch-size=4", "--learning-rate=0.01"]
    flags += ["--vocabulary-size=300", "--layers=1", "--heads=2", "--width=16"]
    flags += ["--feed-forward=32", "--context=32", f"--coordinator={coordinator}"]
    launchers = [
        subprocess.Popen(
            [*prefix, sys.executable, "-m", "utils.cluster", *flags, f"--process-id={rank}"],
            env=os.environ | {"COURSE_CHECKPOINTS": str(tmp_path / where)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        for rank, (prefix, where) in enumerate(zip(prefixes, ("checkpoints", "other"), strict=True))
    ]
    try:
        wait_until(
            lambda: (
                (folder / "checkpoint-0000020.npz").exists()
                or any(launcher.poll() is not None for launcher in launchers)
            )
        )
        workers_of(launchers[1].pid)[0].kill()
        died = time.monotonic()
        said = [launcher.communicate(timeout=60) for launcher in launchers]
        assert time.monotonic() - died < SECONDS
    finally:
        for launcher in launchers:
            launcher.kill()
    assert [launcher.returncode for launcher in launchers] == [1, 1]
    sentence = said[0][1].splitlines()[-1]
    assert sentence.startswith("Process 1 was killed (SIGKILL)")
    assert said[1][1].splitlines()[-1] == sentence and "Traceback" not in said[0][1] + said[1][1]
    assert "Gloo" not in said[0][0] and "step  20/400" in said[0][0]
    assert not (tmp_path / "other").exists()  # only process 0 writes

    together = pretrain(corpus, recipe)
    shutil.rmtree(folder)
    alone = pretrain(corpus, recipe)
    np.testing.assert_allclose(losses(together)[0], losses(alone)[0], rtol=1e-4)
    assert together.validation_loss == pytest.approx(alone.validation_loss, rel=0.02)
