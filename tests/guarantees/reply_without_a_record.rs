//! A reply comes out of the path of a call and from nowhere else.
use opsgate::call::{Body, Reply};

fn forge(body: Body) -> Reply {
    Reply { body, request_id: uuid::Uuid::nil(), receipt: None }
}

fn main() {}
