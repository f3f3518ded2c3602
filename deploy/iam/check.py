"""Tries the policies of this folder on moto with its IAM switched on: cargo xtask iam

1. With its policy each role does all that it is for, and asks for no more and no less than its policy allows.
2. With one permission taken away, what needs it fails within seconds, and the message names the action and the table.
   What asks the pointer or the parameter closes a cutover's gate, and what the checklist asks with is missing there.
3. Wrong or expired credentials end a process within seconds, with the remedy.

An argument runs only the scenarios whose names begin with it. A failure is shown with the end of what the program said.
Exit code 1 when one fails.
"""

import os
import re
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import policies
import scenarios
from migration import Failed
from policies import RUN, permissions
from scenarios import (
    BACKUPS, BY_PARAMETER, CHECKLIST, FLOWS, GATED, GET, NOT_OFFERED, POINTS, PUT, QUERY, REFUSED, TIME_TO_LIVE,
    UNSEEN, Wrong, must,
)
from world import World

# Processes at the same time: moto and the proxy are busy, too.
AT_ONCE = 2


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
        flows = check.all([(f"all {flow}", scenarios.with_all, (flow,)) for flow in FLOWS])
        asked = {flow: flows[f"all {flow}"] or set() for flow in FLOWS}
        check.all([scenario for scenario in all_scenarios(asked) if scenario[0].startswith(wanted)])
    finally:
        world.close()
    print(f"{len(check.done)} scenarios, {len(world.proxy.record.calls)} requests, {time.monotonic() - begun:.0f} s")
    if check.failed:
        raise SystemExit(f"{len(check.failed)} failed; the logs are in {folder}:\n  " + "\n  ".join(check.failed))
    shutil.rmtree(folder)


def all_scenarios(asked):
    """All scenarios, as (name, function, arguments). `asked`: what `run` asked for in each flow."""
    return [
        ("text", text, ()),
        ("exact", lambda _: exact(asked), ()),
        *(
            (f"without {sid} {action} ({table}, {flow})", act, (flow, sid, action, table))
            for sid, action, table in permissions(RUN) if (sid, action, table) not in CHECKLIST
            for flow in [next((flow for flow in FLOWS if (action, table) in asked[flow]), "whole")]
            for act in [scenarios.gated if (sid, action, table) in GATED else scenarios.without]
        ),
        ("checklist", scenarios.checklist, ()),
        *((f"not tried {action}", scenarios.not_offered, (action,)) for action in NOT_OFFERED),
        ("verbs", scenarios.verbs, ()),
        ("alone", scenarios.alone, ()),
        *((f"reseeding {switch}", scenarios.reseeding, (switch,)) for switch in ("pointer", "parameter")),
        *((f"least {action}", scenarios.least, (action,)) for action in (TIME_TO_LIVE, BACKUPS)),
        *((f"unconfigured {action}", scenarios.unconfigured, (action,)) for action in (TIME_TO_LIVE, BACKUPS)),
        ("unmended", scenarios.unmended, ()),
        *((f"elsewhere {switch}", scenarios.elsewhere, (switch,)) for switch in ("pointer", "parameter")),
        ("granted GetItem (source)", scenarios.granted, ("Source", GET)),
        ("granted PutParameter", scenarios.granted, (BY_PARAMETER, "ssm:PutParameter")),
        ("no-role", scenarios.no_role, ()),
        ("renewed", scenarios.renewed, ()),
        *(
            (f"revoked {action} ({table})", scenarios.revoked, (action, table))
            for table, action in (
                ("source", "dynamodb:DescribeTable"), ("stream", "dynamodb:DescribeStream"),
                ("stream", "dynamodb:GetRecords"), ("shadow", "dynamodb:BatchWriteItem"),
                ("shadow", "dynamodb:DescribeTable"), ("state", GET), ("state", QUERY), ("state", PUT),
            )
        ),
        *(
            (f"credentials {verb} {name}{'' if sts else ' (no STS)'}", scenarios.credentials, (verb, name, sts))
            for verb in ("run", "status")
            for name in ("unknown", "secret", "expired")
            for sts in (True, False)
        ),
    ]


def text(_):
    """The policies are sound, and the page tells of each permission and of each verb."""
    wrong = [*policies.mistakes(), *policies.undocumented(), *policies.untold(NOT_OFFERED)]
    for (sid, table, action), told in policies.consequences("run").items():
        words = next((words for words in (*scenarios.NOTICED, UNSEEN) if told.startswith(words)), None)
        if words is None:
            wrong.append(f"the page's words are not known: {told}")
        for special, theirs in ((REFUSED, GATED), (UNSEEN, CHECKLIST)):
            if (words == special) != ((sid, action, table) in theirs):
                wrong.append(f"of {action} ({table}) the page says: {told}")
    for sid, action, table in CHECKLIST:
        if policies.reasons("run").get((sid, table, action)) != f"the checklist: {POINTS[action]}":
            wrong.append(f"of {action} ({table}) the page names another point")
    must(not wrong, "\n".join(wrong))
    told = dict(policies.documented_verbs())
    untried = {"quarantine show", "cutover", "abort while a process runs the migration"}
    tried_verbs = set()
    for verb, needs in {**scenarios.LOOKS, **scenarios.ASKS, **scenarios.ALONE}.items():
        short = re.sub(r" (--yes|--force|--all|--off|copy|all)\b", "", verb)
        short += " while none does" * (short == "abort")
        must(told.get(short) == needs, f"of {short} the page says {told.get(short)}")
        tried_verbs.add(short)
    must(set(told) == tried_verbs | untried, f"other verbs than these are told of: {set(told) ^ tried_verbs}")
    return f"{len(policies.POLICIES)} policies"


def exact(asked):
    """run.json allows what the flows asked for: no more, no less."""
    given = {(action, table) for _, action, table in permissions(RUN)}
    used = set().union(*asked.values())
    must(used == given, f"asked for and not granted: {used - given}; granted and not asked for: {given - used}")
    switch = {(action, table) for action, table in asked["parameter"] if table in ("pointer", "parameter")}
    must(switch == {(action, table) for sid, action, table in permissions(RUN) if sid == BY_PARAMETER}, f"{switch}")
    return f"{len(given)} permissions"


if __name__ == "__main__":
    main()
