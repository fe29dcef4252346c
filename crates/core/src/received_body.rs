//! The body of a request on its way to the format that reads it (RFC 3261 §8.2.3).

use crate::body::BodyError;
use crate::reject::Reject;
use lampyris_sip::{Message, Name};

/// The media type of a body, without parameters; empty where the request names none.
///
/// # Errors
/// 415 for a compressed body.
pub(crate) fn media_type(message: &Message) -> Result<&str, Reject> {
    if message.header(Name::ContentEncoding).is_some_and(|e| !e.trim().eq_ignore_ascii_case("identity")) {
        return Err(Reject::UnsupportedEncoding);
    }
    Ok(message.header(Name::ContentType).and_then(|value| value.split(';').next()).unwrap_or("").trim())
}

/// What the format made of it.
///
/// # Errors
/// 415 with `accept` where no format takes the type, 400 with the place of the error.
pub(crate) fn read<T>(read: Option<Result<T, BodyError>>, accept: &[&str]) -> Result<T, Reject> {
    match read {
        None => Err(Reject::UnsupportedMediaType { accept: accept.join(", ").into() }),
        Some(Err(error)) => Err(match error.limit() {
            Some(limit) => Reject::Over { limit, why: error.to_string().into() },
            None => Reject::BadRequest(error.to_string().into()),
        }),
        Some(Ok(content)) => Ok(content),
    }
}
