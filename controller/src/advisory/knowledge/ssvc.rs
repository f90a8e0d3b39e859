//! Decision points of Stakeholder-Specific Vulnerability Categorization as CISA publishes them for each CVE
//! (<https://github.com/cisagov/vulnrichment>), as a table with the columns `cve`, `exploitation`, `automatable` and `technical_impact`,
//! parted by tabs or commas, in any order. Case varies in what is published and does not count.

use patchwave_common::domain::clean_text;

use super::{ENTRIES_MAX, Facts, NotAFeed, read_cve, rows, text_of};

/// What an analyst found; a point that nobody looked at is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ssvc {
    /// Whether it is exploited.
    pub exploitation: Option<Exploitation>,
    /// Whether an attacker can automate all steps of an attack.
    pub automatable: Option<Automatable>,
    /// How much an attacker gains.
    pub technical_impact: Option<TechnicalImpact>,
}

macro_rules! point {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$value_doc])* $value,)+ }

        impl $name {
            /// The value as decision tables write it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$value => $text,)+ }
            }

            fn read(text: &str) -> Result<Option<Self>, String> {
                let text = text.trim();
                let known = [$(Self::$value,)+].into_iter().find(|value| value.as_str().eq_ignore_ascii_case(text));
                match known {
                    Some(value) => Ok(Some(value)),
                    None if text.is_empty() => Ok(None),
                    None => Err(format!("\"{}\" is none of {}", clean_text(text, 40), [$($text,)+].join(", "))),
                }
            }
        }
    };
}

point!(
    /// Whether it is exploited.
    Exploitation {
        /// No sign of it.
        None = "none",
        /// There is a proof of concept.
        ProofOfConcept = "poc",
        /// It is exploited.
        Active = "active",
    }
);
point!(
    /// Whether an attacker can automate all steps of an attack.
    Automatable {
        /// A step needs a person.
        No = "no",
        /// Every step runs by itself.
        Yes = "yes",
    }
);
point!(
    /// How much an attacker gains.
    TechnicalImpact {
        /// Some control.
        Partial = "partial",
        /// All control.
        Total = "total",
    }
);

/// Where the columns are.
struct Columns {
    separator: char,
    cve: usize,
    points: [Option<usize>; 3],
}

/// Reads the table.
pub fn parse_ssvc(bytes: &[u8]) -> Result<Facts<Ssvc>, NotAFeed> {
    let refuse = |reason: &str| NotAFeed::new("a table of SSVC decision points", reason);
    let text = text_of(bytes);
    let mut rows = rows(&text);
    let (_, header) = rows.next().ok_or_else(|| refuse("it is empty"))?;
    let columns = read_header(header).ok_or_else(|| {
        refuse(&format!("its columns are \"{}\" and not cve, exploitation, automatable, technical_impact", clean_text(header, 80)))
    })?;
    let mut facts = Facts::default();
    for (line, row) in rows {
        if facts.by_cve.len() >= ENTRIES_MAX {
            return Err(refuse(&format!("it has more than {ENTRIES_MAX} rows")));
        }
        match read_row(row, &columns) {
            Ok((cve, ssvc)) => {
                facts.by_cve.insert(cve, ssvc);
            }
            Err(reason) => facts.bad.note(&format!("line {line}"), &reason),
        }
    }
    Ok(facts)
}

fn read_header(header: &str) -> Option<Columns> {
    let separator = if header.contains('\t') { '\t' } else { ',' };
    let names: Vec<String> = header.split(separator).map(|name| name.trim().to_ascii_lowercase().replace([' ', '-'], "_")).collect();
    let at = |wanted: &str| names.iter().position(|name| name == wanted);
    let points = [at("exploitation"), at("automatable"), at("technical_impact")];
    points.iter().any(Option::is_some).then_some(())?;
    Some(Columns { separator, cve: at("cve")?, points })
}

fn read_row(row: &str, columns: &Columns) -> Result<(patchwave_common::domain::AdvisoryId, Ssvc), String> {
    let cells: Vec<&str> = row.split(columns.separator).collect();
    let cell = |column: Option<usize>| match column {
        None => Ok(""),
        Some(column) => cells.get(column).copied().ok_or("the row is shorter than the header"),
    };
    let cve = read_cve(cell(Some(columns.cve))?)?;
    let [exploitation, automatable, technical_impact] = columns.points;
    let named = |name: &str, reason: String| format!("{name}: {reason}");
    let ssvc = Ssvc {
        exploitation: Exploitation::read(cell(exploitation)?).map_err(|reason| named("exploitation", reason))?,
        automatable: Automatable::read(cell(automatable)?).map_err(|reason| named("automatable", reason))?,
        technical_impact: TechnicalImpact::read(cell(technical_impact)?).map_err(|reason| named("technical_impact", reason))?,
    };
    Ok((cve, ssvc))
}
