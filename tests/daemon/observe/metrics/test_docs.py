"""The documents match the metrics: table, dashboard and alerts name only what `/metrics` has, including labels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.config import MonitorSettings, TargetsSettings
from daemon.observe.alerts import rules
from daemon.observe.metrics.catalogue import METRICS, Metric
from tests.support import promtool

DOCS = Path(__file__).parents[4] / "docs"
OF_PROMETHEUS = {"le", "job", "instance"}
"""Labels that it adds itself."""
OF_THE_PROCESS = {"process_resident_memory_bytes": Metric("gauge", "")}
_NAME = re.compile(r"\b(?:majlis|process)_[a-z_]+")
_SELECTOR = re.compile(r"\b((?:majlis|process)_[a-z_]+)\{([^}]*)\}")
_BY = re.compile(r"\bby \(([^)]*)\)")


def _metric(name: str) -> Metric | None:
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    found = METRICS.get(name) or OF_THE_PROCESS.get(name)
    if found is None and (of := METRICS.get(base)) is not None and of.kind == "histogram":
        return of
    return None if found is None or found.kind == "histogram" else found


def faults(query: str) -> Iterator[str]:
    """What a query asks for and never gets."""
    names = set(_NAME.findall(re.sub(r'"[^"]*"', '""', query)))
    if not names:
        yield f"{query}: asks for no metric"
    for name in sorted(names):
        metric = _metric(name)
        if metric is None:
            yield f"{name}: there is no such metric"
            continue
        if metric.kind == "counter" and not re.search(rf"(rate|increase|absent)\({name}\b", query):
            yield f"{name}: a counter is of no use without rate or increase"
    known = {label for name in names if (metric := _metric(name)) for label in metric.labels}
    selected = [
        re.match(r"\w+", part.strip()) for _, inside in _SELECTOR.findall(query) for part in inside.split(",")
    ]
    grouped = [label.strip() for group in _BY.findall(query) for label in group.split(",")]
    for label in {*(found[0] for found in selected if found), *grouped} - known - OF_PROMETHEUS:
        yield f"{query}: nothing has the label {label}"
    if query.count("(") != query.count(")"):
        yield f"{query}: a bracket is missing"


def _dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DOCS / "grafana-dashboard.json").read_text(encoding="utf-8"))
    return found


def _alerts() -> list[dict[str, Any]]:
    document = yaml.safe_load((DOCS / "alert-rules.yml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_the_table_lists_every_metric_of_the_catalogue() -> None:
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(majlis_\w+)` \| (\w+) \| (.+) \| (.+) \|$", text, re.MULTILINE)
    labels = {
        name: ", ".join(f"`{label}`" for label in metric.labels) or "-" for name, metric in METRICS.items()
    }
    assert told == [(name, metric.kind, labels[name], metric.meaning) for name, metric in METRICS.items()]


def test_the_manual_explains_each_alert() -> None:
    """What it means, how to look, what to do."""
    section = (DOCS / "operations.md").read_text(encoding="utf-8").partition("### An alert is up")[2]
    rows = re.findall(r"^\| `([a-z_]+)` \|(.+)\|$", section.partition("\n#")[0], re.MULTILINE)
    assert [name for name, _ in rows] == [rule.name for rule in rules(MonitorSettings(), TargetsSettings())]
    assert all(len(cells.split("|")) == 3 and all(map(str.strip, cells.split("|"))) for _, cells in rows)


def test_every_alert_is_in_the_table() -> None:
    text = (DOCS / "metrics.md").read_text(encoding="utf-8").partition("## Alerts")[2]
    told = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert told == [rule.name for rule in rules(MonitorSettings(), TargetsSettings())]


def test_the_dashboard_queries_only_existing_metrics(tmp_path: Path) -> None:
    panels = _dashboard()["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    assert [fault for query in queries for fault in faults(query)] == []
    recorded = [
        {"record": f"panel:{place}", "expr": query.replace("$__rate_interval", "5m")}
        for place, query in enumerate(queries)
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    assert promtool.complaints("check", "rules", str(file)) == ""
    legends = [
        (target["expr"], label)
        for panel in panels
        for target in panel["targets"]
        for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
    ]
    assert [pair for pair in legends if pair[1] not in _grouped(pair[0])] == []


def _grouped(query: str) -> set[str]:
    return {label.strip() for group in _BY.findall(query) for label in group.split(",")}


def test_the_dashboard_is_complete() -> None:
    """Panels have their place, no two the same; every datasource is the one that is asked for at the import."""
    board = _dashboard()
    panels = board["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert (
        len(places)
        == len({panel["id"] for panel in panels})
        == len({p["title"] for p in panels})
        == len(panels)
    )
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource", "job"]


def test_the_alerts_query_only_existing_metrics() -> None:
    assert promtool.complaints("check", "rules", str(DOCS / "alert-rules.yml")) == ""
    alerts = _alerts()
    assert [fault for alert in alerts for fault in faults(alert["expr"])] == []
    assert len({alert["alert"] for alert in alerts}) == len(alerts)
    for alert in alerts:
        assert set(alert) <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"\d+[smh]", alert.get("for", "1m"))
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert set(alert["annotations"]) == {"summary", "description"}
        named = {
            label for text in alert["annotations"].values() for label in re.findall(r"\$labels\.(\w+)", text)
        }
        known = {label for name in _NAME.findall(alert["expr"]) if (m := _metric(name)) for label in m.labels}
        assert named <= known | OF_PROMETHEUS


@pytest.mark.parametrize(
    "query",
    [
        "sum(majlis_nothing)",
        "sum(rate(majlis_ack_seconds[5m]))",
        "sum(majlis_webhooks_total)",
        "sum by (contact) (rate(majlis_webhooks_total[5m]))",
        'sum(majlis_turns{phase="held"})',
        "sum(majlis_turns",
        "1 > 0",
    ],
)
def test_a_query_for_a_missing_metric_is_found(query: str) -> None:
    assert list(faults(query))
