//! Names of tables, as the service allows them.

use super::settings::is_name_byte;

pub(super) const TABLE_NAME: &str = "a table name, 3 to 255 of a-z A-Z 0-9 _ . -";

/// The service's rule for table names.
pub(super) fn table_name(text: &str) -> Option<String> {
    ((3..=255).contains(&text.len()) && text.bytes().all(is_name_byte)).then(|| text.to_owned())
}
