"""The scenarios: what operators are told to do, done in order, and what must come of it."""

import json
import os
import re
import shutil
import signal
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from blocks import (
    BEFORE, BINARY, DURING, FENCED, MOVING, OVERLAY, RESEED, ROLE, RULES, STATE, SWITCHING, SYSTEMD, VERBS, must,
)
from world import ROOT, World, free_port

BY_PROGRAMS = """[cutover]
fence = "command"
fence_command = "{0}/program"
unfence_command = "{0}/program"
switch = "command"
switch_command = "{0}/program"
"""


def docker_toml():
    return (ROOT / "deploy/docker/shadowtable.toml").read_text()


def verbs(book, stage):
    """The README's verbs for the way, one after the other."""
    pause, retry, release, abort, forget, completions, manual = book.to_play(VERBS)
    world = World(stage, "verbs", stage.local)
    world.fill(docker_toml())
    world.run()
    world.until(phase="tailing")

    def put(task):
        item = {"approval_id": {"S": "approval-bad"}, "task_id": task, "user_id": {"S": "u"}, "status": {"S": "s"}}
        world.do(f"aws dynamodb put-item --table-name TaskApprovals --item '{json.dumps(item)}'")

    put({"N": "1"})
    world.until(quarantine=1)
    must("history is trimmed after" in world.play(pause), "pause does not warn of the headroom")
    world.until(paused="all")
    pause.saw("the status says so")

    put({"S": "task-bad"})
    must("read again from the source: 1 item" in world.play(retry), "nothing is read again")
    world.until(quarantine=0, paused="all")
    must(world.read("shadowtable", "quarantine", "list", "--json") == [], "the list is not empty")
    must(world.count("TaskApprovals-v2") == 26, "the mended item is not in the shadow")
    retry.saw("took an item that was mended while the tail was paused")

    world.do("shadowtable resume")
    must("is alive" in world.play(release, code=1, asks=1), "the lease of a living holder is given back")
    world.ended(-signal.SIGKILL, by=signal.SIGKILL)
    must(world.status()["holder"]["state"] != "nobody", "a killed holder gave its lease back")
    must("is given back" in world.play(release, asks=1), "the lease is not given back")
    must(world.status()["holder"]["state"] == "nobody", "somebody holds the lease")
    world.run()
    began = time.monotonic()
    while world.status()["holder"]["state"] != "held":
        must(time.monotonic() - began < 6, "the next `run` waited for the lease")
    world.until(phase="tailing", paused="none")
    release.saw("was refused while the holder lived, and let the next `run` begin at once after its SIGKILL")

    remains = world.play(abort, asks=1)
    world.until(phase="aborted")
    world.ended(0)
    must((world.count("TaskApprovals"), world.count("TaskApprovals-v2")) == (26, 26), "something was deleted")
    told = re.findall(r"aws dynamodb .*", remains)
    must(len(told) == 1, f"abort tells of other commands: {told}")
    for text in told:
        world.do(text)
    must(world.count("TaskApprovals-v2") is None and world.count("TaskApprovals") == 26, "the wrong table was deleted")
    abort.saw("left both tables; the commands that it told were executed")

    world.play(forget, asks=1)
    must(world.read("shadowtable", "list", "--json") == [], "an aborted migration was not forgotten")
    forget.saw("the list is empty")

    (world.folder / "completions").write_text(world.play(completions))
    world.do("source completions; complete -p shadowtable")
    others = re.findall(r"\w+", completions.comment.partition("or ")[2].partition(";")[0])
    must(len(others) == 4, f"other shells are told of: {others}")
    for other in others:
        must("shadowtable" in world.do(f"shadowtable completions {other}"), f"no completions for {other}")
    completions.saw(f"bash completes by it; there are others for {', '.join(others)}")
    must(".TH shadowtable-cutover 1 " in world.play(manual), "it is no manual page of the verb")
    manual.saw("it is that verb's page")


