//! CISA's catalogue of Known Exploited Vulnerabilities (<https://www.cisa.gov/known-exploited-vulnerabilities-catalog>), as JSON.

use patchwave_common::domain::{Timestamp, clean_text};
use serde::Deserialize;
use serde_json::Value;

use super::{ENTRIES_MAX, Facts, NotAFeed, read_cve, read_date};

/// Longest text that is kept of an entry.
const TEXT_MAX_CHARS: usize = 500;

/// What the catalogue says of a vulnerability that is exploited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kev {
    /// Since when it is in the catalogue.
    pub added: Timestamp,
    /// By when federal agencies had to act; not the operator's deadline.
    pub due: Option<Timestamp>,
    /// Whether it is known to be used by those who ask for ransom.
    pub ransomware: bool,
    /// What it is called.
    pub name: String,
    /// What the catalogue asks for.
    pub action: String,
}

#[derive(Deserialize)]
struct Catalogue {
    #[serde(rename = "dateReleased")]
    released: Option<String>,
    vulnerabilities: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(rename = "cveID")]
    cve: String,
    date_added: String,
    due_date: Option<String>,
    #[serde(default)]
    vulnerability_name: String,
    #[serde(default)]
    required_action: String,
    #[serde(default)]
    known_ransomware_campaign_use: String,
}

/// Reads the catalogue.
pub fn parse_kev(bytes: &[u8]) -> Result<Facts<Kev>, NotAFeed> {
    let refuse = |reason: &str| NotAFeed::new("CISA's catalogue of known exploited vulnerabilities", reason);
    let catalogue: Catalogue = serde_json::from_slice(bytes).map_err(|error| refuse(&error.to_string()))?;
    if catalogue.vulnerabilities.len() > ENTRIES_MAX {
        return Err(refuse(&format!("it has more than {ENTRIES_MAX} entries")));
    }
    let dated = catalogue.released.and_then(|text| text.parse::<jiff::Timestamp>().ok()).map(|instant| Timestamp(instant.as_millisecond()));
    let mut facts = Facts { dated, ..Facts::default() };
    for (index, value) in catalogue.vulnerabilities.into_iter().enumerate() {
        let name = value.get("cveID").and_then(Value::as_str).map_or_else(|| format!("vulnerabilities[{index}]"), str::to_owned);
        match read_entry(value) {
            Ok((cve, kev)) => {
                facts.by_cve.insert(cve, kev);
            }
            Err(reason) => facts.bad.note(&name, &reason),
        }
    }
    Ok(facts)
}

fn read_entry(value: Value) -> Result<(patchwave_common::domain::AdvisoryId, Kev), String> {
    let entry: Entry = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let cve = read_cve(&entry.cve).map_err(|reason| format!("cveID: {reason}"))?;
    let added = read_date(&entry.date_added).map_err(|reason| format!("dateAdded: {reason}"))?;
    let due = entry.due_date.as_deref().map(read_date).transpose().map_err(|reason| format!("dueDate: {reason}"))?;
    let kev = Kev {
        added,
        due,
        ransomware: entry.known_ransomware_campaign_use.eq_ignore_ascii_case("known"),
        name: clean_text(&entry.vulnerability_name, TEXT_MAX_CHARS),
        action: clean_text(&entry.required_action, TEXT_MAX_CHARS),
    };
    Ok((cve, kev))
}
