"""The chat page in a real browser that can reach nothing but the server."""

import json
import re
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright
from tiny_server import NAME, Gate, Parrot, running, shut, tiny_engine

from utils.generation.sampling import as_sampling

CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "chrome"])), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
LOCAL_ONLY = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
SOME_TEXT = re.compile(r"\S")
HTML = (
    '<script>window.hacked = 1</script><img src="x" onerror="window.hacked = 1"><b>bold</b> & &amp;'
)


@pytest.fixture(scope="module")
def engine():
    engine = tiny_engine(slots=1, queue=0)
    engine.gate = Gate(engine)
    return engine


@pytest.fixture(scope="module")
def url(engine):
    with running(engine) as url:
        yield url


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", LOCAL_ONLY]
        )
        yield browser
        browser.close()


@pytest.fixture
def tab(browser):
    """A fresh tab. It notes what goes to other servers, and the errors that the page makes."""
    context = browser.new_context(locale="en-US", viewport={"width": 1000, "height": 700})
    tab = context.new_page()
    tab.set_default_timeout(20_000)
    tab.elsewhere, tab.errors = [], []
    tab.on("request", lambda it: "//127.0.0.1:" in it.url or tab.elsewhere.append(it.url))
    tab.on("pageerror", lambda error: tab.errors.append(str(error)))
    yield tab
    assert [url for url in tab.elsewhere if not url.startswith("data:")] == []
    assert tab.errors == []
    context.close()


@pytest.fixture
def page(tab, url):
    """The tab with the chat page, which has found its model."""
    tab.goto(url)
    expect(tab.locator("#model")).to_have_text(NAME)
    return tab


def say(page, text):
    page.locator("#box").fill(text)
    page.locator("#box").press("Enter")


def answers(page):
    return page.locator("#log p.assistant")


def is_done(page, number):
    """Wait for the end of an answer."""
    expect(page.locator("#send")).to_be_visible()
    expect(answers(page)).to_have_count(number)


def test_an_answer_streams_in_while_it_is_written(page, engine):
    with shut(engine.gate) as gate:
        say(page, "the fox")
        expect(page.locator("#log p.user")).to_have_text("the fox")
        expect(page.locator("#box")).to_have_value("")
        gate.let(30)
        expect(answers(page)).to_have_text(SOME_TEXT)
        beginning = answers(page).text_content()
        expect(page.locator("#stop")).to_be_visible()
        expect(page.locator("#send")).to_be_hidden()
        assert engine.load == (1, 0)
    is_done(page, 1)
    whole = answers(page).text_content()
    assert whole.startswith(beginning) and len(whole) > len(beginning) + 20
    expect(page.locator("#log p.note")).to_contain_text("window is full")


def test_stop_keeps_what_there_is_and_frees_the_slot(page, engine):
    with shut(engine.gate) as gate:
        say(page, "the fox")
        gate.let(30)
        expect(answers(page)).to_have_text(SOME_TEXT)
        page.locator("#stop").click()
        is_done(page, 1)
        kept = answers(page).text_content()
        assert gate.let_until(lambda: engine.load == (0, 0))
    assert answers(page).text_content() == kept
    say(page, "go on")
    is_done(page, 2)


def test_stop_before_the_first_word_gives_the_question_back(page, engine):
    with shut(engine.gate) as gate:
        say(page, "the fox")
        assert gate.has(1, 0)
        page.locator("#stop").click()
        expect(page.locator("#box")).to_have_value("the fox")
        expect(page.locator("#log p")).to_have_count(0)
        assert gate.let_until(lambda: engine.load == (0, 0))


def test_a_question_comes_back_before_what_stands_in_the_box(page, engine):
    with shut(engine.gate) as gate:
        say(page, "the fox")
        assert gate.has(1, 0)
        page.locator("#box").fill("and the hare")
        page.locator("#stop").click()
        expect(page.locator("#box")).to_have_value("the fox\nand the hare")
        expect(page.locator("#log p")).to_have_count(0)
        assert gate.let_until(lambda: engine.load == (0, 0))


def test_a_reload_keeps_chat_and_settings_and_frees_the_slot(page, engine):
    page.locator("summary").click()
    page.locator("#temperature").fill("0.35")
    page.locator("#language").click()
    say(page, "你好")
    is_done(page, 1)
    said = page.locator("#log p:not(.note)").all_text_contents()
    with shut(engine.gate) as gate:
        say(page, "the fox")
        assert gate.has(1, 0)
        page.reload()
        assert gate.let_until(lambda: engine.load == (0, 0))
    expect(page.locator("#log p")).to_have_count(2)
    assert page.locator("#log p").all_text_contents() == said
    expect(page.locator("#send")).to_have_text("发送")
    expect(page.locator("#temperature")).to_have_value("0.35")
    say(page, "the fox")
    is_done(page, 2)


