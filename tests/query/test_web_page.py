"""The page in a real browser, used as a person does, with a mouse, with a finger, and with the keyboard."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

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
TOKEN = "correct-horse-battery"

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
                payload = {**one.payload, "path": path, "sha256": stable_id(path).hex * 2}
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


def search(page: Page, words: str) -> None:
    box = page.one("[name=q]")
    box.clear()
    box.send_keys(words)
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
    page.wait(lambda: "q=ocean" not in page.driver.current_url)
    page.until("id=")
    assert near[0] not in page.cards()
    page.shoot("4-clicked")

    page.driver.back()
    page.until("q=ocean")
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
    page.click(".actions [data-sign=plus]") if page.screen.touch else add_with_shift(page)
    page.until("id=")
    assert len(page.all(".asked .plus")) == 1
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


def add_with_shift(page: Page) -> None:
    click = "arguments[0].dispatchEvent(new MouseEvent('click', {shiftKey: true, bubbles: true, cancelable: true}))"
    page.run(click, page.one(".card > a"))


def test_what_stands_out_comes_first_and_the_nearest_below_a_line(desktop: Page) -> None:
    search(desktop, "cat")
    desktop.until("q=cat")
    assert desktop.cards()[0] == "cat"
    assert len(desktop.cards()) == 16
    few = desktop.run("return [...document.querySelector('.grid').children].findIndex((one) => one.matches('.line'))")
    assert 0 < few < 16
    assert f"{few} of 16 pictures stand" in desktop.one(".message").text
    assert "only the nearest" in desktop.one(".grid .line").text
    assert "Found by name" in desktop.one(".card.named > a").get_attribute("title")
    search(desktop, "mortgage")
    desktop.until("q=mortgage")
    desktop.wait(lambda: "None of 16 pictures stands out" in desktop.one(".message").text)
    assert len(desktop.cards()) == 16


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
    assert active.active_element.get_attribute("href") != first or len(desktop.cards()) == 1
    desktop.run("document.querySelector('.card > a').focus()")
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


def test_more_pictures_come_while_one_scrolls_and_back_finds_the_place(desktop: Page, served: Served) -> None:
    desktop.driver.get(f"{served.address}?q=animal&collection=many")
    first = len(desktop.cards())
    assert first < 160
    while len(desktop.cards()) < 160:
        before = len(desktop.cards())
        desktop.run("scrollTo(0, document.body.scrollHeight)")
        desktop.wait(lambda before=before: len(desktop.cards()) > before, "more pictures")
    ids = desktop.run("return [...document.querySelectorAll('.card')].map((one) => one.dataset.id)")
    assert len(set(ids)) == 160
    assert desktop.wait(lambda: desktop.all(".card.gone"))  # their files are nowhere
    place = desktop.run("return scrollY")
    assert place > 1000
    desktop.run("arguments[0].click()", desktop.all(".card > a")[-1])
    desktop.until("id=")
    desktop.driver.back()
    desktop.until("q=animal")
    desktop.wait(lambda: abs(desktop.run("return scrollY") - place) < 200, "the place")
    # It is kept when the scrolling has come to rest.
    desktop.wait(lambda: abs((desktop.run("return history.state?.top") or 0) - place) < 200, "the place is kept")
    desktop.driver.refresh()
    desktop.wait(lambda: abs(desktop.run("return scrollY") - place) < 200, "the place after a reload")
    desktop.driver.forward()
    desktop.until("id=")
    desktop.wait(lambda: desktop.run("return scrollY") == 0, "the top of a page that was not scrolled")


def test_a_collection_that_is_gone_is_no_dead_end(desktop: Page, served: Served) -> None:
    desktop.driver.get(f"{served.address}?collection=nope&q=cat")
    desktop.wait(lambda: "no collection nope" in desktop.one(".problem").text)
    desktop.wait(lambda: "nope" not in desktop.driver.current_url)
    assert desktop.cards()[0] == "cat"


def test_a_page_that_does_not_come_is_asked_for_again(desktop: Page, served: Served) -> None:
    desktop.driver.get(f"{served.address}?q=animal&collection=many")
    first = len(desktop.cards())
    desktop.run("window.kept = window.fetch; window.fetch = () => Promise.reject(new TypeError())")
    desktop.run("scrollTo(0, document.body.scrollHeight)")
    assert desktop.one(".rest p").text == "The server does not answer: is it still running?"
    assert len(desktop.cards()) == first
    desktop.run("window.fetch = window.kept")
    desktop.click(".rest button")
    desktop.wait(lambda: len(desktop.cards()) > first, "more pictures")
    assert not [one for one in desktop.all(".rest") if one.is_displayed()]


def test_what_cannot_be_asked_about_is_told(desktop: Page, served: Served, tmp_path: Path) -> None:
    desktop.driver.get(f"{served.address}?collection=many")
    assert len(desktop.cards()) > 20
    ids = desktop.run("return [...document.querySelectorAll('.card')].map((one) => one.dataset.id)")
    desktop.drop(tmp_path)
    desktop.wait(lambda: "That is a folder" in desktop.one(".problem").text)
    asked = "&".join(f"id={id}" for id in ids[:20])
    desktop.driver.get(f"{served.address}?collection=many&{asked}")
    desktop.cards()
    add_with_shift(desktop)
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
    desktop.wait(lambda: desktop.driver.current_url == link, link)


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
    desktop.wait(lambda: "Not a picture of a known format." in desktop.one(".problem").text)
    search(desktop, "cat")
    desktop.until("q=cat")
    assert not [one for one in desktop.all(".problem") if one.is_displayed()]


def test_the_token_is_asked_for_once(photos: Photos) -> None:
    with serve("--token", TOKEN, "--store", photos.store.root) as served, chromium(DESKTOP) as page:
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


def test_the_api_documents_itself(desktop: Page, served: Served) -> None:
    desktop.driver.get(f"{served.address}api/docs")
    desktop.wait(lambda: "POST /api/v1/uploads" in desktop.driver.page_source)
    desktop.shoot("8-api")
    assert not desktop.complaints()
