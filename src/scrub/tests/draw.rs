//! Values drawn at test time, from templates in the language of shapes.

use crate::scrub::shape::{Part, Shape, in_class};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// xorshift64*, so that a failing value can be drawn again from its seed.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }

    pub(super) fn class(&mut self, class: u8, len: usize) -> String {
        let members: Vec<u8> = (0..=127).filter(|byte| in_class(class, *byte) && *byte != b'=').collect();
        (0..len).map(|_| char::from(members[self.below(members.len())])).collect()
    }

    /// A value from a template in the language of shapes.
    pub(super) fn draw(&mut self, template: &str) -> String {
        let mut value = String::new();
        for part in Shape::parse(template).parts() {
            match part {
                Part::Literal(literal) => value.push_str(std::str::from_utf8(literal).unwrap()),
                Part::Class { class, min, max } => {
                    let len = min + self.below((max - min).min(40) + 1);
                    value.push_str(&self.class(*class, len));
                }
            }
        }
        value
    }

    /// Letters and digits with at least one of each.
    pub(super) fn password(&mut self) -> String {
        format!("{}{}{}", self.class(b'a', 7), self.class(b'd', 2), self.class(b'A', 0) + &self.class(b'l', 5))
    }
}

pub(super) fn jwt(rng: &mut Rng) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let payload = URL_SAFE_NO_PAD.encode(format!(r#"{{"sub":"{}"}}"#, rng.class(b'd', 9)));
    format!("{header}.{payload}.{}", rng.class(b'w', 42) + "A")
}
