"""One migration on moto: tables, principals and processes of its own, so that many can run side by side."""

import os
import re
import subprocess
import time
from dataclasses import replace

from policies import EXAMPLE, SHADOW, SOURCE, STATE, WORDS, statements, table_of, widened
from proxy import ACCOUNT, REGION, Principal
from world import ELSEWHERE

MIGRATION = "task-approvals-2026-11"
# How long a step may take. A step that is refused ends within a second or two.
PATIENCE = 40.0

CONFIG = """
[migration]
id = "{migration}"
[source]
table = "{prefix}TaskApprovals"
endpoint_url = "{url}"
region = "{region}"
{source_role}
[shadow]
table = "{prefix}TaskApprovals-v2"
endpoint_url = "{url}"
region = "{region}"
[state]
table = "{prefix}shadowtable-state"
endpoint_url = "{url}"
region = "{region}"
[target]
layout = "layout.yaml"
[copy]
segments = 2
[apply]
abandon_seconds = 0.5
request_timeout_seconds = 3
[tail]
idle_poll_seconds = 0.3
caught_up_seconds = 0.5
discover_seconds = 1
[lease]
duration_seconds = 5
checkpoint_seconds = 0.3
grace_seconds = 3
[cutover]
fence = "manual"
quiet_seconds = 1
drain_timeout_seconds = 20
{switch}
[admin]
listen = "127.0.0.1:0"
linger_seconds = 0
"""

# The programs' time-out is left at its minute: a switch that is tried again for so long does not fail at once.
SWITCHES = {
    "pointer": """
switch = "pointer"
pointer_table = "{name}"
pointer_key = '{{"name": {{"S": "task-approvals-table"}}}}'
pointer_attribute = "value"
""",
    "parameter": """
switch = "ssm-parameter"
ssm_parameter = "{name}"
""",
}

LAYOUT = """
AttributeDefinitions: [{attributes}]
KeySchema: [{keys}]
BillingMode: PAY_PER_REQUEST
"""


def layout(names):
    attributes = ", ".join(f"{{AttributeName: {name}, AttributeType: S}}" for name in names)
    kinds = zip(names, ("HASH", "RANGE"))
    keys = ", ".join(f"{{AttributeName: {name}, KeyType: {kind}}}" for name, kind in kinds)
    return LAYOUT.format(attributes=attributes, keys=keys)


class Failed(Exception):
    """A process ended as it should not have, where permissions suffice."""

    def __init__(self, what, code, stderr):
        super().__init__(f"{what} ended with {code}:\n{stderr}")
        self.what, self.code, self.stderr = what, code, stderr


def make_table(tables, name, keys, stream=False):
    view = {"StreamEnabled": stream, **({"StreamViewType": "NEW_AND_OLD_IMAGES"} if stream else {})}
    tables.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"))],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification=view,
    )


