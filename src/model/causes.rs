//! Errors for people.

use std::error::Error;

/// An error with all its causes: "error sending request" alone helps nobody.
pub fn causes(error: &dyn Error) -> String {
    because(error.to_string(), error)
}

/// The same in other words for the error itself. A cause that is named already is not named again.
pub fn because(mut text: String, error: &dyn Error) -> String {
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    fn layer(text: &'static str, source: Option<Layer>) -> Layer {
        Layer { text, source: source.map(Box::new) }
    }

    #[test]
    fn each_cause_is_named_once() {
        let error = layer("can't send", Some(layer("no connection: refused", Some(layer("refused", None)))));
        assert_eq!(causes(&error), "can't send: no connection: refused");
        assert_eq!(because("timed out".to_owned(), &error), "timed out: no connection: refused");
        assert_eq!(causes(&layer("alone", None)), "alone");
    }
}
