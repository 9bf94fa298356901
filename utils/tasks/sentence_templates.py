"""Sentences out of templates, as the intents of Home Assistant are written.

    templates = read_templates(path)                  # one per line of the file, with its intent
    sentence(templates[0], templates, Random(0))      # "turn on the lamp in the kitchen"

The notation: `(a|b)` one of several, `[a]` with or without, `(a;b)` in any order, `{name}` a value
of a list, `<rule>` a part that has a name. So each sentence knows its template, and its intent.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from utils.errors import CourseError

TOKEN = re.compile(r"[()\[\]|;]|<[^<>]+>|\{[^{}]+\}|[^()\[\]|;<>{}]+")
CLOSED_BY = {"(": ")", "[": "]"}

# What people call their rooms and things: the templates leave these to each home. The course's own.
WORDS: dict[str, dict[str, str]] = {
    "en": {
        "area": "kitchen, bedroom, living room, bathroom, office, hallway, garden, attic, nursery",
        "floor": "ground, first, second, upper, lower",
        "zone": "school, work, the office, the gym",
        "message": "dinner is ready, we leave in ten minutes, the guests are here, time for bed",
        "search_query": "some jazz, the moonlight sonata, songs for children, the evening news",
        "timer_name": "pasta, egg, laundry, pizza, tea, homework",
        "timer_command": "turn off the lamp, open the blinds, stop the music, close the gate",
        "shopping_list_item": "milk, bread, apples, two lemons, olive oil, coffee",
        "todo_list_item": "call grandma, water the plants, pay the rent, fix the bike",
        "light": "floor lamp, bedside lamp, ceiling light, reading lamp, string lights",
        "media_player": "television, speaker, radio, soundbar",
        "cover": "left curtain, roller blind, garage door, awning",
        "scene": "movie night, good morning, party, reading",
        "script": "bedtime routine, leaving home, welcome",
        "climate": "thermostat, heater, air conditioner",
        "lock": "front door, back door, shed",
        "vacuum": "robot, vacuum, dusty",
        "lawn_mower": "mower, lawn robot",
        "binary_sensor": "motion sensor, back window, water sensor",
        "valve": "garden valve, sprinkler, water valve",
        "todo": "chores, weekend, holiday, work",
        "person": "Anna, Tom, grandpa, Lisa",
        "weather": "London, Berlin, the coast",
        "fan": "ceiling fan, desk fan, tower fan",
        "sensor": "outdoor sensor, power meter, air sensor",
        "button": "doorbell, reset button",
        "": "heater, coffee machine, socket, humidifier",
    },
    "zh": {
        "area": "厨房, 卧室, 客厅, 浴室, 书房, 走廊, 花园, 阁楼, 儿童房",
        "floor": "一楼, 二楼, 三楼, 楼上, 楼下",
        "zone": "学校, 公司, 办公室, 健身房",
        "message": "饭做好了, 十分钟后出发, 客人到了, 该睡觉了",
        "search_query": "爵士乐, 月光奏鸣曲, 儿歌, 晚间新闻",
        "timer_name": "煮面, 鸡蛋, 洗衣服, 披萨, 泡茶, 作业",
        "timer_command": "关掉台灯, 拉开窗帘, 停止播放音乐, 关上大门",
        "shopping_list_item": "牛奶, 面包, 苹果, 两个柠檬, 橄榄油, 咖啡",
        "todo_list_item": "给奶奶打电话, 给花浇水, 交房租, 修自行车",
        "light": "落地灯, 床头灯, 吸顶灯, 阅读灯, 彩灯",
        "media_player": "电视, 音箱, 收音机, 播放器",
        "cover": "左边的窗帘, 卷帘, 车库门, 遮阳棚",
        "scene": "观影, 早安, 聚会, 阅读",
        "script": "睡前流程, 离家, 回家",
        "climate": "温控器, 暖气, 空调",
        "lock": "前门, 后门, 储物间",
        "vacuum": "扫地机器人, 吸尘器, 小白",
        "lawn_mower": "割草机, 草坪机器人",
        "binary_sensor": "人体传感器, 后窗, 水浸传感器",
        "valve": "花园阀门, 喷头, 水阀",
        "todo": "家务, 周末, 假期, 工作",
        "person": "小红, 小明, 爷爷, 丽丽",
        "weather": "北京, 上海, 海边",
        "fan": "吊扇, 台扇, 塔扇",
        "sensor": "室外传感器, 电表, 空气传感器",
        "button": "门铃, 复位按钮",
        "": "暖风机, 咖啡机, 插座, 加湿器",
    },
}


class Templates(NamedTuple):
    """The templates of a language.

    Attributes:
        language: "en" or "zh".
        sentences: the templates, each with its intent, its text, and the kind of thing that
            `{name}` is.
        lists: the values of each list.
        rules: the parts that have a name.
    """

    language: str
    sentences: list[tuple[str, str, str]]
    lists: dict[str, Any]
    rules: dict[str, str]


def read_templates(path: Path, language: str) -> Templates:
    """Read the templates of a language.

    Args:
        path: a file of intents, in JSON.
        language: "en" or "zh": which words of ours fill the places that a home fills.

    Raises:
        CourseError: if the file has another form.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        sentences = [
            (intent.removeprefix("Hass"), text, (part.get("requires_context") or {}).get("domain"))
            for intent, about in found["intents"].items()
            for part in about["data"]
            for text in part["sentences"]
        ]
        lists, rules = found["lists"], found["expansion_rules"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CourseError(f"{path} holds no intents that can be read ({error!r}).") from None
    kinds = [(i, text, (kind or [""])[0]) for i, text, kind in sentences]
    return Templates(language, kinds, lists, rules)


def sentence(template: tuple[str, str, str], templates: Templates, rng: Random) -> str:
    """One of the sentences of a template, at random."""
    _, text, kind = template
    written = _Writer(templates, kind, rng).write(text)
    if templates.language == "zh":
        return re.sub(r"\s+", "", written)
    return re.sub(r"\s+", " ", written).strip()


class _Writer:
    """Writes a template out; what may be chosen is chosen at random."""

    def __init__(self, templates: Templates, kind: str, rng: Random):
        self.templates, self.kind, self.rng = templates, kind, rng
        self.words = WORDS[templates.language]

    def write(self, text: str) -> str:
        """A sentence of a template."""
        tokens = TOKEN.findall(text)
        written, rest = self._alternatives(tokens, "")
        if rest:
            raise CourseError(f"The template {text!r} has brackets that do not match.")
        return written

    def _alternatives(self, tokens: list[str], end: str) -> tuple[str, list[str]]:
        """One of the alternatives up to a closing bracket, and the tokens behind it."""
        parts, separators = [""], set()
        while tokens and tokens[0] != end:
            token, tokens = tokens[0], tokens[1:]
            if token in "|;":
                separators.add(token)
                parts.append("")
            elif token in CLOSED_BY:
                inner, tokens = self._alternatives(tokens, CLOSED_BY[token])
                parts[-1] += inner if token == "(" or self.rng.random() < 0.5 else ""
            else:
                parts[-1] += self._word(token)
        if ";" in separators:
            self.rng.shuffle(parts)
            written = " ".join(parts)
        else:
            written = self.rng.choice(parts)
        return written, tokens[1:] if end else tokens

    def _word(self, token: str) -> str:
        """A piece of text, a named part, or a value of a list."""
        name = token[1:-1].split(":")[0]
        if token[0] == "<":
            return self.write(self.templates.rules[name])
        return self._value(name) if token[0] == "{" else token

    def _value(self, name: str) -> str:
        about: Mapping[str, Any] = self.templates.lists.get(name, {})
        if "range" in about:
            low, high = int(about["range"]["from"]), int(about["range"]["to"])
            return str(self.rng.randrange(low, high + 1, int(about["range"].get("step", 1))))
        if "values" in about:
            value = self.rng.choice(about["values"])
            return self.write(value if isinstance(value, str) else value["in"])
        ours = self.words.get(self.kind if name == "name" else name, self.words[""])
        return self.rng.choice(ours.split(", "))
