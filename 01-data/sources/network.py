"""Requests that a server can live with: one at a time, spaced, named, patient, within robots.txt.

http and https only, followed through redirects by hand so that each hop is checked; proxies come from the
environment. It keeps no cookies and sends no credentials, and none that a URL holds is ever shown.
"""

import email.utils
import http.client
import re
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
import urllib.robotparser
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from chronos import __version__
from chronos.console import ChronosError, duration, warn

AGENT = f"chronos-memory/{__version__} (teaches how language models remember; fetches text on request)"
REDIRECTS = 8
ROBOTS_LIMIT = 512 << 10  # bytes of a robots.txt that are read (RFC 9309, section 2.5, asks for 500 KiB)
LONGEST_WAIT = 600.0  # seconds; who asks for more is visited again another time
_BUSY = {408, 425, 429, 500, 502, 503, 504}
_SECRET = re.compile(r"(?i)(token|key|secret|sig|pass|auth|credential|session|code)")


class Again(Exception):
    """A failure that may pass: why, how long to wait (None: by the back-off), how many tries it is worth."""

    def __init__(self, why: str, wait: float | None = None, tries: int = 6):
        super().__init__(why)
        self.wait, self.tries = wait, tries


class Refused(ChronosError):
    """The server answers with a 4xx that waiting will not change."""


class Absent(Refused):
    """It knows nothing at this address (404 or 410)."""


def shown(url: str) -> str:
    """A URL as it may be printed and recorded: without credentials or secrets in its query."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return "(no URL)"
    query = re.sub(r"([^&=]*)=([^&]*)", lambda m: f"{m[1]}=…" if _SECRET.search(m[1]) else m[0], parts.query)
    plain = urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))
    return plain if plain.isprintable() else ascii(plain)[1:-1]


def checked(url: str, base: str | None = None) -> str:
    """A URL that may be asked for, in ASCII; ChronosError for other schemes, credentials, or what is no URL.

    With `base` it may be relative, as a redirect's is, and may not leave https once it is on it.
    """
    try:
        parts = urllib.parse.urlsplit(urllib.parse.urljoin(base or "", url.strip()))
        host, port = (parts.hostname or "").encode("idna").decode("ascii"), parts.port
    except (ValueError, UnicodeError):
        raise ChronosError("this is no URL", got=repr(url)[:200]) from None
    if parts.scheme not in ("http", "https") or (
        base and base.startswith("https:") and parts.scheme == "http"
    ):
        what = "a redirect leads elsewhere" if base else "this is not fetched"
        raise ChronosError(
            what, where=shown(base or url), expected="https://…", got=f"{parts.scheme or 'no'}://…"
        )
    if parts.username is not None or parts.password is not None:
        raise ChronosError("a URL with credentials in it is not fetched", where=shown(url))
    if not re.fullmatch(r"[A-Za-z0-9._:-]+", host):
        raise ChronosError("this URL names no host", got=repr(url)[:200])
    host = f"[{host}]" if ":" in host else host
    path = urllib.parse.quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = urllib.parse.quote(parts.query, safe="/%:@!$&'()*+,;=~-._?[]|")
    return urllib.parse.urlunsplit(
        (parts.scheme, host if port is None else f"{host}:{port}", path, query, "")
    )


class Network:
    """One polite visitor. `robots`: whether robots.txt is asked first (not for interfaces made for programs).

    `delay` is the time between two requests to a host, `timeout` that of connecting and of a silence, both
    in seconds. Not for several threads: one request at a time is the point.
    """

    def __init__(
        self,
        *,
        delay: float = 1.0,
        timeout: float = 30.0,
        robots: bool = True,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self.delay, self.timeout, self.robots, self.sleep = delay, timeout, robots, sleep
        self.visited: dict[str, float] = {}  # host → when it was last left
        self.rules: dict[str, urllib.robotparser.RobotFileParser] = {}
        self.opener = urllib.request.OpenerDirector()
        for handler in (urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
            self.opener.add_handler(handler())

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str] | None = None, robots: bool = True) -> Iterator[Any]:
        """The answer to a request: 200, 206, 304 or 416, its body unread and what was asked as `.asked`.

        Raises Again for what may pass, Absent for what is not there, ChronosError for what will not pass.
        """
        robots = robots and self.robots
        with _failures(url), self._followed(checked(url), dict(headers or {}), robots) as answer:
            yield answer

    def patiently(self, url: str, act: Callable[[], Any], brought: Callable[[], int] = lambda: 0) -> Any:
        """`act()`, again and again while it raises Again: after 2, 4, 8 … seconds, or as the server asks.

        `brought` tells how much has arrived; an attempt that brought 64 KiB does not count as a failure.
        """
        failures = 0
        for _ in range(200):
            before = brought()
            try:
                return act()
            except Again as trouble:
                failures = 1 if brought() >= before + (64 << 10) else failures + 1
                if failures >= trouble.tries:
                    mend = "run the same command again; it goes on where it stopped"
                    raise ChronosError(f"{trouble} ({failures} times)", where=shown(url), mend=mend) from None
                wait = min(2.0**failures, 60.0) if trouble.wait is None else trouble.wait
                if wait > LONGEST_WAIT:
                    mend = f"run the same command again in {duration(wait)}"
                    raise ChronosError(str(trouble), where=shown(url), mend=mend) from None
                if wait >= 5:
                    warn(f"{shown(url)}: {trouble}; trying again in {duration(wait)}")
                self.sleep(wait)
        raise ChronosError("the connection breaks again and again", where=shown(url))

    @contextmanager
    def _followed(self, url: str, headers: dict[str, str], robots: bool) -> Iterator[Any]:
        for _ in range(REDIRECTS):
            self._wait(url, robots)
            agent = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
            request = urllib.request.Request(url, headers=agent | headers)
            try:
                with self.opener.open(request, timeout=self.timeout) as answer:
                    if answer.status not in (301, 302, 303, 307, 308):
                        _refuse_status(url, answer)
                        answer.asked = url
                        yield answer
                        return
                    to = checked(answer.headers.get("Location", ""), base=url)
            finally:
                self.visited[_host(url)] = time.monotonic()
            url = to
        raise ChronosError(
            "redirected in a circle", where=shown(url), expected=f"at most {REDIRECTS} redirects"
        )

    def _wait(self, url: str, robots: bool) -> None:
        host, delay = _host(url), self.delay
        if robots:
            rules = self._rules(url)
            if not rules.can_fetch(AGENT, url):
                raise ChronosError("its robots.txt asks programs not to fetch this", where=shown(url))
            delay = max(delay, min(float(rules.crawl_delay(AGENT) or 0), 60.0))
        left = self.visited.get(host, -1e9) + delay - time.monotonic()
        if left > 0:
            self.sleep(left)

    def _rules(self, url: str) -> urllib.robotparser.RobotFileParser:
        """The host's rules; none where it has no robots.txt (RFC 9309: any 4xx)."""
        origin = urllib.parse.urljoin(url, "/robots.txt")
        if origin not in self.rules:
            text = ""
            with suppress(Refused), self._followed(origin, {}, robots=False) as answer:
                text = answer.read(ROBOTS_LIMIT).decode("utf-8", "replace")
            rules = self.rules[origin] = urllib.robotparser.RobotFileParser()
            rules.parse(text.removeprefix("\ufeff").splitlines())
        return self.rules[origin]


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).netloc


