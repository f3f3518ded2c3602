"""What is tried: each scenario has a migration of its own, returns what it saw, and raises what went wrong."""

import json
import re
import time

from botocore.exceptions import ClientError

import policies
from migration import MIGRATION, Failed, Migration, make_table
from policies import OPERATOR, READ_ONLY, RESEED, RUN, permissions

# How long a process may take to give up for lack of a permission or of credentials, in seconds.
AT_ONCE_SECONDS = 10

TIME_TO_LIVE, BACKUPS = "dynamodb:UpdateTimeToLive", "dynamodb:UpdateContinuousBackups"
GET, QUERY, PUT, DELETE = "dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem"
# The statements of a switch by a pointer and by a parameter, and what their gate asks with.
BY_POINTER, BY_PARAMETER = "OptionalSwitchByPointer", "OptionalSwitchBySsmParameter"
GATED = [
    (BY_POINTER, GET, "pointer"), (BY_POINTER, "dynamodb:UpdateItem", "pointer"),
    (BY_PARAMETER, "ssm:GetParameter", "parameter"),
]
# The state table's partitions: the migration's own, and those that migrations share.
OURS = f"MIGRATION#{MIGRATION}"
DIRECTORY, CLAIMS = "DIRECTORY", "TABLE"
# What each verb needs on the state table, while a process runs the migration.
LOOKS = {"status": {GET}, "list": {GET, QUERY}, "audit": {GET, QUERY}, "quarantine list": {QUERY}}
ASKS = {
    **dict.fromkeys(
        ("pause copy", "pause all", "resume", "quarantine retry --all", "postpone", "postpone --off", "unfence",
         "cutover --declare-switched --yes", "finish --yes"),
        {GET, PUT, DELETE},
    ),
    **dict.fromkeys(("cutover --dry-run", "cutover --again"), {GET, QUERY, PUT, DELETE}),
}
# While none does.
ALONE = {"lease release --force --yes": {GET, PUT}, "abort --yes": {GET, QUERY, PUT},
         "forget --yes": {GET, QUERY, PUT, DELETE}}

# What the page says where a gate cannot ask the switch's pointer or parameter.
REFUSED = "**no cutover begins**"
# What it says where something is missing from the checklist.
UNSEEN = "its point is `not known`"
# The points of the checklist, by what they are asked with.
POINTS = {
    "dynamodb:DescribeTimeToLive": "time to live",
    "dynamodb:DescribeContinuousBackups": "point-in-time recovery",
    "dynamodb:ListTagsOfResource": "tags",
    "dynamodb:GetResourcePolicy": "resource policy",
    "dynamodb:DescribeKinesisStreamingDestination": "Kinesis destinations",
}
CHECKLIST = [permission for permission in permissions(RUN) if permission[1] in POINTS]
# What moto denies, and does not do where it is allowed.
NOT_OFFERED = ("dynamodb:DescribeKinesisStreamingDestination",)

# What the page says of a missing permission, and the phases in which it may then be noticed.
NOTICED = {
    "ends at the start": {None, "planned"},
    "ends where this run makes the table": {None},
    "ends before the copy": {"provisioned"},
    "ends at the first write": {"copying"},
    "**noticed late**": {"tailing"},
    REFUSED: {"tailing"},
}
# What `run` says where it may not set up a state table that it did not make.
NOT_LOOKED_AFTER = "time to live and point-in-time recovery of the state table are not looked after"


class Wrong(Exception):
    """A scenario did not go as it must."""


def must(holds, what):
    if not holds:
        raise Wrong(what)


def complaint(stderr):
    """What a process says at its end; its log before is something else."""
    lines = stderr.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith(("error:", "hint:"))]
    return "\n".join(lines[starts[0]:]) if starts else ""


def must_name(stderr, action, table):
    """What a process says at its end must name what it lacks; its hint, too, where it is about permissions."""
    said = complaint(stderr)
    hints = [line for line in said.splitlines() if line.startswith("hint: allow")]
    named = re.compile(re.escape(table) + r"(?![\w-])")
    for text in (said, *hints):
        must(action in text and named.search(text), f"{action} and {table} are not named:\n{stderr[-1500:]}")


# --- What `run` does, in four ways ------------------------------------------------------------------------------------


