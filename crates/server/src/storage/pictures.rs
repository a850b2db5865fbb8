//! Pictures made smaller, each on a thread that may block.
//!
//! What always holds: how large a picture is, is told from its header before a pixel is read, so that a few bytes that
//! claim to be a wall are refused as what they claim. One picture a core is worked on, and all of them together have
//! [`MEMORY_MIB`]; whoever waits too long for that is told so. What a decoder says or does of bytes that are none of its
//! format (panics included) is a refusal and no fault of ours.

use std::{io::Cursor, num::NonZero, thread::available_parallelism, time::Duration};

use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer, images::Image};
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, RgbImage, RgbaImage,
    codecs::{gif::GifEncoder, jpeg::JpegEncoder, png, webp::WebPEncoder},
    metadata::Orientation,
};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::transformation::Transformation;
use crate::files::{Files, StoreError, sealed::Digest};

/// The largest picture that is read (bytes): Supabase's.
pub(super) const BYTES_MAX: u64 = 25 * 1024 * 1024;

/// The largest picture that is drawn (pixels): Supabase's.
const PIXELS_MAX: u64 = 50_000_000;

/// What all pictures that are worked on may have in memory (MiB): the largest one in its dearest form of eight bits.
const MEMORY_MIB: u32 = 640;

/// How long a picture waits for its turn; storage-api gives imgproxy half of it.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The longest side of WebP (pixels).
const WEBP_SIDE_MAX: u32 = 16_383;

/// A format that is read and written here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// With losses; quality counts.
    Jpeg,
    /// Without losses.
    Png,
    /// Written without losses: no encoder in Rust that is released and free writes the other one.
    WebP,
    /// The first of its pictures, in 256 colours.
    Gif,
}

impl Kind {
    /// The format of this MIME type, in small letters and without parameters.
    pub(super) fn of(essence: &str) -> Option<Kind> {
        match essence {
            "image/jpeg" => Some(Kind::Jpeg),
            "image/png" => Some(Kind::Png),
            "image/webp" => Some(Kind::WebP),
            "image/gif" => Some(Kind::Gif),
            _ => None,
        }
    }

    /// Its MIME type.
    pub(super) fn mime_type(self) -> &'static str {
        match self {
            Kind::Jpeg => "image/jpeg",
            Kind::Png => "image/png",
            Kind::WebP => "image/webp",
            Kind::Gif => "image/gif",
        }
    }

    fn format(self) -> ImageFormat {
        match self {
            Kind::Jpeg => ImageFormat::Jpeg,
            Kind::Png => ImageFormat::Png,
            Kind::WebP => ImageFormat::WebP,
            Kind::Gif => ImageFormat::Gif,
        }
    }
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoPicture {
    /// Too many are asked for.
    #[error("too many pictures are asked for")]
    Busy,
    /// More pixels than are drawn.
    #[error("Source image resolution is too big: {width} x {height} pixels, at most {PIXELS_MAX} are drawn")]
    TooManyPixels {
        /// What its header claims.
        width: u32,
        /// What its header claims.
        height: u32,
    },
    /// Longer than its format can be.
    #[error("Result image is too long: WebP has sides of at most {WEBP_SIDE_MAX} pixels")]
    TooLong,
    /// It would take more memory than there is for all.
    #[error("Source image takes too much memory: more than {MEMORY_MIB} MiB")]
    TooMuchMemory,
    /// It is none of its format, or not whole.
    #[error("Source image can't be read: {0}")]
    Unreadable(String),
    /// The store cannot give it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn unreadable(error: impl ToString) -> NoPicture {
    NoPicture::Unreadable(error.to_string())
}

/// A stored picture, and what is to become of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    /// By which it is found.
    pub(super) digest: Digest,
    /// Bytes of it.
    pub(super) size: u64,
    /// What it is.
    pub(super) from: Kind,
    /// What it becomes.
    pub(super) to: Kind,
    /// How it is drawn.
    pub(super) wish: Transformation,
}

/// Who makes pictures, and how much of the machine they get.
pub struct Pictures {
    turns: Semaphore,
    /// In MiB.
    memory: Semaphore,
}

impl Pictures {
    /// One a core at once.
    #[must_use]
    pub fn of_machine() -> Pictures {
        Pictures {
            turns: Semaphore::new(available_parallelism().map_or(1, NonZero::get)),
            memory: Semaphore::new(MEMORY_MIB as usize),
        }
    }

    /// Makes a picture: its bytes.
    ///
    /// # Errors
    /// See [`NoPicture`].
    pub(super) async fn make(&self, files: &Files, order: Order) -> Result<Vec<u8>, NoPicture> {
        let waited = timeout(WAIT_MAX, self.turns.acquire()).await;
        let _turn = waited.ok().and_then(Result::ok).ok_or(NoPicture::Busy)?;
        let bytes = files.read(order.digest, 0..order.size).await?;
        let looked = spawn_blocking(move || memory_of(&bytes, &order).map(|mib| (mib, bytes))).await;
        let (mib, bytes) = looked.map_err(unreadable)??;
        // Whoever has memory has a turn as well, and gives both back without waiting for more.
        let waited = timeout(WAIT_MAX, self.memory.acquire_many(mib)).await;
        let _memory = waited.ok().and_then(Result::ok).ok_or(NoPicture::Busy)?;
        spawn_blocking(move || draw(bytes, &order)).await.map_err(unreadable)?
    }
}