def test_html_is_text_whoever_wrote_it(tab):
    with running(Parrot(HTML)) as url:
        tab.goto(url)
        say(tab, HTML)
        expect(answers(tab)).to_have_text(HTML)
        tab.reload()  # what was kept is shown again
        for who in ("user", "assistant"):
            expect(tab.locator(f"#log p.{who}")).to_have_text(HTML)
        assert tab.evaluate("window.hacked") is None
        assert tab.locator("#log p *").count() == 0


def test_a_script_that_got_in_all_the_same_would_not_run(page):
    page.evaluate(
        "html => { const part = document.createRange().createContextualFragment(html);"
        " document.body.append(part); }",
        HTML,
    )
    page.wait_for_timeout(200)
    assert page.evaluate("window.hacked") is None
    page.elsewhere.clear()


def test_both_languages_have_all_words(page):
    words = page.evaluate("WORDS")
    assert words["en"].keys() == words["zh"].keys()
    assert all(words[language][word] for language in words for word in words["en"])
    used = page.eval_on_selector_all("[data-word]", "all => all.map(one => one.dataset.word)")
    assert set(used) <= words["en"].keys()
    for language, other in [("zh", "zh-CN"), ("en", "en")]:
        page.locator("#language").click()
        expect(page.locator("#stop")).to_have_text(words[language]["stop"])
        assert page.title() == words[language]["title"]
        assert page.locator("html").get_attribute("lang") == other


def test_a_chinese_browser_begins_in_chinese(browser, url):
    context = browser.new_context(locale="zh-CN")
    tab = context.new_page()
    tab.goto(url)
    expect(tab.locator("#send")).to_have_text("发送")
    context.close()


def test_the_sliders_say_how_to_draw(page):
    page.locator("summary").click()
    for name, value in [("temperature", "0.25"), ("top_p", "0.5"), ("top_k", "12")]:
        page.locator(f"#{name}").fill(value)
        expect(page.locator(f"label:has(#{name}) output")).to_have_text(value)
    with page.expect_request("**/v1/chat/completions") as sent:
        say(page, "the fox")
    body = json.loads(sent.value.post_data)
    assert (body["temperature"], body["top_p"], body["top_k"]) == (0.25, 0.5, 12)
    assert body["messages"] == [{"role": "user", "content": "the fox"}]
    is_done(page, 1)


def test_a_long_chat_goes_on_and_shows_what_is_forgotten(page):
    for number in range(1, 4):
        say(page, "the fox said to the hare")
        is_done(page, number)
    expect(page.locator("#log")).to_contain_text("forgotten what is faded")
    expect(page.locator("#log p.forgotten").first).to_have_text("the fox said to the hare")
    assert "forgotten" not in answers(page).last.get_attribute("class")


def test_no_answer_about_a_tale_is_cut_at_the_window(tab):
    """The server forgets in time to leave room for a reply, and the page shows what."""
    parrot = Parrot("A hen found a hat. She put it on.")  # what it says is a tale and an answer
    parrot.context, prompts, submit = 240, [], parrot.submit

    def note(prompt, *rest):
        prompts.append(parrot.tokenizer.decode(prompt))
        return submit(prompt, *rest)

    parrot.submit = note
    with running(parrot) as url:
        tab.goto(url)
        expect(tab.locator("#model")).to_have_text("parrot")
        tab.locator("#tell").click()
        expect(tab.locator("#log p.tale")).to_have_text(parrot.words)
        for number in range(1, 7):
            say(tab, f"Number {number}: who found it?")
            is_done(tab, number)
            assert len(prompts[-1]) <= 240 - 40 and parrot.words in prompts[-1]
            faded = tab.locator("#log p.forgotten").all_text_contents()
            questions = [text for text in faded if text.startswith("Number")]
            assert questions == [f"Number {i}: who found it?" for i in range(1, number - 1)]
            assert [text in prompts[-1] for text in questions] == [False] * len(questions)
    assert answers(tab).all_text_contents() == [parrot.words] * 6
    assert tab.locator("#log p.note").all_text_contents() == [
        "The conversation is longer than the model can see: it has forgotten what is faded."
    ]


def test_a_tale_leaves_room_for_questions(tab):
    with running(Parrot("x" * 1000)) as url:
        tab.goto(url)
        expect(tab.locator("#model")).to_have_text("parrot")
        tab.locator("#tell").click()
        expect(tab.locator("#log p.tale")).to_have_text(re.compile("x{400,470}"))
        say(tab, "Who?")
        is_done(tab, 1)
        expect(tab.locator("#log p.note")).to_contain_text("context window is full")


