//! What a render asks for: sides, how the picture is fitted into them, quality and format. Pure.
//!
//! Numbers are storage-api's: sides of 0 (none) to 2,500 pixels, where more is taken as 2,500; quality 20 to 100; a
//! picture is made smaller and never larger.

use serde::Deserialize;
use serde_json::Value;

use super::refusal::Refusal;

/// The longest side that can be asked for (pixels).
const SIDE_MAX: u32 = 2_500;

/// Where none is asked for: imgproxy's, as storage-api runs it.
const QUALITY: u8 = 80;

/// What stands in a query or in a body to sign; nothing of it is read yet.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Wished {
    width: Option<Value>,
    height: Option<Value>,
    quality: Option<Value>,
    resize: Option<String>,
    format: Option<String>,
}

/// How a picture is fitted into sides of another proportion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Resize {
    /// It fills both sides; what projects is cut off, the same on either side.
    #[default]
    Cover,
    /// All of it within both sides.
    Contain,
    /// Drawn out of proportion.
    Fill,
}

/// The format that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// That of the object.
    Origin,
    /// WebP.
    WebP,
}

/// A wish that can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Transformation {
    width: Option<u32>,
    height: Option<u32>,
    resize: Resize,
    quality: Option<u8>,
    /// None leaves the choice to what the client accepts.
    pub(super) format: Option<Format>,
}

/// Which part of a picture is drawn, and how large (pixels).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plan {
    /// Left, top, width and height of the part.
    pub(super) part: (f64, f64, f64, f64),
    /// How wide the part becomes.
    pub(super) width: u32,
    /// How high.
    pub(super) height: u32,
}

impl Wished {
    /// Reads the wish; `place` is where it stands, for the message (`querystring`, `body/transform`).
    pub(super) fn read(&self, place: &str) -> Result<Transformation, Refusal> {
        let side = |name: &str, told: &Option<Value>| -> Result<Option<u32>, Refusal> {
            let most = i64::from(SIDE_MAX);
            let side = number(place, name, told)?.map(|side| side.min(most));
            let wrong = |_| Refusal::Invalid(format!("{place}/{name} must be >= 0"));
            let side = side.map(u32::try_from).transpose().map_err(wrong)?;
            Ok(side.filter(|side| *side > 0))
        };
        let quality = match number(place, "quality", &self.quality)? {
            Some(quality @ 20..=100) => u8::try_from(quality).ok(),
            Some(_) => {
                return Err(Refusal::Invalid(format!("{place}/quality must be >= 20 and <= 100")));
            }
            None => None,
        };
        Ok(Transformation {
            width: side("width", &self.width)?,
            height: side("height", &self.height)?,
            resize: match self.resize.as_deref() {
                None | Some("") => Resize::Cover,
                Some(name) => Resize::parse(name)
                    .ok_or_else(|| Refusal::Invalid(format!("{place}/resize must be cover, contain or fill")))?,
            },
            quality,
            format: match self.format.as_deref() {
                None | Some("") => None,
                Some(name) => Some(Format::parse(name).ok_or_else(|| {
                    Refusal::Invalid(format!(
                        "{place}/format must be origin or webp: no other one is written here"
                    ))
                })?),
            },
        })
    }
}

fn number(place: &str, name: &str, told: &Option<Value>) -> Result<Option<i64>, Refusal> {
    let number = match told {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::String(text)) => text.parse().ok(),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
    };
    let wrong = || Refusal::Invalid(format!("{place}/{name} must be integer"));
    number.ok_or_else(wrong).map(Some)
}

impl Resize {
    fn parse(name: &str) -> Option<Resize> {
        match name {
            "cover" => Some(Resize::Cover),
            "contain" => Some(Resize::Contain),
            "fill" => Some(Resize::Fill),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Resize::Cover => "cover",
            Resize::Contain => "contain",
            Resize::Fill => "fill",
        }
    }
}

impl Format {
    fn parse(name: &str) -> Option<Format> {
        match name {
            "origin" => Some(Format::Origin),
            "webp" => Some(Format::WebP),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Format::Origin => "origin",
            Format::WebP => "webp",
        }
    }
}

impl Transformation {
    /// As tokens carry it: the same text for the same wish. Empty where nothing is wished.
    pub(super) fn told(&self) -> String {
        let mut told = Vec::new();
        told.extend(self.height.map(|height| format!("height:{height}")));
        told.extend(self.width.map(|width| format!("width:{width}")));
        if self.width.is_some() || self.height.is_some() {
            told.push(format!("resize:{}", self.resize.name()));
        }
        told.extend(self.quality.map(|quality| format!("quality:{quality}")));
        told.extend(self.format.map(|format| format!("format:{}", format.name())));
        told.join(",")
    }

    /// As storage-api tells it in `x-transformations`: imgproxy's words.
    pub(super) fn in_words_of_imgproxy(&self) -> String {
        let kind = match self.resize {
            Resize::Cover => "fill",
            Resize::Contain => "fit",
            Resize::Fill => "force",
        };
        self.told().replace(
            &format!("resize:{}", self.resize.name()),
            &format!("resizing_type:{kind}"),
        )
    }

    /// Reads what a token carries.
    pub(super) fn parse(told: &str) -> Result<Transformation, Refusal> {
        let mut wished = Wished::default();
        for (name, value) in told.split(',').filter_map(|pair| pair.split_once(':')) {
            match name {
                "height" => wished.height = Some(value.into()),
                "width" => wished.width = Some(value.into()),
                "quality" => wished.quality = Some(value.into()),
                "resize" => wished.resize = Some(value.to_owned()),
                "format" => wished.format = Some(value.to_owned()),
                _ => {}
            }
        }
        wished.read("token")
    }

