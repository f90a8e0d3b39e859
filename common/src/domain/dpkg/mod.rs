//! dpkg's database as text: paragraphs of fields, and the packages that they tell of. Pure.
//!
//! The agent reads the database of its host; the command line reads a copy of one (`patchwave advisory match`). Both must see the same
//! packages, so what a paragraph means stands here once.

mod control;
mod status;

pub use control::{Paragraph, Paragraphs, lines, paragraphs};
pub use status::{installed_package, installed_packages, source_of};
