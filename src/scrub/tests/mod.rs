//! The room as a whole: every rule's examples in every surrounding, keys and their look-alikes,
//! documents, keys in armour, properties. Values are drawn at test time.

mod armour;
mod by_line;
mod contexts;
mod documents;
mod draw;
mod encoded;
mod formats;
mod keyed;
mod look_alikes;
mod properties;
mod slow;

use super::*;
use draw::Rng;
use serde_json::json;

fn scrub(text: &str) -> String {
    let (clean, counts) = Scrubber::new(Vec::new()).text(text);
    let clean = clean.into_inner();
    assert_eq!(counts.is_empty(), clean == text, "counted {counts:?} in {text:?}");
    let (again, _) = Scrubber::new(Vec::new()).text(&clean);
    assert_eq!(*again, clean, "a second time differs, from {text:?}");
    clean
}

#[test]
fn clean_is_made_only_by_scrubbing() {
    const NOTICE: Clean<&str> = Clean::<&'static str>::fixed("fixed");
    let (scrubbed, _) = Scrubber::new(Vec::new()).text("a");
    let joined = Clean::<String>::builder().clean(&NOTICE).fixed(" and ").clean(&scrubbed).number(7u8).finish();
    assert_eq!(*joined, "fixed and a7");
    assert_eq!(serde_json::to_string(&joined).unwrap(), "\"fixed and a7\"");
    assert_eq!(format!("{joined} {joined:?}"), "fixed and a7 \"fixed and a7\"");
}

#[test]
fn counts_add_up() {
    let mut rng = Rng(0x5eed_0010);
    let scrubber = Scrubber::new(Vec::new());
    let (_, mut counts) = scrubber.text(&format!("{} {}", rng.draw("ghp_{a36}"), rng.draw("ghp_{a36}")));
    let (_, more) = scrubber.text(&format!("password={}", rng.password()));
    counts.merge(&more);
    assert_eq!(serde_json::to_value(&counts).unwrap(), json!({"github_token": 2, "password": 1}));
    assert_eq!(counts.total(), 3);
    assert!(counts.iter().all(|(kind, _)| kinds().any(|known| known == kind)));
}
