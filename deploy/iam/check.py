"""Tries the policies of this folder on moto with its IAM switched on: SHADOWTABLE=target/debug/shadowtable .ci/iam

1. With its policy each role does all that it is for, and asks for no more and no less than its policy allows.
2. With one permission taken away, what needs it fails within seconds, and the message names the action and the table.
3. Wrong or expired credentials end a process within seconds, with the remedy.

An argument runs only the scenarios whose names begin with it. A failure is shown with the end of what the program said.
Exit code 1 when one fails.
"""

import json
import os
import re
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import policies
from migration import MIGRATION, Failed, Migration, make_table
from policies import OPERATOR, READ_ONLY, RESEED, RUN, SHADOW, statements, table_of
from world import World

# Statements that no scenario uses.
NOT_TRIED = {"OptionalSwitchBySsmParameter"}
# Processes at the same time: moto and the proxy are busy, too.
AT_ONCE = 2
# How long a process may take to give up for lack of a permission or of credentials, in seconds.
AT_ONCE_SECONDS = 10

GET, QUERY, PUT, DELETE = "dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem"
# The state table's partition that is the migration's own.
OURS = f"MIGRATION#{MIGRATION}"
# What each verb needs on the state table, while a process runs the migration.
LOOKS = {"status": {GET}, "list": {GET, QUERY}, "audit": {QUERY}, "quarantine list": {QUERY}}
ASKS = {
    **dict.fromkeys(
        ("pause copy", "pause all", "resume", "quarantine retry --all", "postpone", "postpone --off", "unfence",
         "cutover --declare-switched --yes", "finish --yes"),
        {GET, PUT, DELETE},
    ),
    **dict.fromkeys(("cutover --dry-run", "cutover --again"), {GET, QUERY, PUT, DELETE}),
}
# While none does.
ALONE = {"lease release --force --yes": {GET, PUT}, "abort --yes": {GET, QUERY, PUT}}


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
    """Copies, mirrors, is paused, cut over by a pointer, and finished."""
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


def pointed(m, run, operator):
    """The pointer names the shadow already, as after a reply that was lost."""
    m.run(run)
    m.until_phase("tailing")
    m.verb(operator, "cutover", "--yes", "--fenced")


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
    "pointed": (pointed, {"pointer": SHADOW}),
    "enabling": (enabling, {"stream": False}),
    "sharing": (sharing, {"shared": True}),
}


# --- Scenarios --------------------------------------------------------------------------------------------------------


def tried(policy):
    """What a policy grants as (Sid, action, table), without what is not tried."""
    return [
        (sid, action, table_of(resource)) for sid, action, resource in statements(policy) if sid not in NOT_TRIED
    ]


def with_all(world, flow):
    """A flow under the whole policies. Returns what `run` asked for."""
    act, options = FLOWS[flow]
    with Migration(world, f"all.{flow}", **options) as m:
        act(m, m.principal("run", RUN), m.principal("operator", OPERATOR))
        must(m.stop() in (0, None), "run did not end well")
        must(not m.denials(), f"denied: {m.denials()}")
        must(m.partitions("run") == {"DIRECTORY", OURS}, f"run asked for {m.partitions('run')}")
        return m.calls("run")


def without(world, flow, sid, action, table):
    """A flow with one permission of `run` taken away. Returns who denied it."""
    act, options = FLOWS[flow]
    with Migration(world, f"without.{sid}.{action.split(':')[1]}", **options) as m:
        run, operator = m.principal("run", RUN, without={(sid, action)}), m.principal("operator", OPERATOR)
        try:
            act(m, run, operator)
        except Failed as failed:
            judge(m, failed.code, failed.stderr, action, table)
        else:
            raise Wrong("nothing failed")
        return "/".join(sorted({by for *_, by in m.denials()}))


def judge(m, code, stderr, action, table):
    """A process must have failed for this permission, and said so."""
    denied = {(action, table) for action, table, _ in m.denials()}
    must(denied == {(action, table)}, f"denied: {denied or 'nothing'}; {code}:\n{stderr[-1500:]}")
    must(code not in (0, None), f"it ended with {code}:\n{stderr[-1500:]}")
    must_name(stderr, action, m.real(table))


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
            wanted = {"DIRECTORY", OURS} if verb == "list" else {OURS}
            must(m.partitions("operator", before) == wanted, f"{verb} asked for other partitions")
        for verb in LOOKS:
            m.verb(reader, *verb.split())
        refused = 0
        for role, policy in (("operator", OPERATOR), ("read-only", READ_ONLY)):
            for sid, action, _ in tried(policy):
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
        must(m.calls("operator") == {(action, table) for _, action, table in tried(OPERATOR)}, "operator.json")
        must(m.calls("read-only") >= {(action, table) for _, action, table in tried(READ_ONLY)}, "read-only.json")
        return f"{refused} refusals"


