"""Checks the dashboard against the metrics, rules and documents it speaks of: check.py [FILE].

Says all that is wrong at once. Needs promtool.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from grafana_foundation_sdk.models import units

import sources

# Metrics of metrics.md that no panel shows, each with its reason.
NOT_SHOWN: dict[str, str] = {}
# Gauges that a process without the lease sets too.
TOLD_BY_ALL = {"shadowtable_lease_held", "shadowtable_phase", "shadowtable_build_info"}
HOLDER = "and on (instance, job, migration) shadowtable_lease_held"
VARIABLES = {"migration": "orders", "__rate_interval": "1m", "__interval": "30s", "__range": "3h"}
KEYWORDS = {"and", "or", "unless", "bool", "offset", "by", "on", "inf", "nan"}


def panels(board: dict) -> list[dict]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def expressions(board: dict) -> dict[str, str]:
    """All expressions, by what they belong to."""
    found = {f"annotations {mark['name']!r}": mark["expr"] for mark in board["annotations"]["list"]}
    for panel in panels(board):
        for target in panel.get("targets", []):
            found[f"panel {panel['title']!r}, query {target['refId']}"] = target["expr"]
    return found


def substituted(expr: str) -> str:
    return re.sub(r"\$(\w+)", lambda found: VARIABLES.get(found[1], found[0]), expr)


def selected(expr: str) -> set[str]:
    """The metrics that an expression selects."""
    expr = re.sub(r'"[^"]*"', "", expr)
    expr = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|on|without|ignoring)\s*\([^)]*\)", " ", expr)
    words = re.findall(r"(?<![\w:$])([a-zA-Z_:][\w:]*)(?![\w:])(?!\s*\()", expr)
    return {word for word in words if word.lower() not in KEYWORDS}


def metric(name: str, kinds: dict[str, str]) -> str:
    """The metric that a series belongs to: a histogram has several."""
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    return base if kinds.get(base) == "Histogram" else name


def wrong_expressions(board: dict) -> Iterator[str]:
    kinds, rules = sources.metrics(), sources.rules()
    for place, expr in expressions(board).items():
        for variable in re.findall(r"\$\{?(\w+)", expr):
            if variable not in VARIABLES:
                yield f"{place}: ${variable} is no variable of the dashboard"
        for name in selected(expr):
            known = name == "ALERTS" or metric(name, kinds) in kinds or (name in rules and not rules[name].is_alert)
            if not known:
                yield f"{place}: nothing is called {name}"
            if kinds.get(name) == "Gauge" and name not in TOLD_BY_ALL and HOLDER not in expr:
                yield f"{place}: {name} is NaN in a standby; look at the holder only"


def wrong_syntax(board: dict) -> Iterator[str]:
    """What promtool says: every expression as a rule. JSON is YAML."""
    places = expressions(board)
    recorded = [{"record": f"expression:{index}", "expr": substituted(expr)} for index, expr in enumerate(places.values())]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "expressions.json"
        file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": recorded}]}))
        ran = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True)
    if ran.returncode != 0:
        yield f"promtool: {ran.stdout}{ran.stderr}"


def wrong_panels(board: dict) -> Iterator[str]:
    known_units = {value for name, value in vars(units).items() if not name.startswith("_") and isinstance(value, str)}
    ids = [panel["id"] for panel in board["panels"]]
    if len(set(ids)) != len(ids):
        yield "two panels have one id"
    for panel in panels(board):
        title = panel.get("title") or f"panel {panel['id']}"
        if not panel.get("title") or not panel.get("description"):
            yield f"{title}: it has no title or no description"
        if panel["fieldConfig"]["defaults"].get("unit") not in known_units:
            yield f"{title}: it has no unit that Grafana knows"
        if not panel.get("targets"):
            yield f"{title}: it asks nothing"
        for asks in [panel, *panel.get("targets", [])]:
            if asks.get("datasource") != {"type": "prometheus", "uid": "${datasource}"}:
                yield f"{title}: it does not use the dashboard's data source"
        if any(not target.get("legendFormat") for target in panel.get("targets", [])):
            yield f"{title}: a query has no legend"


def wrong_places(board: dict) -> Iterator[str]:
    """Panels on top of each other, or beyond the edge."""
    taken: dict[tuple[int, int], str] = {}
    for panel in board["panels"]:
        grid = panel["gridPos"]
        if grid["x"] + grid["w"] > 24:
            yield f"{panel['title']}: it is beyond the right edge"
        cells = [(x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])]
        below = {taken[cell] for cell in cells if cell in taken}
        if below:
            yield f"{panel['title']}: it lies on {', '.join(sorted(below))}"
        taken.update(dict.fromkeys(cells, panel["title"]))


def wrong_links(board: dict) -> Iterator[str]:
    """Links lead to sections that exist; each alert's section has one."""
    linked = {link["url"].removeprefix("${docs}/") for asks in [board, *panels(board)] for link in asks.get("links", [])}
    for place in sorted(linked):
        page, _, anchor = place.partition("#")
        file = sources.PAGES / page
        if not file.is_file() or (anchor and anchor not in sources.anchors(file)):
            yield f"a link leads to {place}, which does not exist"
    for rule in sources.rules().values():
        if rule.is_alert and rule.runbook not in linked:
            yield f"no panel leads to what to do about {rule.name}"


def missing_metrics(board: dict) -> Iterator[str]:
    kinds, rules = sources.metrics(), sources.rules()
    shown: set[str] = set()
    for panel in panels(board):
        for target in panel.get("targets", []):
            for name in selected(target["expr"]):
                exprs = [name] if name not in rules else selected(rules[name].expr)
                shown |= {metric(series, kinds) for series in exprs}
    for name in sorted(sources.documented() | set(kinds)):
        if name not in shown and name not in NOT_SHOWN:
            yield f"no panel shows {name}"
        if name in shown and name in NOT_SHOWN:
            yield f"{name} is shown, and listed as not shown"


def main() -> int:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("shadowtable.json")
    board = json.loads(path.read_text())
    checks = [wrong_expressions, wrong_syntax, wrong_panels, wrong_places, wrong_links, missing_metrics]
    problems = [problem for check in checks for problem in check(board)]
    for problem in problems:
        print(f"{path.name}: {problem}", file=sys.stderr)
    if not problems:
        print(f"{path.name}: {len(panels(board))} panels, {len(expressions(board))} expressions, nothing wrong")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
