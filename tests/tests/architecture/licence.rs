//! Whether a licence expression (SPDX) can be met with the licences that we accept.

/// `Err` with the reason if it cannot. `OR` asks for one side, `AND` for both; `/` is the old way to write `OR`.
pub fn accept(expression: &str, accepted: &[&str]) -> Result<(), String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = either(&words, &mut at, accepted).ok_or_else(|| format!("{expression:?} cannot be read"))?;
    if at != words.len() {
        return Err(format!("{expression:?} cannot be read"));
    }
    if met { Ok(()) } else { Err(format!("{expression:?} is not among the accepted licences")) }
}

fn either(words: &[&str], at: &mut usize, accepted: &[&str]) -> Option<bool> {
    let mut met = both(words, at, accepted)?;
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= both(words, at, accepted)?;
    }
    Some(met)
}

fn both(words: &[&str], at: &mut usize, accepted: &[&str]) -> Option<bool> {
    let mut met = one(words, at, accepted)?;
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, accepted)?;
    }
    Some(met)
}

fn one(words: &[&str], at: &mut usize, accepted: &[&str]) -> Option<bool> {
    let word = *words.get(*at)?;
    *at += 1;
    if word == "(" {
        let met = either(words, at, accepted)?;
        *at += 1;
        return (words.get(*at - 1) == Some(&")")).then_some(met);
    }
    if ["OR", "AND", "WITH", ")"].contains(&word) {
        return None;
    }
    if words.get(*at) == Some(&"WITH") {
        let whole = format!("{word} WITH {}", words.get(*at + 1)?);
        *at += 2;
        return Some(accepted.contains(&whole.as_str()));
    }
    Some(accepted.contains(&word))
}

#[test]
fn expressions_are_met_by_one_of_or_and_all_of_and() {
    let accepted = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"];
    for met in ["MIT", "GPL-3.0 OR MIT", "MIT/Apache-2.0", "(MIT OR GPL-3.0) AND Unicode-3.0", "Apache-2.0 WITH LLVM-exception"] {
        assert_eq!(accept(met, &accepted), Ok(()), "{met}");
    }
    for refused in
        ["GPL-3.0", "MIT AND GPL-3.0", "GPL-3.0 AND MIT OR OpenSSL", "MIT WITH Classpath-exception-2.0", "", "MIT OR", "(MIT", "MIT MIT"]
    {
        assert!(accept(refused, &accepted).is_err(), "{refused}");
    }
}
