//! Passwords that are guessed first: whatever their length, they are worth nothing.
//!
//! Not a measure of strength, and no rules about kinds of characters (NIST SP 800-63B, 5.1.1.2, advises against those and
//! for this). A password is common if it is one of the words below: in any case, with digits or signs before or behind
//! it, with the usual digits for letters, or repeated; or if it is a walk along the keyboard, the alphabet or the numbers.

/// The words that lists of leaked passwords begin with, year after year, and those of our trade; without the shorter
/// forms that others here begin with.
const WORDS: &str = "
    password passwort passwd passphrase pass pwd secret topsecret changeme changeit change changethis default
    welcome letmein login logon admin administrator adminadmin root rootroot toor user guest test testing
    tester temp temporary demo example sample master superuser sysadmin system manager operator service
    support server computer internet network security private access enter open opensesame trustno whatever
    nothing none unknown qwerty qwertz azerty monkey dragon football baseball basketball soccer hockey
    iloveyou loveme lovely love princess sunshine shadow superman batman spiderman pokemon starwars michael
    michelle jennifer jessica jordan charlie ashley daniel thomas robert andrew anthony william matthew joshua
    nicole maggie ginger pepper cookie chocolate cheese banana orange summer winter spring autumn monday
    friday january december london liverpool chelsea arsenal america freedom hello helloworld goodbye flower
    butterfly angel jesus heaven blessed family mustang ferrari corvette harley mercedes yamaha hunter killer
    ranger buster tigger samsung google microsoft windows linux ubuntu debian redhat cisco oracle vmware
    openstack ironic kubernetes redfish rackfish ipmi calvin supervisor superpower zaq abc asdf asdfgh zxcvbn
    zxcvbnm qazwsx qazwsxedc abcabc passpass testtest useruser geheim hallo schatz motdepasse bonjour
    contrasena senha haslo
";

/// What fingers and minds walk along.
const WALKS: &[&str] = &[
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "yxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "1q2w3e4r5t6y7u8i9o0p",
    "zaq12wsxcde34rfvbgt5",
    "q1w2e3r4t5y6u7i8o9p0",
    "!@#$%^&*()",
    "!\"#$%&/()=",
];

/// Longer ones are more than a common word with something around it.
const LONGEST: usize = 24;

/// Whether it is among the first that anybody would try.
pub(super) fn is_common(password: &str) -> bool {
    let low = password.to_lowercase();
    if low.chars().count() > LONGEST {
        return false;
    }
    let unit = repeated(&low);
    [low.as_str(), unit].into_iter().any(|text| is_walk(text) || is_word(text))
}

/// The piece that a text is made of again and again; the text itself if it is not.
fn repeated(text: &str) -> &str {
    let pieces =
        (1..=text.len() / 2).filter_map(|n| text.get(..n)).filter(|piece| text.len().is_multiple_of(piece.len()));
    let mut whole = pieces.filter(|piece| text.as_bytes().chunks(piece.len()).all(|part| part == piece.as_bytes()));
    whole.next().unwrap_or(text)
}

fn is_walk(text: &str) -> bool {
    let back: String = text.chars().rev().collect();
    let along = |text: &str| WALKS.iter().any(|walk| walk.contains(text));
    // A single character is one, too: it was repeated.
    text.chars().count() == 1
        || [text, &back].into_iter().any(|text| {
            along(text)
                || halves(text).any(|(a, b)| a.chars().count() > 2 && b.chars().count() > 2 && along(a) && along(b))
        })
}

/// `abcd1234`
fn halves(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.char_indices().skip(1).map(|(at, _)| text.split_at(at))
}

fn is_word(text: &str) -> bool {
    let trimmed = |text: &str| text.trim_matches(|c: char| !c.is_alphabetic()).to_owned();
    let plain = |text: &str| -> String {
        text.chars()
            .map(|c| match c {
                '0' => 'o',
                '1' | '!' => 'i',
                '3' => 'e',
                '4' | '@' => 'a',
                '5' | '$' => 's',
                '7' => 't',
                other => other,
            })
            .collect()
    };
    // Both orders: `p4ssw0rd1` ends with a digit that is none of its letters, `admin!` with a sign.
    let behind = |text: &str| text.trim_end_matches(|c: char| !c.is_alphabetic()).to_owned();
    let forms = [trimmed(text), trimmed(&plain(&behind(text))), trimmed(&plain(text))];
    forms.iter().any(|form| WORDS.split_whitespace().any(|word| word == form || word == repeated(form)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_first_is_common() {
        for bad in [
            "password",
            "Password1",
            "PASSWORD123!",
            "p4ssw0rd",
            "P@ssw0rd!",
            "12345678",
            "1234567890",
            "87654321",
            "qwertyuiop",
            "abcd1234",
            "aaaaaaaa",
            "abcabcabc",
            "abababab",
            "passwordpassword",
            "Admin123",
            "admin!2024",
            "changeme!",
            "Welcome2024",
            "1q2w3e4r",
            "1qaz2wsx",
            "qwerty123",
            "iloveyou",
            "letmein!!",
            "!!root!!",
            "rackfish1",
            "calvin99",
            "zaq12wsx",
            "11111111",
            "00000000",
            "asdfghjkl",
            "trustno1",
        ] {
            assert!(is_common(bad), "{bad}");
        }
        for good in [
            "correct horse",
            "first-Secret-1",
            "a password of the fixture",
            "another one",
            "changed by hand",
            "chosen by hand",
            "Tr0ub4dor&3",
            "kX7pQ2mL9z",
            "winter-is-colder-up-there",
            "pässwörd: with colon",
            "abcd9371",
            "rfpv3a1b_Xy7kQz",
        ] {
            assert!(!is_common(good), "{good}");
        }
    }
}
