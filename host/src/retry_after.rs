//! The pause that a service asks for before it is asked again. A leaf.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

/// The pause that the headers of an answer ask for: `retry-after-ms`, else `Retry-After` in seconds or as a date.
///
/// None if they ask for none in a way that makes sense: zero, a date that has passed, or anything else. How long is too long
/// is whoever waits to say.
pub fn asked(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let exact = text("retry-after-ms").and_then(whole).map(Duration::from_millis);
    let pause = exact.or_else(|| {
        let text = text("retry-after")?;
        let date = || httpdate::parse_http_date(text).ok()?.duration_since(now).ok();
        whole(text).map(Duration::from_secs).or_else(date)
    });
    pause.filter(|pause| !pause.is_zero())
}

/// A number of digits alone, however many.
fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], expected: Option<Duration>) {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        assert_eq!(asked(&headers, now), expected);
    }

    #[test]
    fn seconds_milliseconds_and_dates_are_understood() {
        check(&[("retry-after", "1")], Some(Duration::from_secs(1)));
        check(&[("retry-after", "86400")], Some(Duration::from_secs(86_400)));
        check(&[("retry-after", "99999999999999999999")], Some(Duration::from_secs(u64::MAX)));
        check(&[("retry-after", "2"), ("retry-after-ms", "1500")], Some(Duration::from_millis(1500)));
        check(&[("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")], Some(Duration::from_secs(10)));
    }

    #[test]
    fn nonsense_counts_as_no_wish() {
        for nonsense in ["0", "-1", "abc", "", "1.5", "Sun, 06 Nov 1994 08:49:36 GMT"] {
            check(&[("retry-after", nonsense)], None);
        }
        check(&[], None);
    }
}
