//! Where a table is, as a process reaches it: what messages name, and what a command for it needs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A table and the way to it.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Place {
    /// The table's name.
    pub table: String,
    /// The region.
    pub region: Option<String>,
    /// The account's twelve digits, once they are known.
    pub account: Option<String>,
    /// The URL that takes the place of the service's own.
    pub endpoint: Option<String>,
    /// The profile of the AWS configuration, where one is set. It means something on the machine that uses it only.
    #[serde(skip)]
    pub profile: Option<String>,
}

impl Place {
    /// Whether both lead to the same place, as far as can be told. An account that is not known is no difference.
    pub fn is_same(&self, other: &Self) -> bool {
        let accounts = self.account.as_ref().zip(other.account.as_ref()).is_none_or(|(one, other)| one == other);
        accounts && self.table == other.table && self.region == other.region && self.endpoint == other.endpoint
    }

    /// A command of the AWS CLI on this table: `aws dynamodb VERB --table-name …`, with all that leads there.
    pub fn command(&self, verb: &str) -> String {
        self.aws(&format!("dynamodb {verb} --table-name {}", self.table))
    }

    /// A command of the AWS CLI, with all that leads to where this table is.
    pub fn aws(&self, command: &str) -> String {
        let options = [("region", &self.region), ("profile", &self.profile), ("endpoint-url", &self.endpoint)];
        let given = options.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!(" --{name} {value}")));
        given.fold(format!("aws {command}"), |command, option| command + &option)
    }
}

/// For people: `Orders (eu-central-1, account 111111111111)`.
impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = self.account.as_ref().map(|account| format!("account {account}"));
        let known = [&self.region, &account, &self.endpoint];
        let known: Vec<&str> = known.iter().filter_map(|part| part.as_deref()).collect();
        if known.is_empty() {
            return out.write_str(&self.table);
        }
        write!(out, "{} ({})", self.table, known.join(", "))
    }
}

/// Whether a text may be a region: lower-case letters, digits and hyphens, and not a zone, which ends in a letter behind a
/// digit. Emulators take made-up ones.
pub fn is_region(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let mut ends = text.bytes().rev();
    let zone = ends.next().is_some_and(|last| last.is_ascii_lowercase())
        && ends.next().is_some_and(|digit| digit.is_ascii_digit());
    !text.is_empty() && text.bytes().all(fits) && !zone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_named_and_led_to_by_all_that_is_known() {
        let mut place = Place { table: "Orders".into(), ..Place::default() };
        assert_eq!(place.to_string(), "Orders");
        assert_eq!(place.command("delete-table"), "aws dynamodb delete-table --table-name Orders");
        place.region = Some("eu-central-1".into());
        place.account = Some("111111111111".into());
        place.profile = Some("prod".into());
        assert_eq!(place.to_string(), "Orders (eu-central-1, account 111111111111)");
        assert_eq!(
            place.command("delete-table"),
            "aws dynamodb delete-table --table-name Orders --region eu-central-1 --profile prod"
        );
        place.endpoint = Some("http://127.0.0.1:8000".into());
        assert!(place.aws("dynamodb list-tables").ends_with("--profile prod --endpoint-url http://127.0.0.1:8000"));
    }

    #[test]
    fn regions_and_what_is_none() {
        for good in ["eu-central-1", "us-gov-west-1", "cn-north-1", "local", "ddblocal"] {
            assert!(is_region(good), "{good}");
        }
        for bad in ["", " eu-central-1", "eu-central-1 ", "eu-central-1a", "EU-CENTRAL-1", "eu central 1"] {
            assert!(!is_region(bad), "{bad}");
        }
    }
}
