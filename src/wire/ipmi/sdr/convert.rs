//! From a raw byte to a number: `y = L((M·x + B·10^Bexp) · 10^Rexp)` (IPMI 2.0, 36.3).

use std::f64::consts::{E, LN_2, LN_10};

/// How a raw byte is a number ("analog data format", table 43-1 byte 21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// 0 to 255.
    Unsigned,
    /// -127 to 127, minus zero included.
    OnesComplement,
    /// -128 to 127.
    TwosComplement,
    /// There is no analog reading.
    None,
}

impl Format {
    /// From its two bits.
    pub fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Unsigned,
            1 => Self::OnesComplement,
            2 => Self::TwosComplement,
            _ => Self::None,
        }
    }

    /// As two bits.
    pub fn bits(self) -> u8 {
        match self {
            Self::Unsigned => 0,
            Self::OnesComplement => 1,
            Self::TwosComplement => 2,
            Self::None => 3,
        }
    }

    /// The number that `raw` stands for.
    pub fn number(self, raw: u8) -> Option<i16> {
        let raw = i16::from(raw);
        Some(match self {
            Self::OnesComplement if raw > 127 => raw - 255,
            Self::TwosComplement if raw > 127 => raw - 256,
            Self::Unsigned | Self::OnesComplement | Self::TwosComplement => raw,
            Self::None => return None,
        })
    }
}

/// Linearisation (table 43-1, byte 24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Linear {
    Linear,
    Ln,
    Log10,
    Log2,
    Exp,
    Exp10,
    Exp2,
    Inverse,
    Square,
    Cube,
    SquareRoot,
    InverseCube,
    /// The factors depend on the reading and have to be asked for; then linear.
    Asked,
}

impl Linear {
    /// From the byte; reserved values count as linear.
    pub fn from_byte(byte: u8) -> Self {
        match byte & 0x7f {
            0x01 => Self::Ln,
            0x02 => Self::Log10,
            0x03 => Self::Log2,
            0x04 => Self::Exp,
            0x05 => Self::Exp10,
            0x06 => Self::Exp2,
            0x07 => Self::Inverse,
            0x08 => Self::Square,
            0x09 => Self::Cube,
            0x0a => Self::SquareRoot,
            0x0b => Self::InverseCube,
            0x70..=0x7f => Self::Asked,
            _ => Self::Linear,
        }
    }

    /// As the byte.
    pub fn byte(self) -> u8 {
        match self {
            Self::Linear => 0x00,
            Self::Ln => 0x01,
            Self::Log10 => 0x02,
            Self::Log2 => 0x03,
            Self::Exp => 0x04,
            Self::Exp10 => 0x05,
            Self::Exp2 => 0x06,
            Self::Inverse => 0x07,
            Self::Square => 0x08,
            Self::Cube => 0x09,
            Self::SquareRoot => 0x0a,
            Self::InverseCube => 0x0b,
            Self::Asked => 0x70,
        }
    }

    fn apply(self, x: f64) -> f64 {
        match self {
            Self::Linear | Self::Asked => x,
            Self::Ln => x.ln(),
            Self::Log10 => x.ln() / LN_10,
            Self::Log2 => x.ln() / LN_2,
            Self::Exp => E.powf(x),
            Self::Exp10 => 10f64.powf(x),
            Self::Exp2 => 2f64.powf(x),
            Self::Inverse => 1.0 / x,
            Self::Square => x * x,
            Self::Cube => x * x * x,
            Self::SquareRoot => x.sqrt(),
            Self::InverseCube => 1.0 / (x * x * x),
        }
    }
}

/// The factors of the conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factors {
    /// M, -512 to 511.
    pub m: i16,
    /// B, -512 to 511.
    pub b: i16,
    /// Exponent of B, -8 to 7.
    pub b_exponent: i8,
    /// Exponent of the result, -8 to 7.
    pub exponent: i8,
    /// Tolerance, 0 to 63, in half raw counts.
    pub tolerance: u8,
    /// Accuracy, 0 to 1023, in hundredths of a percent, times ten to `accuracy_exponent`.
    pub accuracy: u16,
    /// Exponent of the accuracy, 0 to 3.
    pub accuracy_exponent: u8,
}

/// The `bits` low bits of `value` as a two's complement number.
fn signed(value: u16, bits: u32) -> i16 {
    let shift = 16 - bits;
    (value << shift).cast_signed() >> shift
}

impl Factors {
    /// From the six bytes that hold them in a record and in the answer of Get Sensor Reading Factors.
    pub fn unpack([m, m_tolerance, b, b_accuracy, accuracy, exponents]: [u8; 6]) -> Self {
        let ten = |low: u8, high: u8| u16::from(low) | u16::from(high & 0xc0) << 2;
        let nibble = |value: u8| i8::try_from(signed(value.into(), 4)).unwrap_or(0);
        Self {
            m: signed(ten(m, m_tolerance), 10),
            b: signed(ten(b, b_accuracy), 10),
            b_exponent: nibble(exponents),
            exponent: nibble(exponents >> 4),
            tolerance: m_tolerance & 0x3f,
            accuracy: u16::from(b_accuracy & 0x3f) | u16::from(accuracy & 0xf0) << 2,
            accuracy_exponent: accuracy >> 2 & 3,
        }
    }

    /// As six bytes; what does not fit is cut.
    pub fn pack(&self) -> [u8; 6] {
        let [m_low, m_high] = self.m.to_le_bytes();
        let [b_low, b_high] = self.b.to_le_bytes();
        let [accuracy_low, _] = self.accuracy.to_le_bytes();
        let accuracy_high = u8::try_from(self.accuracy >> 6 & 0x0f).unwrap_or(0);
        [
            m_low,
            m_high << 6 | self.tolerance & 0x3f,
            b_low,
            b_high << 6 | accuracy_low & 0x3f,
            accuracy_high << 4 | (self.accuracy_exponent & 3) << 2,
            self.exponent.cast_unsigned() << 4 | self.b_exponent.cast_unsigned() & 0x0f,
        ]
    }

    /// The value of `raw`; `None` if the format has none or the mathematics don't (logarithm of a negative).
    pub fn convert(&self, format: Format, linear: Linear, raw: u8) -> Option<f64> {
        let x = f64::from(format.number(raw)?);
        let sum = f64::from(self.m) * x + f64::from(self.b) * 10f64.powi(self.b_exponent.into());
        // Dividing by a power of ten is exact where multiplying by its inverse is not: 235 / 10 is 23.5.
        let exponent = i32::from(self.exponent);
        let scaled = if exponent < 0 { sum / 10f64.powi(-exponent) } else { sum * 10f64.powi(exponent) };
        Some(linear.apply(scaled)).filter(|value| value.is_finite())
    }
}
