//! Pictures: read within limits, drawn anew as PNGs. What else a file holds is lost on the way, on purpose.

use std::io::{BufRead, Seek, Write};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{
    ColorType, DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, ImageResult, Limits,
};

/// Longest side in pixels, looked at before anything is decoded.
const LONGEST_SIDE: u32 = 30_000;
/// Most bytes of a decoded picture: 25 million pixels of four bytes.
const MOST_BYTES: u64 = 96 << 20;
/// Longest side of a thumbnail.
const THUMB: u32 = 128;

const FORMATS: [ImageFormat; 6] = [
    ImageFormat::Png,
    ImageFormat::Jpeg,
    ImageFormat::Gif,
    ImageFormat::Bmp,
    ImageFormat::WebP,
    ImageFormat::Tiff,
];

/// A picture in memory, of at most 8 bits for each channel.
#[derive(Debug)]
pub(crate) struct Picture(DynamicImage);

/// Reads a picture. None: it is none that can be read, or too large.
pub(crate) fn read(file: impl BufRead + Seek) -> Option<Picture> {
    let mut reader = ImageReader::new(file).with_guessed_format().ok()?;
    if !FORMATS.contains(&reader.format()?) {
        return None;
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder().ok()?;
    if decoder.total_bytes() > MOST_BYTES || decoder.dimensions().0 == 0 {
        return None;
    }
    let image = DynamicImage::from_decoder(decoder).ok()?;
    Some(Picture(match image.color() {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => image,
        color if color.has_alpha() => image.into_rgba8().into(),
        _ => image.into_rgb8().into(),
    }))
}

impl Picture {
    /// The same, no side longer than that of a thumbnail.
    pub(crate) fn thumb(&self) -> Self {
        if self.0.width() <= THUMB && self.0.height() <= THUMB {
            return Self(self.0.clone());
        }
        Self(self.0.thumbnail(THUMB, THUMB))
    }

    /// Pixels.
    pub(crate) fn width(&self) -> u32 {
        self.0.width()
    }

    /// Pixels.
    pub(crate) fn height(&self) -> u32 {
        self.0.height()
    }

    /// Draws it as a PNG.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub(crate) fn write(&self, to: &mut impl Write) -> ImageResult<()> {
        let encoder =
            PngEncoder::new_with_quality(to, CompressionType::Default, FilterType::Adaptive);
        self.0.write_with_encoder(encoder)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat};

    use super::{FORMATS, read};

    fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        DynamicImage::new_rgb8(width, height)
            .write_to(&mut Cursor::new(&mut bytes), format)
            .unwrap();
        bytes
    }

    #[test]
    fn create_5_17_every_format_is_read_and_drawn_as_png() {
        for format in FORMATS {
            let picture = read(Cursor::new(encoded(300, 150, format))).expect("a picture");
            assert_eq!(
                (picture.width(), picture.height()),
                (300, 150),
                "{format:?}"
            );
            let thumb = picture.thumb();
            assert_eq!((thumb.width(), thumb.height()), (128, 64));
            let mut png = Vec::new();
            thumb.write(&mut png).unwrap();
            assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
        }
    }

    #[test]
    fn create_5_17_small_pictures_are_their_own_thumbnails() {
        let picture = read(Cursor::new(encoded(16, 200, ImageFormat::Png))).expect("a picture");
        assert_eq!(
            (picture.thumb().width(), picture.thumb().height()),
            (10, 128)
        );
        let small = read(Cursor::new(encoded(3, 2, ImageFormat::Bmp))).expect("a picture");
        assert_eq!((small.thumb().width(), small.thumb().height()), (3, 2));
    }

    #[test]
    fn up_10_truncated_and_foreign_files_are_no_pictures() {
        for format in FORMATS {
            let whole = encoded(64, 64, format);
            for length in [0, 4, 12, whole.len() / 4] {
                assert!(
                    read(Cursor::new(&whole[..length])).is_none(),
                    "{format:?} cut at {length}"
                );
            }
        }
        for file in [
            &b"<svg xmlns='http://www.w3.org/2000/svg'/>"[..],
            b"<html>",
            b"GIF89a<script>alert(1)</script>",
            b"%PDF-1.7",
        ] {
            assert!(read(Cursor::new(file)).is_none(), "{file:?}");
        }
    }

    /// A PNG that says that it is so large, with nothing in it.
    fn claims(width: u32, height: u32) -> Vec<u8> {
        let mut png = encoded(1, 1, ImageFormat::Png);
        png[16..20].copy_from_slice(&width.to_be_bytes());
        png[20..24].copy_from_slice(&height.to_be_bytes());
        let mut crc = flate2::Crc::new();
        crc.update(&png[12..29]);
        png[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        png
    }

    #[test]
    fn up_10_too_many_pixels_are_refused_before_decoding() {
        assert!(read(Cursor::new(claims(1, 1))).is_some());
        for (width, height) in [(65_000, 65_000), (30_001, 1), (1, 30_001), (8_000, 8_000)] {
            assert!(read(Cursor::new(claims(width, height))).is_none());
        }
    }
}
