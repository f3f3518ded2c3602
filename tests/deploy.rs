//! What `deploy/` says fits the program and its documents.

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use shadowtable::telemetry::names;

    fn read(name: &str) -> String {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
    }

    /// What follows `key: ` in the lines of a YAML file.
    fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
        let start = format!("{key}: ");
        let lines = text.lines().map(|line| line.trim_start().trim_start_matches("- "));
        lines.filter_map(|line| line.strip_prefix(&start)).map(|value| value.trim_matches('\'')).collect()
    }

    #[test]
    fn every_alert_has_a_severity_a_summary_and_a_section_that_says_what_to_do() {
        let (alerts, page) = (read("deploy/prometheus/rules.yml"), read("docs/operations/alerts.md"));
        let named = values(&alerts, "alert");
        assert!(named.len() > 10, "{named:?}");
        let severities = values(&alerts, "severity");
        assert!(severities.iter().all(|severity| ["critical", "warning"].contains(severity)), "{severities:?}");
        for key in ["severity", "summary", "description", "runbook_url"] {
            assert_eq!(values(&alerts, key).len(), named.len(), "{key}");
        }
        let sections: Vec<&str> = page.split("\n## ").skip(1).collect();
        assert_eq!(sections.len(), named.len());
        for (alert, runbook) in named.iter().zip(values(&alerts, "runbook_url")) {
            let anchor = runbook.strip_prefix("docs/operations/alerts.md#").unwrap();
            let section = sections
                .iter()
                .find(|section| section.lines().next().unwrap().to_lowercase().replace(' ', "-") == anchor);
            let section = section.unwrap_or_else(|| panic!("{alert}: there is no section {anchor}"));
            assert!(section.contains(&format!("`{alert}`")) && section.contains("**What to do.**"), "{section}");
        }
    }

    #[test]
    fn every_alert_is_tested_firing_and_quiet() {
        let (alerts, tests) = (read("deploy/prometheus/rules.yml"), read("deploy/prometheus/rules_test.yml"));
        let names = values(&tests, "name");
        for alert in values(&alerts, "alert") {
            for how in ["fires", "is quiet"] {
                assert!(names.contains(&format!("{alert} {how}").as_str()), "there is no test that {alert} {how}");
            }
        }
    }

    #[test]
    fn every_metric_in_a_rule_exists() {
        let known: BTreeSet<&str> = names::ALL.iter().map(|metric| metric.name).collect();
        let rules = read("deploy/prometheus/rules.yml");
        let recorded: BTreeSet<&str> = values(&rules, "record").into_iter().collect();
        let mut seen = 0;
        for file in ["rules.yml", "rules_test.yml"] {
            let text = read(&format!("deploy/prometheus/{file}"));
            let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
            for word in text.split(|letter| !is_name(letter)).filter(|word| word.contains("shadowtable_")) {
                let metric = word.strip_suffix("_bucket").unwrap_or(word);
                assert!(known.contains(metric) || recorded.contains(word), "{file}: there is no metric {word}");
                seen += 1;
            }
        }
        assert!(seen > 50, "{seen}");
    }
}
