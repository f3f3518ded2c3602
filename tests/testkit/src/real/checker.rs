//! Says whether a shadow is what its source makes of it: every item, every attribute, and the quarantine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::layout::Keys;
use super::normal::{self, Image};
use super::quarantine::Quarantined;
use super::table::Item;

/// What the shadow should make of a source item.
pub enum Expected {
    /// This item, or a collision where several source items claim its key.
    Item(Item),
    /// No trace.
    Nothing,
    /// An entry in quarantine for this reason. The shadow may hold an earlier image of it.
    Quarantined(&'static str),
}

/// Both tables and the quarantine, read while nothing writes.
pub struct Snapshot {
    pub source: Vec<Item>,
    pub source_keys: Keys,
    pub shadow: Vec<Item>,
    pub shadow_keys: Keys,
    pub quarantine: Vec<Quarantined>,
}

/// One thing that is wrong.
#[derive(Debug, PartialEq, Eq)]
pub enum Finding {
    /// The shadow holds nothing under this key, which source items claim.
    Missing { shadow_key: Image },
    /// No source item claims what the shadow holds under this key.
    Extra { shadow_key: Image },
    /// The shadow holds something else under this key than any source item claiming it makes.
    Different { shadow_key: Image, attributes: Vec<String> },
    /// This should be in quarantine.
    NotQuarantined(Entry),
    /// This should not be in quarantine, or not twice.
    WronglyQuarantined(Entry),
}

/// A quarantine entry as far as it can be foreseen. The shadow key counts for collisions only: elsewhere the program
/// may know more of it than the test does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub reason: String,
    pub source_key: Image,
    pub shadow_key: Option<Image>,
}

const COLLISION: &str = "collision";

/// What should be there, worked out from the source alone.
struct Demand {
    /// Who claims each shadow key: the source key, and the image it would put there.
    claims: BTreeMap<Image, Vec<(Image, Image)>>,
    entries: BTreeSet<Entry>,
    /// Source keys whose earlier image the shadow may still hold.
    held_back: BTreeSet<Image>,
}

/// Everything that is wrong; nothing when all is well. Where several source items claim one shadow key, exactly one of
/// them is to be there, and exactly the others in quarantine.
pub fn compare(snapshot: &Snapshot, expect: impl Fn(&Item) -> Expected) -> Vec<Finding> {
    let mut demand = Demand::of(snapshot, expect);
    let mut findings = Vec::new();
    let mut held: BTreeMap<Image, Image> = BTreeMap::new();
    for item in &snapshot.shadow {
        let image = normal::image(item);
        held.insert(normal::key(&image, snapshot.shadow_keys), image);
    }
    assert_eq!(held.len(), snapshot.shadow.len(), "a scan of the shadow gave a key twice");

    for (shadow_key, claims) in &demand.claims {
        let Some(image) = held.remove(shadow_key) else {
            findings.push(Finding::Missing { shadow_key: shadow_key.clone() });
            continue;
        };
        let Some(owner) = claims.iter().position(|(_, claim)| *claim == image) else {
            let attributes = differing(&image, claims);
            findings.push(Finding::Different { shadow_key: shadow_key.clone(), attributes });
            continue;
        };
        let losers = claims.iter().enumerate().filter(|(number, _)| *number != owner);
        demand.entries.extend(losers.map(|(_, (source_key, _))| Entry {
            reason: COLLISION.to_owned(),
            source_key: source_key.clone(),
            shadow_key: Some(shadow_key.clone()),
        }));
    }
    for (shadow_key, image) in held {
        let earlier = snapshot.source_keys.iter().all(|(name, _)| image.contains_key(*name))
            && demand.held_back.contains(&normal::key(&image, snapshot.source_keys));
        if !earlier {
            findings.push(Finding::Extra { shadow_key });
        }
    }
    compare_quarantine(&snapshot.quarantine, demand.entries, &mut findings);
    findings
}

impl Demand {
    fn of(snapshot: &Snapshot, expect: impl Fn(&Item) -> Expected) -> Self {
        let mut demand = Self { claims: BTreeMap::new(), entries: BTreeSet::new(), held_back: BTreeSet::new() };
        for item in &snapshot.source {
            let source_key = normal::key(&normal::image(item), snapshot.source_keys);
            match expect(item) {
                Expected::Nothing => {}
                Expected::Item(item) => {
                    let image = normal::image(&item);
                    let shadow_key = normal::key(&image, snapshot.shadow_keys);
                    demand.claims.entry(shadow_key).or_default().push((source_key, image));
                }
                Expected::Quarantined(reason) => {
                    demand.held_back.insert(source_key.clone());
                    demand.entries.insert(Entry { reason: reason.to_owned(), source_key, shadow_key: None });
                }
            }
        }
        for claims in demand.claims.values() {
            let images: BTreeSet<_> = claims.iter().map(|(_, image)| image).collect();
            assert_eq!(images.len(), claims.len(), "items that collide must keep their source keys: {claims:?}");
        }
        demand
    }
}

/// The attributes in which a single claim differs; with several, nobody can say which was meant.
fn differing(image: &Image, claims: &[(Image, Image)]) -> Vec<String> {
    let [(_, claim)] = claims else { return Vec::new() };
    let names: BTreeSet<_> = image.keys().chain(claim.keys()).collect();
    names.into_iter().filter(|name| image.get(*name) != claim.get(*name)).cloned().collect()
}

fn compare_quarantine(found: &[Quarantined], mut wanted: BTreeSet<Entry>, findings: &mut Vec<Finding>) {
    for Quarantined { reason, source_key, shadow_key, .. } in found {
        let entry = Entry {
            reason: reason.clone(),
            source_key: source_key.clone(),
            shadow_key: shadow_key.clone().filter(|_| reason == COLLISION),
        };
        if !wanted.remove(&entry) {
            findings.push(Finding::WronglyQuarantined(entry));
        }
    }
    findings.extend(wanted.into_iter().map(Finding::NotQuarantined));
}

/// Findings as a failing test shows them.
pub struct Report<'a>(pub &'a [Finding]);

impl fmt::Display for Report<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 30;
        writeln!(out, "{} differences between source and shadow:", self.0.len())?;
        for finding in self.0.iter().take(SHOWN) {
            writeln!(out, "  {finding:?}")?;
        }
        if self.0.len() > SHOWN {
            writeln!(out, "  … and {} more", self.0.len() - SHOWN)?;
        }
        Ok(())
    }
}
