//! Places plotted by their coordinates: no tiles, no outside server. One path has every listed place, and the places of the
//! page are points that lead to their pages.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use maud::{Markup, html};

use super::{listing::Card, visit::Visit};
use crate::{
    app::App,
    auth::token::Caller,
    db::{Tx, sql},
    problem::Problem,
};

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 400.0;
const MARGIN: f64 = 14.0;
/// Cells of a side into which every place is put: more would make the page heavy and show no more.
const CELLS: i32 = 64;
/// How long the cells of every place are kept: they change when something is listed.
const KEPT_FOR: Duration = Duration::from_secs(300);

/// Where every listed property is, one point a cell, with the bounds in degrees.
#[derive(Debug, Default)]
struct Everywhere {
    points: Vec<(f64, f64)>,
}

static KEPT: Mutex<Option<(Instant, Arc<Everywhere>)>> = Mutex::new(None);

/// As a visitor sees it, whoever asks: it is the same for all, and kept.
async fn everywhere(app: &App) -> Result<Arc<Everywhere>, Problem> {
    {
        let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, known)) = kept.as_ref()
            && at.elapsed() < KEPT_FOR
        {
            return Ok(known.clone());
        }
    }
    let tx = app.db.as_caller(&Caller::visitor()).await?;
    let points = cells(&tx).await?;
    tx.commit().await?;
    let known = Arc::new(Everywhere { points });
    *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), known.clone()));
    Ok(known)
}

async fn cells(tx: &Tx) -> Result<Vec<(f64, f64)>, Problem> {
    let text = sql!(
        "with places as (
           select (p.coordinates ->> 'lat')::double precision as lat, (p.coordinates ->> 'lng')::double precision as lng
           from public.public_properties as p where p.coordinates is not null),
         bounds as (select min(lat) as south, max(lat) as north, min(lng) as west, max(lng) as east from places)
         select distinct on (width_bucket(p.lat, b.south, nullif(b.north, b.south), $1), width_bucket(p.lng, b.west, nullif(b.east, b.west), $1)) p.lat, p.lng
         from places as p cross join bounds as b"
    );
    let rows = tx.query(text, &[&CELLS]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// A part of the earth's surface, in degrees.
#[derive(Debug, Clone, Copy)]
struct Frame {
    south: f64,
    west: f64,
    per_lat: f64,
    per_lng: f64,
}

impl Frame {
    /// The smallest frame with these places in it, with the proportions of the middle's latitude.
    fn around(places: &[(f64, f64)]) -> Option<Frame> {
        let (first, rest) = places.split_first()?;
        let bounds = rest.iter().fold(
            (first.0, first.0, first.1, first.1),
            |(south, north, west, east), (lat, lng)| (south.min(*lat), north.max(*lat), west.min(*lng), east.max(*lng)),
        );
        let (south, north, west, east) = bounds;
        let shrink = ((south + north) / 2.0).to_radians().cos().max(0.1);
        // A house by itself still has its surroundings: about a kilometre each way.
        let span = (north - south).max((east - west) * shrink).max(0.02);
        let scale = (WIDTH.min(HEIGHT) - 2.0 * MARGIN) / span;
        let (middle_lat, middle_lng) = ((south + north) / 2.0, (west + east) / 2.0);
        Some(Frame {
            south: middle_lat - (HEIGHT / 2.0) / scale,
            west: middle_lng - (WIDTH / 2.0) / (scale * shrink),
            per_lat: scale,
            per_lng: scale * shrink,
        })
    }

    fn place(&self, (lat, lng): (f64, f64)) -> Option<(f64, f64)> {
        let (x, y) = (
            (lng - self.west) * self.per_lng,
            HEIGHT - (lat - self.south) * self.per_lat,
        );
        ((0.0..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y)).then_some((x, y))
    }
}

/// A map of these properties, among all others.
///
/// # Errors
/// What the database answered.
pub(crate) async fn map(app: &App, visit: &Visit, cards: &[Card]) -> Result<Markup, Problem> {
    let placed: Vec<(&Card, (f64, f64))> = cards.iter().filter_map(|card| Some((card, card.at?))).collect();
    let places: Vec<(f64, f64)> = placed.iter().map(|(_, at)| *at).collect();
    let Some(frame) = Frame::around(&places) else {
        return Ok(html! {});
    };
    let everywhere = everywhere(app).await?;
    let mut dots = String::new();
    for (x, y) in everywhere.points.iter().filter_map(|at| frame.place(*at)) {
        // Writing to a String cannot fail.
        let _ = write!(dots, "M{x:.0} {y:.0}h0");
    }
    let caption = visit.tv(
        "map-caption",
        &[("count", i64::try_from(placed.len()).unwrap_or(i64::MAX).into())],
    );
    Ok(html! {
        figure.map {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="group" aria-label=(visit.t("map-label")) {
                path.everywhere d=(dots) {}
                @for (card, at) in &placed {
                    @if let Some((x, y)) = frame.place(*at) {
                        a href=(card.path()) aria-label=(card.title) {
                            circle.point cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="6" { title { (card.title) } }
                        }
                    }
                }
            }
            figcaption { (caption) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_a_frame_is_on_the_map() {
        let places = [(47.1, -122.5), (47.8, -121.7), (47.5, -122.2)];
        let frame = Frame::around(&places).unwrap();
        for place in places {
            assert!(frame.place(place).is_some(), "{place:?}");
        }
        assert!(frame.place((25.2, 55.3)).is_none(), "another city is not");
        let (x, y) = Frame::around(&[(25.2, 55.3)]).unwrap().place((25.2, 55.3)).unwrap();
        assert!(
            (x - WIDTH / 2.0).abs() < 0.01 && (y - HEIGHT / 2.0).abs() < 0.01,
            "one alone is in the middle"
        );
    }
}
