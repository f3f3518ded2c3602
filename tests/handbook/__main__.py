"""Executes the commands that operators are told: see xtask/src/documents.rs."""

import os
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from blocks import NOT_HERE, Book, Wrong, must, tell
from scenarios import SCENARIOS
from world import ROOT, Stage

# Scenarios at the same time.
AT_ONCE = 2


def one(scenario, book, stage):
    """Plays a scenario. Returns whether it was good; otherwise the end of its log was printed."""
    try:
        scenario(book, stage)
        return True
    except Exception as wrong:  # whatever it is, the others go on
        log = stage.folder / scenario.__name__ / "log"
        end = log.read_text(errors="replace").splitlines()[-40:] if log.exists() else []
        what = wrong if isinstance(wrong, Wrong) else repr(wrong)
        tell(f"the scenario `{scenario.__name__}` failed; the end of its log:", *end, f"WRONG: {what}")
        return False


def serve(stage):
    """Starts DynamoDB Local."""
    jars = f"{os.environ['DYNAMODB_LOCAL_DIR']}/lib/*"
    server = ["java", "-cp", jars, "software.amazon.dynamodb.services.local.main.ServerRunner", "-inMemory"]
    with open(stage.folder / "dynamodb", "wb") as log:
        stage.start([*server, "-port", str(stage.port)], cwd=stage.folder, stdout=log, stderr=log)


def play(book, stage, wanted, began):
    """Plays the scenarios whose names begin as wanted, and sums up."""
    chosen = [scenario for scenario in SCENARIOS if scenario.__name__.startswith(wanted)]
    must(chosen, f"there are these scenarios: {', '.join(scenario.__name__ for scenario in SCENARIOS)}")
    book.account()
    serve(stage)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        good = list(pool.map(lambda scenario: one(scenario, book, stage), chosen))
    must(all(good), f"the handbook failed after {time.monotonic() - began:.0f} s")
    all_commands = [command for block in book.blocks.values() for command in block.commands]
    silent = [command.text for command in all_commands if not command.seen and not command.reason]
    must(wanted or not silent, f"these were not played: {silent}")
    excused = [f"`{begin}` ({reason})" for reasons in NOT_HERE.values() for begin, reason in reasons.items()]
    played = sum(any(command.seen for command in block.commands) for block in book.blocks.values())
    print(
        f"the handbook is good after {time.monotonic() - began:.0f} s: {played} blocks played, "
        f"{sum(bool(command.seen) for command in all_commands)} commands; {len(excused)} not run here: {', '.join(excused)}"
    )


def end_by_signals(stage):
    """From now on, a signal to end is heeded at once, and leaves nothing."""
    stops = (signal.SIGTERM, signal.SIGINT)

    def stop(*_):
        for ends in stops:
            signal.signal(ends, signal.SIG_IGN)
        # No scenario is waited for, and none starts anything any more.
        stage.close()
        stage.end()
        os._exit(1)

    for ends in stops:
        signal.signal(ends, stop)


def main():
    began = time.monotonic()
    stage = Stage(Path(tempfile.mkdtemp(prefix="shadowtable-handbook-")), os.environ.get("SHADOWTABLE", ""))
    end_by_signals(stage)
    try:
        book = Book(Path(os.environ.get("DOCUMENTS", ROOT)).resolve())
        play(book, stage, sys.argv[1] if len(sys.argv) > 1 else "", began)
    except Wrong as wrong:
        sys.exit(f"WRONG: {wrong}")
    finally:
        stage.end()


if __name__ == "__main__":
    main()
