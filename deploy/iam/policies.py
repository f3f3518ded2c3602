"""The policies of this folder, read and compared with docs/operations/permissions.md."""

import json
import re
from pathlib import Path

import botocore.session

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "operations" / "permissions.md"
NAMES = ("run", "operator", "read-only", "reseed")
RUN, OPERATOR, READ_ONLY, RESEED = (json.loads((HERE / f"{name}.json").read_text()) for name in NAMES)
POLICIES = dict(zip(NAMES, (RUN, OPERATOR, READ_ONLY, RESEED)))

# The account in the examples.
EXAMPLE = "111111111111"
SOURCE, SHADOW, STATE, POINTER = "TaskApprovals", "TaskApprovals-v2", "shadowtable-state", "settings"
PARAMETER = "task-approvals/table"
WORDS = {SOURCE: "source", SHADOW: "shadow", STATE: "state", POINTER: "pointer", PARAMETER: "parameter"}
# One table, the streams of one table, or one parameter.
ARN = rf"arn:aws:(dynamodb|ssm):eu-central-1:{EXAMPLE}:(table|parameter)/[\w./-]+(/stream/\*)?"
# A managed policy's, without white space.
MOST_CHARACTERS = 6144


def statements(policy):
    """A policy as (Sid, action, resource)."""
    for statement in policy["Statement"]:
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            yield statement["Sid"], action, statement["Resource"]


def table_of(arn, prefix=""):
    """`source`, `stream`, `shadow`, `state`, `pointer`, `parameter` or `role`."""
    kind, _, name = arn.split(":", 5)[5].partition("/")
    if kind == "role":
        return kind
    name = name.removeprefix(prefix)
    return "stream" if "/stream/" in name else WORDS.get(name, name)


def permissions(policy):
    """A policy as (Sid, action, table)."""
    return [(sid, action, table_of(resource)) for sid, action, resource in statements(policy)]


def widened(grants):
    """For moto, which compares actions only. What no grant allows is left to it to deny."""
    return [{"Effect": "Allow", "Action": sorted({action for action, _ in grants}), "Resource": "*"}]


def mistakes():
    """What is wrong with the policies' text."""
    known = known_actions()
    for name, policy in POLICIES.items():
        if policy["Version"] != "2012-10-17" or len(json.dumps(policy, separators=(",", ":"))) > MOST_CHARACTERS:
            yield f"{name}: version or length"
        sids = [statement["Sid"] for statement in policy["Statement"]]
        if len(set(sids)) < len(sids) or not all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids):
            yield f"{name}: Sids"
        if any(set(statement) != {"Sid", "Effect", "Action", "Resource"} for statement in policy["Statement"]):
            yield f"{name}: a statement has other elements"
        for sid, action, resource in statements(policy):
            if action not in known:
                yield f"{name}: {sid}: there is no {action}"
            if not re.fullmatch(ARN, resource):
                yield f"{name}: {sid}: {resource}"


def known_actions():
    session = botocore.session.get_session()
    services = {"dynamodb": "dynamodb", "dynamodbstreams": "dynamodb", "ssm": "ssm"}
    return {
        f"{prefix}:{operation}"
        for service, prefix in services.items()
        for operation in session.get_service_model(service).operation_names
    }


def undocumented():
    """Where the page's tables and the policies differ."""
    for name, policy in POLICIES.items():
        granted = {
            (sid if sid.startswith("Optional") else "", table, action) for sid, action, table in permissions(policy)
        }
        documented = set(consequences(name))
        for row in sorted(granted ^ documented):
            yield f"{name}: {' '.join(row)} is {'not documented' if row in granted else 'documented only'}"


def consequences(name):
    """What the page says of a policy's permissions that are missing, by (optional Sid or nothing, table, action)."""
    return {tuple(row): told for *row, _, told in rows(name)}


def reasons(name):
    """What the page says permissions are for, by the same."""
    return {tuple(row): why for *row, why, _ in rows(name)}


def untold(actions):
    """Which of these the page does not tell of as not tried."""
    told = " ".join(re.findall(r"^- \*\*Not tried\*\*.*(?:\n  .*)*", PAGE.read_text(), flags=re.MULTILINE))
    for action in actions:
        if f"`{action}`" not in told:
            yield f"the page does not say that {action} is not tried"


def rows(name):
    """The page's rows of a policy as (optional Sid or nothing, table, action, why, what happens without it)."""
    for section in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        heading, *lines = section.splitlines()
        if f"`{name}.json`" not in heading:
            continue
        for line in lines:
            cells = [cell.strip().strip("`") for cell in line.strip("|").split(" | ")]
            if len(cells) == 4 and ":" in cells[1]:
                yield "", cells[0], cells[1], cells[2], cells[3]
            elif len(cells) == 5 and ":" in cells[2] and cells[0].startswith("Optional"):
                yield cells[0], cells[1], cells[2], cells[3], cells[4]
            elif len(cells) == 5 and ":" in cells[2] and cells[0] == f"{name}.json":
                yield "", cells[1], cells[2], cells[3], cells[4]


def documented_verbs():
    """The page's verbs and the actions that each needs on the state table."""
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) == 2 and cells[0].startswith("`"):
            for verb in re.findall("`([^`]+)`", cells[0]):
                yield verb + cells[0].rpartition("`")[2], {f"dynamodb:{action}" for action in cells[1].split(", ")}
