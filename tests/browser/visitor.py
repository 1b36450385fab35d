"""A browser at a daemon's dashboard that records what must never happen there.

A complaint is anything that the browser reports by itself: a console error, an exception, a violation of the content
policy, a request to another host. `expected` lists what a test causes on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

from tests.acceptance.harness import DaemonUnderTest, Tree, merged
from tests.support.patience import PATIENCE_SECONDS

SETTINGS: Tree = {
    # IPv6, by which the harness distinguishes it from the webhook address.
    "dashboard": {"listen": "[::1]:0"},
    "turn": {"duplicate_seconds": 0},
}
WAIT_MS = 1000 * PATIENCE_SECONDS
"""The longest that anything on the page may take; a busy machine takes its time."""


class Visitor:
    def __init__(self, browser: Browser, daemon: DaemonUnderTest) -> None:
        self.daemon = daemon
        self.complaints: list[str] = []
        self.expected: Sequence[str] = ()
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    @property
    def address(self) -> str:
        """`http://[::1]:12345`."""
        dashboard = self.daemon.status()["dashboard"]
        assert isinstance(dashboard, dict)
        return str(dashboard["address"])

    def link(self) -> str:
        """A new login link, as `majlis dashboard` prints it."""
        return str(self.daemon.admin("/v1/dashboard/login", post=True)["url"])

    def opens(
        self,
        url: str | None = None,
        *,
        width: int = 1280,
        height: int = 800,
        scheme: str = "light",
        view: str = "",
        locale: str | None = None,
    ) -> Page:
        """A new browser context at `url`, by default signed in with a new link, at `view`."""
        assert scheme in ("light", "dark")
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            locale=locale,
        )
        context.set_default_timeout(WAIT_MS)
        self._contexts.append(context)
        context.on("request", self._requested)
        page = context.new_page()
        page.on("console", self._logged)
        page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))
        page.goto(url or self.link())
        if url is None:
            page.get_by_role("navigation", name="Views").wait_for()
        if view:
            self.goes(page, view)
        return page

    def goes(self, page: Page, view: str) -> None:
        """Switch to another view."""
        page.evaluate("view => { location.hash = `#/${view}`; }", view)
        page.locator(f"main.view-{view.partition('/')[0]}").wait_for()

    def leaves(self) -> None:
        """Close everything, and fail on unexpected complaints."""
        for context in self._contexts:
            context.close()
        unexpected = [one for one in self.complaints if not any(known in one for known in self.expected)]
        assert not unexpected, unexpected

    def _logged(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} at {message.location.get('url')}")

    def _requested(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme != "data" and parts.hostname != "::1":
            self.complaints.append(f"request to another host: {request.url}")


def settings(*more: Tree) -> Tree:
    return merged(SETTINGS, *more)
