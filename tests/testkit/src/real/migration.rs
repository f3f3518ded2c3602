//! One migration as most cases have it: a source, a shadow, a project, and what the shadow should become.

use super::checker::{self, Expected, Report, Snapshot};
use super::context::Ctx;
use super::items::s;
use super::layout::{Keys, Layout};
use super::process::{Finished, Process};
use super::project::{CAUGHT_UP, Project};
use super::table::{Item, Table};
use super::writer::{Plan, Writers};

pub struct Migration {
    pub id: String,
    pub source: Table,
    pub shadow: Table,
    pub state: Table,
    pub project: Project,
    expect: Box<dyn Fn(&Item) -> Expected>,
}

/// What the state table has for a key.
const STATE_KEYS: Keys = &[("pk", super::layout::Kind::S), ("sk", super::layout::Kind::S)];

impl Migration {
    /// Of `source`, to a table of another layout beside it. Items are to stay as they are.
    pub fn new(ctx: &Ctx, source: &Table, target: Layout) -> Self {
        Self::between(ctx, source, ctx.table("shadow", target))
    }

    pub fn between(ctx: &Ctx, source: &Table, shadow: Table) -> Self {
        let id = ctx.name("move");
        let state = ctx.table("state", Layout::new(STATE_KEYS));
        let project = Project::new(ctx.program(), &id, source, &shadow, &state);
        let expect = Box::new(|item: &Item| Expected::Item(item.clone()));
        Self { id, source: source.clone(), shadow, state, project, expect }
    }

    /// Another migration in the same state table.
    pub fn beside(&self, ctx: &Ctx, source: &Table, shadow: &Table) -> Self {
        let id = ctx.name("move");
        let project = Project::new(ctx.program(), &id, source, shadow, &self.state);
        let expect = Box::new(|item: &Item| Expected::Item(item.clone()));
        Self { id, source: source.clone(), shadow: shadow.clone(), state: self.state.clone(), project, expect }
    }

    /// With transform rules, and what they should make of an item.
    pub fn transformed(mut self, rules: &str, expect: impl Fn(&Item) -> Expected + 'static) -> Self {
        self.project.set_transform(rules);
        self.expecting(expect)
    }

    pub fn expecting(mut self, expect: impl Fn(&Item) -> Expected + 'static) -> Self {
        self.expect = Box::new(expect);
        self
    }

    /// Makes the copy read so many kilobytes a second, so that there is time to do something meanwhile.
    pub fn slow_copy(mut self, kilobytes_per_second: f64) -> Self {
        self.project.set("copy.page_items", 5);
        // A consistent read of 4 KB costs one unit.
        self.project.set("copy.read_units_per_second", kilobytes_per_second / 4.0);
        self
    }

    /// Takes back [`Migration::slow_copy`], from the next start on.
    pub fn full_speed(&mut self) {
        self.project.set("copy.page_items", 100);
        self.project.set("copy.read_units_per_second", 1_000_000.0);
    }

    /// Starts `run`, and waits until it listens.
    pub fn run(&self) -> Process {
        let mut process = self.project.start(&["run"]);
        process.admin();
        process
    }

    /// A `run` that must stop by itself with exit code 1 and say each of these words.
    pub fn refused(&self, words: &[&str]) -> Finished {
        let finished = self.project.finish(&["run"]);
        assert_eq!(finished.code, Some(1), "it should have refused to run; it said\n{}", finished.stderr);
        let said = finished.stderr.to_lowercase();
        for word in words {
            assert!(said.contains(&word.to_lowercase()), "{word:?} should be in\n{}", finished.stderr);
        }
        finished
    }

    /// Writers on the source, from the test's seed.
    pub fn writers(&self, ctx: &Ctx, plan: &Plan) -> Writers {
        Writers::start(&self.source, plan, ctx.seed(), ctx.handle())
    }

    /// Drains, compares and stops: the end of most cases. Nobody may write any more.
    pub fn finish(&self, mut process: Process) {
        process.drain(CAUGHT_UP);
        self.check();
        process.stop();
    }

    /// Fails unless the shadow and the quarantine are exactly what the source makes of them.
    pub fn check(&self) {
        let snapshot = Snapshot {
            source: self.source.scan(),
            source_keys: self.source.layout.keys,
            shadow: self.shadow.scan(),
            shadow_keys: self.shadow.layout.keys,
            quarantine: self.project.quarantine(),
        };
        let findings = checker::compare(&snapshot, &self.expect);
        assert!(findings.is_empty(), "{}", Report(&findings));
    }

    /// An item of this migration in the state table.
    pub fn state_item(&self, sort: &str) -> Option<Item> {
        self.state.get(&super::items::item([("pk", s(format!("MIGRATION#{}", self.id))), ("sk", s(sort))]))
    }
}
