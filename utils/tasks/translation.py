# ruff: noqa: E501 (an option is one line)
"""Passages in English and Chinese with one meaning, and how to read the meaning back out of a text.

    pair = pairs("train", 1000)[0]
    pair.english, pair.chinese          # the same facts, each in its own wording
    read(pair.chinese, "zh")            # the facts again, equal to pair.meaning

A meaning is a list of facts: who, where, what. Two small grammars tell it, one in each language,
made of words and phrases of the course's tales (`utils.tales`). The tales themselves are not
translations of one another: each language has words of its own, such as other cakes. `WORDS` has
those that both have, as pairs. The same grammars read a text: if it has a derivation, the options
that were taken in it are the facts. So whether a translation is right need not be guessed by
comparing it with another text: it is read.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from zlib import crc32

from utils.errors import CourseError
from utils.tales.derivations import Draw, Follow, derivations
from utils.tales.grammar import Grammar, Rule
from utils.tales.notation import read_grammar

LANGUAGES = ("en", "zh")

# A line holds the words of one kind that stand in one place of a sentence, English=Chinese. The
# kind is the first word of its name; what follows tells the lines of a kind apart.
WORDS = """
hero she: Mia=朵朵 | Lucy=小雨 | Anna=妞妞 | Nora=婷婷 | Ella=甜甜 | Clara=月月
hero he: Tom=明明 | Leo=小虎 | Sam=壮壮 | Jack=乐乐 | Felix=小刚 | Noah=东东
gender she: she=她 | he=他
gender She: She=她 | He=他
gender her: her=她的 | his=他的
gender child: girl=小女孩 | boy=小男孩
trait: brave=勇敢 | clever=聪明 | kind=善良 | quiet=安静 | cheerful=开朗 | curious=好奇 | stubborn=倔强 | gentle=温柔 | shy=害羞 | lively=活泼
relative: mother=妈妈 | father=爸爸 | grandmother=奶奶 | grandfather=爷爷 | aunt=姑姑 | uncle=舅舅
home: at the end of a quiet lane=小巷尽头 | near the railway=铁路旁边 | behind the church=钟楼后面 | next to the bakery=面包店隔壁 | beside the school=学校旁边 | by the sea=大海边 | at the foot of a mountain=大山脚下 | on the edge of a small town=小镇边上 | across from the post office=邮局对面 | not far from the old bridge=老桥附近
weather: sunny=晴朗 | windy=刮风 | cloudy=多云 | warm=暖和 | cold=寒冷 | misty=有雾 | bright=明媚
daytime: morning=早晨 | afternoon=下午 | day in spring=春日 | day in summer=夏日 | day in autumn=秋日 | Sunday=星期天
place: the forest=森林 | the woods=树林 | the park=公园 | the river=河边 | the lake=湖边 | the pond=池塘边 | the hills=后山 | the meadow=草地 | the old castle=古堡 | the farm=农场 | the village=村口 | the mill=磨坊
look toy: red=红色的 | blue=蓝色的 | green=绿色的 | yellow=黄色的 | purple=紫色的 | white=白色的 | beautiful=漂亮的 | little=小小的
look keepsake: favourite=心爱的 | silver=银色的 | golden=金色的 | beautiful=漂亮的 | little=小小的
look creature: hungry=饿坏了的 | black=黑黑的 | white=雪白的
prize 只: kite=风筝 | paper boat=纸船 | teddy bear=布小熊
prize 个: ball=皮球 | doll=布娃娃 | puppet=木偶 | pinwheel=风车
prize 顶: hat=帽子
prize 条: scarf=围巾 | ribbon=彩带
prize keepsake: ring=戒指 | key=钥匙 | watch=手表 | brooch=胸针 | necklace=项链 | comb=木梳 | spoon=勺子 | whistle=口哨 | bell=铃铛 | mirror=镜子 | purse=钱包
prize creature: kitten=小猫 | chick=小鸡 | hamster=小仓鼠 | bear cub=小熊 | baby monkey=小猴子 | baby owl=小猫头鹰 | parrot=小鹦鹉
where tree: at the top of a tall oak tree=一棵高高的橡树顶上 | at the top of a tall pine tree=一棵高高的松树顶上 | at the top of a tall pear tree=一棵高高的梨树顶上 | at the top of a tall chestnut tree=一棵高高的栗子树顶上
where roof: on the roof of a barn=一座谷仓的屋顶上
where ledge: on a narrow ledge, high above the ground=一面高高的岩壁上
where water: on a small rock in the middle of the water=水中央的一块石头上
where mud: in the middle of the deep mud=一大片烂泥中间
where hole: at the bottom of a narrow hole=一个又窄又深的洞底
where thorns: in the middle of a thorny bush=一丛荆棘中间
where well: at the bottom of a dry well=一口枯井的井底
helper tree: squirrel=松鼠 | crow=乌鸦 | woodpecker=啄木鸟
helper roof: cat=花猫 | pigeon=鸽子
helper ledge: goat=山羊 | falcon=老鹰
helper water: duck=鸭子 | beaver=河狸 | swan=天鹅
helper mud: heron=白鹭 | crane=仙鹤 | flamingo=火烈鸟
helper hole: mouse=老鼠 | mole=鼹鼠 | rabbit=兔子
helper thorns: hedgehog=刺猬 | tortoise=乌龟 | lizard=蜥蜴
helper well: farmer=农夫 | shepherd=牧羊人 | sailor=水手
pal: Pip=皮皮 | Otto=毛毛 | Tilly=奇奇 | Bruno=阿黄 | Dot=丁丁 | Hazel=当当 | Olga=嘟嘟 | Wanda=咪咪 | Nibs=波波 | Momo=点点 | Rufus=灰灰 | Fritz=卡卡
joy: danced in a circle=高兴得转起圈来 | sang a little song=唱起歌来 | laughed out loud=哈哈大笑起来 | smiled from ear to ear=笑得合不拢嘴 | jumped for joy=高兴得跳了起来
"""

# In the notation of `utils.tales.notation`. All wordings of a sentence state the same facts.
SENTENCES = {
    "en": """
