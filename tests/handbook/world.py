"""Where scenarios are played: the stage that they share, and a world for each."""

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

from blocks import Wrong, must

ROOT = Path(__file__).resolve().parents[2]
# What must come to be is waited for this long, in seconds.
PATIENCE = 60

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
echo "$CUTOVER_OCCASION" >>occasions
while [[ -e "hold-$CUTOVER_OCCASION" ]]; do sleep 0.1; done
[[ ! -e "break-$CUTOVER_OCCASION" ]] || { echo "this one fails"; exit 1; }
"""


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Stage:
    """A folder, the program, the port of DynamoDB Local, and the processes that were started."""

    def __init__(self, folder, shadowtable):
        self.folder, self.shadowtable, self.port = folder, shadowtable, free_port()
        self.local, self.started, self.open = f"http://127.0.0.1:{self.port}", [], threading.RLock()

    def start(self, words, **more):
        """Starts a process, in a session of its own so that it is ended with its children."""
        with self.open:
            more = {"stdin": subprocess.DEVNULL, "start_new_session": True, **more}
            self.started.append(subprocess.Popen(words, **more))
            return self.started[-1]

    def close(self):
        """No other thread starts anything any more."""
        self.open.acquire()

    def end(self):
        """Ends what was started, and its children, and removes the folder."""
        for process in self.started:
            # It may have ended by now, while another thread waits for it.
            with suppress(ProcessLookupError):
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        while self.folder.exists():
            shutil.rmtree(self.folder, ignore_errors=True)


class World:
    """A folder, an account at an endpoint, and at most one process that runs a migration."""

    def __init__(self, stage, name, endpoint=""):
        self.stage, self.folder, self.runs = stage, stage.folder / name, None
        self.folder.mkdir()
        (self.folder / "bin").mkdir()
        (self.folder / "bin/shadowtable").symlink_to(stage.shadowtable)
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

    def do(self, text, code=0, asks=0, shell="", within=120):
        """Executes a command, which must end with this code and ask so often; the answer is y. Returns what it said."""
        self.log.write(f"$ {text}\n".encode())
        keyboard, terminal = pty.openpty()
        process = self.stage.start(
            ["bash", "-euo", "pipefail", "-c", f"{shell}\n{text}"], cwd=self.folder, env=self.environment,
            stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        os.close(terminal)
        late = threading.Timer(within, os.killpg, (process.pid, signal.SIGKILL))
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

    def play(self, command, *, code=0, asks=0, shell="", within=120):
        return self.do(command.text, code, asks, shell, within)

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
        """Waits until `status --json` says all this, of the migration or of the leg that is mirrored, and returns it."""
        late = time.monotonic() + PATIENCE
        while True:
            status = self.status()
            must(not self.runs or self.runs.poll() in (None, 0), f"`run` ended, and the status never said {wanted}")
            leg = next(iter(status.get("legs", [])), {})
            found = {name: status.get(name, leg.get(name)) for name in wanted}
            if found == wanted:
                return status
            must(time.monotonic() < late, f"the status never said {wanted}; in the end: {found}")
            time.sleep(0.3)

    def ready(self, command):
        """Plays `cutover --dry-run` until all gates hold."""
        late = time.monotonic() + PATIENCE
        while True:
            try:
                said = self.play(command, within=late - time.monotonic())
                return must("all gates hold" in said, "it ended with 0, and gates do not hold")
            except Wrong:
                # The last time, it has some seconds left.
                if self.runs.poll() is not None or time.monotonic() > late - 10:
                    raise
            time.sleep(1)

    def run(self):
        """Starts `shadowtable run`."""
        self.log.write(b"$ shadowtable run &\n")
        words, log = [self.stage.shadowtable, "run"], self.log
        self.runs = self.stage.start(words, cwd=self.folder, env=self.environment, stdout=log, stderr=log)

    def ended(self, code, by=None):
        """`run` ends with this code, by itself or by a signal."""
        if by:
            self.runs.send_signal(by)
        found, self.runs = self.runs.wait(timeout=PATIENCE), None
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