    /// 20 to 100, for formats that lose something.
    pub(super) fn quality(&self) -> u8 {
        self.quality.unwrap_or(QUALITY)
    }

    /// The same for a picture that lies on its side.
    pub(super) fn turned(self) -> Transformation {
        Transformation {
            width: self.height,
            height: self.width,
            ..self
        }
    }

    /// How a picture of so many pixels is drawn.
    pub(super) fn plan(&self, width: u32, height: u32) -> Plan {
        let (whole_x, whole_y) = (f64::from(width), f64::from(height));
        let scale = |wished: Option<u32>, whole: f64| wished.map(|side| f64::from(side) / whole);
        let (x, y) = match (scale(self.width, whole_x), scale(self.height, whole_y)) {
            (Some(x), Some(y)) => match self.resize {
                Resize::Cover => (x.max(y), x.max(y)),
                Resize::Contain => (x.min(y), x.min(y)),
                Resize::Fill => (x, y),
            },
            (Some(one), None) | (None, Some(one)) => (one, one),
            (None, None) => (1.0, 1.0),
        };
        // Never larger, and then in the proportion that was asked for.
        let most = x.max(y).max(1.0);
        let (x, y) = (x / most, y / most);
        let side = |scaled: f64, wished: Option<u32>| {
            let scaled = pixels(scaled);
            wished.map_or(scaled, |side| side.min(scaled))
        };
        let plan_x = side(whole_x * x, self.width);
        let plan_y = side(whole_y * y, self.height);
        let part_x = (f64::from(plan_x) / x).min(whole_x);
        let part_y = (f64::from(plan_y) / y).min(whole_y);
        Plan {
            part: ((whole_x - part_x) / 2.0, (whole_y - part_y) / 2.0, part_x, part_y),
            width: plan_x,
            height: plan_y,
        }
    }
}

/// At least one.
fn pixels(length: f64) -> u32 {
    // A length is that of a side and no more than it.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = length.round() as u32;
    whole.max(1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wish(wish: Value) -> Result<Transformation, Refusal> {
        serde_json::from_value::<Wished>(wish).unwrap().read("querystring")
    }

    #[test]
    fn sides_are_those_of_the_wish_and_never_larger_than_the_picture() {
        for (wished, (width, height), sides) in [
            (json!({}), (300, 200), (300, 200)),
            (json!({ "width": 100 }), (300, 200), (100, 67)),
            (json!({ "height": "100" }), (300, 200), (150, 100)),
            (json!({ "width": 0, "height": 100 }), (300, 200), (150, 100)),
            (json!({ "width": 100, "height": 100 }), (300, 200), (100, 100)),
            (
                json!({ "width": 100, "height": 100, "resize": "contain" }),
                (300, 200),
                (100, 67),
            ),
            (
                json!({ "width": 100, "height": 100, "resize": "fill" }),
                (300, 200),
                (100, 100),
            ),
            (json!({ "width": 600 }), (300, 200), (300, 200)),
            (json!({ "width": 600, "height": 100 }), (300, 200), (300, 100)),
            (
                json!({ "width": 600, "height": 600, "resize": "contain" }),
                (300, 200),
                (300, 200),
            ),
            (
                json!({ "width": 200, "height": 50, "resize": "fill" }),
                (100, 100),
                (100, 25),
            ),
            (json!({ "width": 9_000 }), (5_000, 50), (2_500, 25)),
            (json!({ "width": 1 }), (5_000, 2), (1, 1)),
        ] {
            let plan = wish(wished.clone()).unwrap().plan(width, height);
            assert_eq!((plan.width, plan.height), sides, "{wished} of {width}x{height}");
            let (left, top, part_x, part_y) = plan.part;
            assert!(left >= 0.0 && left + part_x <= f64::from(width), "{wished}: {plan:?}");
            assert!(top >= 0.0 && top + part_y <= f64::from(height), "{wished}: {plan:?}");
        }
    }

    #[test]
    fn what_projects_is_cut_off_the_same_on_either_side() {
        let plan = wish(json!({ "width": 100, "height": 100 })).unwrap().plan(400, 200);
        assert_eq!(plan.part, (100.0, 0.0, 200.0, 200.0));
        let plan = wish(json!({ "width": 100, "height": 50 })).unwrap().plan(200, 400);
        assert_eq!(plan.part, (0.0, 150.0, 200.0, 100.0));
    }

    #[test]
    fn a_token_carries_the_wish_as_it_is() {
        for (wished, told) in [
            (json!({}), ""),
            (
                json!({ "width": 200, "height": 100 }),
                "height:100,width:200,resize:cover",
            ),
            (
                json!({ "width": 9_999, "resize": "fill", "quality": 20, "format": "origin" }),
                "width:2500,resize:fill,quality:20,format:origin",
            ),
        ] {
            let wish = wish(wished).unwrap();
            assert_eq!(wish.told(), told);
            assert_eq!(Transformation::parse(told).unwrap(), wish);
        }
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_its_name() {
        for (wished, message) in [
            (json!({ "width": "wide" }), "querystring/width must be integer"),
            (json!({ "width": 1.5 }), "querystring/width must be integer"),
            (json!({ "height": -1 }), "querystring/height must be >= 0"),
            (json!({ "quality": 19 }), "querystring/quality must be >= 20 and <= 100"),
            (
                json!({ "quality": "101" }),
                "querystring/quality must be >= 20 and <= 100",
            ),
            (
                json!({ "resize": "crop" }),
                "querystring/resize must be cover, contain or fill",
            ),
            (
                json!({ "format": "avif" }),
                "querystring/format must be origin or webp: no other one is written here",
            ),
        ] {
            assert_eq!(wish(wished).unwrap_err().to_string(), message);
        }
    }
}
