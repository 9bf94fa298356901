"""A text as the words that a search compares, and its most informative sentences.

    words("Open a file: open()!")     # ["open", "a", "file", "open"]
    words("打开文件")                  # ["打开", "开文", "文件"]

Chinese does not separate its words, so each pair of neighbouring characters counts as one.
"""

import re
import unicodedata

CHINESE = "\u3400-\u9fff"
WORD = re.compile(rf"[{CHINESE}]+|[^\W_{CHINESE}]+")
IS_CHINESE = re.compile(f"[{CHINESE}]")


def words(text: str) -> list[str]:
    """The words of a text in their order, without capitals and punctuation.

    Characters that look alike are made equal (Unicode's form NFKC): a PDF may hold ⽂ for 文, and
    ２ for 2.
    """
    found: list[str] = []
    for word in WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        if IS_CHINESE.match(word) and len(word) > 1:
            found += [word[at : at + 2] for at in range(len(word) - 1)]
        else:
            found.append(word)
    return found


# Words of which questions consist whatever they are about.
STOP_WORDS = frozenset(
    """
    a about after all also am an and any are as at be because been before being between both
    but by can could did do does doing for from get had has have having he her here him his
    how i if in into is it its itself just like many may me more most much must my no nor not
    of off on one only or other our out over own s same she should so some such t than that
    the their them then there these they this those through to too under until up use used
    using very was we were what when where whether which while who whom whose why will with
    would you your
    """.split()  # noqa: SIM905
)


def keywords(question: str) -> list[str]:
    """The different words of a question that say what it is about; all, if none does."""
    found = list(dict.fromkeys(words(question)))
    return [word for word in found if word not in STOP_WORDS] or found
