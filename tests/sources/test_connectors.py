"""Connectors against a real HTTP server on this machine, which also misbehaves."""

import json
import logging
import sys
import threading
import types
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote_plus, urlsplit

import pandas as pd
import pytest
import yaml

from hashgym.sources import connectors, keys
from hashgym.sources.connectors import fetch, read_service
from hashgym.sources.web import SourceError, Web

NOW = pd.Timestamp("2024-03-01", tz="UTC")
Reply = Callable[[BaseHTTPRequestHandler], None]


def prices(query: dict[str, list[str]]) -> bytes:
    first, last = (int(query[name][0]) // 1000 for name in ("startTime", "endTime"))
    rows = [[1000 * t, "1", "2", "0", f"{40000 + t % 7}"] for t in range(-(-first // 3600) * 3600, last, 3600)]
    return json.dumps(rows).encode()


class Server:
    """Answers every request by the next of `replies`, then as it should; keeps what it was asked."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                if server.replies:
                    server.replies.pop(0)(self)
                else:
                    send(self, prices(parse_qs(urlsplit(self.path).query)))

            def log_message(self, *_: object) -> None:
                return

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


def send(
    handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, length: int | None = None, **head: str
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    for name, value in head.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def service(server: Server, tmp_path: Path) -> str:
    return written(tmp_path / "prices.yaml", server.url, chunk_h=24)


def written(path: Path, url: str, **more: object) -> str:
    content = {
        "title": "test prices",
        "url": url,
        "params": {"startTime": "{start_ms}", "endTime": "{end_ms}"},
        "time": 0,
        "time_unit": "ms",
        "values": {"coin_price_usd": 4},
        "requests_per_minute": 100000,
        "series": [{"column": "coin_price_usd", "unit": "usd", "delay_s": 3600}],
        **more,
    }
    path.write_text(yaml.safe_dump(content))
    return str(path)


def client(waited: list[float] | None = None) -> Web:
    return Web(per_minute=1e6, sleep=(waited if waited is not None else []).append)


def test_a_span_is_fetched_in_chunks_and_never_asked_for_twice(server: Server, service: str, tmp_path: Path) -> None:
    told = fetch(service, "2024-01-01", "2024-01-04", tmp_path / "cache", web=client(), now=NOW)
    assert "3 chunks fetched" in told
    again = fetch(service, "2024-01-02", "2024-01-05", tmp_path / "cache", web=client(), now=NOW)
    assert "1 chunks fetched" in again
    assert len(server.asked) == 4
    mapping = yaml.safe_load((tmp_path / "cache" / "prices" / "mapping.yaml").read_text())
    rows = pd.concat([pd.read_csv(tmp_path / "cache" / "prices" / name) for name in mapping["series"][0]["files"]])
    assert rows["time"].is_monotonic_increasing
    assert len(rows) == 96


def test_the_running_chunk_is_asked_for_again(server: Server, service: str, tmp_path: Path) -> None:
    soon = pd.Timestamp("2024-01-01T12:00", tz="UTC")
    for _ in range(2):
        fetch(service, "2024-01-01", "2024-01-02", tmp_path / "cache", web=client(), now=soon)
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "reply",
    [
        lambda h: send(h, b"oops", 500),
        lambda h: send(h, b"[[170406", length=4000),
        lambda h: send(h, b"<html>maintenance</html>"),
        lambda h: send(h, b""),
        lambda h: h.connection.close(),
    ],
    ids=["500", "truncated", "html", "empty", "hung up"],
)
def test_what_another_attempt_mends_is_mended(reply: Reply, server: Server, service: str, tmp_path: Path) -> None:
    server.replies = [reply, reply]
    waited: list[float] = []
    fetch(service, "2024-01-01", "2024-01-02", tmp_path / "cache", web=client(waited), now=NOW)
    assert len(server.asked) == 3
    assert len(waited) == 2
    assert waited[1] > 0.5


def test_a_server_that_asks_for_patience_gets_it(server: Server, service: str, tmp_path: Path) -> None:
    server.replies = [lambda h: send(h, b"", 429, Retry_After="7")]
    waited: list[float] = []
    fetch(service, "2024-01-01", "2024-01-02", tmp_path / "cache", web=client(waited), now=NOW)
    assert waited == [7.0]


def test_a_slow_answer_is_given_up(server: Server, service: str, tmp_path: Path) -> None:
    ticks = iter(range(0, 10**6, 50))
    web = Web(per_minute=1e6, attempts=2, whole_s=10.0, sleep=lambda _: None, clock=lambda: float(next(ticks)))
    with pytest.raises(SourceError, match="took more than 10 s"):
        fetch(service, "2024-01-01", "2024-01-02", tmp_path / "cache", web=web, now=NOW)


def test_what_was_fetched_before_a_failure_is_kept(server: Server, service: str, tmp_path: Path) -> None:
    fetch(service, "2024-01-01", "2024-01-02", tmp_path / "cache", web=client(), now=NOW)
    server.replies = [lambda h: send(h, b"", 503)] * 5
    with pytest.raises(SourceError, match=r"5 attempts: status 503.*run the same command again"):
        fetch(service, "2024-01-01", "2024-01-03", tmp_path / "cache", web=client(), now=NOW)
    assert "1 chunks fetched" in fetch(service, "2024-01-01", "2024-01-03", tmp_path / "cache", web=client(), now=NOW)


def test_without_a_network_the_message_says_so(tmp_path: Path) -> None:
    service = written(tmp_path / "none.yaml", "http://127.0.0.1:9", chunk_h=24)
    with pytest.raises(SourceError, match="is there a network"):
        fetch(service, "2024-01-01", "2024-01-02", tmp_path / "cache", web=client(), now=NOW)


def test_a_second_source_steps_in_and_is_recorded(server: Server, tmp_path: Path) -> None:
    second = written(tmp_path / "second.yaml", server.url, chunk_h=24)
    first = written(tmp_path / "first.yaml", "http://127.0.0.1:9", chunk_h=24, fallback=second)
    assert "from second" in fetch(first, "2024-01-01", "2024-01-02", tmp_path / "cache", web=client(), now=NOW)
    (record,) = json.loads((tmp_path / "cache" / "first" / "fetched.json").read_text()).values()
    assert record["switched_from"] == "first"
    assert "is there a network" in record["because"]
    assert "from second" in (tmp_path / "cache" / "first" / "mapping.yaml").read_text()


def test_a_second_source_is_no_earlier_known_than_it_publishes(server: Server, tmp_path: Path) -> None:
    late = [{"column": "coin_price_usd", "unit": "usd", "delay_s": 86400}]
    second = written(tmp_path / "second.yaml", server.url, chunk_h=6, series=late)
    first = written(tmp_path / "first.yaml", "http://127.0.0.1:9", chunk_h=24, fallback=second)
    fetch(first, "2024-01-02", "2024-01-03", tmp_path / "cache", web=client(), now=NOW)
    (path,) = (tmp_path / "cache" / "first").glob("*.csv")
    rows = pd.read_csv(path)
    # The mapping says that values are known an hour after their stamp: a day's delay moves the stamps by 23 hours.
    assert rows["time"].iloc[0] == "2024-01-02T00:00:00Z"
    asked = int(parse_qs(urlsplit(server.asked[0]).query)["startTime"][0]) // 1000
    assert pd.Timestamp(asked, unit="s", tz="UTC") == pd.Timestamp("2024-01-01T01:00", tz="UTC")
    assert len(server.asked) == 4  # pieces of the second source's own length
    assert rows["coin_price_usd"].iloc[0] == 40000 + asked % 7


def test_a_chunk_that_ends_early_is_asked_for_again_until_it_is_old(
    server: Server, service: str, tmp_path: Path
) -> None:
    short: Reply = lambda h: send(h, prices({"startTime": ["1704067200000"], "endTime": ["1704110400000"]}))  # noqa: E731
    soon = pd.Timestamp("2024-01-03", tz="UTC")
    for now, n_asked in ((soon, 1), (soon, 2), (NOW, 3), (NOW, 3)):
        server.replies = [short]
        fetch(service, "2024-01-01", "2024-01-02", tmp_path / "cache", web=client(), now=now)
        assert len(server.asked) == n_asked


def test_requests_of_one_fetch_keep_one_pace(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(connectors, "Web", lambda per_minute: Web(per_minute=per_minute, sleep=waited.append))
    service = written(tmp_path / "slow.yaml", server.url, chunk_h=24, requests_per_minute=60)
    fetch(service, "2024-01-01", "2024-01-04", tmp_path / "cache", now=NOW)
    assert len(server.asked) == 3
    assert sum(waited) == pytest.approx(3.0, abs=0.3)  # 1 s before the second, 2 s before the third: sleep is faked


def test_a_library_is_asked_for_the_markets_own_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ercot:
        def get_spp(self, day: str, **_: object) -> pd.DataFrame:
            hours = pd.date_range(day, periods=24, freq="h", tz="America/Chicago")
            return pd.DataFrame({"Interval Start": hours, "Location": "HB_WEST", "SPP": 20.0})

    library = types.SimpleNamespace(Ercot=Ercot, Markets=types.SimpleNamespace(REAL_TIME_15_MIN="rt"))
    monkeypatch.setitem(sys.modules, "gridstatus", library)
    fetch("ercot_real_time", "2024-01-04", "2024-01-05", tmp_path, now=NOW)
    (path,) = tmp_path.rglob("2*.csv")
    rows = pd.read_csv(path)
    assert len(rows) == 7 * 24
    assert rows["time"].iloc[0] == "2024-01-04T00:00:00Z"


def test_another_form_of_answer_is_named(server: Server, service: str, tmp_path: Path) -> None:
    server.replies = [lambda h: send(h, b'{"message": "moved"}')]
    with pytest.raises(SourceError, match="reads otherwise than expected"):
        fetch(service, "2024-01-01", "2024-01-02", tmp_path / "cache", web=client(), now=NOW)


KEY = "s3/t+k="


def test_a_key_is_sent_and_shown_nowhere(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service = written(tmp_path / "test.yaml", server.url, chunk_h=24, key="test", query="api_key")
    monkeypatch.setenv("HASHGYM_KEY_TEST", KEY)
    caplog.set_level(logging.DEBUG, logger="hashgym")
    fetch(service, "2024-01-01", "2024-01-02", tmp_path / "cache", web=client(), now=NOW)
    assert f"api_key={quote_plus(KEY)}" in server.asked[0]
    echo: Reply = lambda h: send(h, f"bad key {KEY} in {h.path}".encode(), 403)  # noqa: E731
    server.replies = [echo]
    with pytest.raises(SourceError, match="status 403") as caught:
        fetch(service, "2024-01-02", "2024-01-03", tmp_path / "cache", web=client(), now=NOW)
    written_texts = [path.read_text() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    texts = [*written_texts, str(caught.value), caplog.text]
    assert not any(form in text for text in texts for form in (KEY, quote_plus(KEY)))


def test_keys_are_read_anew_from_a_file_that_is_the_owner_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.yaml"
    monkeypatch.setenv("HASHGYM_KEYS", str(path))
    with pytest.raises(ValueError, match="no key 'pool': set HASHGYM_KEY_POOL"):
        keys.find("pool")
    path.write_text("pool: one\n")
    path.chmod(0o644)
    with pytest.raises(ValueError, match="chmod 600"):
        keys.find("pool")
    path.chmod(0o600)
    assert keys.find("pool") == "one"
    path.write_text("pool: two\n")
    assert keys.find("pool") == "two"


def test_every_service_that_ships_reads_and_has_a_pace() -> None:
    for name in connectors.names():
        service = read_service(name)
        assert 0.0 < service.requests_per_minute <= 600.0
        assert {entry["column"] for entry in service.series} <= set(service.values)
        assert service.fallback is None or set(read_service(service.fallback).values) == set(service.values)


def test_mistakes_are_named(tmp_path: Path) -> None:
    for args, message in (
        (("mars", "2024-01-01", "2024-01-02"), "no service 'mars'"),
        (("open_meteo", "x", "2024-01-02"), "not dates"),
        (("open_meteo", "2024-01-02", "2024-01-02"), "is empty"),
    ):
        with pytest.raises(ValueError, match=message):
            fetch(*args, tmp_path, now=NOW)
    with pytest.raises(ValueError, match="has latitude, longitude"):
        fetch("open_meteo", "2024-01-01", "2024-01-02", tmp_path, ["height=3"], now=NOW)
    with pytest.raises(SourceError, match="gridstatus"):
        fetch("ercot_real_time", "2024-01-01", "2024-01-02", tmp_path, now=NOW)