def _refuse_status(url: str, answer: http.client.HTTPResponse) -> None:
    """Raise for a status that brings nothing."""
    status = answer.status
    if status in (200, 206, 304, 416):
        return
    if status in _BUSY:
        raise Again(f"the server is busy ({status})", _retry_after(answer.headers.get("Retry-After")))
    if status in (404, 410):
        raise Absent(f"there is nothing ({status})", where=shown(url), mend="check the name")
    kind = Refused if 400 <= status < 500 else ChronosError
    raise kind(f"the server refuses ({status} {_reason(answer.reason)})", where=shown(url))


def _retry_after(value: str | None) -> float | None:
    """Seconds, or a date (RFC 9110, section 10.2.3); None for nothing and for nonsense."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value.strip()[:9])
    try:
        moment = email.utils.parsedate_to_datetime(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


@contextmanager
def _failures(url: str) -> Iterator[None]:
    """Network errors as Again, or as ChronosError where waiting will not help."""
    try:
        yield
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise ChronosError("its certificate is not trusted", where=shown(url)) from None
        slow = isinstance(reason, TimeoutError)
        raise Again(f"no connection ({_reason(reason)})", tries=6 if slow else 3) from None
    except TimeoutError:
        raise Again("the server fell silent") from None
    except (http.client.HTTPException, ConnectionError, ssl.SSLError) as error:
        raise Again(f"the connection broke ({_reason(error)})") from None


def _reason(error: object) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:100]