passage:
    [who] [went] [end]
who:
    Once there was a [trait] [gender child] named [hero], who lived with [gender her] [relative] [home].
    [hero] was a [trait] [gender child] and lived with [gender her] [relative] [home].
    Long ago, a [trait] [gender child] named [hero] lived with [gender her] [relative] [home].
went:
    One [weather] [daytime], [whom] took [gender her] [look toy] [toy] to [place].
    On a [weather] [daytime], [whom] went to [place] with [gender her] [look toy] [toy].
    One [weather] [daytime], [whom] went to [place] to look for [gender her] [look keepsake] [prize keepsake].
    To look for [gender her] [look keepsake] [prize keepsake], [whom] went to [place] one [weather] [daytime].
    One [weather] [daytime], [whom] went to [place] and found a [look creature] [prize creature].
    On a [weather] [daytime], [whom] found a [look creature] [prize creature] when [gender she] went to [place].
end:
    It was stuck [where], but a [helper] named [pal] came and helped, and [whom] [joy].
    It was stuck [where] until [pal] the [helper] brought it back. [Whom] [joy].
    Luckily, a [helper] named [pal] came along and helped, because it was stuck [where]. [Whom] [joy].
whom:
    [hero]
    [gender she]
Whom:
    [hero]
    [gender She]
toy:
    [prize 只]
    [prize 个]
    [prize 顶]
    [prize 条]
""",
    "zh": """
passage:
    [who][went][end]
who:
    从前有一个[trait]的[gender child]，名叫[hero]，[gender she]和[relative]住在[home]。
    [hero]是个[trait]的[gender child]，和[relative]一起住在[home]。
    很久以前，[home]住着一个[trait]的[gender child]，名叫[hero]，还有[gender her][relative]。
went:
    一个[weather]的[daytime]，[whom]带着一[toy]去了[place]。
    那是一个[weather]的[daytime]，[whom]拿上一[toy]，去了[place]。
    一个[weather]的[daytime]，[whom]去[place]找[gender she]那[look keepsake][prize keepsake]。
    为了找[gender she]那[look keepsake][prize keepsake]，[whom]在一个[weather]的[daytime]去了[place]。
    一个[weather]的[daytime]，[whom]去了[place]，发现了一只[look creature][prize creature]。
    一个[weather]的[daytime]，[whom]去[place]的时候发现了一只[look creature][prize creature]。
end:
    它卡在[where]，可是来了一[friend]帮忙，[whom][joy]。
    它卡在[where]，后来[helper][pal]把它带了回来。[whom][joy]。
    幸好来了一[friend]帮忙，因为它卡在[where]。[whom][joy]。
friend:
    只名叫[pal]的[animal]
    位名叫[pal]的[helper well]