def moving(book, stage):
    """The README's cutover, under the README's configuration."""
    dry_run, cutover, unfence, postpone, audit, finish = book.to_play(MOVING)
    world = World(stage, "moving", stage.local)
    told = book.says("README.md", r"### On AWS.*?```toml\n(.*?)```")
    told_cutover = book.says("README.md", r"### Moving the application over.*?```toml\n(.*?)```")
    world.fill(told, told_cutover.replace("/usr/local/bin", str(world.folder)))
    world.run()
    world.until(phase="tailing")

    world.play(postpone)
    gates = world.play(dry_run, code=2)
    must(re.search(r"not postponed\s+REFUSES", gates), "a cutover that was put off could begin")
    world.do("shadowtable " + re.search(r"`(postpone --off)`", postpone.comment)[1])
    world.until(postponed=False)
    postpone.saw("closed its gate, and --off opened it")
    world.ready(dry_run)
    must(world.occasions() == [], "a dry run ran programs")
    dry_run.saw("showed that gate, then that all hold")

    world.will("hold", "fence")
    with ThreadPoolExecutor(1) as other:
        begun = other.submit(world.play, cutover, code=1, asks=1)
        world.until(phase="fencing")
        world.play(unfence)
        must("the operator gave it up" in begun.result(), "the cutover does not say who gave it up")
    world.until(phase="tailing")
    must(world.occasions() == ["fence", "unfence"], "the source was not opened again")
    must(world.pointer() == "TaskApprovals", "the switch was done")
    unfence.saw("gave a cutover up that was fencing")
    world.will("hold", "fence", False)

    must("the switch ended" in world.play(cutover, asks=1), "it does not tell of the switch")
    world.until(phase="switched")
    must(world.pointer() == "TaskApprovals-v2" and world.occasions() == ["fence"], "the pointer was not moved")
    cutover.saw("asked, was fenced by a program, and moved the pointer")
    for step in ("the fence ended", "the drain ended", "the recheck ended", "the switch ended", "cutovers are put off"):
        must(step in world.play(audit), f"the audit trail does not tell that {step}")
    audit.saw("tells of the postponement and of all steps")
    world.play(finish, asks=1)
    world.until(phase="finished")
    world.ended(0)
    finish.saw("asked, and ended `run`")


def troubled(world, what):
    """The cutover waits for a decision."""
    status = world.until(phase="switching")
    must("this one fails" in (status["cutover"]["trouble"] or ""), "the trouble is not told")
    must(world.occasions() == ["fence", "switch"], f"{what}: the fence was undone")


def failing(book, stage):
    """A switch that fails: undone, then done again."""
    [dry_run], [cutover], [again, _, vouch] = book.to_play(BEFORE), book.to_play(DURING), book.to_play(SWITCHING)
    world = World(stage, "failing", stage.local)
    world.fill(docker_toml(), BY_PROGRAMS.format(world.folder))
    world.will("break", "switch")
    world.run()
    world.until(phase="tailing")
    world.ready(dry_run)
    dry_run.saw("all gates hold")

    must("the source stays fenced" in world.play(cutover, code=1, asks=1), "it does not tell of the fence")
    troubled(world, "a failed switch")
    cutover.saw("asked; with a switch that fails it ended with 1 and left the source fenced")
    world.play(vouch, asks=1)
    world.until(phase="tailing")
    must(world.occasions() == ["unfence"], "the source was not opened again")
    vouch.saw("after a failed switch: unfenced, tailing")

    world.ready(dry_run)
    world.play(cutover, code=1, asks=1)
    troubled(world, "a failed switch")
    world.will("break", "switch", False)
    world.play(again)
    must(world.until(phase="switched")["cutover"]["trouble"] is None, "the trouble is still told")
    must(world.occasions() == ["switch"], "it did more than the switch")
    again.saw("after mending: switched")


def declared(book, stage):
    """An unfence that fails, then a switch that is vouched for."""
    names = (BEFORE, DURING, FENCED, SWITCHING)
    [dry_run], [cutover], [unfenced], [_, declare, _] = (book.to_play(name) for name in names)
    world = World(stage, "declared", stage.local)
    world.fill(docker_toml(), BY_PROGRAMS.format(world.folder))
    world.will("break", "fence")
    world.will("break", "unfence")
    world.run()
    world.until(phase="tailing")
    world.ready(dry_run)
    with ThreadPoolExecutor(1) as other:
        begun = other.submit(world.play, cutover, code=1, asks=1)
        world.until(phase="unfencing")
        world.play(unfenced, asks=1)
        must("this one fails" in begun.result(), "the cutover does not say why it was given up")
    world.until(phase="tailing")
    must(set(world.occasions()) == {"fence", "unfence"}, "it was not tried to open the source")
    unfenced.saw("while the unfence's program fails: tailing")
    world.will("break", "fence", False)
    world.will("break", "unfence", False)

    world.will("break", "switch")
    world.ready(dry_run)
    world.play(cutover, code=1, asks=1)
    troubled(world, "a failed switch")
    world.play(declare, asks=1)
    world.until(phase="switched")
    must(world.occasions() == [], "a program was run for what was vouched for")
    declare.saw("after a failed switch: switched, by the operator's word alone")