def whole(m, run, operator):
    """Copies, mirrors, is cut over, and finished."""
    m.run(run)
    m.until_phase("tailing")
    m.put(1, task=1, title="changed")
    m.put(100, task=100)
    m.delete(2)
    m.until("the writes to be mirrored", m.is_mirrored)
    m.verb(operator, "cutover", "--yes", "--fenced")
    must(m.phase() == "switched", f"the phase is {m.phase()}")
    must(m.pointer() == m.shadow, f"the pointer names {m.pointer()}")
    m.verb(operator, "finish", "--yes")
    must(m.ended() == 0, "run did not end well after finish")
    must(m.phase() == "finished", f"the phase is {m.phase()}")


def enabling(m, run, operator):
    """The source has no stream."""
    m.run(run, "--enable-stream")
    m.until_phase("tailing")


def sharing(m, run, operator):
    """Two items of the source claim one place; the second waits in quarantine until the first is gone."""
    m.put(50, task=1)
    m.run(run)
    m.until_phase("tailing")
    m.until("a collision", lambda: m.quarantined() == 1)
    (stuck,) = json.loads(m.verb(operator, "quarantine", "list", "--json"))
    m.verb(operator, "quarantine", "show", stuck["id"])
    m.verb(operator, "quarantine", "retry", "--all")
    owner = next(dict(item)["approval_id"] for item in m.items(m.tables, m.shadow) if dict(item)["task_id"] == "t1")
    m.delete(int(owner[1:]))
    m.until("the collision to end", lambda: m.quarantined() == 0 and m.is_mirrored())


# In the order in which a flow is chosen to show that a permission is needed.
FLOWS = {
    "whole": (whole, {}),
    "parameter": (whole, {"switch": "parameter"}),
    "enabling": (enabling, {"stream": False}),
    "sharing": (sharing, {"shared": True}),
}


# --- Scenarios --------------------------------------------------------------------------------------------------------


def with_all(world, flow):
    """A flow under the whole policies. Returns what `run` asked for."""
    act, options = FLOWS[flow]
    with Migration(world, f"all.{flow}", **options) as m:
        act(m, m.principal("run", RUN), m.principal("operator", OPERATOR))
        must(m.stop() in (0, None), "run did not end well")
        must(not m.denials(), f"denied: {m.denials()}")
        must(m.partitions("run") == {DIRECTORY, CLAIMS, OURS}, f"run asked for {m.partitions('run')}")
        return m.calls("run")


def without(world, flow, sid, action, table):
    """A flow with one permission of `run` taken away: it ends as the page says. Returns who denied it."""
    act, options = FLOWS[flow]
    told = policies.consequences("run")[sid if sid.startswith("Optional") else "", table, action]
    with Migration(world, f"without.{sid}.{action.split(':')[1]}", **options) as m:
        run, operator = m.principal("run", RUN, without={(sid, action)}), m.principal("operator", OPERATOR)
        try:
            act(m, run, operator)
        except Failed as failed:
            judge(m, failed, action, table)
            must_be_as_told(m, told)
        else:
            raise Wrong("nothing failed")
        return "/".join(sorted({by for *_, by in m.denials()}))


def judge(m, failed, action, table):
    """A process must have failed for this permission, at once, and said so."""
    code, stderr, now = failed.code, failed.stderr, time.monotonic()
    denied = {(action, table) for action, table, _ in m.denials()}
    must(denied == {(action, table)}, f"denied: {denied or 'nothing'}; {code}:\n{stderr[-1500:]}")
    must(code not in (0, None), f"it ended with {code}:\n{stderr[-1500:]}")
    must_name(stderr, action, m.real(table))
    waited = now - m.denied()[0].at
    must(waited < AT_ONCE_SECONDS, f"it ended {waited:.1f} s after it was denied:\n{stderr[-1500:]}")


def must_be_as_told(m, told):
    """What follows must be what the page says."""
    phase, ended = m.phase(), m.running is None
    words = next((words for words in NOTICED if told.startswith(words)), None)
    must(words, f"the page's words are not known: {told}")
    holds = phase in NOTICED[words] and ended == bool(re.search(r"\bends\b", told))
    holds = holds and (phase == "tailing" or "source opened again" not in told)
    must(holds, f"the page says: {told}; but the phase is {phase}, and run {'ended' if ended else 'goes on'}")


