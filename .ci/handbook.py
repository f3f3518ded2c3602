"""Executes the commands that operators are told: see .ci/handbook."""

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = Path(os.environ.get("DOCUMENTS", ROOT)).resolve()
SHADOWTABLE = os.environ.get("SHADOWTABLE", "")
# Scenarios at the same time.
AT_ONCE = 2
# What .ci/tour does.
TOUR = ("README.md", "Five-minute tour")

VERBS = "README.md: On AWS, 1"
MOVING = "README.md: Moving the application over, 1"
RESEED = "README.md: Moving the application over, 2"
BEFORE = "cutover.md: Before, 1"
DURING = "cutover.md: During, 1"
FENCED = "cutover.md: When it fails, 1"
SWITCHING = "cutover.md: When it fails, 2"
STATE = "permissions.md: run.json, 1"
ROLE = "permissions.md: Binding them, 1"
BINARY = "install.md: A binary, 1"
SYSTEMD = "install.md: systemd, 1"
OVERLAY = "install.md: Kubernetes, 1"
RULES = "install.md: Kubernetes, 2"

# What is played, and how many commands each block has.
PLAYED = {
    VERBS: 5, MOVING: 6, RESEED: 2, BEFORE: 1, DURING: 1, FENCED: 1, SWITCHING: 3, STATE: 4, ROLE: 2,
    BINARY: 4, SYSTEMD: 6, OVERLAY: 2, RULES: 1,
}
# What cannot be: by block, how such commands begin, and why.
NOT_HERE = {
    "README.md: See it work, 1": {
        "cargo run --release -- demo": "it is the step `demo` of .ci/run",
        "cargo test": "it is the step `test` of .ci/run",
    },
    BINARY: {"cargo install": "it compiles for minutes, and installs"},
    SYSTEMD: {
        "cargo build": "it compiles for minutes",
        "sudo systemctl": "there is no systemd",
        "journalctl": "there is no systemd",
    },
    "install.md: Container, 1": {"docker": "there is no Docker engine"},
    OVERLAY: {"kubectl apply": "there is no cluster", "kubectl --namespace": "there is no cluster"},
}

# Short spans, so that nothing is waited for long. DynamoDB Local dates changes by the minute: lag reads too high.
QUICK = {
    "SHADOWTABLE_TAIL_IDLE_POLL_SECONDS": "0.3",
    "SHADOWTABLE_TAIL_CAUGHT_UP_SECONDS": "1",
    "SHADOWTABLE_LEASE_DURATION_SECONDS": "8",
    "SHADOWTABLE_APPLY_ABANDON_SECONDS": "1",
    "SHADOWTABLE_CUTOVER_QUIET_SECONDS": "1",
    "SHADOWTABLE_CUTOVER_MAX_LAG_SECONDS": "90",
    "SHADOWTABLE_ADMIN_LINGER_SECONDS": "0",
}
# Fence, unfence and switch: writes down what it is run for. A file keeps it from ending, another one makes it fail.
PROGRAM = """#!/bin/bash
cd "$(dirname "$0")" || exit
echo "$SHADOWTABLE_OCCASION" >>occasions
while [[ -e "hold-$SHADOWTABLE_OCCASION" ]]; do sleep 0.1; done
[[ ! -e "break-$SHADOWTABLE_OCCASION" ]] || { echo "this one fails"; exit 1; }
"""
BY_PROGRAMS = """[cutover]
fence = "command"
fence_command = "{0}/program"
unfence_command = "{0}/program"
switch = "command"
switch_command = "{0}/program"
"""


class Wrong(Exception):
    """Something is not as the documents say."""


def must(holds, what):
    if not holds:
        raise Wrong(what)


class Block:
    """A shell block of a document."""

    out = threading.Lock()

    def __init__(self, name, lines):
        self.name, self.commands = name, [Command(self, text) for text in commands(lines)]

    def told(self):
        if all(command.seen or command.reason for command in self.commands):
            seen = "; ".join(command.seen for command in self.commands if command.seen)
            with Block.out:
                print(f"{self.name}: {seen}", flush=True)


class Command:
    """A command of a block: `seen` says what it did, `reason` why it is not played."""

    def __init__(self, block, text):
        self.block, self.text, self.seen, self.reason = block, text, "", ""
        # The comment behind it is told, not executed.
        self.comment = (re.findall(r"\s#\s(.*)", text) or [""])[-1]

    def saw(self, what):
        words = re.sub(r"\s+#\s.*", "", self.text).splitlines()[0].removeprefix("shadowtable ").rstrip("\\ ")
        self.seen = f"`{words[:48]}{'…' * (len(words) > 48)}` {what}".rstrip()
        self.block.told()