animal:
    [helper tree]
    [helper roof]
    [helper ledge]
    [helper water]
    [helper mud]
    [helper hole]
    [helper thorns]
whom:
    [hero]
    [gender she]
toy:
    只[look toy][prize 只]
    个[look toy][prize 个]
    顶[look toy][prize 顶]
    条[look toy][prize 条]
""",
}
# Two kinds of facts whose combinations are partly held out: a share of 1 / HELD_OUT of them is in
# no training text. See `is_held_out`.
COMBINATIONS = (("trait", "hero"), ("look", "prize"), ("helper", "pal"))
HELD_OUT = 5
SPLITS = ("train", "validation", "test")


class TranslationError(CourseError):
    """A language or a split that there is not."""


@dataclass(frozen=True)
class Meaning:
    """What a passage says, one value for each kind of fact, in the English words.

    Attributes:
        hero: the child's name.
        gender: "she" or "he", as the name and every pronoun say.
        trait: what the child is like.
        relative: whom it lives with.
        home: where it lives.
        weather, daytime, place: when and where it went.
        look, prize: what it had, looked for or found.
        where: where that was stuck.
        helper, pal: who helped, and the helper's name.
        joy: what the child did at the end.
    """

    hero: str
    gender: str
    trait: str
    relative: str
    home: str
    weather: str
    daytime: str
    place: str
    look: str
    prize: str
    where: str
    helper: str
    pal: str
    joy: str


KINDS = tuple(field.name for field in fields(Meaning))


@dataclass(frozen=True)
class Pair:
    """A meaning, told in both languages."""

    meaning: Meaning
    english: str
    chinese: str


# ---- words and grammars --------------------------------------------------------------------------


def _read_words() -> dict[str, tuple[tuple[str, str], ...]]:
    lines = (line.partition(": ") for line in WORDS.strip().splitlines())
    return {
        title: tuple((en, zh) for en, _, zh in (word.partition("=") for word in words.split(" | ")))
        for title, _, words in lines
    }


LEXICON = _read_words()  # name of a line -> its pairs (English, Chinese)


def kind_of(title: str) -> str:
    """The kind of fact that a line of `WORDS` is about."""
    return title.partition(" ")[0]


def fact(title: str, number: int) -> str:
    """The value that a word stands for: the English word; of all words for a gender "she" or "he".

    Args:
        title: the title of a line of `WORDS`.
        number: the number of the word in it.
    """
    return LEXICON["gender she" if kind_of(title) == "gender" else title][number][0]


@cache
def grammar(language: str) -> Grammar:
    """The grammar of the passages, "en" or "zh".

    Raises:
        TranslationError: for another language.
    """
    if language not in LANGUAGES:
        raise TranslationError(f"There are passages in en and zh, not in {language!r}.")
    side = LANGUAGES.index(language)
    rules = {title: [pair[side] for pair in words] for title, words in LEXICON.items()}
    for kind in map(kind_of, LEXICON):  # such as [helper], one of all lines of that kind
        rules.setdefault(kind, [f"[{title}]" for title in LEXICON if kind_of(title) == kind])
    text = "".join(
        "\n".join([f"{title}:", *(f"    {option}" for option in options), ""])
        for title, options in rules.items()
    )
    return read_grammar(SENTENCES[language] + text, start="passage")


# ---- telling and reading -------------------------------------------------------------------------


class Tell(Draw):
    """Lets a grammar say one meaning: words are given, wordings are random.

    Args:
        meaning: what to say.
        seed: the seed of the wordings.
    """

    def __init__(self, meaning: Meaning, seed: int | str):
        self.facts = asdict(meaning)
        self.shuffle = random.Random(seed).shuffle

    def options(self, rule: Rule) -> Sequence[int]:
        numbers = range(len(rule.options))
        if rule.title in LEXICON:
            wanted = self.facts[kind_of(rule.title)]
            return [number for number in numbers if fact(rule.title, number) == wanted]
        order = list(numbers)
        self.shuffle(order)  # the first that leads to a whole passage is taken
        return order


def told(meaning: Meaning, language: str, seed: int | str = 0) -> str:
    """A passage that says this and nothing else; another seed may give another wording."""
    return next(derivations(grammar(language), Tell(meaning, seed))).told


def read(text: str, language: str) -> Meaning | None:
    """What a passage says. None if it is no passage, or if two of its words contradict each other.

    Args:
        text: a passage, or anything else.
        language: "en" or "zh".

    Raises:
        TranslationError: for another language.
    """
    telling = next(derivations(grammar(language), Follow(text)), None)
    if telling is None:
        return None
    found: dict[str, set[str]] = {}
    for title, number in telling.derivation:
        if title in LEXICON:
            found.setdefault(kind_of(title), set()).add(fact(title, number))
        if title in ("hero she", "hero he"):  # a name tells the gender, too
            found.setdefault("gender", set()).add(title.split()[1])
    if any(len(values) > 1 for values in found.values()):
        return None
    return Meaning(**{kind: values.pop() for kind, values in found.items()})


@cache
def _chinese_words() -> tuple[re.Pattern, Mapping[str, tuple[str, str]]]:
    """A pattern that finds the words of `WORDS`, longer ones first, and their facts."""
    words = {
        chinese: (kind_of(title), fact(title, number))
        for title, pairs in LEXICON.items()
        for number, (_, chinese) in enumerate(pairs)
    }
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))), words


def right_facts(text: str, meaning: Meaning) -> dict[str, bool]:
    """For each kind, whether a Chinese text has the right word for it and no wrong one.

    A milder judge than `read`: it looks for words only, wherever they stand, so it can judge texts
    that are no sentences.
    """
    pattern, words = _chinese_words()
    found: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for word in pattern.findall(text):
        kind, value = words[word]
        found[kind].add(value)
    return {kind: found[kind] == {value} for kind, value in asdict(meaning).items()}


# ---- meanings and pairs --------------------------------------------------------------------------


def is_held_out(first: str, second: str) -> bool:
    """Whether two values, of the kinds of one of `COMBINATIONS`, never meet in a training text."""
    return crc32(f"{first} {second}".encode()) % HELD_OUT == 0


def held_out(meaning: Meaning) -> list[bool]:
    """For each of `COMBINATIONS`, whether that of a meaning is held out."""
    facts = asdict(meaning)
    return [is_held_out(facts[one], facts[other]) for one, other in COMBINATIONS]


def meanings(split: str, start: int = 0) -> Iterator[Meaning]:
    """The meanings of a split, without an end.

    "train" and "validation" have no combination that is held out; of "test" all three are.

    Args:
        split: one of `SPLITS`.
        start: the start of another sequence of the same kind, such as texts that are in no pair.

    Raises:
        TranslationError: for another split.
    """
    if split not in SPLITS:
        raise TranslationError(f"There are the splits {', '.join(SPLITS)}, not {split!r}.")
    rng = random.Random(f"{split} {start}")
    while True:
        meaning = _any_meaning(rng)
        combinations = held_out(meaning)
        if all(combinations) if split == "test" else not any(combinations):
            yield meaning


def _any_meaning(rng: random.Random) -> Meaning:
    """A random one: the look fits the prize, and the helper can help there."""

    def pick(*titles: str) -> str:
        return rng.choice([pair[0] for title in titles for pair in LEXICON[title]])

    gender = rng.choice(["she", "he"])
    prizes = rng.choice([["prize keepsake"], ["prize creature"], TOYS])
    look = "toy" if prizes is TOYS else prizes[0].split()[1]
    trouble = rng.choice(TROUBLES)
    plain = ("trait", "relative", "home", "weather", "daytime", "place", "pal", "joy")
    return Meaning(
        hero=pick(f"hero {gender}"),
        gender=gender,
        look=pick(f"look {look}"),
        prize=pick(*prizes),
        where=pick(f"where {trouble}"),
        helper=pick(f"helper {trouble}"),
        **{kind: pick(kind) for kind in plain},
    )


TOYS = ["prize 只", "prize 个", "prize 顶", "prize 条"]
TROUBLES = [title.split()[1] for title in LEXICON if kind_of(title) == "where"]


def pairs(split: str, number: int, start: int = 0) -> list[Pair]:
    """The first pairs of a split: those of 200 are the first 200 of those of 1,000.

    Args:
        split: "train", "validation" or "test".
        number: the number of pairs.
        start: the start of the sequence, as for `meanings`.

    Raises:
        TranslationError: for another split.
    """
    found = []
    for i, meaning in zip(range(number), meanings(split, start), strict=False):
        seed = f"{split} {start} {i}"
        found.append(Pair(meaning, told(meaning, "en", seed), told(meaning, "zh", f"{seed} zh")))
    return found
