//! The long texts of `--help`: what each verb does, what it changes, examples and exit codes. They are the manual that
//! is always at hand.

/// A verb's texts: above its flags, and below them.
pub(super) struct Page {
    pub(super) about: &'static str,
    pub(super) after: &'static str,
}

pub(super) const PROGRAM: Page = Page {
    about: "\
Rebuild a live DynamoDB table under a new layout, without downtime.

DynamoDB cannot change a table's key schema, its local indexes or the projection of a global index in place. \
shadowtable creates a second table, the shadow, with the new layout, copies the live table (the source) into it and \
keeps it in step by tailing the source's stream. The source is only read, unless a verb says otherwise.

Everything durable about a migration is kept in the state table under the migration's id: `run` may be stopped at any \
time, on any machine, and carries on where it was. Other verbs reach the running process through the state table, \
from any machine with credentials. All migrations of an account and region share one state table: there a table is claimed by \
one of them.",
    after: "\
Configuration:
  1. the file of --config, of SHADOWTABLE_CONFIG,
     or shadowtable.toml of the working directory     [copy] segments = 16
  2. above it, environment variables                  SHADOWTABLE_COPY_SEGMENTS=16
  3. above them, flags                                --set copy.segments=16
  All mistakes are reported at once, with their places. Unknown keys and variables are mistakes.
  `shadowtable config example` prints a file with every key, its unit, range and default.
  Credentials come from the AWS SDK's default chain, or from a table's own profile or role.

Exit codes:
  0  done
  1  failed, not confirmed, needs-reseed, or wrong usage
  2  refused by a gate or by the active process, done in part, or differences found

Output:
  stdout is data, stderr is talk. Colours only on a terminal; NO_COLOR is respected.

Examples:
  shadowtable demo                                    # see it work, on an embedded DynamoDB
  shadowtable config example > shadowtable.toml       # then edit it
  shadowtable -c shadowtable.toml config check
  shadowtable -c shadowtable.toml run                 # in the foreground, until stopped
  shadowtable -c shadowtable.toml status
  shadowtable -c shadowtable.toml pause copy          # the tail goes on
  shadowtable -c shadowtable.toml --set copy.read_units_per_second=500 run",
};

pub(super) const RUN: Page = Page {
    about: "\
Bring the migration forward: create the shadow, copy, tail; until stopped.

It reads the phase from the state table and carries on from there, so it is the way to begin, to resume and to \
restart. One process at a time holds the migration's lease; a second `run` waits as standby and takes over, unless it is \
configured otherwise.

Before it makes anything it tries the rules and the layout on up to 300 items of the source. Where most would be refused, it \
ends, unless --accept-refused is given. A global table is refused, unless --single-writer-region vouches that nothing \
writes to the replicas, now and until the migration is finished; this is recorded.

Changes: creates the state table and the shadow where they do not exist, and writes to both. The source is only read. \
Where its stream is off, run refuses, unless --enable-stream is given.

Stop it with SIGINT or SIGTERM: writes in flight are finished and checkpoints saved, for lease.grace_seconds at \
most, or twice that where the tables do not answer.",
    after: "\
Examples:
  shadowtable -c shadowtable.toml run
  shadowtable -c shadowtable.toml run --enable-stream
  shadowtable -c shadowtable.toml --set copy.read_units_per_second=500 run

Exit codes: 0 stopped as asked; 1 failed, or needs-reseed.",
};

pub(super) const LIST: Page = Page {
    about: "\
List the migrations of the state table, each with its phase, and who runs it.

Changes nothing. Needs only [state] of the configuration.",
    after: "\
Examples:
  shadowtable --region eu-central-1 list
  shadowtable -c shadowtable.toml list --json

Exit codes: 0 listed; 1 failed.",
};

pub(super) const STATUS: Page = Page {
    about: "\
Show the migration's phase, the copy's progress, lag, headroom, quarantine and who holds the lease.

Lag is the age of the oldest change not yet durable in the shadow; headroom is how long until the stream drops records \
that were not read. The figures are those that the running process stored last.

--watch looks again and again. On a terminal it draws a screen (q quits); elsewhere it writes a line every five seconds, \
with --json a document. docs/operations/status.md describes the document.

Changes nothing. Needs [migration] and [state] of the configuration.",
    after: "\
Examples:
  shadowtable -c shadowtable.toml status
  shadowtable --migration task-approvals-2026-11 status --json
  shadowtable -c shadowtable.toml status --watch

Exit codes: 0 shown; 1 failed, or there is no such migration.",
};