def test_what_can_never_fit_is_told_and_comes_back(page):
    long = "xyz " * 200
    say(page, long)
    expect(page.locator("#log p.note")).to_contain_text("shorten it")
    expect(page.locator("#box")).to_have_value(long.strip())


def test_when_many_wait_the_page_tries_again(page, engine):
    with shut(engine.gate) as gate:
        engine.submit([1], 100, as_sampling(1.0, 0, 1.0), 0)
        assert gate.has(1, 0)
        say(page, "the fox")
        expect(page.locator("#log p.note")).to_contain_text("Your turn comes soon")
    is_done(page, 1)


def test_a_server_that_is_gone_is_told(tab):
    with running(Parrot("hello")) as url:
        tab.goto(url)
        expect(tab.locator("#model")).to_have_text("parrot")
    say(tab, "are you there?")
    expect(tab.locator("#log p.note")).to_contain_text("connection was lost")
    expect(tab.locator("#box")).to_have_value("are you there?")


def test_a_new_chat_forgets(page, engine):
    with shut(engine.gate) as gate:
        say(page, "the fox")
        gate.let(30)
        expect(answers(page)).to_have_text(SOME_TEXT)
        page.locator("#new").click()
        expect(page.locator("#log p")).to_have_count(0)
        expect(page.locator("#welcome")).to_be_visible()
        assert gate.let_until(lambda: engine.load == (0, 0))
    with page.expect_request("**/v1/chat/completions") as sent:
        say(page, "again")
    assert len(json.loads(sent.value.post_data)["messages"]) == 1
    is_done(page, 1)


def test_a_new_tale_is_what_the_chat_is_about(tab):
    tale = "A fox met a hare."
    with running(Parrot(tale)) as url:
        tab.goto(url)
        expect(tab.locator("#model")).to_have_text("parrot")
        say(tab, "hello")
        is_done(tab, 1)
        tab.locator("#tell").click()
        expect(tab.locator("#log p")).to_have_count(1)  # the old chat is over
        expect(tab.locator("#log p.tale")).to_have_text(tale)
        tab.reload()
        expect(tab.locator("#log p.tale")).to_have_text(tale)
        expect(tab.locator("#model")).to_have_text("parrot")
        with tab.expect_request("**/v1/chat/completions") as sent:
            say(tab, "Who?")
        is_done(tab, 1)
        about, asked = json.loads(sent.value.post_data)["messages"]
        assert about == {"role": "system", "content": tale}
        assert asked == {"role": "user", "content": "Who?"}


def test_a_tale_that_is_stopped_is_none(page, engine):
    with shut(engine.gate) as gate:
        page.locator("#tell").click()
        assert gate.has(1, 0)
        page.locator("#stop").click()
        expect(page.locator("#send")).to_be_visible()
        expect(page.locator("#log p")).to_have_count(0)
        assert gate.let_until(lambda: engine.load == (0, 0))
    with page.expect_request("**/v1/chat/completions") as sent:
        say(page, "the fox")
    assert [one["role"] for one in json.loads(sent.value.post_data)["messages"]] == ["user"]
    is_done(page, 1)


def test_enter_that_confirms_a_chinese_word_sends_nothing(page):
    page.locator("#box").fill("ni hao")
    # The last but one is Safari's: there the composition ends before the key comes.
    for composing, code, sends in [(True, 229, 0), (True, 13, 0), (False, 229, 0), (False, 13, 1)]:
        page.evaluate(
            "([isComposing, keyCode]) => document.getElementById('box').dispatchEvent("
            "new KeyboardEvent('keydown', { key: 'Enter', isComposing, keyCode, cancelable: true"
            " }))",
            [composing, code],
        )
        page.wait_for_timeout(100)
        expect(page.locator("#log p.user")).to_have_count(sends)
    page.locator("#box").fill("two")
    page.locator("#box").press("Shift+Enter")
    expect(page.locator("#box")).to_have_value("two\n")
    is_done(page, 1)


def test_it_is_dark_where_the_system_is(page):
    def brightness():
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, color.removeprefix("rgb(").removesuffix(")").split(",")))

    page.emulate_media(color_scheme="light")
    light = brightness()
    page.emulate_media(color_scheme="dark")
    assert light > 600 and brightness() < 150


def test_it_fits_on_a_phone(page):
    page.set_viewport_size({"width": 320, "height": 568})
    page.locator("summary").click()
    say(page, "x" * 60 + " " + "狐" * 10)
    is_done(page, 1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    for name in ("send", "new", "language", "box"):
        box = page.locator(f"#{name}").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 320
        assert box["y"] >= 0 and box["y"] + box["height"] <= 568 and box["height"] >= 40