fn decoder<'a>(bytes: &'a [u8], from: Kind) -> Result<impl ImageDecoder + 'a, NoPicture> {
    let reader = ImageReader::with_format(Cursor::new(bytes), from.format());
    reader.into_decoder().map_err(unreadable)
}

/// What a picture takes while it is worked on (MiB), by its header alone: the pixels as they are decoded, and the larger
/// of what decoding needs beside them and of what drawing needs afterwards.
fn memory_of(bytes: &[u8], order: &Order) -> Result<u32, NoPicture> {
    let decoder = decoder(bytes, order.from)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > PIXELS_MAX {
        return Err(NoPicture::TooManyPixels { width, height });
    }
    let color = decoder.color_type();
    let channels: u64 = if color.has_alpha() { 4 } else { 3 };
    // Coefficients of a progressive JPEG; planes and canvases of the others.
    let decoding = match order.from {
        Kind::Jpeg => 6 * pixels,
        Kind::Png => 0,
        Kind::WebP | Kind::Gif => 6 * pixels,
    };
    let is_as_drawn = matches!(color, image::ColorType::Rgb8 | image::ColorType::Rgba8);
    let as_drawn = if is_as_drawn { 0 } else { channels * pixels };
    let multiplied = if color.has_alpha() { 4 * pixels } else { 0 };
    let plan = order.wish.plan(width.max(1), height.max(1));
    if order.to == Kind::WebP && plan.width.max(plan.height) > WEBP_SIDE_MAX {
        return Err(NoPicture::TooLong);
    }
    let drawn = 2 * channels * u64::from(plan.width) * u64::from(plan.height);
    let at_work = decoder.total_bytes() + decoding.max(as_drawn + multiplied.max(drawn)) + 2 * bytes.len() as u64;
    let mib = u32::try_from(at_work / (1024 * 1024) + 1).unwrap_or(u32::MAX);
    if mib > MEMORY_MIB {
        return Err(NoPicture::TooMuchMemory);
    }
    Ok(mib)
}

fn draw(bytes: Vec<u8>, order: &Order) -> Result<Vec<u8>, NoPicture> {
    let mut decoder = decoder(&bytes, order.from)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder
        .icc_profile()
        .ok()
        .flatten()
        .filter(|profile| is_of_rgb(profile));
    let picture = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    let mut picture = resized(picture, order, orientation)?;
    // The few pixels are turned and not the many: what is cut off is the same on either side.
    picture.apply_orientation(orientation);
    encoded(&picture, order, profile).map_err(unreadable)
}

/// Whether a colour profile speaks of red, green and blue, as what is written does.
fn is_of_rgb(profile: &[u8]) -> bool {
    profile.get(16..20) == Some(b"RGB ")
}

fn resized(picture: DynamicImage, order: &Order, orientation: Orientation) -> Result<DynamicImage, NoPicture> {
    let (width, height) = (picture.width(), picture.height());
    let wish = match orientation {
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH => {
            order.wish.turned()
        }
        Orientation::NoTransforms
        | Orientation::Rotate180
        | Orientation::FlipHorizontal
        | Orientation::FlipVertical => order.wish,
    };
    let plan = wish.plan(width, height);
    let has_alpha = picture.color().has_alpha();
    let (pixels, layout) = if has_alpha {
        (picture.into_rgba8().into_raw(), PixelType::U8x4)
    } else {
        (picture.into_rgb8().into_raw(), PixelType::U8x3)
    };
    let drawn = if (plan.width, plan.height) == (width, height) {
        pixels
    } else {
        let source = Image::from_vec_u8(width, height, pixels, layout).map_err(unreadable)?;
        let mut drawn = Image::new(plan.width, plan.height, layout);
        let (left, top, part_x, part_y) = plan.part;
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
            .crop(left, top, part_x, part_y);
        Resizer::new()
            .resize(&source, &mut drawn, &options)
            .map_err(unreadable)?;
        drawn.into_vec()
    };
    let picture = if has_alpha {
        RgbaImage::from_raw(plan.width, plan.height, drawn).map(DynamicImage::ImageRgba8)
    } else {
        RgbImage::from_raw(plan.width, plan.height, drawn).map(DynamicImage::ImageRgb8)
    };
    picture.ok_or_else(|| unreadable("it has another number of pixels than it says"))
}

