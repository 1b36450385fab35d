"""The browser for the dashboard's tests. `python -m tests.browser.chromium` prints it, or what to install."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

VARIABLE = "MAJLIS_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
MISSING = (
    "The dashboard's tests need Chromium, and none was found: run `make browser`, install Chromium or Chrome, or let "
    f"{VARIABLE} name its program."
)


def find(playwright: Playwright) -> str | None:
    """The path of a browser: the configured one, else an installed one, else Playwright's own."""
    if named := os.environ.get(VARIABLE):
        return shutil.which(named)
    installed = next(filter(None, map(shutil.which, NAMES)), None)
    own = playwright.chromium.executable_path
    return installed or (own if Path(own).exists() else None)


def launch(playwright: Playwright) -> Browser:
    program = find(playwright)
    assert program is not None, MISSING
    # Root cannot use the sandbox; the pages opened here are our own.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=program, args=options)


def main() -> int:
    with sync_playwright() as playwright:
        program = find(playwright)
    sys.stdout.write(f"{program or MISSING}\n")
    return 0 if program else 1


if __name__ == "__main__":
    sys.exit(main())
