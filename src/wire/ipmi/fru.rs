//! FRU inventory: chassis, board and product areas (IPMI FRU storage definition 1.0 rev. 1.3).

use super::{
    Bytes, Malformed,
    bytes::checksum,
    text::{Binary, Language, decode},
};

/// Areas are at most 255 × 8 bytes long, and FRU devices rarely hold more.
const WHAT: &str = "FRU data";
/// Type/length byte that ends an area's fields.
const END: u8 = 0xc1;
/// Fields of an area beyond this are not read.
const MAX_FIELDS: usize = 64;

/// What a FRU device tells. Fields that are absent or empty are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Fru {
    pub chassis_part: Option<String>,
    pub chassis_serial: Option<String>,
    pub board_maker: Option<String>,
    pub board_product: Option<String>,
    pub board_serial: Option<String>,
    pub board_part: Option<String>,
    pub product_maker: Option<String>,
    pub product_name: Option<String>,
    pub product_part: Option<String>,
    pub product_version: Option<String>,
    pub product_serial: Option<String>,
    pub asset_tag: Option<String>,
    /// Areas that were there but could not be read, by name: the rest stands.
    pub damaged: Vec<&'static str>,
}

impl Fru {
    /// Reads the content of a FRU device. A broken header is an error; a broken area only costs that area.
    pub fn decode(data: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new(WHAT, data);
        let header: [u8; 8] = bytes.array()?;
        if checksum(&header) != 0 {
            return Err(Malformed::Checksum("FRU header"));
        }
        let [version, _internal, chassis, board, product, _multi, _, _] = header;
        if version & 0x0f != 1 {
            return Err(Malformed::Value { what: "FRU version", value: version.into() });
        }
        let mut fru = Self::default();
        if chassis != 0 {
            match area(data, chassis, 3, |_| Language::Latin1) {
                Ok(fields) => [fru.chassis_part, fru.chassis_serial] = take(fields),
                Err(_) => fru.damaged.push("chassis"),
            }
        }
        if board != 0 {
            match area(data, board, 6, |head| Language::of(head.get(2).copied().unwrap_or(0))) {
                Ok(fields) => {
                    [fru.board_maker, fru.board_product, fru.board_serial, fru.board_part] = take(fields);
                }
                Err(_) => fru.damaged.push("board"),
            }
        }
        if product != 0 {
            match area(data, product, 3, |head| Language::of(head.get(2).copied().unwrap_or(0))) {
                Ok(fields) => {
                    [
                        fru.product_maker,
                        fru.product_name,
                        fru.product_part,
                        fru.product_version,
                        fru.product_serial,
                        fru.asset_tag,
                    ] = take(fields);
                }
                Err(_) => fru.damaged.push("product"),
            }
        }
        Ok(fru)
    }

    /// As the content of a FRU device, English, 8-bit texts: what the simulator serves.
    pub fn encode(&self) -> Vec<u8> {
        let chassis = encode_area(&[0x17], &[&self.chassis_part, &self.chassis_serial]);
        let board_fields = [&self.board_maker, &self.board_product, &self.board_serial, &self.board_part, &None];
        let board = encode_area(&[0, 0, 0, 0], &board_fields);
        let product_fields = [
            &self.product_maker,
            &self.product_name,
            &self.product_part,
            &self.product_version,
            &self.product_serial,
            &self.asset_tag,
            &None,
        ];
        let product = encode_area(&[0], &product_fields);
        let mut at = 1usize;
        let mut offsets = [0u8; 3];
        for (offset, area) in offsets.iter_mut().zip([&chassis, &board, &product]) {
            *offset = u8::try_from(at).unwrap_or(0);
            at += area.len() / 8;
        }
        let [chassis_at, board_at, product_at] = offsets;
        let mut out = vec![1, 0, chassis_at, board_at, product_at, 0, 0];
        out.push(checksum(&out));
        for area in [chassis, board, product] {
            out.extend_from_slice(&area);
        }
        out
    }
}

fn take<const N: usize>(fields: Vec<String>) -> [Option<String>; N] {
    let mut fields = fields.into_iter();
    std::array::from_fn(|_| fields.next().filter(|text| !text.is_empty()))
}

/// Texts of the area at `offset` (in 8 bytes) with `fixed` bytes before the first one.
fn area(data: &[u8], offset: u8, fixed: usize, language: impl Fn(&[u8]) -> Language) -> Result<Vec<String>, Malformed> {
    let mut bytes = Bytes::new(WHAT, data);
    bytes.skip(usize::from(offset) * 8)?;
    let [_, length] = Bytes::new(WHAT, bytes.rest()).array()?;
    let area = bytes.take(usize::from(length) * 8)?;
    if checksum(area) != 0 {
        return Err(Malformed::Checksum("FRU area"));
    }
    let mut fields = Bytes::new(WHAT, area.get(..area.len().saturating_sub(1)).unwrap_or_default());
    let language = language(fields.take(fixed)?);
    let mut texts = Vec::new();
    while texts.len() < MAX_FIELDS {
        let Ok(head) = fields.u8() else { break };
        if head == END {
            break;
        }
        let text = fields.take(usize::from(head & 0x3f))?;
        texts.push(decode(head >> 6, text, language, Binary::Hex));
    }
    Ok(texts)
}

fn encode_area(fixed: &[u8], fields: &[&Option<String>]) -> Vec<u8> {
    let mut out = vec![1, 0];
    // Byte 3 of board and product areas is the language; the chassis area has its type there.
    out.extend_from_slice(fixed);
    for field in fields {
        // One character would read as the end mark, so it is padded.
        let mut text: Vec<u8> = field.as_deref().unwrap_or_default().bytes().take(63).collect();
        if text.len() == 1 {
            text.push(b' ');
        }
        out.push(0xc0 | u8::try_from(text.len()).unwrap_or(0));
        out.extend_from_slice(&text);
    }
    out.push(END);
    while (out.len() + 1) % 8 != 0 {
        out.push(0);
    }
    let eighths = u8::try_from((out.len() + 1) / 8).unwrap_or(u8::MAX);
    if let Some(length) = out.get_mut(1) {
        *length = eighths;
    }
    out.push(checksum(&out));
    out
}
