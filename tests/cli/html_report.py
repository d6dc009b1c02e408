"""html_report.py SPARSIFY: opens the HTML report of a real run in headless Chromium, light and dark, on a desk and on a phone."""
import os
import sys

from harness import DIGITS, EVAL, EVAL_FILE, case, check, equal, finish, succeeds

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "report"))
import chromium  # noqa: E402

PROGRAM = chromium.find()
if PROGRAM is None:
    print("SKIPPED: the HTML report in a browser: no Chromium is installed")
    sys.exit(77)

ROWS = "document.querySelectorAll('#layers tbody tr')"


def shown(browser):
    return browser.value(f"[...{ROWS}].filter(row => !row.hidden).length")


def names(browser):
    return browser.value(f"[...{ROWS}].map(row => row.querySelector('.name').firstChild.textContent.trim())")


def report(where):
    succeeds("prune", DIGITS, "-o", os.path.join(where, "slim.onnx"), "--sparsity", "0.7", "--data", EVAL)
    return os.path.join(where, "slim.sparsify", "report.html")


def opens(where):
    page = report(where)
    backgrounds = []
    for dark in (False, True):
        for width in (1280, 390):
            browser.open(page, width, 900, dark=dark, phone=width < 500)
            equal(browser.complaints(), [], f"complaints at {width}, dark {dark}")
            check(browser.value("document.documentElement.scrollWidth <= innerWidth + 1"), f"the page is wider than {width}")
        backgrounds.append(browser.value("getComputedStyle(document.body).backgroundColor"))
    check(backgrounds[0] != backgrounds[1], f"light and dark have one background {backgrounds[0]}")


def sorts(where):
    browser.open(report(where), 1280, 900)
    before = names(browser)
    equal(len(before), 7, "layers")
    column = browser.value("[...document.querySelectorAll('#layers th')].findIndex(h => /name|layer/i.test(h.textContent)) + 1")
    head = f"#layers th:nth-child({column})"
    browser.click(head + " button")
    first = names(browser)
    check(browser.value(f"document.querySelector('{head}').getAttribute('aria-sort')") != "none", "aria-sort says nothing")
    browser.value(f"document.querySelector('{head} button').focus()")
    browser.press("Enter", "Enter", "\r")
    second = names(browser)
    equal(sorted([first, second]), sorted([sorted(before), sorted(before, reverse=True)]), "both orders")
    browser.value("document.querySelector('#filter').focus()")
    browser.type("block3")
    equal(shown(browser), 2, "rows that match block3")
    equal(browser.complaints(), [], "complaints")


def sensitivity(where):
    folder = os.path.join(where, "s")
    succeeds("sensitivity", DIGITS, "--data", EVAL, "--samples", "32", "--sparsities", "0.5,0.9", "--patterns", "unstructured,2:4", "-o", folder)
    for dark in (False, True):
        for width in (1280, 390):
            browser.open(os.path.join(folder, "sensitivity.html"), width, 900, dark=dark, phone=width < 500)
            equal(browser.complaints(), [], f"complaints at {width}, dark {dark}")
            check(browser.value("document.documentElement.scrollWidth <= innerWidth + 1"), f"the page is wider than {width}")
    equal(browser.value("document.querySelectorAll('.curves g polyline').length"), 9, "curves")
    equal(browser.value("document.querySelectorAll('#layers td.heat').length"), 9 * 2 + 8, "cells of the heat map")
    browser.open(os.path.join(folder, "sensitivity.html"), 1280, 900)
    browser.click("#layers th:nth-child(5) button")
    damages = browser.value(f"[...{ROWS}].map(row => Number(row.cells[4].dataset.v))")
    equal(damages, sorted(damages, reverse=True), "the column after a click on its heading")


def training(where):
    train = f"npz:{EVAL_FILE},scale=16,limit=128"
    page = os.path.join(where, "slim.sparsify", "report.html")
    prune = ["prune", DIGITS, "-o", os.path.join(where, "slim.onnx"), "--overwrite", "--sparsity", "0.7", "--train-data", train, "--set", "train.batch_size=32",
             "--set", "train.log_every=1", "--set", f"data.validation={{format: npz, path: {EVAL_FILE}, scale: 16, limit: 64}}"]
    succeeds(*prune, "--set", "train.epochs=3", "--set", "schedule={name: cubic, every: 1}")
    titles = "[...document.querySelectorAll('#training h3')].map(title => title.textContent)"
    for dark in (False, True):
        for width in (1280, 390):
            browser.open(page, width, 900, dark=dark, phone=width < 500)
            equal(browser.complaints(), [], f"complaints at {width}, dark {dark}")
            check(browser.value("document.documentElement.scrollWidth <= innerWidth + 1"), f"the page is wider than {width}")
    equal(browser.value(titles), ["Loss", "top1 of the validation data", "Sparsity of the masked weights", "Learning rate"], "charts")
    points = browser.value("[...document.querySelectorAll('#training .training > div:nth-child(3) polyline')].map(line => line.getAttribute('points').trim().split(' ').length)")
    equal(points, [3], "points of the sparsity, one an epoch")
    check(browser.value("document.querySelectorAll('#training circle.best').length") == 1, "the exported epoch is marked")
    succeeds(*prune, "--set", "train.epochs=1", "--set", "schedule={name: imp, rounds: 2, rewind: start}")
    browser.open(page, 1280, 900)
    check("curves of the last of 2 rounds" in browser.value("document.querySelector('#training .soft').textContent"), "the rounds are named")
    succeeds("prune", DIGITS, "-o", os.path.join(where, "slim.onnx"), "--overwrite", "--sparsity", "0.7")
    browser.open(page, 1280, 900)
    equal(browser.value(titles), [], "charts of a run that does not train")


browser = chromium.Chromium(PROGRAM)
case("the page opens without errors or requests, in light and dark, wide and narrow", opens)
case("the layer table has every pruned layer, sorts by click and keyboard, and filters", sorts)
case("the page of a sensitivity run has a curve for each layer and a heat map that sorts", sensitivity)
case("a run that trains shows its curves, and those of its rounds", training)
browser.close()
finish()