def must_be_refused(m, keys, verb, action, table, patience=AT_ONCE_SECONDS):
    code, _, stderr = m.tried(keys, *verb.split(), patience=patience)
    must(code == 1, f"without {action}, {verb} ended with {code}:\n{stderr}")
    try:
        must_name(stderr, action, table)
    except Wrong as wrong:
        raise Wrong(f"without {action}, {verb}: {wrong}") from None


def alone(world):
    """The holder is dead: `lease release` and `abort`."""
    with Migration(world, "alone") as m:
        m.run(m.principal("run", RUN))
        m.until_phase("tailing")
        m.kill()
        operator = m.principal("operator", OPERATOR)
        for verb, needs in ALONE.items():
            for sid, action, _ in tried(OPERATOR):
                if action in needs:
                    role = f"{verb.split()[0]}-{action.split(':')[1]}"
                    keys = m.principal(role, OPERATOR, without={(sid, action)})
                    # `abort` waits for what the dead holder sent.
                    must_be_refused(m, keys, verb, action, m.state, patience=AT_ONCE_SECONDS + 15)
            before = m.counted("operator")
            m.verb(operator, *verb.split())
            asked = m.calls("operator", before)
            must(asked == {(action, "state") for action in needs}, f"{verb} asked for {asked}")
        must(m.phase() == "aborted", f"the phase is {m.phase()}")
        return "5 refusals"


def reseeding(world):
    """`reseed` needs operator.json and reseed.json."""
    with Migration(world, "reseeding") as m:
        run = m.principal("run", RUN)
        m.run(run)
        m.until_phase("tailing")
        must(m.stop() == 0, "run did not end well")
        verb = "reseed --delete-shadow --yes"
        for sid, action, table in tried(RESEED):
            keys = m.principal(f"reseed-{sid}-{action.split(':')[1]}", OPERATOR, RESEED, without={(sid, action)})
            must_be_refused(m, keys, verb, action, m.real(table))
            must(m.phase() == "tailing" and m.is_mirrored(), "something was changed")
        m.verb(m.principal("reseed", OPERATOR, RESEED), *verb.split())
        wanted = {(action, table) for policy in (OPERATOR, RESEED) for _, action, table in tried(policy)}
        must(m.calls("reseed") == wanted, f"asked for {m.calls('reseed')}")
        m.run(run)
        m.until_phase("tailing")
        must(m.is_mirrored(), "the shadow is not the source's copy")
        must(m.stop() == 0, "run did not end well")
        return f"{len(tried(RESEED))} refusals"


def credentials(world, verb, name):
    """Credentials that are no good end a process at once."""
    with Migration(world, f"credentials.{verb}.{name}") as m:
        key, secret = m.principal("run", RUN)
        keys = {
            "unknown": ("AKIAUNKNOWNUNKNOWNUN", secret),
            "secret": (key, secret[::-1]),
            "expired": (key, secret),
        }[name]
        if name == "expired":
            world.proxy.record.expired.add(key)
        begun = time.monotonic()
        code, _, stderr = m.tried(keys, verb, patience=AT_ONCE_SECONDS)
        must(code is not None, f"it goes on after {AT_ONCE_SECONDS} s:\n{stderr[-1500:]}")
        must(code == 1, f"it ended with {code}:\n{stderr}")
        must("hint: renew the credentials" in complaint(stderr), f"no remedy:\n{stderr}")
        return f"{time.monotonic() - begun:.1f} s"


def unconfigured(world, action):
    """The state table was made, but not configured: the next run, which may, must do it."""
    with Migration(world, f"unconfigured.{action.split(':')[1]}") as m:
        m.run(m.principal("run-without", RUN, without={("OptionalStateTableCreation", action)}))
        try:
            m.until_phase("tailing")
        except Failed as failed:
            judge(m, failed.code, failed.stderr, action, "state")
        m.run(m.principal("run", RUN))
        m.until_phase("tailing")
        must(m.stop() == 0, "run did not end well")
        expiry = m.tables.describe_time_to_live(TableName=m.state)["TimeToLiveDescription"]
        must(expiry["TimeToLiveStatus"] == "ENABLED", "the state table has no time to live")
        backups = m.tables.describe_continuous_backups(TableName=m.state)["ContinuousBackupsDescription"]
        recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
        must(recovery == "ENABLED", "the state table has no point-in-time recovery")


def least(world):
    """State table and shadow were made by somebody else: nothing optional is needed, and no CreateTable."""
    with Migration(world, "least") as m:
        make_table(m.tables, m.state, ["pk", "sk"])
        make_table(m.tables, m.shadow, m.shadow_keys)
        optional = {(sid, action) for sid, action, _ in statements(RUN) if sid.startswith("Optional")}
        m.run(m.principal("run", RUN, without=optional | {("Shadow", "dynamodb:CreateTable")}))
        m.until_phase("tailing")
        must(m.stop() == 0, "run did not end well")
        must(not m.denials(), f"denied: {m.denials()}")


