//! Tables and durations for people.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

use crate::model::{grouped, tenths};

/// A table without lines: columns align, and it can be cut with ordinary tools.
pub(super) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(head);
    table.add_rows(rows);
    let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}

/// Seconds as people say them: `4.2 s`, `3 min 20 s`, `5 h 12 min`.
pub(super) fn span(seconds: f64) -> String {
    let whole = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    match whole {
        0..60 => format!("{} s", tenths(seconds.max(0.0))),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", grouped(whole / 3600), whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_naturally() {
        assert_eq!(span(4.2), "4.2 s");
        assert_eq!(span(200.0), "3 min 20 s");
        assert_eq!(span(18_720.0), "5 h 12 min");
    }

    #[test]
    fn columns_align_without_lines() {
        let text = table(["A", "B"], [["1".into(), "2".into()], ["three".into(), String::new()]]);
        insta::assert_snapshot!(text, @r"
        A      B
        1      2
        three
        ");
    }
}