def commands(lines):
    """The shortest runs of lines that are whole for bash."""
    found, begun = [], []
    for line in lines:
        begun.append(line)
        text = "\n".join(begun)
        understood = subprocess.run(["bash", "-n", "-c", text], capture_output=True).returncode == 0
        if understood and not line.endswith("\\"):
            found += [text] if re.search(r"^\s*[^\s#]", text, re.M) else []
            begun = []
    must(not begun, f"bash does not understand {begun}")
    return found


def blocks():
    """All shell blocks of the documents, by name."""
    found = {}
    for path in [DOCUMENTS / "README.md", *sorted((DOCUMENTS / "docs/operations").glob("*.md"))]:
        heading, language, lines, numbers = "", None, [], Counter()
        for line in path.read_text().splitlines():
            fence = re.match(r"\s*```(\w*)", line)
            if language is None:
                if fence:
                    language, lines = fence[1], []
                elif line.startswith("#"):
                    heading = line.lstrip("# ").replace("`", "")
            elif not fence:
                lines.append(line)
            else:
                known = language in ("sh", "json", "toml", "yaml", "mermaid")
                must(known, f"{path.name}: {heading}: a block in `{language}`, which this script does not know")
                if language == "sh" and (path.name, heading) != TOUR:
                    numbers[heading] += 1
                    name = f"{path.name}: {heading}, {numbers[heading]}"
                    found[name] = Block(name, lines)
                language = None
        must(language is None, f"{path.name}: a block does not end")
    return found


def account(book):
    """Every command of every block is played or excused, and nothing else is."""
    known = {*PLAYED, *NOT_HERE}
    unknown, gone = sorted(set(book) - known), sorted(known - set(book))
    must(not unknown, f"this script neither plays nor excuses: {'; '.join(unknown)}")
    must(not gone, f"these blocks are not there any more: {'; '.join(gone)}")
    for name, block in book.items():
        for begin, reason in NOT_HERE.get(name, {}).items():
            excused = [command for command in block.commands if command.text.startswith(begin)]
            must(excused, f"{name} has no command any more that begins with `{begin}`")
            for command in excused:
                command.reason = reason
        playable = [command.text for command in block.commands if not command.reason]
        plays = PLAYED.get(name, 0)
        must(len(playable) == plays, f"{name} has {len(playable)} commands, and this script plays {plays}: {playable}")


def to_play(name):
    return [command for command in BOOK[name].commands if not command.reason]


def document(name, pattern):
    """What a document says."""
    found = re.search(pattern, (DOCUMENTS / name).read_text(), re.S)
    must(found, f"{name} does not say {pattern}")
    return found[1]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


# What was started. Nothing is, once this is closed for good, by these signals.
STARTED, OPEN, STOPS = [], threading.RLock(), (signal.SIGTERM, signal.SIGINT)


def start(words, **more):
    """Starts a process, in a session of its own so that it is ended with its children."""
    with OPEN:
        STARTED.append(subprocess.Popen(words, **{"stdin": subprocess.DEVNULL, "start_new_session": True, **more}))
        return STARTED[-1]


