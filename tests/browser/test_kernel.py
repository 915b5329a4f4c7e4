"""A reader whose kernel ends: what was alive says so, what was saved is a picture with words, and all comes back."""

from __future__ import annotations

import os
import signal

import pytest

from tools.browsing import ERRORS, MINUTES, open_and_begin, open_and_run

STALE, FRESH = ".explorer-stale", ".explorer:not(.explorer-stale) img[src^=blob]"


@pytest.fixture
def page(browser, lab):
    page = open_and_run(browser, lab.format(name="kernel.ipynb"))
    page.wait_for_selector(FRESH, timeout=MINUTES)
    yield page
    page.close()


def choose(page, menu: str, command: str) -> None:
    page.click(f'.lm-MenuBar-item:has-text("{menu}")')
    page.click(f'.lm-Menu-item[data-command="{command}"]')


def restart(page) -> None:
    choose(page, "Kernel", "kernelmenu:restart")
    page.click(".jp-Dialog .jp-mod-accept")


def test_after_a_restart_an_explorer_says_so_and_a_run_brings_it_back(page):
    restart(page)
    page.wait_for_selector(STALE, timeout=MINUTES)
    page.locator(".explorer input[type=range]").first.press("ArrowRight")
    assert "restarted or has ended: run this cell again" in page.locator(".explorer-trouble").inner_text()
    assert page.locator(STALE).get_attribute("aria-busy") == "false"
    page.wait_for_selector('.jp-StatusBar-TextItem:has-text("| Idle")', timeout=MINUTES)
    choose(page, "Run", "runmenu:run-all")
    page.wait_for_selector(FRESH, timeout=MINUTES)
    page.locator(".explorer input[type=range]").first.press("ArrowRight")
    page.wait_for_selector('.explorer[aria-busy=false] img[alt^="A dot at 0.1"]', timeout=MINUTES)
    assert page.locator(".explorer-trouble").is_hidden()


def test_after_its_kernel_has_ended_a_move_is_answered_in_words(page):
    choose(page, "Kernel", "kernelmenu:shutdown")
    page.wait_for_selector('.jp-StatusBar-TextItem:has-text("No Kernel")', timeout=MINUTES)
    page.locator(".explorer input[type=range]").first.press("ArrowRight")
    assert "run this cell again" in page.locator(f"{STALE} .explorer-trouble").inner_text()
    assert page.locator(STALE).get_attribute("aria-busy") == "false"


@pytest.mark.skipif(os.name != "posix", reason="needs SIGSTOP")
def test_a_kernel_that_answers_late_is_forgiven(page):
    kernel = int(page.locator(".jp-OutputArea-output pre").last.inner_text())
    os.kill(kernel, signal.SIGSTOP)
    try:
        page.locator(".explorer input[type=range]").first.press("End")
        page.wait_for_selector(STALE, timeout=MINUTES)
        assert "has not answered yet" in page.locator(".explorer-trouble").inner_text()
        assert page.locator(STALE).get_attribute("aria-busy") == "false"
    finally:
        os.kill(kernel, signal.SIGCONT)
    page.wait_for_selector(".explorer:not(.explorer-stale)[aria-busy=false]", timeout=MINUTES)
    assert page.locator(".explorer img").get_attribute("alt").startswith("A dot at 2")


def test_what_is_saved_with_a_slider_in_hand_opens_as_a_picture_with_words(page, lab):
    with page.expect_response(lambda response: response.request.method == "PUT" and "/contents/" in response.url):
        page.locator(".explorer input[type=range]").first.press("Control+s")
    choose(page, "Kernel", "kernelmenu:shutdown")
    page.wait_for_selector('.jp-StatusBar-TextItem:has-text("No Kernel")', timeout=MINUTES)
    page.goto(lab.format(name="kernel.ipynb"))
    picture = page.locator(".jp-OutputArea img")
    picture.wait_for(timeout=MINUTES)
    assert picture.get_attribute("alt").startswith("A dot at 0, 0 and a red line")
    assert page.locator("text=run this cell to bring its controls to life").is_visible()
    assert page.locator("text=Error displaying widget").count() == 0


def test_the_stop_button_ends_the_run_before_a_claim_is_made(browser, lab):
    page = open_and_begin(browser, lab.format(name="training.ipynb"))
    page.wait_for_selector("text=/epoch \\d+ of 10000000, loss/", timeout=MINUTES)
    assert page.locator("text=network 1 of 3").is_visible()
    choose(page, "Kernel", "kernelmenu:interrupt")
    error = page.locator(ERRORS)
    error.wait_for(timeout=MINUTES)
    assert "the model is half trained, in eval mode" in error.inner_text()
    page.wait_for_selector('.jp-StatusBar-TextItem:has-text("| Idle")', timeout=MINUTES)
    assert page.locator("text=/epoch \\d+ of 10000000, loss/").count() == 0, "the line of progress is taken away"
    assert page.locator(".jp-CodeCell").last.locator(".jp-OutputArea-output").count() == 0, "no claim on half a network"
    page.close()
