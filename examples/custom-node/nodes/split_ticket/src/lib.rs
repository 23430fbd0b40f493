//! Splits a ticket: what the customer says, and the facts in it that other nodes need.

use weir_sdk::{NodeError, data, node};

#[data]
#[derive(Debug, PartialEq)]
struct Parts {
    /// The customer's own words, one paragraph per line.
    body: String,
    facts: Facts,
}

#[data]
#[derive(Debug, PartialEq)]
struct Facts {
    /// Order numbers, without the `#`.
    orders: Vec<String>,
    emails: Vec<String>,
}

/// Splits a ticket into its text and its facts.
#[node]
fn split_ticket(
    /// The ticket as it came in, with greetings and quotes.
    ticket: String,
) -> Result<Parts, NodeError> {
    let body = own_words(&ticket);
    if body.is_empty() {
        return Err(NodeError::user("EmptyTicket", "the ticket says nothing of its own"));
    }
    let orders = words(&ticket).filter_map(order_number).collect();
    let emails = words(&ticket).filter(|word| is_email(word)).map(str::to_owned).collect();
    Ok(Parts { body, facts: Facts { orders, emails } })
}

/// The ticket without quoted lines, greeting and signature.
fn own_words(ticket: &str) -> String {
    let paragraphs = ticket.split("\n\n").map(|paragraph| {
        let lines = paragraph.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('>'));
        lines.collect::<Vec<_>>().join(" ")
    });
    paragraphs.filter(|text| !text.is_empty() && !is_phrase(text)).collect::<Vec<_>>().join("\n")
}

fn is_phrase(paragraph: &str) -> bool {
    let phrases = ["hello", "hi ", "dear ", "kind regards", "best regards", "thanks,"];
    let paragraph = paragraph.to_lowercase();
    paragraph.len() < 40 && phrases.iter().any(|phrase| paragraph.starts_with(phrase))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let punctuation = |character: char| !character.is_alphanumeric() && character != '#';
    text.split_whitespace().map(move |word| word.trim_matches(punctuation))
}

fn order_number(word: &str) -> Option<String> {
    let number = word.strip_prefix('#')?;
    (!number.is_empty() && number.chars().all(|digit| digit.is_ascii_digit())).then(|| number.to_owned())
}

fn is_email(word: &str) -> bool {
    word.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
}

// The function of a node is a plain function: call it.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_signatures_and_quotes_are_left_out() {
        let ticket = "Hello,\n\nwhere is order #17?\nWrite to ada@example.com.\n\nKind regards,\nAda\n\n> old #16 mail";
        let parts = split_ticket(ticket.to_owned()).expect("this ticket has a text");
        assert_eq!(parts.body, "where is order #17? Write to ada@example.com.");
        assert_eq!(
            parts.facts,
            Facts { orders: vec!["17".to_owned(), "16".to_owned()], emails: vec!["ada@example.com".to_owned()] }
        );
    }

    #[test]
    fn a_ticket_of_quotes_only_is_refused() {
        let error = split_ticket("> what you wrote".to_owned()).expect_err("this ticket is empty");
        assert_eq!(error.code, "EmptyTicket");
    }
}
