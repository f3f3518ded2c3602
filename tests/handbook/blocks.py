"""The shell blocks of the documents, and the account of them: each command is played, or excused with a reason."""

import re
import subprocess
import threading
from collections import Counter

# What `cargo xtask tour` does.
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
    VERBS: 7, MOVING: 6, RESEED: 2, BEFORE: 1, DURING: 1, FENCED: 1, SWITCHING: 3, STATE: 4, ROLE: 2,
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

OUT = threading.Lock()


class Wrong(Exception):
    """Something is not as the documents say."""


def must(holds, what):
    if not holds:
        raise Wrong(what)


def tell(*lines):
    """Prints lines that no other thread's come between."""
    with OUT:
        print(*lines, sep="\n", flush=True)


class Block:
    """A shell block of a document."""

    def __init__(self, name, lines):
        self.name, self.commands = name, [Command(self, text) for text in commands(lines)]

    def told(self):
        if all(command.seen or command.reason for command in self.commands):
            seen = "; ".join(command.seen for command in self.commands if command.seen)
            tell(f"{self.name}: {seen}")


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


def read(documents):
    """All shell blocks of the documents, by name."""
    found = {}
    for path in [documents / "README.md", *sorted((documents / "docs/operations").glob("*.md"))]:
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


class Book:
    """The documents in a folder, and their shell blocks."""

    def __init__(self, documents):
        self.documents, self.blocks = documents, read(documents)

    def account(self):
        """Every command of every block is played or excused, and nothing else is."""
        known = {*PLAYED, *NOT_HERE}
        unknown, gone = sorted(set(self.blocks) - known), sorted(known - set(self.blocks))
        must(not unknown, f"this script neither plays nor excuses: {'; '.join(unknown)}")
        must(not gone, f"these blocks are not there any more: {'; '.join(gone)}")
        for name, block in self.blocks.items():
            for begin, reason in NOT_HERE.get(name, {}).items():
                excused = [command for command in block.commands if command.text.startswith(begin)]
                must(excused, f"{name} has no command any more that begins with `{begin}`")
                for command in excused:
                    command.reason = reason
            playable, plays = [command.text for command in self.to_play(name)], PLAYED.get(name, 0)
            must(
                len(playable) == plays,
                f"{name} has {len(playable)} commands, and this script plays {plays}: {playable}",
            )

    def to_play(self, name):
        return [command for command in self.blocks[name].commands if not command.reason]

    def says(self, document, pattern):
        """What a document says."""
        found = re.search(pattern, (self.documents / document).read_text(), re.S)
        must(found, f"{document} does not say {pattern}")
        return found[1]
