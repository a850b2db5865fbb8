//! `/render/image`: pictures made smaller on their way out, for whoever may have the object itself, by the same policies,
//! the same links and with the same note of what staff read. Nothing that is made is kept: its ETag says of what and how
//! it is made, so that others can keep it.

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, Method, StatusCode, header},
    response::Response,
};
use chrono::DateTime;

use super::{
    asked::{Asked, At, Query},
    conditions::{http_date, is_unchanged},
    downloads::{Asks, note},
    links::no_token,
    looking::{linked, see, see_public},
    pictures::{BYTES_MAX, Kind, NoPicture, Order},
    refusal::Refusal,
    rows::Object,
    serving::{Reading, describe, serve, set},
    tokens::{Link, Scope},
    transformation::{Format, Transformation, Wished},
};
use crate::{
    app::App,
    files::{kind, sealed::digest_of},
};

/// Goes up when the same wish is drawn in another way, so that nobody keeps the old one.
const DRAWN: u32 = 1;

pub(super) async fn own(
    State(app): State<App>,
    asked: Asked,
    at: At,
    method: Method,
    Query(asks): Query<Asks>,
    Query(wished): Query<Wished>,
) -> Result<Response, Refusal> {
    let wish = wished.read("querystring")?;
    let object = see(&asked, &at, "storage.render.image_authenticated").await?;
    // HEAD shows no byte of it.
    if method != Method::HEAD {
        note(&app, &at, &object, asked.noted_reader()).await?;
    }
    let reading = Reading {
        method: &method,
        headers: &asked.headers,
        download: asks.download.as_deref(),
        expires: None,
    };
    render(&app, &object, wish, reading).await
}

pub(super) async fn public(
    State(app): State<App>,
    at: At,
    Query(asks): Query<Asks>,
    Query(wished): Query<Wished>,
    request: Request,
) -> Result<Response, Refusal> {
    let wish = wished.read("querystring")?;
    let (parts, _) = request.into_parts();
    let object = see_public(&app, &at).await?;
    let reading = Reading {
        method: &parts.method,
        headers: &parts.headers,
        download: asks.download.as_deref(),
        expires: None,
    };
    render(&app, &object, wish, reading).await
}

/// By a link, whose token alone says how the picture is drawn.
pub(super) async fn signed(
    State(app): State<App>,
    at: At,
    Query(asks): Query<Asks>,
    request: Request,
) -> Result<Response, Refusal> {
    let token = asks.token.as_deref().ok_or_else(no_token)?;
    let link = Link::verify(token, &app.config.jwt_secret, &at.key(), Scope::Download, app.now())?;
    let wish = Transformation::parse(link.transformations.as_deref().unwrap_or_default())?;
    let object = linked(&app, &at).await?;
    note(&app, &at, &object, link.reader).await?;
    let (parts, _) = request.into_parts();
    let reading = Reading {
        method: &parts.method,
        headers: &parts.headers,
        download: asks.download.as_deref(),
        expires: DateTime::from_timestamp(link.exp, 0).map(http_date),
    };
    render(&app, &object, wish, reading).await
}

async fn render(app: &App, object: &Object, wish: Transformation, reading: Reading<'_>) -> Result<Response, Refusal> {
    let digest = object.sha256().ok_or(Refusal::NoObject)?;
    let essence = kind::essence(object.mime_type());
    // It has no pixels: a browser draws it in any size.
    if essence == "image/svg+xml" {
        return serve(app, object, reading).await;
    }
    let from = Kind::of(&essence).ok_or_else(|| Refusal::Picture("Source image type not supported".to_owned()))?;
    if object.size() > BYTES_MAX {
        let said = format!("Source image file is too big: at most {BYTES_MAX} bytes are read");
        return Err(Refusal::Picture(said));
    }
    let to = written_as(from, wish.format, accepts_webp(reading.headers));
    let made_of = format!("{DRAWN} {} {} {}", object.etag(), wish.told(), to.mime_type());
    let tag: String = digest_of(made_of.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let tag = format!("\"{tag}\"");
    let mut response = Response::new(Body::empty());
    describe(&mut response, object, &reading);
    response.headers_mut().remove(header::ACCEPT_RANGES);
    set(&mut response, header::CONTENT_TYPE, to.mime_type());
    set(&mut response, header::ETAG, &tag);
    let transformations = HeaderName::from_static("x-transformations");
    set(&mut response, transformations, &wish.in_words_of_imgproxy());
    if wish.format.is_none() {
        set(&mut response, header::VARY, "accept");
    }
    if is_unchanged(reading.headers, &tag, object.updated_at) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let order = Order {
        digest,
        size: object.size(),
        from,
        to,
        wish,
    };
    let bytes = app.pictures.make(&app.files, order).await?;
    set(&mut response, header::CONTENT_LENGTH, &bytes.len().to_string());
    if reading.method != Method::HEAD {
        *response.body_mut() = Body::from(bytes);
    }
    Ok(response)
}

/// The format that is written. Without a wish, WebP for whoever accepts it, but for photographs: those would grow, since
/// it is written without losses.
fn written_as(from: Kind, wished: Option<Format>, accepts_webp: bool) -> Kind {
    match (wished, from) {
        (Some(Format::WebP), _) => Kind::WebP,
        (Some(Format::Origin), from) | (None, from @ (Kind::Jpeg | Kind::WebP)) => from,
        (None, Kind::Png | Kind::Gif) if accepts_webp => Kind::WebP,
        (None, from @ (Kind::Png | Kind::Gif)) => from,
    }
}

fn accepts_webp(headers: &HeaderMap) -> bool {
    let told = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut kinds = told.flat_map(|value| value.split(','));
    kinds.any(|kind| {
        let mut parts = kind.split(';').map(str::trim);
        let is_webp = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("image/webp"));
        is_webp && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

impl From<NoPicture> for Refusal {
    fn from(reason: NoPicture) -> Refusal {
        match reason {
            NoPicture::Busy => Refusal::PicturesBusy,
            NoPicture::Store(error) => error.into(),
            NoPicture::TooManyPixels { .. }
            | NoPicture::TooMuchMemory
            | NoPicture::TooLong
            | NoPicture::Unreadable(_) => Refusal::Picture(reason.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webp_is_for_whoever_accepts_it() {
        for (accept, accepts) in [
            ("image/avif,image/webp,image/apng,*/*;q=0.8", true),
            ("image/WebP;q=0.5", true),
            ("image/webp;q=0", false),
            ("*/*", false),
            ("image/png", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            assert_eq!(accepts_webp(&headers), accepts, "{accept}");
        }
        assert_eq!(written_as(Kind::Png, None, true), Kind::WebP);
        assert_eq!(written_as(Kind::Png, Some(Format::Origin), true), Kind::Png);
        assert_eq!(written_as(Kind::Jpeg, None, true), Kind::Jpeg);
        assert_eq!(written_as(Kind::Jpeg, Some(Format::WebP), false), Kind::WebP);
    }
}