def gated(world, flow, sid, action, table):
    """What the application is pointed at cannot be read, or not moved: no cutover begins until it can. Returns who denied
    it."""
    told = policies.consequences("run")[sid, table, action]
    with Migration(world, f"gated.{action.replace(':', '.')}", **FLOWS[flow][1]) as m:
        keys, operator = m.principal("run", RUN, without={(sid, action)}), m.principal("operator", OPERATOR)
        m.run(keys)
        m.until_phase("tailing")
        m.until("the gate to ask, before any cutover", m.denied)
        m.put(1, task=1, title="changed")
        m.until("the write to be mirrored", m.is_mirrored)
        for verb in ("cutover --dry-run", "cutover --yes --fenced"):
            code, out, stderr = m.tried(operator, *verb.split(), patience=AT_ONCE_SECONDS)
            must(code == 2, f"{verb} ended with {code}:\n{stderr}")
            must(refusing(out) == {"pointer"}, f"{verb}: not only the pointer's gate refuses:\n{out}")
            must(allowing(out) == {(action, m.real(table))}, f"{verb}: {action} and {table} are not named:\n{out}")
            must_be_as_told(m, told)
        must("cutover" not in m.verb(operator, "audit"), "a cutover began")
        must(m.pointer() == m.source, f"the {table} names {m.pointer()}")
        denied = {(action, table) for action, table, _ in m.denials()}
        must(denied == {(action, table)}, f"denied: {denied}")
        by = "/".join(sorted({by for *_, by in m.denials()}))
        m.grant(keys, RUN)
        m.verb(operator, "cutover", "--yes", "--fenced")
        must(m.phase() == "switched" and m.pointer() == m.shadow, f"{m.phase()}; the {table} names {m.pointer()}")
        return by


def refusing(out):
    """The names of the gates that refuse."""
    gates = re.findall(r"^ (\w[\w ]*?) +(holds|REFUSES)  ", out, re.MULTILINE)
    must(len(gates) >= 10, f"these are not the gates:\n{out}")
    return {name for name, verdict in gates if verdict == "REFUSES"}


def allowing(out):
    """What gates and checklist ask to allow, as (action, name of the table or the parameter)."""
    return set(re.findall(r"(?:not known|not be written): allow (\S+) on (\S+) for the principal that asked", out))


def unseen(out):
    """The points of the checklist that are not known, and what was seen, or why it was not."""
    points = re.findall(r"^(alike|LOOK|not known) +(\w[\w .-]*): (.*)$", out, re.MULTILINE)
    must(set(POINTS.values()) <= {name for _, name, _ in points}, f"this is not the checklist:\n{out}")
    return {name: seen for verdict, name, seen in points if verdict == "not known"}


def checklist(world):
    """The permissions of the checklist, taken away one by one while it runs, and then all at once: what is denied is
    told, and nothing else fails."""
    with Migration(world, "checklist") as m:
        keys, operator = m.principal("run", RUN), m.principal("operator", OPERATOR)
        m.run(keys)
        m.until_phase("tailing")

        def look(missing, *verb):
            m.grant(keys, RUN, without={(sid, action) for sid, action, _ in missing})
            before = len(m.denied())
            code, out, stderr = m.tried(operator, *verb)
            lacking = f"without {[(action, table) for _, action, table in missing]}, {verb}"
            must(code == 0 and not refusing(out), f"{lacking} ended with {code}:\n{out}{stderr}")
            denied = sorted((call.action, call.resource.rpartition("/")[2]) for call in m.denied()[before:])
            must(denied == sorted((action, m.real(table)) for _, action, table in missing), f"{lacking}: {denied}")
            must(allowing(out) == set(denied), f"{lacking} does not name it:\n{out}")
            wanted = {POINTS[action] for action in (*NOT_OFFERED, *(action for action, _ in denied))}
            must(set(unseen(out)) == wanted, f"{lacking}: {unseen(out)} are not known")
            for action, table in denied:
                side, reason = "shadow" if table == m.shadow else "source", f"not known: allow {action} on {table} "
                must(f"{side}: {reason}" in unseen(out)[POINTS[action]], f"{lacking}: not of the {side}:\n{out}")
            must(m.running.poll() is None, f"run ended:\n{m.said()[-1500:]}")

        look([], "cutover", "--dry-run")
        for permission in CHECKLIST:
            look([permission], "cutover", "--dry-run")
        must(m.phase() == "tailing", f"the phase is {m.phase()}")
        look(CHECKLIST, "cutover", "--yes", "--fenced")
        must(m.phase() == "switched" and m.pointer() == m.shadow, f"{m.phase()}; the pointer names {m.pointer()}")
        return f"{len(CHECKLIST)} permissions"


