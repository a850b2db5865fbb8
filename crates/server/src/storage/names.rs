//! Names of buckets and objects, parsed once where they come in.

use super::refusal::Refusal;

/// The longest name of a bucket (characters), storage-api's.
const BUCKET_LENGTH_MAX: usize = 100;

/// The longest name of an object (bytes): S3's.
const OBJECT_LENGTH_MAX: usize = 1024;

/// Signs beside letters and digits that a name may have.
const SIGNS: &[u8] = b"_!.*'() &$=@;:+,?-";

/// The name of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BucketName(String);

/// The name of an object: parts joined by slashes, none of them empty, `.` or `..`, which no URL could reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ObjectName(String);

impl BucketName {
    /// Reads the name of a bucket.
    pub(super) fn parse(text: &str) -> Result<BucketName, Refusal> {
        let is_fit = !text.is_empty() && text.len() <= BUCKET_LENGTH_MAX && text.trim() == text && is_of_signs(text);
        if is_fit && !is_step(text) {
            Ok(BucketName(text.to_owned()))
        } else {
            Err(Refusal::BucketName)
        }
    }

    /// As the database has it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl ObjectName {
    /// Reads the name of an object.
    pub(super) fn parse(text: &str) -> Result<ObjectName, Refusal> {
        let is_part = |part: &str| !part.is_empty() && is_of_signs(part) && !is_step(part);
        if text.len() <= OBJECT_LENGTH_MAX && text.split('/').all(is_part) {
            Ok(ObjectName(text.to_owned()))
        } else {
            Err(Refusal::Name(text.chars().take(OBJECT_LENGTH_MAX).collect()))
        }
    }

    /// As the database has it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_of_signs(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || SIGNS.contains(&byte))
}

/// What a browser would take for a step up or none.
fn is_step(part: &str) -> bool {
    part == "." || part == ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_objects() {
        for name in [
            "a",
            "a/b.txt",
            "a b/c(1)'!.*",
            ".hidden",
            "a/.emptyFolderPlaceholder",
            "a=b&c;d:e@f$,+?-",
            "...",
        ] {
            assert_eq!(ObjectName::parse(name).unwrap().as_str(), name);
        }
        let long = "a".repeat(OBJECT_LENGTH_MAX + 1);
        for name in [
            "", "/", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\\b", "é", "日本", "a\0", "a\nb", "a#b", "a%b", "~a",
            "a[1]", &long,
        ] {
            assert!(matches!(ObjectName::parse(name), Err(Refusal::Name(_))), "{name}");
        }
    }

    #[test]
    fn names_of_buckets() {
        for name in ["a", "property-images", "a b", "A.b_c"] {
            assert_eq!(BucketName::parse(name).unwrap().as_str(), name);
        }
        for name in ["", "a/b", "..", " a", "a ", "é", "a\n", &"a".repeat(101)] {
            assert!(BucketName::parse(name).is_err(), "{name}");
        }
    }
}