pub(super) const CUTOVER: Page = Page {
    about: "\
Move the application over to the shadow.

Shows the gates, each with its figure: configured, programs, pointer, one region, not postponed, not paused, \
copy complete, tailing, lag, headroom, quarantine empty, indexes active. When all hold and the operator agrees, the active process fences the source (stops \
writes to it), drains (waits until no change arrived for cutover.quiet_seconds, and all are durable), compares the \
keys that changed lately on both sides, and points the application at the shadow.

Until then any failure, and any step that takes too long, undoes the fence; the migration goes on tailing. Once the \
switch is intended nothing is undone by itself: if it fails, the source stays fenced, and the operator decides; but where \
it certainly never began, the source is opened again. There is no way back after the switch yet.

Changes: what the programs of [cutover] do, or the pointer; the state table. Give it from any machine with credentials \
for the state table. While it goes on, what happens is told; ending this command does not end the cutover.

Programs see CUTOVER_OCCASION (on-ready, before-fence, fence, unfence, switch, after-switch, on-failure), \
CUTOVER_MIGRATION, CUTOVER_ID, CUTOVER_SOURCE, CUTOVER_SHADOW (table names) and \
CUTOVER_REASON (why, on-failure). Each may be run more than once: after a restart, a step is begun again.",
    after: "\
Examples:
  shadowtable -c shadowtable.toml cutover --dry-run
  shadowtable -c shadowtable.toml cutover
  shadowtable -c shadowtable.toml cutover --wait --yes     # as soon as all gates hold
  shadowtable -c shadowtable.toml cutover --again          # the switch failed, and its cause is fixed

Exit codes: 0 switched, or all gates hold (--dry-run); 1 failed, or given up; 2 refused by a gate.",
};

pub(super) const UNFENCE: Page = Page {
    about: "\
Give a cutover up, and allow writes to the source again.

Before the switch is intended it always may be. After a switch that failed it asks for --vouch: what the application \
wrote to the shadow meanwhile would not reach the source. While undoing the fence fails, --vouch says that it was undone \
by hand. Where no cutover is under way, it runs the unfence's program once more.

Changes: runs cutover.unfence_command; the migration goes on tailing.",
    after: "\
Examples:
  shadowtable -c shadowtable.toml unfence
  shadowtable -c shadowtable.toml unfence --vouch

Exit codes: 0 done; 1 failed; 2 refused.",
};

pub(super) const POSTPONE: Page = Page {
    about: "\
Put cutovers off, whoever asks for one: the gate `not postponed` refuses until `postpone --off`.

Changes: the state table; it outlives a restart of `run`. A cutover that is under way goes on.",
    after: "\
Examples:
  shadowtable -c shadowtable.toml postpone
  shadowtable -c shadowtable.toml postpone --off

Exit codes: 0 done; 1 failed.",
};

pub(super) const FINISH: Page = Page {
    about: "\
End the migration after its switch.

Until then the running process watches the source: a change that arrives there after the switch goes to quarantine, and \
raises an alert.

Changes: the state table. The running process ends. Source, shadow and stream stay as they are.",
    after: "\
Examples:
  shadowtable -c shadowtable.toml finish

Exit codes: 0 done; 1 failed; 2 refused.",
};

pub(super) const LEASE: Page = Page {
    about: "\
Give back the lease of a holder that is known to be dead, so that a standby, or the next `run`, takes it at once. Without \
this, it waits until the lease has run out (lease.duration_seconds, 15 s).

It is refused while the holder renews its lease. A holder that is only suspended, or cut off from the state table, does \
not: if it comes back, two processes write, and data may be lost. Be certain that it is dead.

Changes: the state table.",
    after: "\
Examples:
  shadowtable -c shadowtable.toml lease release --force

Exit codes: 0 given back; 1 failed, or the holder is alive.",
};

pub(super) const AUDIT: Page = Page {
    about: "\
Show what was done, when, by which process, and who asked for it: phases, pauses, and each step of a cutover before and \
after.

Changes nothing. The trail is kept for a year.",
    after: "\
Examples:
  shadowtable -c shadowtable.toml audit
  shadowtable -c shadowtable.toml audit --json

Exit codes: 0 shown; 1 failed.",
};

