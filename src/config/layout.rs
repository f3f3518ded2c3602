//! The layout file: it is read here, and its mistakes are reported along with the rest.

use std::path::Path;

use super::file::read_file;
use super::mistake::{Mistake, Origin};
use super::settings::TargetFile;
use crate::layout::read_layout;

/// Reads the layout file; `None` when that fails, which is added to `mistakes`. `origin` is where its path was given,
/// and `folder` what the path is relative to.
pub(super) fn read(layout: &str, folder: &Path, origin: Origin, mistakes: &mut Vec<Mistake>) -> Option<TargetFile> {
    let path = folder.join(layout);
    let shown = path.display();
    let text = read_file(&path).and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other));
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            let what = format!("the layout file {shown} cannot be read: {error}");
            mistakes.push(Mistake::about(
                origin,
                super::keys::TARGET_LAYOUT,
                what,
                "check the path and its permissions",
            ));
            return None;
        }
    };
    match read_layout(&text) {
        Ok(layout) => Some(TargetFile { path, layout }),
        Err(problems) => {
            mistakes.extend(
                problems
                    .into_iter()
                    .map(|problem| Mistake::from_problem(&shown.to_string(), problem, "correct the layout file")),
            );
            None
        }
    }
}