def not_offered(world, action):
    """moto does not know the operation: what is answered where it is allowed is not tried."""
    name = action.split(":")[1]
    try:
        getattr(world.tables, re.sub("(?<!^)(?=[A-Z])", "_", name).lower())(TableName=name)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        must(status in (500, 501), f"moto answers {action} with {status}: try it, and take it out of NOT_OFFERED")
        return "NOT TRIED where it is allowed: moto does not offer it"
    raise Wrong(f"moto answers {action}: try it, and take it out of NOT_OFFERED")


def granted(world, sid, action):
    """What a cutover failed for lack of is granted: it succeeds, by this verb."""
    with Migration(world, f"granted.{action.replace(':', '.')}", switch="parameter") as m:
        keys, operator = m.principal("run", RUN, without={(sid, action)}), m.principal("operator", OPERATOR)
        m.run(keys)
        m.until_phase("tailing")
        m.put(1, task=1, title="changed")
        m.until("the write to be mirrored", m.is_mirrored)
        code, _, stderr = m.tried(operator, "cutover", "--yes", "--fenced")
        must(code == 1 and action in complaint(stderr), f"the first cutover ended with {code}:\n{stderr}")
        m.grant(keys, RUN)
        m.verb(operator, "cutover", "--yes", "--fenced")
        must(m.phase() == "switched" and m.pointer() == m.shadow, f"{m.phase()}; the parameter names {m.pointer()}")


def verbs(world):
    """Every verb of operators, under both policies, whole and with each action taken away."""
    with Migration(world, "verbs") as m:
        m.run(m.principal("run", RUN))
        m.until_phase("tailing")
        operator, reader = m.principal("operator", OPERATOR), m.principal("read-only", READ_ONLY)
        for verb, needs in {**LOOKS, **ASKS}.items():
            before = m.counted("operator")
            code, _, stderr = m.tried(operator, *verb.split())
            asked = m.calls("operator", before)
            must(code in (0, 2) and "denied" not in stderr, f"{verb} ended with {code}:\n{stderr}")
            must(asked == {(action, "state") for action in needs}, f"{verb} asked for {asked}")
            wanted = {DIRECTORY, OURS} if verb == "list" else {OURS}
            must(m.partitions("operator", before) == wanted, f"{verb} asked for other partitions")
        for verb in LOOKS:
            m.verb(reader, *verb.split())
        refused = 0
        for role, policy in (("operator", OPERATOR), ("read-only", READ_ONLY)):
            for sid, action, _ in permissions(policy):
                keys = m.principal(f"{role}-{action.split(':')[1]}", policy, without={(sid, action)})
                for verb, needs in (LOOKS | ASKS if role == "operator" else LOOKS).items():
                    if action in needs:
                        must_be_refused(m, keys, verb, action, m.state)
                        refused += 1
        for verb in ASKS:
            must_be_refused(m, reader, verb, PUT, m.state)
            refused += 1
        m.verb(operator, "resume")
        m.tried(m.principal("no-delete", OPERATOR, without={("State", DELETE)}), "pause", "copy")
        must(m.paused() == "copy", "what could not be deleted was not done")
        before = m.counted("operator")
        m.verb(operator, "abort", "--yes")
        must(m.calls("operator", before) == {(action, "state") for action in (GET, PUT, DELETE)}, "abort")
        m.ended()
        must(m.calls("operator") == {(action, table) for _, action, table in permissions(OPERATOR)}, "operator.json")
        must(m.calls("read-only") >= {(action, table) for _, action, table in permissions(READ_ONLY)}, "read-only.json")
        return f"{refused} refusals"


def must_be_refused(m, keys, verb, action, table, patience=AT_ONCE_SECONDS):
    code, _, stderr = m.tried(keys, *verb.split(), patience=patience)
    must(code == 1, f"without {action}, {verb} ended with {code}:\n{stderr}")
    try:
        must_name(stderr, action, table)
    except Wrong as wrong:
        raise Wrong(f"without {action}, {verb}: {wrong}") from None