class Migration:
    """A migration with tables, principals and processes of its own."""

    def __init__(self, world, name, *, stream=True, shared=False, switch="pointer", elsewhere=False):
        """`stream`: the source has one. `shared`: two items of the source claim one place of the shadow.
        `switch`: by a `pointer` or a `parameter`, or by nothing. `elsewhere`: source and what names it are in another
        account."""
        self.world, self.name, self.prefix = world, name, f"{name}."
        self.folder = world.folder / name
        self.folder.mkdir()
        self.running, self.stderr = None, self.folder / "run.stderr"
        self.source, self.shadow, self.state = (self.prefix + table for table in (SOURCE, SHADOW, STATE))
        self.tables = world.tables
        self.source_tables = world.tables_elsewhere if elsewhere else world.tables
        self.parameters = world.parameters_elsewhere if elsewhere else world.parameters
        self.source_account = ELSEWHERE if elsewhere else ACCOUNT
        self.source_role = f"arn:aws:iam::{ELSEWHERE}:role/{self.prefix}source"
        config = CONFIG.format(
            migration=MIGRATION, prefix=self.prefix, url=world.proxy.url, region=REGION,
            source_role=f'role_arn = "{self.source_role}"' if elsewhere else "",
            switch=SWITCHES[switch].format(name=self.real(switch)) if switch else "",
        )
        (self.folder / "shadowtable.toml").write_text(config)
        self.shadow_keys = ["task_id"] if shared else ["task_id", "approval_id"]
        (self.folder / "layout.yaml").write_text(layout(self.shadow_keys))
        make_table(self.source_tables, self.source, ["approval_id"], stream)
        self.switch = switch
        if switch == "parameter":
            self.parameters.put_parameter(Name=self.real(switch), Value=self.source, Type="String")
        elif switch == "pointer":
            make_table(self.source_tables, self.real(switch), ["name"])
            item = {"name": {"S": "task-approvals-table"}, "value": {"S": self.source}}
            self.source_tables.put_item(TableName=self.real(switch), Item=item)
        for number in range(12):
            self.put(number, task=number)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    # --- The application --------------------------------------------------------------------------------------------

    def put(self, number, task, title="as it was"):
        item = {"approval_id": f"a{number}", "task_id": f"t{task}", "title": title}
        self.source_tables.put_item(
            TableName=self.source, Item={name: {"S": value} for name, value in item.items()}
        )

    def delete(self, number):
        self.source_tables.delete_item(TableName=self.source, Key={"approval_id": {"S": f"a{number}"}})

    def is_mirrored(self):
        return self.items(self.source_tables, self.source) == self.items(self.tables, self.shadow)

    @staticmethod
    def items(tables, table):
        items = tables.scan(TableName=table, ConsistentRead=True)["Items"]
        return sorted(tuple(sorted((name, value["S"]) for name, value in item.items())) for item in items)

    def entry(self, sort):
        """An entry of the state table; `None` before there is one."""
        key = {"pk": {"S": f"MIGRATION#{MIGRATION}"}, "sk": {"S": sort}}
        try:
            found = self.tables.get_item(TableName=self.state, Key=key, ConsistentRead=True)
        except self.tables.exceptions.ResourceNotFoundException:
            return None
        return found.get("Item")

    def quarantined(self):
        """How many changes are in quarantine."""
        found = self.tables.query(
            TableName=self.state,
            KeyConditionExpression="pk = :p AND begins_with(sk, :s)",
            ExpressionAttributeValues={":p": {"S": f"MIGRATION#{MIGRATION}"}, ":s": {"S": "QUARANTINE#"}},
        )
        return found["Count"]

    def pointer(self):
        """The table that the application uses."""
        if self.switch == "parameter":
            return self.parameters.get_parameter(Name=self.real("parameter"))["Parameter"]["Value"]
        key = {"name": {"S": "task-approvals-table"}}
        return self.source_tables.get_item(TableName=self.real("pointer"), Key=key)["Item"]["value"]["S"]

    def real(self, table):
        """The name of the `source`, of the `parameter`… Of the `stream`, as much as is known beforehand."""
        if table == "stream":
            return f"{self.source}/stream"
        name = self.prefix + next(name for name, known in WORDS.items() if known == table)
        return f"/{name}" if table == "parameter" else name

    def phase(self):
        entry = self.entry("META")
        return entry["body"]["M"]["phase"]["S"] if entry else None

    def paused(self):
        return self.entry("META")["body"]["M"]["paused"]["S"]

    # --- Principals -------------------------------------------------------------------------------------------------

    def grants(self, *policies, without=()):
        """Policies for this migration's tables as (action, resource), without some (Sid, action)."""
        for policy in policies:
            for sid, action, resource in statements(policy):
                if (sid, action) not in without:
                    theirs = table_of(resource) in ("source", "stream", "pointer", "parameter")
                    resource = resource.replace(EXAMPLE, self.source_account if theirs else ACCOUNT)
                    yield action, re.sub(":(table|parameter)/", rf"\g<0>{self.prefix}", resource)

    def principal(self, role, *policies, without=()):
        """A user with these policies. Returns its access key."""
        return self.user(role, tuple(self.grants(*policies, without=without)))

    def user(self, role, grants):
        keys = self.world.user(f"{self.prefix}{role}", widened(grants))
        self.world.proxy.record.principals[keys[0]] = Principal(self.name, role, ACCOUNT, grants)
        return keys

    def grant(self, keys, *policies, without=()):
        """Lets a user do what these policies allow and no more, whatever it was allowed or refused before."""
        principal = self.world.proxy.record.principals[keys[0]]
        grants = tuple(self.grants(*policies, without=without))
        self.world.allow(self.prefix + principal.role, widened(grants))
        self.world.proxy.record.principals[keys[0]] = replace(principal, grants=grants)

    def principal_with_role(self, role, policy):
        """A user whose part of the policy that is about the other account belongs to a role there."""
        grants = tuple(self.grants(policy))
        theirs = tuple(grant for grant in grants if f":{ELSEWHERE}:" in grant[1])
        keys = self.user(role, (*(set(grants) - set(theirs)), ("sts:AssumeRole", self.source_role)))
        trusted = f"arn:aws:iam::{ACCOUNT}:user/{self.prefix}{role}"
        self.world.role(self.world.iam_elsewhere, f"{self.prefix}source", widened(theirs), trusted)
        their = Principal(self.name, "source", ELSEWHERE, theirs)
        self.world.proxy.record.roles[self.source_role] = their
        return keys

    def revoke(self, action, table):
        """Denies from now on what was allowed."""
        for call in self.world.proxy.record.of(self.name):
            if (call.action, table_of(call.resource, self.prefix)) == (action, table):
                self.world.proxy.record.revoked.add((self.name, action, call.resource))

    def requests(self, role):
        return [call for call in self.world.proxy.record.of(self.name) if call.role == role]

    def counted(self, role):
        """How many requests a role has made."""
        return len(self.requests(role))

    def calls(self, role, after=0):
        """The set of (action, table) that a role asked for, after so many requests."""
        return {(call.action, table_of(call.resource, self.prefix)) for call in self.requests(role)[after:]}

    def partitions(self, role, after=0):
        """The state table's partitions that a role asked for."""
        asked = self.requests(role)[after:]
        return {call.partition for call in asked if table_of(call.resource, self.prefix) == "state"} - {None}

    def denied(self):
        """The requests that were denied."""
        return [call for call in self.world.proxy.record.of(self.name) if call.denied_by]

    def denials(self):
        """The set of (action, table, denied by)."""
        return {(call.action, table_of(call.resource, self.prefix), call.denied_by) for call in self.denied()}

    # --- Processes --------------------------------------------------------------------------------------------------

    def environment(self, keys):
        key, secret, *token = keys
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            **({"AWS_SESSION_TOKEN": token[0]} if token else {}),
            "AWS_EC2_METADATA_DISABLED": "true",
            "SHADOWTABLE_CONFIG": str(self.folder / "shadowtable.toml"),
        }

    def run(self, keys, *arguments):
        """Starts `run`."""
        with open(self.stderr, "ab") as stderr:
            self.running = subprocess.Popen(
                [self.world.binary, "run", *arguments], env=self.environment(keys), cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
            )

    def said(self):
        return self.stderr.read_text()

    def until(self, what, holds):
        """Waits until something holds. Fails when `run` ends before."""
        end = time.monotonic() + PATIENCE
        while not holds():
            if self.running and self.running.poll() is not None:
                code, self.running = self.running.returncode, None
                raise Failed("run", code, self.said())
            if time.monotonic() > end:
                raise Failed(f"waiting for {what}", f"nothing after {PATIENCE:.0f} s", self.said())
            time.sleep(0.2)

    def until_phase(self, *phases):
        self.until(f"phase {' or '.join(phases)}", lambda: self.phase() in phases)

    def tried(self, keys, *arguments, patience=PATIENCE):
        """Runs another verb to its end: exit code (`None`: it had to be killed), stdout, stderr."""
        process = subprocess.Popen(
            [self.world.binary, *arguments], env=self.environment(keys), cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        try:
            out, err = process.communicate(timeout=patience)
            return process.returncode, out, err
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            return None, out, err

    def verb(self, keys, *arguments):
        """Runs another verb that must succeed."""
        code, out, err = self.tried(keys, *arguments)
        if code != 0:
            raise Failed(" ".join(arguments), code, err)
        return out

    def ended(self):
        """Waits for `run` to end by itself."""
        code, self.running = self.running.wait(PATIENCE), None
        return code

    def kill(self):
        if self.running:
            self.running.kill()
            self.running.wait()
            self.running = None

    def stop(self):
        """Stops `run`, gently, and returns its exit code."""
        if not self.running:
            return None
        self.running.terminate()
        try:
            code = self.running.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.running.kill()
            code = self.running.wait()
        self.running = None
        return code
