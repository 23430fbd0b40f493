//! What kind of image some bytes are, by how they begin. The kinds are those that models and browsers take, and no
//! more; what is text, as SVG, is none.

/// An image of a kind that nobody knows.
pub(super) const ANY: &str = "image/*";

/// The media type, if these are the bytes of an image.
pub(super) fn of(bytes: &[u8]) -> Option<&'static str> {
    let at = |place: usize, sign: &[u8]| bytes.get(place..).is_some_and(|rest| rest.starts_with(sign));
    let brand = |brands: &[&[u8]]| at(4, b"ftyp") && brands.iter().any(|brand| at(8, brand));
    let kinds = [
        ("image/png", at(0, b"\x89PNG\r\n\x1a\n")),
        ("image/jpeg", at(0, b"\xff\xd8\xff")),
        ("image/gif", at(0, b"GIF87a") || at(0, b"GIF89a")),
        ("image/webp", at(0, b"RIFF") && at(8, b"WEBP")),
        ("image/tiff", at(0, b"II*\0") || at(0, b"MM\0*")),
        // The four zeros are reserved: two letters alone would take many a text for a picture.
        ("image/bmp", at(0, b"BM") && at(6, b"\0\0\0\0")),
        ("image/x-icon", at(0, b"\0\0\x01\0")),
        ("image/heic", brand(&[b"heic", b"heix", b"mif1"])),
        ("image/avif", brand(&[b"avif", b"avis"])),
    ];
    kinds.into_iter().find(|(_, is)| *is).map(|(media_type, _)| media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Option<&str>) {
        assert_eq!(of(bytes), expected);
    }

    #[test]
    fn an_image_is_known_by_its_first_bytes() {
        check(b"\x89PNG\r\n\x1a\n\0", Some("image/png"));
        check(b"\xff\xd8\xff\xe0", Some("image/jpeg"));
        check(b"GIF89a", Some("image/gif"));
        check(b"RIFF\x24\0\0\0WEBPVP8 ", Some("image/webp"));
        check(b"II*\0\x08", Some("image/tiff"));
        check(b"MM\0*\0", Some("image/tiff"));
        check(b"BM\x46\0\0\0\0\0\0\0\x36", Some("image/bmp"));
        check(b"\0\0\x01\0\x01", Some("image/x-icon"));
        check(b"\0\0\0\x18ftypheic", Some("image/heic"));
        check(b"\0\0\0\x20ftypavif", Some("image/avif"));
    }

    #[test]
    fn everything_else_is_none() {
        for bytes in
            [&b""[..], b"\x89PN", b"GIF", b"RIFF\0\0\0\0WAVE", b"BMW drives", b"<svg/>", b"root:x:0:0:", b"inputs:"]
        {
            check(bytes, None);
        }
        check(b"\0\0\0\x20ftypisom", None);
    }
}
