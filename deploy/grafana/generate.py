"""Writes the dashboard: generate.py [FILE], by default shadowtable.json beside this file."""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from look import ACT, FINE, SOURCE, THIRD, link_to
from panels import FIRING, OURS, PHASE, ROWS

# Where docs/operations can be read; to be set by whoever imports the dashboard.
DOCS = "https://docs.invalid/docs/operations"


class Marks(dashboard.AnnotationQuery):
    """Annotations from an expression: a mark where it is above 0. The SDK knows nothing of their texts."""

    def __init__(self, name: str, color: str, expr: str, title: str, text: str, labels: list[str]) -> None:
        super().__init__(name=name, datasource=SOURCE, icon_color=color, expr=expr)
        self.texts = {"titleFormat": title, "textFormat": text, "tagKeys": ",".join(labels)}

    def to_json(self) -> dict[str, object]:
        return super().to_json() | self.texts

    def build(self) -> "Marks":
        return self


def annotations() -> list:
    """What happened, drawn across all panels."""
    before = f"max by (phase) (shadowtable_phase{OURS} offset $__interval)"
    begun = f"{PHASE} > bool ({before} or {PHASE} * 0)"
    written = f"sum by (instance) (increase(shadowtable_audit_entries_total{OURS}[$__rate_interval]))"
    return [
        Marks("Phases", FINE, begun, "{{phase}}", "The phase {{phase}} began.", ["phase"]),
        Marks("Audit trail", THIRD, written, "audit entry", "{{instance}} wrote to the audit trail: `shadowtable audit`.", []),
        Marks("Alerts", ACT, FIRING, "{{alertname}}", "{{alertname}} ({{severity}})", ["alertname", "severity"]),
    ]


def variables() -> list:
    source = build.DatasourceVariable("datasource").label("Data source").type("prometheus")
    migration = build.QueryVariable("migration").label("Migration").datasource(SOURCE)
    migration.query({"query": "label_values(shadowtable_lease_held, migration)", "refId": "migration"})
    migration.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(dashboard.VariableSort.ALPHABETICAL_ASC)
    migration.description("What every panel is about.").multi(False).include_all(False)
    docs = build.ConstantVariable("docs").label("Docs").value(DOCS)
    return [source, migration, docs.description("Where docs/operations can be read; links lead there.")]


def links() -> list:
    return [link_to(page).icon("doc") for page in ["alerts.md", "metrics.md", "cutover.md", "failures.md"]]


def made() -> str:
    """The dashboard as JSON."""
    board = build.Dashboard("shadowtable").uid("shadowtable").tags(["dynamodb", "shadowtable"])
    board.description("One migration: how far the shadow is behind, how long there is, and who mirrors.")
    board.time("now-3h", "now").refresh("30s").timezone("browser").tooltip(dashboard.DashboardCursorSync.CROSSHAIR).editable()
    board.variables(variables()).annotations(annotations()).links(links())
    number = 0
    for title, groups in ROWS:
        number += 1
        board.with_row(build.Row(title).id(number))
        for panel in (panel for group in groups for panel in group()):
            number += 1
            board.with_panel(panel.id(number))
    made = json.loads(json.dumps(board.build(), cls=JSONEncoder))
    # The SDK says of each variable that it chooses no interval; Grafana's schema knows no such words.
    for variable in made["templating"]["list"]:
        for word in [word for word in variable if word.startswith("auto")]:
            del variable[word]
    return json.dumps(made, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("shadowtable.json")
    path.write_text(made())
