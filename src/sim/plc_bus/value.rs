//! What an emulator file's lists hold, and how it becomes bytes.

use serde_json::Value;

use crate::wire::device_bus::DeviceType;

/// Stands for the number of the request.
const SEQUENCE: i64 = 999;
/// From here on: a checksum over the bytes from that place less this.
const CHECKSUM: i64 = 1000;

/// One element of a list of answers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Element {
    /// Bytes as they are, with stand-ins.
    Raw(Vec<i64>),
    /// No answer; its turn passes.
    Silence,
    /// Data of an ordinary answer.
    Text(Vec<u8>),
}

impl Element {
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Silence,
            Value::Array(items) => Self::Raw(raw(items)),
            other => Self::Text(text(other).into_bytes()),
        }
    }
}

/// Numbers of a raw frame; what is none becomes one that no byte can be.
pub(super) fn raw(items: &[Value]) -> Vec<i64> {
    items.iter().map(|item| item.as_i64().unwrap_or(-1)).collect()
}

/// The bytes of a raw frame; `None`: a value is neither a byte nor a stand-in.
pub(super) fn bytes(raw: &[i64], sequence: u8) -> Option<Vec<u8>> {
    let mut made = Vec::with_capacity(raw.len());
    for value in raw {
        let byte = match *value {
            SEQUENCE => sequence,
            value if (CHECKSUM..=CHECKSUM + 255).contains(&value) => {
                let from = usize::try_from(value - CHECKSUM).ok()?;
                let sum = made.get(from..).unwrap_or_default().iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
                sum.wrapping_neg()
            }
            value => u8::try_from(value).ok()?,
        };
        made.push(byte);
    }
    Some(made)
}

/// `str()` of a value in Python 2, on which emulator files rely for numbers.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => float_text(float),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// Twelve significant digits, no zeros at the end, `.0` where nothing else says that it is a fraction.
fn float_text(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let scientific = format!("{value:.11e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| text.trim_end_matches('0').trim_end_matches('.').to_owned();
    if (-4..12).contains(&exponent) {
        let places = usize::try_from(11 - exponent).unwrap_or(0);
        let fixed = format!("{value:.places$}");
        let short = if fixed.contains('.') { trimmed(&fixed) } else { fixed };
        if short.contains('.') { short } else { short + ".0" }
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trimmed(digits), exponent.abs())
    }
}

/// A device type's name in a file; what nobody knows scans as `none`.
pub(super) fn kind(name: &str) -> DeviceType {
    DeviceType::of_name(name).unwrap_or(DeviceType::None)
}

/// A list of answers and whose turn it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Action {
    pub repeatable: bool,
    pub responses: Vec<Element>,
    pub retry: Option<Vec<Element>>,
    pub next: usize,
    pub next_retry: usize,
}

impl Action {
    /// The element whose turn it is; a list that is not repeated falls silent at its end.
    pub(super) fn take(&mut self) -> Option<Element> {
        let element = self.responses.get(self.next)?.clone();
        self.next += 1;
        if self.repeatable && self.next >= self.responses.len() {
            self.next = 0;
        }
        Some(element)
    }

    /// The same of the list for retries, which goes round for ever.
    pub(super) fn take_retry(&mut self) -> Option<Element> {
        let retry = self.retry.as_ref()?;
        let element = retry.get(self.next_retry)?.clone();
        self.next_retry = (self.next_retry + 1) % retry.len().max(1);
        Some(element)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_written_as_python_2_does() {
        for (value, written) in [
            (json!(28.78), "28.78"),
            (json!(100.0), "100.0"),
            (json!(0), "0"),
            (json!(-0.5), "-0.5"),
            (json!(123_456_789.123_456_78), "123456789.123"),
            (json!(1e16), "1e+16"),
            (json!(1e-5), "1e-05"),
            (json!(0.0001), "0.0001"),
            (json!(1e11), "100000000000.0"),
            (json!(1e12), "1e+12"),
            (json!(0.0), "0.0"),
            (json!(true), "True"),
            (json!("as it is"), "as it is"),
            (json!(12_345_678_901_234_567_890_u64), "12345678901234567890"),
        ] {
            assert_eq!(text(&value), written);
        }
    }

    #[test]
    fn stand_ins_are_replaced() {
        assert_eq!(
            bytes(&[1, 10, 999, 156, 0, 0, 0, 3, 0, 1, 156, 1002, 4], 5).unwrap(),
            [1, 0x0a, 5, 0x9c, 0, 0, 0, 3, 0, 1, 0x9c, 0xbf, 4]
        );
        assert_eq!(
            bytes(&[0, 2, 3, 1, 10, 999, 156, 0, 0, 0, 2, 1, 255, 156, 1005, 4], 5).unwrap(),
            [0, 2, 3, 1, 0x0a, 5, 0x9c, 0, 0, 0, 2, 1, 0xff, 0x9c, 0xc1, 4]
        );
        assert_eq!(bytes(&[1, 256], 1), None);
    }
}
