//! JUnit's XML. Entities are the five of XML and characters by number: a document cannot define its own.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::{Failure, MOST_KEPT, Report, first_line};

/// More of one failure's text is not kept.
const LONGEST: usize = 64 << 10;
const DEEPEST: usize = 64;

#[derive(Default)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// The test that is being read.
struct Case {
    name: String,
    failure: Option<Failure>,
    skipped: bool,
    /// Whether text now belongs to the failure.
    inside: bool,
}

/// Nothing where it is no report of this kind, or breaks off.
pub(super) fn read(xml: &str) -> Option<Report> {
    let mut reader = Reader::from_str(xml);
    let (mut counts, mut failures, mut case, mut depth, mut is_report) = (Counts::default(), Vec::new(), None, 0usize, false);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                depth += 1;
                if depth > DEEPEST {
                    return None;
                }
                is_report |= matches!(name_of(&start).as_str(), "testsuite" | "testsuites");
                begin(&start, &mut case);
            }
            Event::Empty(start) => {
                is_report |= matches!(name_of(&start).as_str(), "testsuite" | "testsuites");
                begin(&start, &mut case);
                end(&name_of(&start), &mut case, &mut counts, &mut failures);
            }
            Event::End(tag) => {
                depth = depth.saturating_sub(1);
                end(&text_of(tag.name().as_ref()), &mut case, &mut counts, &mut failures);
            }
            Event::Text(text) => say(&mut case, &text_of(&text)),
            Event::CData(text) => say(&mut case, &text_of(&text)),
            Event::GeneralRef(entity) => match entity.resolve_char_ref() {
                Ok(Some(char)) => say(&mut case, char.encode_utf8(&mut [0; 4])),
                _ => say(&mut case, quick_xml::escape::resolve_predefined_entity(&text_of(&entity)).unwrap_or_default()),
            },
            Event::Eof => break,
            _ => {}
        }
    }
    (is_report && depth == 0).then(|| Report::counted(counts.passed, counts.failed, counts.skipped).with(failures))
}

fn begin(start: &BytesStart<'_>, case: &mut Option<Case>) {
    match (name_of(start).as_str(), case) {
        ("testcase", case) => {
            let (class, name) = (attribute(start, "classname"), attribute(start, "name"));
            let name = if class.is_empty() || class == "test" { name } else { format!("{class} {name}") };
            *case = Some(Case { name, failure: None, skipped: false, inside: false });
        }
        ("failure" | "error", Some(case)) if case.failure.is_none() => {
            let said = attribute(start, "message");
            let message = if said.is_empty() { attribute(start, "type") } else { first_line(&said).to_owned() };
            case.failure = Some(Failure { name: case.name.clone(), message, details: String::new() });
            case.inside = true;
        }
        ("skipped", Some(case)) => case.skipped = true,
        _ => {}
    }
}

fn end(tag: &str, case: &mut Option<Case>, counts: &mut Counts, failures: &mut Vec<Failure>) {
    match tag {
        "failure" | "error" => {
            if let Some(case) = case {
                case.inside = false;
            }
        }
        "testcase" => {
            let Some(case) = case.take() else { return };
            match case.failure {
                Some(mut failure) => {
                    counts.failed += 1;
                    failure.details = failure.details.trim().to_owned();
                    if failures.len() < MOST_KEPT {
                        failures.push(failure);
                    }
                }
                None if case.skipped => counts.skipped += 1,
                None => counts.passed += 1,
            }
        }
        _ => {}
    }
}

fn name_of(start: &BytesStart<'_>) -> String {
    text_of(start.name().as_ref())
}

fn text_of(text: &str) -> String {
    text.to_owned()
}

/// An attribute as text; one that does not decode is none.
fn attribute(start: &BytesStart<'_>, name: &str) -> String {
    start
        .try_get_attribute(name)
        .ok()
        .flatten()
        .and_then(|found| found.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok())
        .map(std::borrow::Cow::into_owned)
        .unwrap_or_default()
}

fn say(case: &mut Option<Case>, text: &str) {
    let Some(failure) = case.as_mut().filter(|case| case.inside).and_then(|case| case.failure.as_mut()) else { return };
    let room = LONGEST.saturating_sub(failure.details.len());
    failure.details.push_str(text.get(..text.floor_char_boundary(room)).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_two_runners_are_read() {
        let report = read(include_str!("fixtures/pytest.xml")).unwrap();
        assert_eq!([report.passed, report.failed, report.skipped], [Some(2), Some(3), Some(2)]);
        let first = &report.failures[0];
        assert_eq!((first.name.as_str(), first.message.as_str()), ("test_a test_fails", "AssertionError: two is not three"));
        assert!(
            first.details.contains(">       assert add(1, 1) == 3, \"two is not three\"") && first.details.ends_with("test_a.py:6: AssertionError")
        );
        let report = read(include_str!("fixtures/node.xml")).unwrap();
        assert_eq!([report.passed, report.failed, report.skipped], [Some(2), Some(2), Some(2)]);
        assert_eq!((report.failures[1].name.as_str(), report.failures[1].message.as_str()), ("inner fails", "broken"));
    }

    #[test]
    fn what_is_no_report_is_none() {
        let deep = "<testsuite>".repeat(DEEPEST + 1) + &"</testsuite>".repeat(DEEPEST + 1);
        for text in ["", "plain", "<html><body/></html>", "<testsuites><testcase name='a'>", "<a></b>", &deep] {
            assert_eq!(read(text), None, "{}", &text[..text.len().min(40)]);
        }
    }

    #[test]
    fn a_document_defines_no_entities() {
        let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><testsuite><testcase name=\"t\"><failure message=\"m\">&b;&lt;&#65;</failure></testcase></testsuite>";
        assert_eq!(read(bomb).unwrap().failures[0].details, "<A");
        let outside = "<!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><testsuite><testcase name=\"&f;\"/></testsuite>";
        assert_eq!(read(outside).unwrap().passed, Some(1));
    }
}
