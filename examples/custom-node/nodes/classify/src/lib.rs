//! Decides by keywords what a ticket is about and how much it presses. No model is asked, so it costs nothing.

use weir_sdk::{data, node};

#[data]
#[derive(Clone, Copy, Debug, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Category {
    Billing,
    Delivery,
    Technical,
    Other,
}

#[data]
#[derive(Clone, Copy, Debug, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Urgency {
    Low,
    Normal,
    High,
}

#[data]
#[derive(Debug, PartialEq)]
struct Class {
    category: Category,
    urgency: Urgency,
}

const KEYWORDS: [(Category, &[&str]); 3] = [
    (Category::Billing, &["charged", "invoice", "refund", "money", "paid", "price"]),
    (Category::Delivery, &["delivery", "shipped", "package", "arrived", "tracking", "courier"]),
    (Category::Technical, &["error", "crash", "login", "password", "broken", "bug"]),
];

const PRESSING: [&str; 5] = ["today", "immediately", "urgent", "asap", "now"];

/// Says what a ticket is about and how urgent it is.
#[node]
fn classify(body: String) -> Class {
    let words: Vec<String> = body.split_whitespace().map(plain).collect();
    Class { category: category(&words), urgency: urgency(&words, body.matches('!').count()) }
}

/// A word without punctuation, in lower case.
fn plain(word: &str) -> String {
    word.trim_matches(|character: char| !character.is_alphanumeric()).to_lowercase()
}

/// The category with the most keywords in the text; the first of them if there are several.
fn category(words: &[String]) -> Category {
    let scores = KEYWORDS.map(|(category, keywords)| (count(words, keywords), category));
    let best = scores.into_iter().rev().max_by_key(|(score, _)| *score);
    best.filter(|(score, _)| *score > 0).map_or(Category::Other, |(_, category)| category)
}

fn urgency(words: &[String], exclamations: usize) -> Urgency {
    match count(words, &PRESSING) + exclamations {
        0 => Urgency::Low,
        1 => Urgency::Normal,
        _ => Urgency::High,
    }
}

fn count(words: &[String], keywords: &[&str]) -> usize {
    words.iter().filter(|word| keywords.contains(&word.as_str())).count()
}

// The function of a node is a plain function: call it.
#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, category: Category, urgency: Urgency) {
        assert_eq!(classify(body.to_owned()), Class { category, urgency });
    }

    #[test]
    fn keywords_decide() {
        check("I was charged twice, money back today!", Category::Billing, Urgency::High);
        check("The package has not arrived.", Category::Delivery, Urgency::Low);
        check("Login shows an error now", Category::Technical, Urgency::Normal);
        check("What are your hours?", Category::Other, Urgency::Low);
    }

    #[test]
    fn the_first_category_wins_a_draw() {
        check("refund the package", Category::Billing, Urgency::Low);
    }
}
