//! The `Link` header: where the next page is. Its address is never followed; the numbers in it are put into our own.

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::names::escaped;

/// A page of a listing: a number, and for long listings the mark after which it begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PageAt {
    page: Option<u32>,
    after: Option<String>,
}

/// The longest mark, in bytes.
const LONGEST: usize = 512;

impl PageAt {
    /// The next page, where there is one.
    pub(super) fn next(headers: &HeaderMap) -> Option<Self> {
        let links = headers.get("link")?.to_str().ok()?;
        links.split('<').skip(1).find_map(|link| {
            let (address, attributes) = link.split_once('>')?;
            let is_next = attributes.split([';', ',']).any(|one| matches!(one.trim(), r#"rel="next""# | "rel=next"));
            is_next.then(|| Self::in_query(address.split_once('?')?.1)).flatten()
        })
    }

    fn in_query(query: &str) -> Option<Self> {
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let after = value("after").map(|mark| percent_decode_str(mark).decode_utf8_lossy().into_owned());
        Self::of(value("page").and_then(|page| page.parse().ok()), after)
    }

    fn of(page: Option<u32>, after: Option<String>) -> Option<Self> {
        let page = page.filter(|page| *page > 0);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_' | ':' | '.');
        let after = after.filter(|mark| !mark.is_empty() && mark.len() <= LONGEST && mark.chars().all(plain));
        (page.is_some() || after.is_some()).then_some(Self { page, after })
    }

    /// The parameters that ask for this page, after others.
    pub(super) fn query(&self) -> String {
        let page = self.page.map(|page| format!("&page={page}"));
        let after = self.after.as_deref().map(|mark| format!("&after={}", escaped(mark)));
        page.unwrap_or_default() + &after.unwrap_or_default()
    }

    /// As a cursor keeps it.
    pub(super) fn text(&self) -> String {
        format!("{} {}", self.page.unwrap_or(0), self.after.as_deref().unwrap_or(""))
    }

    /// What [`Self::text`] wrote, or the first page.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (page, after) = text.split_once(' ')?;
        let page: u32 = page.parse().ok()?;
        if page == 0 && after.is_empty() {
            return Some(Self::default());
        }
        Self::of(Some(page), Some(after.to_owned()).filter(|mark| !mark.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next(link: &str) -> Option<PageAt> {
        let mut headers = HeaderMap::new();
        headers.insert("link", link.parse().unwrap());
        PageAt::next(&headers)
    }

    #[test]
    fn the_next_page_is_found_among_others() {
        let link = r#"<https://api.github.com/repositories/7/issues?labels=a%2Cb&per_page=2&page=1>; rel="prev", <https://api.github.com/repositories/7/issues?per_page=2&page=3>; rel="next", <https://api.github.com/repositories/7/issues?page=9>; rel="last""#;
        assert_eq!(next(link), PageAt::of(Some(3), None));
        let marked = next("<https://x/issues?after=Y3Vyc29yOnYyOpLPAAA%3D%3D&page=2>; rel=\"next\"").unwrap();
        assert_eq!(marked.query(), "&page=2&after=Y3Vyc29yOnYyOpLPAAA%3D%3D");
        for none in ["", "<https://x/issues?page=1>; rel=\"prev\"", "<https://x/issues>; rel=\"next\"", "<https://x/?page=0>; rel=\"next\"", "junk"] {
            assert_eq!(next(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_header_and_any_text_are_read_without_harm(text in "[<>;,=\"& a-z?0-9%]{0,60}") {
            let from_header = next(&text);
            let from_text = PageAt::read(&text);
            for at in from_header.into_iter().chain(from_text) {
                prop_assert!(!at.query().contains([' ', '#', '<', '"']), "{}", at.query());
                prop_assert_eq!(PageAt::read(&at.text()), Some(at));
            }
        }
    }
}
