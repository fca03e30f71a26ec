//! The web phone, embedded: `build.rs` bundles `control/phone`, the binary serves it from memory.

/// One file of the web phone, ready to be sent over HTTP.
#[derive(Debug)]
pub struct Asset {
    /// Value of the `Content-Type` header field (RFC 9110 section 8.3).
    pub content_type: &'static str,
    /// The file, uncompressed.
    pub bytes: &'static [u8],
    /// Strong entity tag with its quotes (RFC 9110 section 8.8.3): differs whenever the bytes do.
    pub etag: &'static str,
}

static ASSETS: &[(&str, Asset)] = include!(concat!(env!("OUT_DIR"), "/phone_assets.rs"));

/// The file at `path`, the path of an HTTP request without its query; `/` is the start page.
/// `None` where the phone has no such file.
pub fn asset(path: &str) -> Option<&'static Asset> {
    let path = if path == "/" { "/index.html" } else { path };
    ASSETS
        .iter()
        .find(|(name, _)| *name == path)
        .map(|(_, asset)| asset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_page_is_html_and_everything_it_names_is_there() {
        let page = asset("/").unwrap();
        assert_eq!(page.content_type, "text/html; charset=utf-8");
        let html = std::str::from_utf8(page.bytes).unwrap();
        let mut links = 0;
        for attribute in ["src=\"/", "href=\"/"] {
            for (start, _) in html.match_indices(attribute) {
                let rest = &html[start + attribute.len() - 1..];
                let path = &rest[..rest.find('"').unwrap()];
                assert!(asset(path).is_some(), "{path} is missing");
                links += 1;
            }
        }
        assert!(links >= 4, "{links} links found");
    }

    #[test]
    fn every_entity_tag_is_quoted_and_its_own() {
        for (index, (_, one)) in ASSETS.iter().enumerate() {
            assert!(one.etag.len() > 2 && one.etag.starts_with('"') && one.etag.ends_with('"'));
            assert!(
                ASSETS[..index]
                    .iter()
                    .all(|(_, other)| other.etag != one.etag)
            );
        }
    }

    #[test]
    fn no_file_carries_an_inline_script_or_style() {
        // The page is served with a Content-Security-Policy that forbids both.
        let html = std::str::from_utf8(asset("/").unwrap().bytes).unwrap();
        assert!(!html.contains("<style") && !html.contains(" style=") && !html.contains("onclick"));
        assert_eq!(
            html.matches("<script").count(),
            html.matches("<script src=").count()
        );
    }

    #[test]
    fn an_unknown_path_has_no_asset() {
        for path in [
            "",
            "index.html",
            "/nothing",
            "/../Cargo.toml",
            "/index.html/",
        ] {
            assert!(asset(path).is_none(), "{path}");
        }
    }
}