def alone(world):
    """The holder is dead: `lease release`, `abort`, and then `forget`."""
    with Migration(world, "alone") as m:
        m.run(m.principal("run", RUN))
        m.until_phase("tailing")
        m.kill()
        operator = m.principal("operator", OPERATOR)
        refused = 0
        for verb, needs in ALONE.items():
            for sid, action, _ in permissions(OPERATOR):
                if action in needs:
                    role = f"{verb.split()[0]}-{action.split(':')[1]}"
                    keys = m.principal(role, OPERATOR, without={(sid, action)})
                    # `abort` waits for what the dead holder sent.
                    must_be_refused(m, keys, verb, action, m.state, patience=AT_ONCE_SECONDS + 15)
                    refused += 1
            before = m.counted("operator")
            m.verb(operator, *verb.split())
            asked = m.calls("operator", before)
            must(asked == {(action, "state") for action in needs}, f"{verb} asked for {asked}")
            if verb.startswith("abort"):
                must(m.phase() == "aborted", f"the phase is {m.phase()}")
        must(m.partitions("operator", before) == {DIRECTORY, CLAIMS, OURS}, "forget asked for other partitions")
        must(json.loads(m.verb(operator, "list", "--json")) == [], "it was not forgotten")
        return f"{refused} refusals"


def reseeding(world, switch):
    """`reseed` needs operator.json and reseed.json, of which one part is for another kind of switch."""
    with Migration(world, f"reseeding-{switch}", switch=switch) as m:
        unused = BY_PARAMETER if switch == "pointer" else BY_POINTER
        needed = [permission for permission in permissions(RESEED) if permission[0] != unused]
        run = m.principal("run", RUN)
        m.run(run)
        m.until_phase("tailing")
        must(m.stop() == 0, "run did not end well")
        verb = "reseed --delete-shadow --yes"
        for sid, action, table in needed:
            keys = m.principal(f"reseed-{sid}-{action.split(':')[1]}", OPERATOR, RESEED, without={(sid, action)})
            must_be_refused(m, keys, verb, action, m.real(table))
            must(m.phase() == "tailing" and m.is_mirrored(), "something was changed")
        m.verb(m.principal("reseed", OPERATOR, RESEED), *verb.split())
        wanted = {(action, table) for _, action, table in [*permissions(OPERATOR), *needed]}
        must(m.calls("reseed") == wanted, f"asked for {m.calls('reseed')}")
        m.run(run)
        m.until_phase("tailing")
        must(m.is_mirrored(), "the shadow is not the source's copy")
        must(m.stop() == 0, "run did not end well")
        return f"{len(needed)} refusals"


def credentials(world, verb, name, sts):
    """Credentials that are no good end a process at once, whether the endpoint knows STS or not."""
    with Migration(world, f"credentials.{verb}.{name}.{'sts' if sts else 'no-sts'}") as m:
        key, secret = m.principal("run", RUN)
        keys = {
            "unknown": ("AKIAUNKNOWNUNKNOWNUN", secret),
            "secret": (key, secret[::-1]),
            "expired": (key, secret),
        }[name]
        if name == "expired":
            world.proxy.record.expired.add(key)
        if not sts:
            world.proxy.record.without_sts.add(keys[0])
        begun = time.monotonic()
        code, _, stderr = m.tried(keys, verb, patience=AT_ONCE_SECONDS)
        must(code is not None, f"it goes on after {AT_ONCE_SECONDS} s:\n{stderr[-1500:]}")
        must(code == 1, f"it ended with {code}:\n{stderr}")
        must("hint: renew the credentials" in complaint(stderr), f"no remedy:\n{stderr}")
        must(verb != "run" or "DescribeTable" in complaint(stderr), f"something else than DescribeTable:\n{stderr}")
        return f"{time.monotonic() - begun:.1f} s"


def unconfigured(world, action):
    """The state table was made, but not configured: the next run, which may, must do it."""
    with Migration(world, f"unconfigured.{action.split(':')[1]}") as m:
        m.run(m.principal("run-without", RUN, without={("OptionalStateTableCreation", action)}))
        try:
            m.until_phase("tailing")
        except Failed as failed:
            judge(m, failed, action, "state")
        else:
            raise Wrong("nothing failed")
        m.run(m.principal("run", RUN))
        m.until_phase("tailing")
        must(m.stop() == 0, "run did not end well")
        expiry = m.tables.describe_time_to_live(TableName=m.state)["TimeToLiveDescription"]
        must(expiry["TimeToLiveStatus"] == "ENABLED", "the state table has no time to live")
        backups = m.tables.describe_continuous_backups(TableName=m.state)["ContinuousBackupsDescription"]
        recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
        must(recovery == "ENABLED", "the state table has no point-in-time recovery")