def state(book, stage):
    """A state table that is made beforehand, and a migration that loses its history."""
    create, wait, live, backups = book.to_play(STATE)
    renamed, deleted = book.to_play(RESEED)
    world = World(stage, "state", stage.local)
    world.fill(docker_toml())

    def table():
        return world.aws("dynamodb", "describe-table", "--table-name", "shadowtable-state")["Table"]

    world.play(create)
    world.play(wait)
    made = table()
    must(made["DeletionProtectionEnabled"], "the table may be deleted")
    world.play(live)
    found = world.aws("dynamodb", "describe-time-to-live", "--table-name", "shadowtable-state")["TimeToLiveDescription"]
    must(found == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}, f"time to live is {found}")
    must("(UnknownOperationException)" in world.play(backups, code=255), "DynamoDB Local refuses it otherwise")
    world.run()
    world.until(phase="tailing")
    must(table()["CreationDateTime"] == made["CreationDateTime"], "`run` made another table")
    listed = world.read("shadowtable", "list", "--json")
    must([one["migration"] for one in listed] == ["task-approvals"], f"the table has {listed}")
    create.saw("it is protected; `run` used it")
    wait.saw("it was")
    live.saw("by expires_at")
    backups.saw("unknown to DynamoDB Local, which says just that")

    must("being run by another" in world.play(renamed, code=1, asks=1), "reseeding does not ask for a stop of `run`")
    world.ended(0, by=signal.SIGTERM)
    stream = "aws dynamodb update-table --table-name TaskApprovals --stream-specification"
    world.do(f"{stream} StreamEnabled=false")
    world.do(f"{stream} StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES")
    world.run()
    world.ended(1)
    world.until(phase="needs-reseed")
    world.play(renamed, asks=1)
    world.until(phase="planned", shadow_table="TaskApprovals-v3")
    # Until the configuration names it, too, `run` refuses.
    must("recorded TaskApprovals-v3, configured TaskApprovals-v2" in world.do("shadowtable run", code=1), "it ran")
    world.environment["SHADOWTABLE_SHADOW_TABLE"] = "TaskApprovals-v3"
    world.run()
    world.until(phase="tailing")
    must(world.count("TaskApprovals-v3") == 25, "the new shadow does not hold what the source has")
    must(world.count("TaskApprovals-v2") == 25, "the old shadow was touched")
    renamed.saw("was refused beside `run`; after lost history it copied into another table, and left the old one")

    world.ended(0, by=signal.SIGTERM)
    world.play(deleted, asks=1)
    world.until(phase="planned")
    must(world.count("TaskApprovals-v3") is None, "the shadow was not deleted")
    world.run()
    world.until(phase="tailing")
    must(world.count("TaskApprovals-v3") == 25, "the shadow was not copied again")
    world.ended(0, by=signal.SIGTERM)
    deleted.saw("deleted the shadow, and it was copied again")


def roles(book, stage):
    """The role of `run`, on moto."""
    create, put = book.to_play(ROLE)
    port = free_port()
    world = World(stage, "roles", f"http://127.0.0.1:{port}")
    moto = [os.environ["MOTO_PYTHON"], "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    stage.start(moto, cwd=world.folder, env=world.environment, stdout=world.log, stderr=world.log)
    for _ in range(150):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5).close()
            break
        except OSError:
            time.sleep(0.2)
    who = book.says("docs/operations/permissions.md", r"`trust.json` says who may take the role, such as `([^`]+)`")
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": who}}
    trust = {"Version": "2012-10-17", "Statement": [statement]}
    (world.folder / "trust.json").write_text(json.dumps(trust))
    shutil.copy(ROOT / "deploy/iam/run.json", world.folder)
    world.play(create)
    made = world.aws("iam", "get-role", "--role-name", "shadowtable-run")["Role"]
    must(made["AssumeRolePolicyDocument"] == trust, "another may take the role")
    create.saw(f"{who} may take it")
    world.play(put)
    found = world.aws("iam", "get-role-policy", "--role-name", "shadowtable-run", "--policy-name", "shadowtable")
    policy = json.loads((ROOT / "deploy/iam/run.json").read_text())
    must(found["PolicyDocument"] == policy, "the role has another policy")
    put.saw("it has the policy of deploy/iam, on moto")


