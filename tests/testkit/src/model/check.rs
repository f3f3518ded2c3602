//! Runs a model through the checker and says what came of it.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt::{self, Debug, Display};
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// A model whose counterexamples can be told.
pub(super) trait Story: Model<State: Clone + Debug + Hash + PartialEq + Send + Sync, Action: Action> {
    /// Its name and bounds, for people.
    fn title(&self) -> String;
}

/// An action of a model.
pub(super) trait Action: Clone + Debug + Display + PartialEq + Send + Sync {
    /// Whether it may be left out for ever: a fault, or something that the application or an operator does. All others
    /// happen at some time.
    fn is_environment(&self) -> bool;
}

/// What came of a run.
pub struct Outcome {
    /// The model.
    pub title: String,
    /// Distinct states.
    pub states: usize,
    /// The longest path that was looked at.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// A violated property, and the path to it.
    pub counterexample: Option<(&'static str, Vec<String>)>,
    /// Things that should be possible and were not seen.
    pub unseen: Vec<&'static str>,
}

impl Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, states, depth, took, .. } = self;
        write!(out, "{title}: {states} states, depth {depth}, {:.1} s", took.as_secs_f64())?;
        if let Some((property, story)) = &self.counterexample {
            write!(out, "; NOT ALWAYS: {property} ({} actions)", story.len())?;
            for (number, line) in story.iter().enumerate() {
                write!(out, "\n    {:>2}. {line}", number + 1)?;
            }
        }
        for unseen in &self.unseen {
            write!(out, "\n    never seen: {unseen}")?;
        }
        Ok(())
    }
}

/// Looks at every state; stops at the first property that is violated, or only at this one.
pub(super) fn explore<M>(model: &M, wanted: Option<&'static str>) -> Outcome
where
    M: Story + Clone + Send + Sync + 'static,
    M::State: 'static,
    M::Action: 'static,
{
    let mut outcome = explore_to(model, wanted, None);
    // What is found first is nearly the shortest: the checker looks at a few more states before it stops.
    while let Some((_, story)) = &outcome.counterexample {
        let shorter = explore_to(model, wanted, Some(story.len() + 1));
        if shorter.counterexample.is_none() {
            break;
        }
        outcome.counterexample = shorter.counterexample;
    }
    outcome
}

/// Looks at all states up to a depth, which is one for the first state.
#[expect(clippy::disallowed_methods, reason = "how long the checker takes, in real time")]
fn explore_to<M>(model: &M, wanted: Option<&'static str>, depth: Option<usize>) -> Outcome
where
    M: Story + Clone + Send + Sync + 'static,
    M::State: 'static,
    M::Action: 'static,
{
    let (title, began) = (model.title(), Instant::now());
    let found = wanted.map_or(HasDiscoveries::AnyFailures, |wanted| HasDiscoveries::AnyOf([wanted].into()));
    let builder = model.clone().checker().finish_when(found);
    // No limit is said by 0.
    let builder = builder.target_max_depth(depth.unwrap_or(0));
    // Breadth first, so that counterexamples are short.
    let checker = builder.spawn_bfs().join();
    let (properties, mut found) = (checker.model().properties(), checker.discoveries());
    let violated = properties.iter().filter(|property| property.expectation != Expectation::Sometimes);
    let violated = violated.filter(|property| wanted.is_none_or(|wanted| wanted == property.name));
    let counterexample = violated
        .filter_map(|property| found.remove(property.name).map(|path| (property.name, path)))
        .map(|(name, path)| (name, path.into_actions().iter().map(ToString::to_string).collect::<Vec<_>>()))
        .min_by_key(|(_, story)| story.len());
    let unseen = properties
        .iter()
        .filter(|property| property.expectation == Expectation::Sometimes && !found.contains_key(property.name))
        .map(|property| property.name)
        .collect();
    Outcome {
        title,
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        took: began.elapsed(),
        counterexample,
        unseen,
    }
}

/// Whether nothing but faults, the application and operators could go on from here. Every path without them ends in such a
/// state, since there are no cycles.
pub(super) fn rests<M: Story>(model: &M, state: &M::State) -> bool {
    let mut actions = Vec::new();
    model.actions(state, &mut actions);
    actions.iter().all(Action::is_environment)
}

/// Looks for a cycle; returns how many states there are, or the actions of a path that ends in one.
pub(super) fn cycle<M: Story>(model: &M) -> Result<usize, Vec<String>> {
    let mark = |state: &M::State| {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        hasher.finish()
    };
    let mut on_path: HashMap<u64, bool> = HashMap::new();
    let mut path = Vec::new();
    for state in model.init_states() {
        on_path.insert(mark(&state), true);
        path.push((mark(&state), String::new(), model.next_steps(&state)));
    }
    while let Some((here, _, steps)) = path.last_mut() {
        let Some((action, state)) = steps.pop() else {
            on_path.insert(*here, false);
            path.pop();
            continue;
        };
        let there = mark(&state);
        match on_path.get(&there) {
            Some(true) => {
                return Err(path.iter().map(|(_, told, _)| told.clone()).chain([action.to_string()]).collect());
            }
            Some(false) => {}
            None => {
                on_path.insert(there, true);
                path.push((there, action.to_string(), model.next_steps(&state)));
            }
        }
    }
    Ok(on_path.len())
}