pub(super) const PAUSE: Page = Page {
    about: "\
Stop the copy, or everything, until `resume`.

Changes: the running process stops reading the source (`copy`: the copy's pages only, the tail goes on; `all`: the tail \
too). What was read is still written, and checkpoints are kept. The pause is stored in the state table and outlives a \
restart of `run`.

While the tail is paused, headroom shrinks: the stream keeps records for 24 h. After 23 h the migration stops as \
`needs-reseed`.",
    after: "\
Examples:
  shadowtable -c shadowtable.toml pause copy     # the table needs its read capacity
  shadowtable -c shadowtable.toml pause all      # the shadow must not be written for a while

Exit codes: 0 paused; 1 failed, or no process holds the lease; 2 refused.",
};

pub(super) const RESUME: Page = Page {
    about: "\
Go on after `pause`.

Changes: the stored pause is removed, and the running process carries on at its checkpoints. A migration that is not \
paused stays as it is.",
    after: "\
Example:
  shadowtable -c shadowtable.toml resume

Exit codes: 0 going on; 1 failed, or no process holds the lease; 2 refused.",
};

pub(super) const ABORT: Page = Page {
    about: "\
Give the migration up: its phase becomes `aborted`, for good.

Changes: copy and tail stop. Nothing is deleted: the source was never written to, and the shadow and the migration's \
state stay until you delete them. It lists what the migration made, and how to remove it.

It asks first. Where there is nobody to ask (stdin is no terminal), --yes is needed.",
    after: "\
Examples:
  shadowtable -c shadowtable.toml abort
  shadowtable -c shadowtable.toml abort --yes

Exit codes: 0 aborted; 1 failed, or not confirmed; 2 refused by the active process.",
};

pub(super) const FORGET: Page = Page {
    about: "\
Remove an ended migration from the state table: its entries, its audit trail, and its claims on tables.

Only one that is `finished` or `aborted` is forgotten. Changes: the state table, and nothing else. What is forgotten \
is no longer shown by `list`, and its id can be used again.

It asks first. Where there is nobody to ask (stdin is no terminal), --yes is needed.",
    after: "\
Example:
  shadowtable --migration task-approvals-2026-11 forget

Exit codes: 0 forgotten; 1 failed, or not confirmed.",
};

pub(super) const RESEED: Page = Page {
    about: "\
Begin again with a new, empty shadow: the way out of `needs-reseed`.

The stream dropped changes before they were read, or the shadow is not the one that was provisioned. Copying again over \
the old contents would keep items that were deleted meanwhile, so the shadow must be empty. Either configure another \
name under [shadow], or let --delete-shadow delete the old one and create it again.

Changes: checkpoints and quarantine are dropped, and copy and tail begin anew. With --delete-shadow the shadow table is \
deleted with all its items; it is refused after a switch, where the source is not the one that was copied, and where \
the pointer names the shadow. The source is only read.

It asks first. Where there is nobody to ask (stdin is no terminal), --yes is needed.",
    after: "\
Examples:
  shadowtable -c shadowtable.toml --shadow-table TaskApprovals-v3 reseed
  shadowtable -c shadowtable.toml reseed --delete-shadow

Exit codes: 0 begun again; 1 failed, or not confirmed.",
};

pub(super) const QUARANTINE: Page = Page {
    about: "\
See and retry the items that the shadow refuses for good: a wrong key type for a new index, an item too large, a \
shadow key that another item has.

Each is kept in the state table with its key and the reason, while the migration goes on. Beyond apply.quarantine_limit \
the migration stops.

Changes: `list` and `show` nothing; `retry` offers items to the shadow again.",
    after: "\
Examples:
  shadowtable -c shadowtable.toml quarantine list
  shadowtable -c shadowtable.toml quarantine retry --all

Exit codes: see each verb's --help.",
};

pub(super) const QUARANTINE_LIST: Page = Page {
    about: "\
List the items in quarantine, with keys and reasons.

Changes nothing.",
    after: "\
Example:
  shadowtable -c shadowtable.toml quarantine list --json

Exit codes: 0 listed; 1 failed.",
};

pub(super) const QUARANTINE_SHOW: Page = Page {
    about: "\
Show one item in quarantine.

Changes nothing.",
    after: "\
Example:
  shadowtable -c shadowtable.toml quarantine show 3f9a1c

Exit codes: 0 shown; 1 failed, or there is no such id.",
};

pub(super) const QUARANTINE_RETRY: Page = Page {
    about: "\
Read items again from the source (consistently) and offer them to the shadow.

Changes: what the shadow takes now leaves the quarantine; what it refuses again stays there. The active process does it \
after this command has answered: look at `quarantine list` a moment later.",
    after: "\
Examples:
  shadowtable -c shadowtable.toml quarantine retry 3f9a1c 77b002
  shadowtable -c shadowtable.toml quarantine retry --all

Exit codes: 0 they are being read again; 1 failed, or no process holds the lease; 2 nothing in quarantine has such an id.",
};

pub(super) const CONFIG: Page = Page {
    about: "\
Check a configuration, print an example, or print the layout of a live table.

Changes nothing.",
    after: "\
Examples:
  shadowtable config example > shadowtable.toml
  shadowtable -c shadowtable.toml config check

Exit codes: 0 no mistakes; 1 mistakes, or wrong usage.",
};

pub(super) const CONFIG_CHECK: Page = Page {
    about: "\
Check file, environment and flags together, as `run` would read them.

Every mistake is one line on stderr: its place, the key, what is wrong, what to do. Changes nothing and calls no \
service.",
    after: "\
Examples:
  shadowtable -c shadowtable.toml config check
  shadowtable config example | shadowtable -c - config check

Exit codes: 0 no mistakes; 1 mistakes, or wrong usage.",
};

pub(super) const CONFIG_LAYOUT: Page = Page {
    about: "\
Print the layout of a live table: keys, indexes and billing, as the properties of AWS::DynamoDB::Table in CloudFormation. \
It is a file to begin the target from: change what shall change, and name it under [target].

It is asked as [source] says, or the environment. Changes: nothing.",
    after: "\
Examples:
  shadowtable -c shadowtable.toml config layout > layout.yaml
  shadowtable --region eu-central-1 config layout --table TaskApprovals

Exit codes: 0 printed; 1 failed.",
};

pub(super) const CONFIG_EXAMPLE: Page = Page {
    about: "\
Print a configuration file with every key, its unit, range and default.

Changes nothing.",
    after: "\
Example:
  shadowtable config example > shadowtable.toml

Exit codes: 0 printed; 1 failed.",
};

pub(super) const COMPLETIONS: Page = Page {
    about: "Print a completion script for a shell.",
    after: "\
Examples:
  shadowtable completions bash > /etc/bash_completion.d/shadowtable
  shadowtable completions zsh > ~/.zfunc/_shadowtable

Exit codes: 0 printed.",
};

pub(super) const MAN: Page = Page {
    about: "\
Print a manual page, in the form that man reads: of the whole, or of the verb that is named. The page of the whole names those \
of the verbs: shadowtable-run(1), shadowtable-quarantine-list(1).",
    after: "\
Examples:
  shadowtable man run | man -l -
  shadowtable man > /usr/local/share/man/man1/shadowtable.1
  shadowtable man quarantine list > /usr/local/share/man/man1/shadowtable-quarantine-list.1

Exit codes: 0 printed; 1 there is no such verb.",
};

pub(super) const DEMO: Page = Page {
    about: "\
Migrate a made-up table on an embedded DynamoDB while an application writes to it.

The table has an index whose projection lacks an attribute. While writers insert, update and delete, the same pipeline \
as that of `run` builds a table whose index has it. Then the application is moved over: it stops writing, everything that it wrote \
arrives, and it goes on with the new table as soon as a pointer that it reads names it. At the end every item of both \
tables is compared, with what was written since the switch laid over the old one, and the new index is asked. It takes \
about half a minute.

Needs no AWS account, reads no credentials and contacts nothing but this machine. Changes nothing that outlives it: the \
tables are kept in memory. Settings of the engine, of logs and of the admin port count as for `run`; what is not configured is set \
for a short show. Where the admin port's default address is taken, a free one is used.

Progress goes to stderr: a bar on a terminal, a line a second otherwise, or with NO_COLOR. The outcome goes to stdout.",
    after: "\
Examples:
  shadowtable demo
  shadowtable demo --items 50000 --seconds 60
  shadowtable --log-level info demo                   # with what the pipeline logs

Exit codes: 0 source and shadow are equal; 1 failed, stopped before the comparison, or built without the embedded \
DynamoDB; 2 differences found.",
};