def install(book, stage):
    """What can be done of an installation in a folder."""
    world = World(stage, "install")
    version, folders, completions, manual = book.to_play(BINARY)
    must(re.match(r"shadowtable \d+\.\d+\.\d+", world.play(version)), "there is no version")
    version.saw("tells it")
    world.play(folders)
    folders.saw("in a new home")
    world.play(completions)
    world.do("source ~/.local/share/bash-completion/completions/shadowtable; complete -p shadowtable")
    completions.saw("bash completes by it")
    world.play(manual)
    page = (world.folder / ".local/share/man/man1/shadowtable.1").read_text()
    must(re.search(r"(?m)^\.TH shadowtable 1 ", page) and ".SH NAME" in page, "it is no manual page")
    manual.saw("is a page of section 1")
    systemd(book, world)
    kubernetes(book, world)


def systemd(book, world):
    """The files of the unit, as if a folder were the machine."""
    machine = world.folder / "machine"
    for name in ("usr/local/bin", "etc/systemd/system"):
        (machine / name).mkdir(parents=True)
    for name in ("target/release", "deploy"):
        (world.folder / name).mkdir(parents=True)
    (world.folder / "target/release/shadowtable").symlink_to(world.stage.shadowtable)
    shutil.copytree(ROOT / "deploy/systemd", world.folder / "deploy/systemd")
    (world.folder / "shadowtable.toml").write_text(book.says("README.md", r"### On AWS.*?```toml\n(.*?)```"))
    shutil.copy(ROOT / "config/layout.yaml", world.folder)
    (world.folder / "orders.env").touch()
    there = re.compile(r"(?<=\s)/(usr|etc)/")
    for command in book.to_play(SYSTEMD):
        world.do(there.sub(rf"{machine}/\1/", command.text), shell='sudo() { "$@"; }')
    unit = (machine / "etc/systemd/system/shadowtable@.service").read_text()
    starts = re.search(r"(?m)^ExecStart=(/.*) run$", unit)[1].replace("%i", "orders")
    world.do(there.sub(rf"{machine}/\1/", f" {starts} config check"))
    must((machine / "etc/shadowtable/orders.env").stat().st_mode & 0o777 == 0o600, "others may read the credentials")
    *others, last = book.to_play(SYSTEMD)
    for command in others:
        command.saw("")
    last.saw("into a folder; the unit's command line understands what is there")


def kubernetes(book, world):
    """The overlay, rendered; and the object of the alerts."""
    for name in ("kubernetes", "prometheus"):
        shutil.copytree(ROOT / "deploy" / name, world.folder / "deploy" / name)
    copy, render = book.to_play(OVERLAY)
    world.play(copy)
    # What `kubectl kustomize` is.
    built = f'kubectl() {{ shift; "{os.environ["KUSTOMIZE"]}" build "$@"; }};'
    rendered = world.play(render, shell=f"{built} less() {{ cat; }}")
    pods = re.search(r"exec deploy/(\S+)", book.blocks[OVERLAY].commands[-1].text)[1]
    must("kind: Deployment" in rendered and f"\n  name: {pods}\n" in rendered, f"there is no deployment {pods}")
    copy.saw("in a copy of deploy")
    render.saw(f"has the deployment {pods}")
    [rules] = book.to_play(RULES)
    sent = world.play(rules, shell="kubectl() { cat; }")
    head, _, spec = sent.partition("spec:\n")
    must("kind: PrometheusRule\n" in head and head.count("\n") == 4, "another head is sent")
    must(re.sub(r"(?m)^  ", "", spec) == (ROOT / "deploy/prometheus/rules.yml").read_text(), "other rules are sent")
    rules.saw("what kubectl gets is the rules, as an object")


SCENARIOS = [state, verbs, declared, failing, moving, roles, install]