def elsewhere(world):
    """Source and pointer are in another account, and reached by a role."""
    with Migration(world, "elsewhere", elsewhere=True) as m:
        whole(m, m.principal_with_role("run", RUN), m.principal("operator", OPERATOR))
        must({table for _, table in m.calls("source")} == {"source", "stream", "pointer"}, "the role's calls")
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
            judge(m, failed.code, failed.stderr, action, table)


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


# --- The check --------------------------------------------------------------------------------------------------------


class Check:
    """Runs scenarios, and knows which went wrong."""

    def __init__(self, world):
        self.world, self.failed, self.done = world, [], []

    def all(self, scenarios):
        """Runs (name, function, arguments), and returns what each returned, by name."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(pool.map(self.one, scenarios))

    def one(self, scenario):
        name, act, arguments = scenario
        begun, seen = time.monotonic(), None
        try:
            seen = act(self.world, *arguments)
            said = "ok" if seen is None or isinstance(seen, set) else f"ok: {seen}"
        except (Wrong, Failed) as wrong:
            said = f"WRONG: {wrong}"
            self.failed.append(name)
        self.done.append(name)
        print(f"{time.monotonic() - begun:6.1f} s  {name:<84} {said}", flush=True)
        return name, seen


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    binary = os.environ.get("SHADOWTABLE")
    if not binary or not os.access(binary, os.X_OK):
        raise SystemExit("SHADOWTABLE must name the binary, such as target/debug/shadowtable")
    begun = time.monotonic()
    folder = tempfile.mkdtemp(prefix="shadowtable-iam-")
    world = World(folder, os.path.abspath(binary))
    check = Check(world)
    try:
        # Whatever was chosen: what they ask for tells which of them shows that a permission is needed.
        flows = check.all([(f"all {flow}", with_all, (flow,)) for flow in FLOWS])
        asked = {flow: flows[f"all {flow}"] or set() for flow in FLOWS}
        scenarios = [
            ("text", text, ()),
            ("exact", lambda _: exact(asked), ()),
            *(
                (f"without {sid} {action} ({table}, {flow})", without, (flow, sid, action, table))
                for sid, action, table in tried(RUN)
                for flow in [next((flow for flow in FLOWS if (action, table) in asked[flow]), "whole")]
            ),
            ("verbs", verbs, ()),
            ("alone", alone, ()),
            ("reseeding", reseeding, ()),
            ("least", least, ()),
            ("elsewhere", elsewhere, ()),
            ("no-role", no_role, ()),
            ("renewed", renewed, ()),
            *(
                (f"unconfigured {action}", unconfigured, (action,))
                for action in ("dynamodb:UpdateTimeToLive", "dynamodb:UpdateContinuousBackups")
            ),
            *(
                (f"revoked {action} ({table})", revoked, (action, table))
                for table, action in (
                    ("source", "dynamodb:DescribeTable"), ("stream", "dynamodb:DescribeStream"),
                    ("stream", "dynamodb:GetRecords"), ("shadow", "dynamodb:BatchWriteItem"),
                    ("shadow", "dynamodb:DescribeTable"), ("state", GET), ("state", QUERY), ("state", PUT),
                )
            ),
            *(
                (f"credentials {verb} {name}", credentials, (verb, name))
                for verb in ("run", "status")
                for name in ("unknown", "secret", "expired")
            ),
        ]
        check.all([scenario for scenario in scenarios if scenario[0].startswith(wanted)])
    finally:
        world.close()
    print(f"not tried: {', '.join(sorted(NOT_TRIED))}")
    print(f"{len(check.done)} scenarios, {len(world.proxy.record.calls)} requests, {time.monotonic() - begun:.0f} s")
    if check.failed:
        raise SystemExit(f"{len(check.failed)} failed; the logs are in {folder}:\n  " + "\n  ".join(check.failed))
    shutil.rmtree(folder)


def text(_):
    """The policies are sound, and the page tells of each permission and of each verb."""
    wrong = [*policies.mistakes(), *policies.undocumented()]
    must(not wrong, "\n".join(wrong))
    told = dict(policies.documented_verbs())
    untried = {"quarantine show", "cutover", "abort while a process runs the migration"}
    tried_verbs = set()
    for verb, needs in {**LOOKS, **ASKS, **ALONE}.items():
        short = re.sub(r" (--yes|--force|--all|--off|copy|all)\b", "", verb)
        short += " while none does" * (short == "abort")
        must(told.get(short) == needs, f"of {short} the page says {told.get(short)}")
        tried_verbs.add(short)
    must(set(told) == tried_verbs | untried, f"other verbs than these are told of: {set(told) ^ tried_verbs}")
    return f"{len(policies.POLICIES)} policies"


def exact(asked):
    """run.json allows what the flows asked for: no more, no less."""
    granted = {(action, table) for _, action, table in tried(RUN)}
    used = set().union(*asked.values())
    must(used == granted, f"asked for and not granted: {used - granted}; granted and not asked for: {granted - used}")
    return f"{len(granted)} permissions"


if __name__ == "__main__":
    main()