class World:
    """A folder, an account at an endpoint, and at most one process that runs a migration."""

    def __init__(self, name, endpoint=""):
        self.folder, self.runs = FOLDER / name, None
        self.folder.mkdir()
        (self.folder / "bin").mkdir()
        (self.folder / "bin/shadowtable").symlink_to(SHADOWTABLE)
        self.log = open(self.folder / "log", "ab", buffering=0)
        self.environment = {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "HOME": str(self.folder), "AWS_PAGER": "",
            # DynamoDB Local keeps the tables of two keys apart.
            "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": "local",
        }

    def fill(self, configuration, cutover=""):
        """Table, items and pointer as of deploy/docker, but few; and a configuration beside its layout."""
        shutil.copytree(ROOT / "deploy/docker", self.folder / "docker")
        items = self.folder / "docker/items.sh"
        items.write_text(re.sub(r"(?m)^ITEMS=.*", "ITEMS=25", items.read_text()))
        self.do("docker/init.sh")
        for name in ("program", "stop-writes", "allow-writes"):
            (self.folder / name).write_text(PROGRAM)
            (self.folder / name).chmod(0o755)
        if cutover:
            configuration = re.sub(r"(?s)\[cutover\].*|\Z", lambda _: cutover, configuration, count=1)
        file = self.folder / "docker/handbook.toml"
        file.write_text(configuration)
        listen = f"127.0.0.1:{free_port()}"
        self.environment |= QUICK | {"SHADOWTABLE_CONFIG": str(file), "SHADOWTABLE_ADMIN_LISTEN": listen}

    def do(self, text, code=0, asks=0, shell=""):
        """Executes a command, which must end with this code and ask so often; the answer is y. Returns what it said."""
        self.log.write(f"$ {text}\n".encode())
        keyboard, terminal = pty.openpty()
        process = start(
            ["bash", "-euo", "pipefail", "-c", f"{shell}\n{text}"], cwd=self.folder, env=self.environment,
            stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        os.close(terminal)
        late = threading.Timer(120, os.killpg, (process.pid, signal.SIGKILL))
        late.start()
        said, answered = b"", 0
        while some := os.read(process.stdout.fileno(), 65536):
            self.log.write(some)
            said += some
            while answered < said.count(b"[y/N]"):
                os.write(keyboard, b"y\n")
                answered += 1
        ended = process.wait()
        late.cancel()
        os.close(keyboard)
        process.stdout.close()
        must(ended == code, f"`{text}` ended with {ended} instead of {code}")
        must(answered == asks, f"`{text}` asked {answered} times instead of {asks}")
        return said.decode()

    def play(self, command, code=0, asks=0, shell=""):
        return self.do(command.text, code, asks, shell)

    def read(self, *words):
        """What a program prints as JSON; `None` where it fails."""
        none = subprocess.DEVNULL
        process = subprocess.run(words, cwd=self.folder, env=self.environment, stdin=none, capture_output=True)
        return json.loads(process.stdout or "null") if process.returncode == 0 else None

    def aws(self, service, *words):
        return self.read("aws", service, *words, "--output", "json")

    def count(self, table):
        """How many items a table has; `None` where there is no such table."""
        return (self.aws("dynamodb", "scan", "--table-name", table, "--select", "COUNT") or {}).get("Count")

    def status(self):
        return self.read(f"{self.folder}/bin/shadowtable", "status", "--json") or {}

    def until(self, **wanted):
        """Waits until `status --json` says all this, and returns it."""
        for _ in range(200):
            status = self.status()
            must(not self.runs or self.runs.poll() in (None, 0), f"`run` ended, and the status never said {wanted}")
            if {name: status.get(name) for name in wanted} == wanted:
                return status
            time.sleep(0.3)
        raise Wrong(f"the status never said {wanted}; in the end: { {name: status.get(name) for name in wanted} }")

    def ready(self, command):
        """Plays `cutover --dry-run` until all gates hold."""
        late = time.monotonic() + 60
        while True:
            try:
                return must("all gates hold" in self.play(command), "it ended with 0, and gates do not hold")
            except Wrong:
                if self.runs.poll() is not None or time.monotonic() > late:
                    raise
            time.sleep(1)

    def run(self):
        """Starts `shadowtable run`."""
        self.log.write(b"$ shadowtable run &\n")
        self.runs = start([SHADOWTABLE, "run"], cwd=self.folder, env=self.environment, stdout=self.log, stderr=self.log)

    def ended(self, code, by=None):
        """`run` ends with this code, by itself or by a signal."""
        if by:
            self.runs.send_signal(by)
        found, self.runs = self.runs.wait(timeout=60), None
        must(found == code, f"`run` ended with {found} instead of {code}")

    def will(self, act, occasion, does=True):
        """A program will `hold` or `break` from now on, or not any more."""
        file = self.folder / f"{act}-{occasion}"
        file.touch() if does else file.unlink()

    def occasions(self):
        """What programs were run for, since this was asked."""
        file = self.folder / "occasions"
        found = file.read_text().split() if file.exists() else []
        file.unlink(missing_ok=True)
        return found

    def pointer(self):
        key = '{"name": {"S": "task-approvals-table"}}'
        return self.aws("dynamodb", "get-item", "--table-name", "settings", "--key", key)["Item"]["value"]["S"]


def docker_toml():
    return (ROOT / "deploy/docker/shadowtable.toml").read_text()


def verbs():
    """The README's verbs for the way, one after the other."""
    pause, retry, release, abort, completions = to_play(VERBS)
    world = World("verbs", LOCAL)
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
    must("1 items are read again" in world.play(retry), "nothing is read again")
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
    must(len(told) == 3, f"abort tells of other commands: {told}")
    for text in told:
        world.do(text)
    must(world.count("TaskApprovals-v2") is None and world.count("TaskApprovals") == 26, "the wrong table was deleted")
    abort.saw("left both tables; the commands that it told were executed")

    (world.folder / "completions").write_text(world.play(completions))
    world.do("source completions; complete -p shadowtable")
    others = re.findall(r"\w+", completions.comment.partition("or ")[2].partition(";")[0])
    must(len(others) == 4, f"other shells are told of: {others}")
    for other in others:
        must("shadowtable" in world.do(f"shadowtable completions {other}"), f"no completions for {other}")
    completions.saw(f"bash completes by it; there are others for {', '.join(others)}")


def moving():
    """The README's cutover, under the README's configuration."""
    dry_run, cutover, unfence, postpone, audit, finish = to_play(MOVING)
    world = World("moving", LOCAL)
    told = document("README.md", r"### On AWS.*?```toml\n(.*?)```")
    told_cutover = document("README.md", r"### Moving the application over.*?```toml\n(.*?)```")
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


def failing():
    """A switch that fails: undone, then done again."""
    [dry_run], [cutover], [again, _, vouch] = to_play(BEFORE), to_play(DURING), to_play(SWITCHING)
    world = World("failing", LOCAL)
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


def declared():
    """An unfence that fails, then a switch that is vouched for."""
    [dry_run], [cutover], [unfenced], [_, declare, _] = (to_play(name) for name in (BEFORE, DURING, FENCED, SWITCHING))
    world = World("declared", LOCAL)
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


def state():
    """A state table that is made beforehand, and a migration that loses its history."""
    create, wait, live, backups = to_play(STATE)
    renamed, deleted = to_play(RESEED)
    world = World("state", LOCAL)
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


def roles():
    """The role of `run`, on moto."""
    create, put = to_play(ROLE)
    port = free_port()
    world = World("roles", f"http://127.0.0.1:{port}")
    moto = [os.environ["MOTO_PYTHON"], "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    start(moto, cwd=world.folder, env=world.environment, stdout=world.log, stderr=world.log)
    for _ in range(150):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5).close()
            break
        except OSError:
            time.sleep(0.2)
    who = document("docs/operations/permissions.md", r"`trust.json` says who may take the role, such as `([^`]+)`")
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


def install():
    """What can be done of an installation in a folder."""
    world = World("install")
    version, folders, completions, manual = to_play(BINARY)
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
    systemd(world)
    kubernetes(world)


def systemd(world):
    """The files of the unit, as if a folder were the machine."""
    machine = world.folder / "machine"
    for name in ("usr/local/bin", "etc/systemd/system"):
        (machine / name).mkdir(parents=True)
    for name in ("target/release", "deploy"):
        (world.folder / name).mkdir(parents=True)
    (world.folder / "target/release/shadowtable").symlink_to(SHADOWTABLE)
    shutil.copytree(ROOT / "deploy/systemd", world.folder / "deploy/systemd")
    (world.folder / "shadowtable.toml").write_text(document("README.md", r"### On AWS.*?```toml\n(.*?)```"))
    shutil.copy(ROOT / "config/layout.yaml", world.folder)
    (world.folder / "orders.env").touch()
    there = re.compile(r"(?<=\s)/(usr|etc)/")
    for command in to_play(SYSTEMD):
        world.do(there.sub(rf"{machine}/\1/", command.text), shell='sudo() { "$@"; }')
    unit = (machine / "etc/systemd/system/shadowtable@.service").read_text()
    starts = re.search(r"(?m)^ExecStart=(/.*) run$", unit)[1].replace("%i", "orders")
    world.do(there.sub(rf"{machine}/\1/", f" {starts} config check"))
    must((machine / "etc/shadowtable/orders.env").stat().st_mode & 0o777 == 0o600, "others may read the credentials")
    *others, last = to_play(SYSTEMD)
    for command in others:
        command.saw("")
    last.saw("into a folder; the unit's command line understands what is there")


def kubernetes(world):
    """The overlay, rendered; and the object of the alerts."""
    for name in ("kubernetes", "prometheus"):
        shutil.copytree(ROOT / "deploy" / name, world.folder / "deploy" / name)
    copy, render = to_play(OVERLAY)
    world.play(copy)
    # What `kubectl kustomize` is, as .ci/deploy fetched it; otherwise there must be a kubectl.
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "shadowtable/deploy"
    built = "".join(f'kubectl() {{ shift; "{tool}" build "$@"; }};' for tool in cache.glob("kustomize-*/kustomize"))
    rendered = world.play(render, shell=f"{built} less() {{ cat; }}")
    pods = re.search(r"exec deploy/(\S+)", BOOK[OVERLAY].commands[-1].text)[1]
    must("kind: Deployment" in rendered and f"\n  name: {pods}\n" in rendered, f"there is no deployment {pods}")
    copy.saw("in a copy of deploy")
    render.saw(f"has the deployment {pods}")
    [rules] = to_play(RULES)
    sent = world.play(rules, shell="kubectl() { cat; }")
    head, _, spec = sent.partition("spec:\n")
    must("kind: PrometheusRule\n" in head and head.count("\n") == 4, "another head is sent")
    must(re.sub(r"(?m)^  ", "", spec) == (ROOT / "deploy/prometheus/rules.yml").read_text(), "other rules are sent")
    rules.saw("what kubectl gets is the rules, as an object")


SCENARIOS = [state, verbs, declared, failing, moving, roles, install]


def one(scenario):
    """Plays a scenario. Returns whether it was good; otherwise the end of its log was printed."""
    try:
        scenario()
        return True
    except Exception as wrong:  # whatever it is, the others go on
        log = FOLDER / scenario.__name__ / "log"
        end = log.read_text(errors="replace").splitlines()[-40:] if log.exists() else []
        what = wrong if isinstance(wrong, Wrong) else repr(wrong)
        said = [f"the scenario `{scenario.__name__}` failed; the end of its log:", *end, f"WRONG: {what}"]
        with Block.out:
            print(*said, sep="\n", flush=True)
        return False


def end_all():
    """Ends what was started, and its children, and removes the folder."""
    for process in STARTED:
        # It may have ended by now, while another thread waits for it.
        with suppress(ProcessLookupError):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    while FOLDER.exists():
        shutil.rmtree(FOLDER, ignore_errors=True)


def stop(*_):
    for ends in STOPS:
        signal.signal(ends, signal.SIG_IGN)
    # No scenario is waited for, and none starts anything any more.
    OPEN.acquire()
    end_all()
    os._exit(1)


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = [scenario for scenario in SCENARIOS if scenario.__name__.startswith(wanted)]
    must(chosen, f"there are these scenarios: {', '.join(scenario.__name__ for scenario in SCENARIOS)}")
    account(BOOK)
    jars = f"{os.environ['DYNAMODB_LOCAL_DIR']}/lib/*"
    server = ["java", "-cp", jars, "software.amazon.dynamodb.services.local.main.ServerRunner", "-inMemory"]
    with open(FOLDER / "dynamodb", "wb") as log:
        start([*server, "-port", LOCAL.rpartition(":")[2]], cwd=FOLDER, stdout=log, stderr=log)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        good = list(pool.map(one, chosen))
    must(all(good), f"the handbook failed after {time.monotonic() - BEGAN:.0f} s")
    all_commands = [command for block in BOOK.values() for command in block.commands]
    silent = [command.text for command in all_commands if not command.seen and not command.reason]
    must(wanted or not silent, f"these were not played: {silent}")
    excused = [f"`{begin}` ({reason})" for reasons in NOT_HERE.values() for begin, reason in reasons.items()]
    played = sum(any(command.seen for command in block.commands) for block in BOOK.values())
    print(
        f"the handbook is good after {time.monotonic() - BEGAN:.0f} s: {played} blocks played, "
        f"{sum(bool(command.seen) for command in all_commands)} commands; {len(excused)} not run here: {', '.join(excused)}"
    )


if __name__ == "__main__":
    for ends in STOPS:
        signal.signal(ends, stop)
    BEGAN = time.monotonic()
    FOLDER, LOCAL = Path(tempfile.mkdtemp(prefix="shadowtable-handbook-")), f"http://127.0.0.1:{free_port()}"
    try:
        BOOK = blocks()
        main()
    except Wrong as wrong:
        sys.exit(f"WRONG: {wrong}")
    finally:
        end_all()
