//! Vectors for texts without a model: each word, by its hash, adds to one coordinate.
//!
//! Texts that share words point the same way, which is enough for a search in an example. Nothing else is meant by it.

/// Enough that the words of a paragraph rarely meet in one coordinate.
pub(super) const DEFAULT_DIMENSIONS: usize = 64;

/// More than any model in use has. The number comes from a guest.
pub(super) const MAX_DIMENSIONS: usize = 4096;

/// A vector of length 1.
pub(super) fn of(text: &str, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0_f32; dimensions];
    for word in text.split(|sign: char| !sign.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let hash = hash(&word.to_lowercase());
        let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
        vector[usize::try_from(hash % dimensions as u64).expect("below a usize")] += sign;
    }
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length == 0.0 {
        // No words, or words that cancel out.
        vector[0] = 1.0;
        return vector;
    }
    vector.iter().map(|value| value / length).collect()
}

/// FNV-1a: the same on every machine and in every version, which the standard library's hashes do not promise.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
