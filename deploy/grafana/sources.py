"""What the repository says about metrics, recording rules and alerts, read from where it is kept."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/prometheus/rules.yml"
NAMES = ROOT / "src/telemetry/names.rs"
METRICS_PAGE = ROOT / "docs/operations/metrics.md"
PAGES = ROOT / "docs/operations"


@dataclass(frozen=True)
class Rule:
    """A recording rule or an alert of rules.yml."""

    name: str
    is_alert: bool
    expr: str
    # The place in docs/operations that says what to do; alerts only.
    runbook: str | None

    def limit(self) -> float:
        """The figure that the expression is compared with first: `> 300`, `< 6 * 3600`."""
        found = re.search(r"[<>]\s*(\d+(?:\s*\*\s*\d+)*)", self.expr)
        if found is None:
            raise ValueError(f"{self.name} compares with no figure: {self.expr}")
        product = 1.0
        for factor in found[1].split("*"):
            product *= float(factor)
        return product

    def phases(self) -> str:
        """The phases that the alert is about, as a regular expression."""
        found = re.search(r'phase=~?"([^"]+)"', self.expr)
        if found is None:
            raise ValueError(f"{self.name} names no phase: {self.expr}")
        return found[1]


def rules() -> dict[str, Rule]:
    """All rules by name. Reads only what rules.yml uses of YAML: one key and one value on a line."""
    found = {}
    blocks = re.split(r"^\s*- (?=record:|alert:)", RULES.read_text(), flags=re.MULTILINE)[1:]
    for block in blocks:
        keys = dict(re.findall(r"^\s*(\w+): (.+)$", block, flags=re.MULTILINE))
        name = keys.get("alert", keys.get("record"))
        runbook = keys.get("runbook_url", "").removeprefix("docs/operations/")
        found[name] = Rule(name, "alert" in keys, keys["expr"], runbook or None)
    return found


def metrics() -> dict[str, str]:
    """The kind of each metric in names.rs: `Counter`, `Gauge` or `Histogram`."""
    return dict(re.findall(r'= "(shadowtable_\w+)", (Counter|Gauge|Histogram),', NAMES.read_text()))


def documented() -> set[str]:
    """The metrics with a row in metrics.md."""
    return set(re.findall(r"^\| `(shadowtable_\w+)` \|", METRICS_PAGE.read_text(), flags=re.MULTILINE))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