fn encoded(picture: &DynamicImage, order: &Order, profile: Option<Vec<u8>>) -> image::ImageResult<Vec<u8>> {
    let mut written = Vec::new();
    match order.to {
        Kind::Jpeg => {
            let picture = picture.to_rgb8();
            let encoder = JpegEncoder::new_with_quality(&mut written, order.wish.quality());
            write(
                encoder,
                profile,
                &picture,
                (picture.width(), picture.height()),
                ExtendedColorType::Rgb8,
            )?;
        }
        Kind::Png => {
            let (compression, filter) = (png::CompressionType::Default, png::FilterType::Adaptive);
            let encoder = png::PngEncoder::new_with_quality(&mut written, compression, filter);
            write_as_it_is(encoder, profile, picture)?;
        }
        Kind::WebP => write_as_it_is(WebPEncoder::new_lossless(&mut written), profile, picture)?,
        Kind::Gif => {
            let mut encoder = GifEncoder::new_with_speed(&mut written, GIF_SPEED);
            encoder.encode(
                picture.as_bytes(),
                picture.width(),
                picture.height(),
                picture.color().into(),
            )?;
        }
    }
    Ok(written)
}

/// How well colours of a GIF are chosen: 1 is the best and slowest, 30 the other end.
const GIF_SPEED: i32 = 10;

fn write_as_it_is(
    encoder: impl ImageEncoder,
    profile: Option<Vec<u8>>,
    picture: &DynamicImage,
) -> image::ImageResult<()> {
    let sides = (picture.width(), picture.height());
    write(encoder, profile, picture.as_bytes(), sides, picture.color().into())
}

fn write(
    mut encoder: impl ImageEncoder,
    profile: Option<Vec<u8>>,
    pixels: &[u8],
    (width, height): (u32, u32),
    color: ExtendedColorType,
) -> image::ImageResult<()> {
    if let Some(profile) = profile {
        // A format that has no place for it goes without.
        let _ = encoder.set_icc_profile(profile);
    }
    encoder.write_image(pixels, width, height, color)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::transformation::Wished;

    fn order(from: Kind, to: Kind) -> Order {
        Order {
            digest: [0; 32],
            size: 0,
            from,
            to,
            wish: Wished::default().read("querystring").unwrap(),
        }
    }

    /// A PNG that has its header and no pixels.
    fn png(header: &[u8; 17]) -> Vec<u8> {
        let idat = b"\0\0\0\0IDAT\x35\xaf\x06\x1e";
        [b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".as_slice(), header, idat].concat()
    }

    #[test]
    fn what_a_picture_takes_is_told_by_its_header() {
        let look = |bytes: &[u8], from| memory_of(bytes, &order(from, from));
        let of_png = |header| look(&png(header), Kind::Png);
        let walls = of_png(b"\0\0\xc3\x50\0\0\xc3\x50\x01\0\0\0\0\x63\xd4\0\x67");
        let (width, height) = (50_000, 50_000);
        assert!(matches!(walls, Err(NoPicture::TooManyPixels { width: w, height: h }) if (w, h) == (width, height)));
        let of_16_bits = of_png(b"\0\0\x1b\x58\0\0\x1b\x58\x10\x06\0\0\0\xc9\x0b\x67\xcc");
        assert!(matches!(of_16_bits, Err(NoPicture::TooMuchMemory)), "{of_16_bits:?}");
        let of_8_bits = of_png(b"\x00\x00\x1b\x9f\x00\x00\x1b\x9f\x08\x02\x00\x00\x00\x80\x77\x17\x0c").unwrap();
        assert!((429..=MEMORY_MIB).contains(&of_8_bits), "{of_8_bits} MiB");
        // A photograph of 50 million pixels, as its frame's header has it.
        let mut jpeg = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut jpeg, 80);
        encoder.write_image(&[0; 48], 4, 4, ExtendedColorType::Rgb8).unwrap();
        let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0x13, 0x88, 0x27, 0x10]);
        let photograph = look(&jpeg, Kind::Jpeg).unwrap();
        assert!((429..=MEMORY_MIB).contains(&photograph), "{photograph} MiB");
        let long = memory_of(&jpeg, &order(Kind::Jpeg, Kind::WebP));
        assert!(long.is_ok(), "{long:?}");
    }

    #[test]
    fn whatever_comes_in_is_a_picture_or_none() {
        let mut picture = Vec::new();
        let pixels: Vec<u8> = (0..30 * 20 * 3).map(|at| (at % 251) as u8).collect();
        WebPEncoder::new_lossless(&mut picture)
            .encode(&pixels, 30, 20, ExtendedColorType::Rgb8)
            .unwrap();
        let order = order(Kind::WebP, Kind::Png);
        assert!(draw(picture.clone(), &order).is_ok());
        for place in 12..picture.len() {
            let mut broken = picture.clone();
            broken[place] ^= 0x55;
            // Never a panic of ours; the decoder's own are caught where it runs.
            let _ = memory_of(&broken, &order).and_then(|_| draw(broken, &order));
        }
    }
}