def least(world, action):
    """State table and shadow were made by somebody else: nothing optional is needed, and no CreateTable. That the state
    table cannot be set up, for lack of this action, is only told, and only while it holds no migration."""
    with Migration(world, f"least.{action.split(':')[1]}", switch=None) as m:
        make_table(m.tables, m.state, ["pk", "sk"])
        make_table(m.tables, m.shadow, m.shadow_keys)
        without = {(sid, action) for sid, action, _ in permissions(RUN) if sid.startswith("Optional")}
        if action != TIME_TO_LIVE:
            without.remove(("OptionalStateTableCreation", TIME_TO_LIVE))
        keys = m.principal("run", RUN, without=without | {("Shadow", "dynamodb:CreateTable")})
        m.run(keys)
        m.until_phase("tailing")
        must(m.stop() == 0, "run did not end well")
        must_have_warned(m, action)
        m.put(1, task=1, title="changed")
        m.run(keys)
        m.until("the write to be mirrored", m.is_mirrored)
        must(m.stop() == 0, "the second run did not end well")
        must_have_warned(m, action)


def must_have_warned(m, action):
    """Once, and for nothing else."""
    denied = [(call.action, call.resource.rpartition("/")[2]) for call in m.denied()]
    must(denied == [(action, m.state)], f"denied: {denied}")
    warnings = [line for line in m.said().splitlines() if NOT_LOOKED_AFTER in line]
    must(len(warnings) == 1, f"{len(warnings)} warnings:\n{m.said()[-1500:]}")
    must("WARN" in warnings[0] and action in warnings[0] and m.state in warnings[0], f"it warned: {warnings[0]}")


def unmended(world):
    """The state table was made, but not set up, and the next run may not do it either: it warns, and goes on."""
    with Migration(world, "unmended") as m:
        keys = m.principal("run", RUN, without={("OptionalStateTableCreation", TIME_TO_LIVE)})
        m.run(keys)
        must(m.ended() == 1 and NOT_LOOKED_AFTER not in m.said(), f"the first run:\n{m.said()[-1500:]}")
        m.run(keys)
        m.until_phase("tailing")
        must(m.stop() == 0 and NOT_LOOKED_AFTER in m.said(), f"the second run:\n{m.said()[-1500:]}")


def elsewhere(world, switch):
    """Source and pointer, or parameter, are in another account, and reached by a role."""
    with Migration(world, f"elsewhere.{switch}", switch=switch, elsewhere=True) as m:
        whole(m, m.principal_with_role("run", RUN), m.principal("operator", OPERATOR))
        must({table for _, table in m.calls("source")} == {"source", "stream", switch}, "the role's calls")
        must({table for _, table in m.calls("run")} == {"shadow", "state", "role"}, "the user's calls")


def no_role(world):
    """The role of the other account may not be assumed."""
    with Migration(world, "no-role", elsewhere=True) as m:
        keys = m.user("run", tuple(m.grants(RUN)))
        must_be_refused(m, keys, "run", "sts:AssumeRole", m.source_role)


def revoked(world, action, table):
    """A permission is taken away while `run` uses it."""
    with Migration(world, f"revoked.{table}.{action.split(':')[1]}") as m:
        m.run(m.principal("run", RUN))
        m.until_phase("tailing")
        m.revoke(action, table)
        m.put(1, task=1, title="changed")
        try:
            m.until("run to end", lambda: False)
        except Failed as failed:
            judge(m, failed, action, table)


def renewed(world):
    """Credentials that expire while it runs are waited for."""
    with Migration(world, "renewed") as m:
        keys = m.principal("run", RUN)
        m.run(keys)
        m.until_phase("tailing")
        world.proxy.record.expired.add(keys[0])
        m.put(1, task=1, title="changed")
        # Longer than its lease.
        time.sleep(8)
        must(m.running.poll() is None, f"it ended:\n{m.said()[-1500:]}")
        must("ExpiredTokenException" in m.said(), "its log does not say why it waits")
        world.proxy.record.expired.remove(keys[0])
        m.until("the write to be mirrored", m.is_mirrored)
        must(m.stop() == 0, "run did not end well")
