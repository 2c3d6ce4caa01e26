"""The page in a real browser, used as a person does, with a mouse, with a finger, and with the keyboard."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.collection import PROJECTION_FILE
from ingest.records import stable_id
from ingest.stores import SEMANTIC, VISUAL, Point
from tests.browser import Page, Screen, chromium
from tests.query.conftest import Photos
from tests.query.test_web_api import unseen
from tests.serving import Served, serve

DESKTOP = Screen(1280, 800)
PHONE = Screen(390, 844, dark=True, touch=True)
TOKEN = "correct-horse-battery-staple"

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def served(photos: Photos, shared_cache: Path) -> Iterator[Served]:
    """The installed command, serving the photographs and a collection of many."""
    with photos.store.open("photos") as collection:
        points = [point for page in collection.scroll([VISUAL, SEMANTIC]) for point in page]
        metadata, projection = collection.metadata, collection.read_file(PROJECTION_FILE)
    with photos.store.create("many", replace(metadata, root="/gone")) as many:
        many.write_file(PROJECTION_FILE, projection or b"")
        for copy in range(10):
            for one in points:
                path = f"copy{copy}/{one.payload['path']}"
                taken = f"{2010 + copy}-03-05T10:00:00"
                payload = {**one.payload, "path": path, "sha256": stable_id(path).hex * 2, "taken": taken}
                many.upsert([Point(stable_id(path), one.vectors, payload)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORDSIGHT_CACHE", str(shared_cache))
        patch.setenv("WORDSIGHT_STORE", str(photos.store.root))
        with serve() as started:
            yield started
    photos.store.drop("many")


@pytest.fixture(params=[DESKTOP, PHONE], ids=str)
def page(request: pytest.FixtureRequest, served: Served) -> Iterator[Page]:
    with chromium(request.param) as page:
        page.driver.get(f"{served.address}?collection=photos")
        yield page


@pytest.fixture
def desktop(served: Served) -> Iterator[Page]:
    with chromium(DESKTOP) as page:
        page.driver.get(f"{served.address}?collection=photos")
        yield page


@pytest.fixture
def hasty(desktop: Page) -> Page:
    """A page that waits a tenth of a second where others wait for several."""
    script = """const kept = setTimeout;
    window.setTimeout = (act, milliseconds, ...rest) => kept(act, Math.min(milliseconds, 100), ...rest);"""
    desktop.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    desktop.driver.refresh()
    desktop.cards()
    return desktop


def search(page: Page, words: str) -> None:
    box = page.one("[name=q]")
    box.clear()
    box.send_keys(f"{words}\ue007" if page.screen.touch else words)
    if not page.screen.touch:
        page.click(".search .primary")


def box_of(page: Page, label: str) -> None:
    """Tick or untick a label; on a phone the filter is folded up."""
    if not page.one(".filters summary").find_element("xpath", "..").get_attribute("open"):
        page.click(".filters summary")
    page.click(f".labels input[value={label}]")


def test_a_search_from_drop_to_back(page: Page, photos: Photos, tmp_path: Path) -> None:
    assert len(page.cards()) == 16
    page.shoot("1-start")

    (tmp_path / "mine.jpg").write_bytes(unseen(photos))
    page.drop(tmp_path / "mine.jpg")
    page.until("id=upload-")
    assert page.cards()[0] == "motorcycle"
    assert page.one(".asked img").get_attribute("naturalWidth") != "0"
    page.wait(lambda: len(page.all(".words li")) == 8, "words")
    page.shoot("2-dropped")

    page.click(".asked .remove")
    search(page, "ocean")
    page.until("q=ocean")
    near = page.cards()
    assert len(near) == 16
    page.shoot("3-ocean")

    page.click(".card > a")
    page.until("view=")
    page.wait(lambda: page.run("return document.querySelector('.stage img').naturalWidth") > 256)
    page.shoot("4-looked-at")
    page.click("[data-does=like]")
    page.wait(lambda: "q=ocean" not in page.driver.current_url)
    page.until("id=")
    assert near[0] not in page.cards()

    page.driver.back()
    page.until("q=ocean")
    page.click("[data-does=close]")
    page.wait(lambda: "view=" not in page.driver.current_url)
    assert page.one("[name=q]").get_attribute("value") == "ocean"
    assert page.cards() == near

    box_of(page, "cat")
    page.until("label=cat")
    assert page.cards() == ["cat"]
    box_of(page, "moon")
    page.until("label=moon")
    page.shoot("5-filtered")
    page.click(".clear")
    page.wait(lambda: "label" not in page.driver.current_url)

    page.driver.back()
    page.until("label=moon")
    page.driver.refresh()
    page.until("label=moon")
    assert [one.get_attribute("value") for one in page.all(".labels input:checked")] == ["cat", "moon"]
    assert not page.complaints()


def test_nothing_is_wider_than_the_window(page: Page) -> None:
    page.cards()
    search(page, "vehicle")
    page.until("q=vehicle")
    wide = page.run("""return [...document.querySelectorAll("header *, main, main *, .filters")]
      .filter((one) => one.getClientRects().length && one.getBoundingClientRect().right > innerWidth + 1
        && !one.closest(".unseen")).map((one) => one.className || one.tagName)""")
    assert wide == []
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")


def test_pictures_and_words_are_added_and_taken_away(page: Page) -> None:
    page.cards()
    search(page, "cat")
    page.until("q=cat")
    add_first(page)
    page.until("id=")
    assert len(page.all(".asked .plus")) == 1
    assert page.one(".words-title").text == "In this picture"
    page.run("document.querySelectorAll('.card > a')[1].click()")
    page.click("[data-does=plus]")
    page.wait(lambda: len(page.all(".asked .plus")) == 2)
    page.wait(lambda: page.one(".words-title").text == "In the first picture")
    page.all(".asked .remove")[-1].click()
    page.wait(lambda: len(page.all(".asked .plus")) == 1)
    page.click(".asked .sign")  # away from it instead
    page.until("minus_id=")
    assert len(page.all(".asked .minus")) == 1
    page.click(".words .more")
    page.until("q=cat+%2B+")
    page.shoot("6-added")
    page.click(".words .word")
    page.wait(lambda: not page.all(".asked:not([hidden])"))
    assert "+" not in page.one("[name=q]").get_attribute("value")
    assert not page.complaints()


def add_first(page: Page) -> None:
    """The first picture, added to the search from where it is shown large."""
    page.click(".card > a")
    page.click("[data-does=plus]")


def test_what_stands_out_comes_first_and_the_nearest_below_a_line(desktop: Page) -> None:
    search(desktop, "cat")
    desktop.until("q=cat")
    assert desktop.cards()[0] == "cat"
    assert len(desktop.cards()) == 16
    few = desktop.run("return [...document.querySelector('.grid').children].findIndex((one) => one.matches('.line'))")
    assert 0 < few < 16
    assert f"{few} of 16 pictures stand" in desktop.one(".message").text
    assert desktop.one(".grid .line").text == "Below are only the nearest of the others."
    assert "Found by name" in desktop.one(".card > a").get_attribute("title")
    assert scores(desktop)[0] == "name"
    assert "by the name" in desktop.one(".score").get_attribute("title")
    others = [int(score) for score in scores(desktop) if score != "name"]
    assert others == sorted(others, reverse=True)
    assert max(others[few:]) < 50
    search(desktop, "mortgage")
    desktop.until("q=mortgage")
    desktop.wait(lambda: "None of 16 pictures stands out" in desktop.one(".message").text)
    assert len(desktop.cards()) == 16


def scores(page: Page) -> list[str]:
    return list(page.run("return [...document.querySelectorAll('.card .score')].map((one) => one.textContent)"))


def test_numbers_keep_to_their_scale(desktop: Page, served: Served) -> None:
    """50 where standing out begins, by the cutoff where there is one, and 100 at most."""
    script = """const [found, done] = arguments;
    import("./assets/text.js").then(({ scaled }) =>
      done(found.map(([score, stands_out, best, floor]) => scaled({ score, stands_out }, best, floor ?? undefined))))"""
    cases = {
        (0.8, True, 0.8, 0.6): 100,
        (0.7, True, 0.8, 0.6): 75,
        (0.9, True, 0.8, 0.6): 100,
        (0.1, True, 0.8, 0.6): 50,
        (0.3, False, 0.8, 0.6): 25,
        (0.7, False, 0.8, 0.6): 49,
        (-0.2, False, 0.8, 0.6): 0,
        (0.4, True, 0.8, None): 75,
        (0.4, False, 0.8, None): 25,
        (0.4, None, 0.8, None): 50,
    }
    assert desktop.driver.execute_async_script(script, list(cases)) == list(cases.values())
    desktop.driver.get(f"{served.address}?collection=all&q=cat")
    desktop.wait(lambda: "name" in scores(desktop))
    assert all(score == "name" or 0 <= int(score) <= 100 for score in scores(desktop))


def test_all_collections_are_looked_after(desktop: Page, served: Served) -> None:
    desktop.driver.get(f"{served.address}?collection=all")
    cats = "return document.querySelector('.labels input[value=cat]')?.closest('label').textContent"
    desktop.wait(lambda: desktop.run(cats) == "cat11", "the labels of both")
    names = "return [...document.querySelectorAll('.review-body h3')].map((one) => one.textContent).sort().join()"
    for kind in ("duplicates", "failures"):
        desktop.click(".menu summary")
        desktop.click(f"[data-menu={kind}]")
        desktop.wait(lambda: desktop.run(names) == "many,photos", "a part for each")
        if kind == "failures":
            desktop.wait(lambda: desktop.one(".review-body").text.count("Every file could be read.") == 2)
        desktop.click(".review .icon")
    box_of(desktop, "cat")
    desktop.until("label=cat")
    assert desktop.one(".message").text.startswith("11 pictures.")


def test_how_words_were_read_is_told(desktop: Page) -> None:
    search(desktop, "cat but not coffee")
    desktop.until("q=cat")
    desktop.wait(lambda: "Read as: cat -coffee" in desktop.one(".message").text)


def test_everything_can_be_done_with_the_keyboard(desktop: Page) -> None:
    desktop.cards()
    active = desktop.driver.switch_to
    desktop.one("body").send_keys("/")
    active.active_element.send_keys("cat\ue007")
    desktop.until("q=cat")
    desktop.one("body").send_keys("/")
    active.active_element.send_keys("\ue015")  # down
    assert active.active_element.get_attribute("href") == desktop.all(".card > a")[0].get_attribute("href")
    first = active.active_element.get_attribute("href")
    active.active_element.send_keys("\ue014")  # right
    desktop.wait(lambda: active.active_element.get_attribute("href") != first)
    assert desktop.run("return document.querySelectorAll('.card > a[tabindex=\"0\"]').length") == 1
    active.active_element.send_keys("\ue007")  # looks at it
    desktop.until("view=")
    desktop.one(".view").send_keys("\ue014")  # right
    desktop.wait(lambda: "3 of" in desktop.one(".place").text)
    desktop.one(".view").send_keys("\ue00c")  # Esc
    desktop.wait(lambda: "view=" not in desktop.driver.current_url)
    desktop.wait(lambda: desktop.run("return document.activeElement.closest('.card') !== null"), "the tile again")
    active.active_element.send_keys("x")
    assert desktop.one(".selection .number").text == "1 picture selected"
    active.active_element.send_keys("\ue007")  # looks at it, and it stays selected
    desktop.until("view=")
    desktop.one(".view").send_keys("\ue00c")
    desktop.wait(lambda: desktop.run("return document.activeElement.closest('.card') !== null"), "the tile again")
    assert desktop.one(".selection .number").text == "1 picture selected"
    active.active_element.send_keys("+")
    desktop.until("id=")
    desktop.run("document.querySelector('.card > a').focus()")
    active.active_element.send_keys("-")
    desktop.until("minus_id=")
    desktop.wait(lambda: desktop.run("return document.activeElement.closest('.grid') !== null"), "the keyboard's place")
    desktop.one("body").send_keys("?")
    assert active.active_element.get_attribute("aria-label") == "Close"
    active.active_element.send_keys("\ue007")
    unnamed = desktop.run("""return [...document.querySelectorAll("button, a, input, select, img")]
      .filter((one) => one.getClientRects().length)
      .filter((one) => !(one.textContent || one.ariaLabel || one.title || one.closest("label")
        || one.hasAttribute("alt"))).map((one) => one.outerHTML)""")
    assert unnamed == []


def test_only_tiles_near_the_window_are_in_the_page_and_back_finds_the_place(desktop: Page, served: Served) -> None:
    desktop.driver.get(f"{served.address}?q=animal&collection=many")
    assert 10 < len(desktop.cards()) < 100
    seen: set[str | None] = set()
    for top in range(0, 8000, 600):
        drawn = "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        desktop.run(f"scrollTo(0, arguments[0]); {drawn}", top)
        desktop.wait(lambda: desktop.run("return !document.querySelector('.card[data-waits]')"), "all tiles")
        seen |= set(desktop.run("return [...document.querySelectorAll('.card')].map((one) => one.dataset.id)"))
        assert len(desktop.all(".card")) < 100
    assert len(seen - {None}) == 160
    desktop.wait(lambda: desktop.all(".card.gone"))  # their files are nowhere
    place = desktop.run("history.replaceState(null, ''); scrollTo(0, 2000); return scrollY")
    assert place > 1000
    inside = "return -document.querySelector('.grid').getBoundingClientRect().top"
    desktop.run(drawn)
    desktop.wait(lambda: not desktop.all(".card[data-waits]"), "all tiles")
    before = desktop.run(inside)
    desktop.wait(lambda: desktop.run("return history.state?.at"), "the place is kept")
    for _ in range(2):  # it does not creep
        desktop.driver.refresh()
        desktop.cards()
        desktop.wait(lambda: desktop.all(".words li"), "what stands above")
        desktop.wait(lambda: abs(desktop.run(inside) - before) < 100, "the place after a reload")
    desktop.run("[...document.querySelectorAll('.card .like')].at(-1).click()")
    desktop.until("id=")
    desktop.wait(lambda: desktop.run("return scrollY") == 0, "the top of another answer")
    desktop.driver.back()
    desktop.until("q=animal")
    desktop.wait(lambda: abs(desktop.run("return scrollY") - place) < 200, "the place")


def test_a_reload_finds_the_place_beside_the_rail(desktop: Page, served: Served) -> None:
    first = (
        "return [...document.querySelectorAll('.card[data-id]')]"
        ".find((one) => one.getBoundingClientRect().bottom > 0)?.dataset.id"
    )
    desktop.driver.get(f"{served.address}?collection=many")
    desktop.wait(lambda: desktop.all(".rail button"), "the rail")
    top = desktop.run(first)
    desktop.run("history.replaceState(null, ''); scrollTo(0, 1500)")
    desktop.wait(lambda: desktop.run("return history.state?.at"), "the place is kept")
    kept = desktop.wait(lambda: desktop.run(first))
    assert kept != top
    for _ in range(2):
        desktop.driver.refresh()
        desktop.wait(lambda: desktop.all(".rail button"), "the rail")
        desktop.wait(lambda: desktop.run(first) == kept, "the place after a reload")


def test_the_rail_follows_and_covers_nothing(page: Page, served: Served) -> None:
    marked = "return [...document.querySelectorAll('.rail [aria-current]')].map((one) => one.textContent).join(' ')"
    page.driver.get(f"{served.address}?collection=many")
    page.wait(lambda: page.run(marked) == "2019 Mar", "the newest month")
    if page.screen.touch:
        page.click(".filters summary")
    covered = """const rail = document.querySelector(".rail").getBoundingClientRect();
      const others = ".card, .looks *, .tree, .labels ul, .dates *";
      return [...document.querySelectorAll(others)].filter((one) => one.checkVisibility())
        .filter((one) => { const { right, top, bottom } = one.getBoundingClientRect();
          return right > rail.left + 1 && top < rail.bottom && bottom > rail.top; }).length"""
    page.wait(lambda: not page.run(covered), "nothing below the rail")
    page.shoot("16-filter-and-rail")
    page.run("scrollTo(0, document.body.scrollHeight / 2)")
    page.wait(lambda: page.run(marked)[:4] in ("2013", "2014", "2015"), "a month in the middle")
    page.run("document.querySelector('.rail > ul > li:nth-child(3) > button').click()")
    page.wait(lambda: page.run(marked) == "2017 Mar", "the one chosen")
    page.shoot("14-rail")


def test_a_collection_that_is_gone_is_no_dead_end(desktop: Page, served: Served) -> None:
    desktop.driver.get(f"{served.address}?collection=nope&q=cat")
    desktop.wait(lambda: "no collection nope" in desktop.one(".problem").text)
    desktop.wait(lambda: "nope" not in desktop.driver.current_url)
    assert desktop.cards()[0] == "cat"


def test_a_running_ingest_is_told(hasty: Page, served: Served, photos: Photos) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    run = {"task": "embedding", "done": 4096, "total": 10_000, "unit": "pictures", "bad": 2, "begun": now, "at": now}
    run |= {"parts": []}
    desktop = hasty
    with photos.store.open("photos", write=True) as collection:
        collection.write_file("progress.json", json.dumps(run).encode())
    try:
        desktop.driver.get(f"{served.address}?collection=photos")
        told = "An ingest is running: embedding, 4,096 of 10,000 pictures; 2 bad."
        desktop.wait(lambda: desktop.one(".news").text == told, told)
        desktop.click(".menu summary")
        desktop.click("[data-menu=status]")
        desktop.wait(
            lambda: "an ingest is running: embedding, 4,096 of 10,000 pictures" in desktop.one(".review-body").text
        )
        desktop.shoot("13-running")
        with photos.store.open("photos", write=True) as collection:
            collection.write_file("progress.json", json.dumps({**run, "done": 8192}).encode())
        desktop.wait(
            lambda: "8,192 of 10,000 pictures" in desktop.one(".review-body").text, "the dialog brought up to date"
        )
    finally:
        with photos.store.open("photos", write=True) as collection:
            collection.remove_file("progress.json")


def test_news_are_of_the_collection_that_is_shown(hasty: Page, photos: Photos) -> None:
    asked = "return performance.getEntriesByType('resource').filter((one) => one.name.endsWith('/collections')).length"
    hasty.wait(lambda: hasty.all(".collections option[value=many]"))
    with photos.store.open("many", write=True) as many:
        point = next(iter(next(iter(many.scroll([VISUAL, SEMANTIC])))))
        new = replace(point, id=stable_id("new.jpg"), payload={**point.payload, "path": "new.jpg"})
        many.upsert([new])
    try:
        before = hasty.run(asked)
        hasty.wait(lambda: hasty.run(asked) > before + 2, "what is new")
        assert not hasty.one(".message").find_elements("xpath", "../p[@class='news' and not(@hidden)]")
        hasty.all(".collections option[value=many]")[0].click()
        hasty.wait(lambda: hasty.one(".news span").text == "1 picture more since this page was opened.")
    finally:
        with photos.store.open("many", write=True) as many:
            many.delete([new.id])


def test_the_page_goes_on_when_the_server_is_back(hasty: Page, photos: Photos, tmp_path: Path) -> None:
    hasty.run("window.kept = window.fetch; window.fetch = () => Promise.reject(new TypeError())")
    search(hasty, "boat")
    assert "does not answer" in hasty.one(".problem").text
    (tmp_path / "mine.jpg").write_bytes(unseen(photos))
    hasty.drop(tmp_path / "mine.jpg")
    hasty.wait(lambda: "mine.jpg: the server does not answer" in hasty.one(".problem").text)
    assert hasty.one(".retry").text == "Try again"
    hasty.run("window.fetch = window.kept")
    hasty.until("id=upload-")
    hasty.wait(lambda: hasty.cards() and hasty.cards()[0] == "motorcycle", "the picture's answer, by itself")
    assert not [one for one in hasty.all(".problem, .retry") if one.is_displayed()]


def test_a_date_that_is_none_is_told_beside_it(desktop: Page, served: Served) -> None:
    before = desktop.cards(), desktop.driver.current_url
    desktop.one("[name=after]").send_keys("2013-13\ue007")
    assert desktop.one(".dates .wrong").text.startswith("2013-13 is no date: write a year, a month or a day")
    assert (desktop.cards(), desktop.driver.current_url) == before
    desktop.one("[name=after]").clear()
    desktop.one("[name=after]").send_keys("2013-1-31\ue007")
    desktop.until("after=2013-1-31")
    assert not [one for one in desktop.all(".dates .wrong") if one.is_displayed()]
    desktop.driver.get(f"{served.address}?collection=photos&after=2013-02-30")
    assert desktop.one(".problem").text.startswith("From takes a date")
    assert desktop.one(".sort").get_attribute("value") == "-date"
    desktop.click(".chips button")
    desktop.wait(lambda: len(desktop.cards()) == 16)


def test_a_finger_held_selects(served: Served) -> None:
    with chromium(PHONE) as page:
        page.driver.get(f"{served.address}?collection=photos")
        page.cards()
        page.run("window.isOld = true")
        spots = page.run("""return [...document.querySelectorAll('.card > a')].slice(0, 2)
          .map((one) => one.getBoundingClientRect()).map(({ x, y }) => ({ x: x + 50, y: y + 50 }))""")

        def touch(kind: str, *at: dict[str, float]) -> None:
            page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(at)})

        touch("touchStart", spots[0])
        page.wait(lambda: page.one(".selection .number").text == "1 picture selected")
        touch("touchEnd")
        page.click(".card:nth-child(2) > a")
        page.wait(lambda: page.one(".selection .number").text == "2 pictures selected")
        assert page.run("return window.isOld")
        page.click(".selection [data-does=clear]")
        page.run("document.querySelector('.card > a').click()")
        page.until("view=")
        assert page.run("return window.isOld")
        page.click("[data-does=close]")
        page.click(".menu summary")
        page.click("[data-menu=help]")
        assert page.one("#help-title").text == "How to search"
        page.shoot("15-help")


def test_labels_of_the_answers_come_first(desktop: Page) -> None:
    first = "return document.querySelector('.labels .what').textContent"
    assert desktop.one(".labels .what").text == "coffee"
    search(desktop, "rocket")
    desktop.wait(lambda: desktop.run(first) == "rocket")


def test_a_page_that_does_not_come_is_asked_for_again(desktop: Page, served: Served) -> None:
    desktop.driver.get(f"{served.address}?q=animal&collection=many")
    desktop.cards()
    desktop.run("window.kept = window.fetch; window.fetch = () => Promise.reject(new TypeError())")
    desktop.run("scrollTo(0, document.body.scrollHeight)")
    assert desktop.one(".rest p").text == "The server does not answer: is it still running?"
    desktop.run("window.fetch = window.kept")
    desktop.click(".rest button")
    desktop.wait(lambda: not desktop.all(".card[data-waits]"), "the last pictures")
    assert not [one for one in desktop.all(".rest") if one.is_displayed()]
    desktop.run("window.fetch = () => Promise.reject(new TypeError())")
    search(desktop, "boat")
    assert "does not answer" in desktop.one(".problem").text
    desktop.run("window.fetch = window.kept")
    desktop.click(".retry")
    desktop.wait(lambda: desktop.cards() and "160" in desktop.one(".message").text, "the answer after all")


def test_what_cannot_be_asked_about_is_told(desktop: Page, served: Served, tmp_path: Path) -> None:
    desktop.driver.get(f"{served.address}?collection=many")
    assert len(desktop.cards()) > 20
    ids = desktop.run("return [...document.querySelectorAll('.card')].map((one) => one.dataset.id)")
    desktop.drop(tmp_path)
    desktop.wait(lambda: "That is a folder" in desktop.one(".problem").text)
    asked = "&".join(f"id={id}" for id in ids[:20])
    desktop.driver.get(f"{served.address}?collection=many&{asked}")
    desktop.cards()
    add_first(desktop)
    assert "No more than 20 pictures" in desktop.one(".problem").text
    desktop.driver.get(desktop.driver.current_url.partition("?")[0] + "?collection=photos&id=upload-gone")
    assert "gone: drop it once more" in desktop.one(".problem").text
    assert desktop.wait(lambda: desktop.all(".asked .gone"))


def test_a_picture_of_the_page_dropped_on_it_is_searched_by(desktop: Page) -> None:
    desktop.cards()
    link = desktop.all(".card > a")[3].get_attribute("href")
    desktop.run(
        """const dataTransfer = new DataTransfer();
        dataTransfer.setData("text/uri-list", arguments[0]);
        document.dispatchEvent(new DragEvent("drop", { dataTransfer, cancelable: true }));""",
        link,
    )
    id = link.partition("view=")[2]
    desktop.until(f"id={id}")


def test_another_collection_is_asked_the_same(desktop: Page) -> None:
    search(desktop, "animal")
    desktop.until("q=animal")
    desktop.wait(lambda: desktop.all(".collections option[value=many]"))[0].click()
    desktop.until("collection=many")
    assert "q=animal" in desktop.driver.current_url
    assert desktop.one(".message").text
    desktop.driver.back()
    desktop.until("collection=photos")
    assert desktop.one(".collections").get_attribute("value") == "photos"


def test_a_picture_is_pasted_or_chosen(desktop: Page, photos: Photos) -> None:
    desktop.cards()
    desktop.all("input[type=file]")[0].send_keys(str(photos.folder / "cat" / "chelsea.png"))
    desktop.until("id=upload-")
    assert desktop.cards()[0] == "cat"
    chosen = desktop.driver.current_url
    desktop.run(
        """const bytes = Uint8Array.from(atob(arguments[0]), (one) => one.charCodeAt(0));
        const clipboardData = new DataTransfer();
        clipboardData.items.add(new File([bytes], "pasted.jpg", { type: "image/jpeg" }));
        document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, cancelable: true }));""",
        base64.b64encode(unseen(photos)).decode(),
    )
    desktop.wait(lambda: desktop.driver.current_url != chosen)
    assert desktop.cards()[0] == "motorcycle"


def test_mistakes_are_told_in_a_sentence(desktop: Page, tmp_path: Path) -> None:
    search(desktop, "motorcycl")
    assert "did you mean motorcycle" in desktop.one(".problem").text
    (tmp_path / "notes.jpg").write_text("no picture")
    desktop.drop(tmp_path / "notes.jpg")
    desktop.wait(lambda: "notes.jpg: not a picture of a known format." in desktop.one(".problem").text)
    (tmp_path / "nothing.jpg").touch()
    desktop.all("input[type=file]")[0].send_keys(str(tmp_path / "nothing.jpg"))
    desktop.wait(lambda: desktop.one(".problem").text == "nothing.jpg is an empty file.")
    search(desktop, "motorcycl")
    desktop.click(".did-you-mean button")
    desktop.until("q=motorcycle")
    assert not [one for one in desktop.all(".problem") if one.is_displayed()]


def test_the_token_is_asked_for_once(photos: Photos) -> None:
    env = {**os.environ, "WORDSIGHT_TOKEN": TOKEN}
    with serve("--store", photos.store.root, env=env) as served, chromium(DESKTOP) as page:
        page.driver.get(f"{served.address}?q=cat&collection=photos")
        page.one("[name=token]").send_keys("wrong-horse-battery\ue007")
        assert "not the token" in page.one(".problem").text
        page.shoot("7-token")
        page.one("[name=token]").send_keys(f"{TOKEN}\ue007")
        page.until("q=cat")
        assert "token" not in page.driver.current_url
        assert page.cards()[0] == "cat"
        page.driver.get(f"{served.address}?collection=photos")
        assert len(page.cards()) == 16
        page.click(".menu summary")
        page.click(".log-out button")
        assert page.one("[name=token]")
        page.one("[name=token]").send_keys(f"{TOKEN}\ue007")
        page.wait(lambda: page.all(".card"))
        page.driver.delete_all_cookies()
        page.run("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
        assert page.one("[name=token]")


def test_the_api_documents_itself(desktop: Page, served: Served) -> None:
    desktop.driver.get(f"{served.address}api/docs")
    desktop.wait(lambda: "POST /api/v1/uploads" in desktop.driver.page_source)
    desktop.shoot("8-api")
    assert not desktop.complaints()


def test_pictures_are_selected_together(desktop: Page) -> None:
    click = """const [card, keys] = arguments;
    card.dispatchEvent(new MouseEvent("click", {...keys, bubbles: true, cancelable: true}))"""
    desktop.cards()
    tiles = desktop.all(".card > a")
    paths = [one.get_attribute("title").splitlines()[0] for one in tiles]
    desktop.run(click, tiles[1], {"ctrlKey": True})
    desktop.run(click, tiles[3], {"shiftKey": True})
    assert desktop.one(".selection .number").text == "3 pictures selected"
    desktop.run("window.links = []; HTMLAnchorElement.prototype.click = function () { links.push(this.href); }")
    desktop.click("[data-does=zip]")
    (link,) = desktop.run("return window.links")
    assert link.count("id=") == 3
    assert "/api/v1/archive?" in link
    desktop.shoot("9-selected")
    desktop.click(".selection [data-does=out]")
    desktop.wait(lambda: desktop.driver.current_url.count("without=") == 3)
    assert len(desktop.cards()) == 13
    assert desktop.one(".chips").text.startswith("Left out: 3")
    left = [one.get_attribute("title").splitlines()[0] for one in desktop.all(".card > a")]
    assert left == [path for path in paths if path not in paths[1:4]]
    desktop.click(".chips button")
    desktop.wait(lambda: "without" not in desktop.driver.current_url)


def test_tiles_and_order_are_as_one_likes_them(desktop: Page) -> None:
    desktop.cards()
    desktop.click(".fit")
    assert desktop.run("return getComputedStyle(document.querySelector('.card img')).objectFit") == "contain"
    width = desktop.run("return document.querySelector('.card').offsetWidth")
    desktop.all(".density option[value=large]")[0].click()
    desktop.wait(lambda: desktop.run("return document.querySelector('.card').offsetWidth") > width)
    desktop.all(".sort option[value=name]")[0].click()
    desktop.until("sort=name")
    assert desktop.cards() == sorted(desktop.cards())
    desktop.driver.refresh()
    desktop.cards()
    assert desktop.run("return document.querySelector('.grid').dataset.fit") == "whole"
    desktop.click(".tree button[data-under=coffee]")
    desktop.until("under=coffee")
    assert desktop.cards() == ["coffee", "coffee"]
    desktop.click(".menu summary")
    desktop.click("[data-menu=failures]")
    desktop.wait(lambda: "Every file could be read." in desktop.one(".review-body").text)


def test_an_address_of_a_picture_shows_it(desktop: Page, served: Served, photos: Photos) -> None:
    id = stable_id("coffee/turned.jpg")
    desktop.driver.get(f"{served.address}?collection=photos&view={id}")
    desktop.wait(lambda: "SecretCam" in desktop.one(".facts dl").text)
    assert "coffee/turned.jpg" in desktop.one(".facts dl").text
    desktop.wait(lambda: desktop.all(".view-words li"))
    desktop.shoot("10-view")
    desktop.driver.get(f"{served.address}?collection=photos&view={stable_id('nothere')}")
    desktop.wait(lambda: "no longer there" in desktop.one(".missing").text)
    assert not [one for one in desktop.all(".view-actions, .missing button") if one.is_displayed()]


def test_axe_finds_nothing(page: Page) -> None:
    axe = pytest.importorskip("axe_selenium_python").Axe(page.driver)
    page.cards()
    axe.inject()

    def found(**rules: Any) -> list[str]:
        run = "axe.run(document, {rules: arguments[0]}).then(({violations}) => arguments[1](violations))"
        violations = page.driver.execute_async_script(run, rules)
        return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in violations]

    assert found() == []
    page.click(".card > a")
    page.wait(lambda: page.all(".view-words li"))
    assert found(region={"enabled": False}) == []  # a dialog stands for itself, which this axe does not know


def test_a_store_with_nothing_in_it_says_what_to_type(tmp_path: Path) -> None:
    with serve("--store", tmp_path / "empty") as served, chromium(DESKTOP) as page:
        page.driver.get(served.address)
        assert "ingest run ./photos" in page.one(".first-run").text
        page.shoot("11-first-run")
        assert not [one for one in page.all(".problem") if one.is_displayed()]
        page.click(".menu summary")
        page.click("[data-menu=failures]")
        page.wait(lambda: page.one(".review-body").text == "There are no pictures yet.")
        page.click(".review .icon")
        search(page, "cat")
        assert page.one(".problem").text == "There are no pictures yet: nothing can be searched for."
        assert "ingest run ./photos" in page.one(".first-run").text
