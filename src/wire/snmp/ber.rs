//! The part of BER (X.690) that SNMP uses: definite lengths, one-octet tags.

use super::WireError;

/// Takes elements off the front of a byte string.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tag and content of the next element.
    pub(super) fn element(&mut self) -> Result<(u8, &'a [u8]), WireError> {
        let (&tag, rest) = self.0.split_first().ok_or(WireError::Short)?;
        let (&first, mut rest) = rest.split_first().ok_or(WireError::Short)?;
        let length = if first < 0x80 {
            usize::from(first)
        } else {
            let octets = usize::from(first & 0x7f);
            if octets == 0 || octets > 4 {
                return Err(WireError::Length);
            }
            let (length, tail) = rest.split_at_checked(octets).ok_or(WireError::Short)?;
            rest = tail;
            length.iter().fold(0usize, |n, &octet| (n << 8) | usize::from(octet))
        };
        let (content, tail) = rest.split_at_checked(length).ok_or(WireError::Short)?;
        self.0 = tail;
        Ok((tag, content))
    }

    /// Content of the next element, which has to be a `tag`.
    pub(super) fn read_as(&mut self, tag: u8) -> Result<&'a [u8], WireError> {
        match self.element()? {
            (found, content) if found == tag => Ok(content),
            (found, _) => Err(WireError::Tag { expected: tag, found }),
        }
    }

    /// The next element as INTEGER.
    pub(super) fn integer(&mut self) -> Result<i64, WireError> {
        signed(self.read_as(super::message::tag::INTEGER)?)
    }

    /// The next element as an INTEGER that is not negative and has 31 bits, as SNMP's own fields have.
    pub(super) fn small(&mut self) -> Result<u32, WireError> {
        u32::try_from(self.integer()?).ok().filter(|n| *n <= 0x7fff_ffff).ok_or(WireError::Number)
    }
}

/// Two's complement content octets.
pub(super) fn signed(octets: &[u8]) -> Result<i64, WireError> {
    let first = *octets.first().ok_or(WireError::Number)?;
    if octets.len() > 8 {
        return Err(WireError::Number);
    }
    let start = if first & 0x80 == 0 { 0 } else { -1 };
    Ok(octets.iter().fold(start, |n, &octet| (n << 8) | i64::from(octet)))
}

/// Content octets of an unsigned type: up to 64 bits, with or without the leading zero octet.
pub(super) fn unsigned(octets: &[u8]) -> Result<u64, WireError> {
    let octets = match octets {
        [] => return Err(WireError::Number),
        [0, rest @ ..] => rest,
        all => all,
    };
    if octets.len() > 8 {
        return Err(WireError::Number);
    }
    Ok(octets.iter().fold(0, |n, &octet| (n << 8) | u64::from(octet)))
}

/// Appends an element whose content `fill` writes.
pub(super) fn put(out: &mut Vec<u8>, tag: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    let start = out.len();
    fill(out);
    let length = out.len() - start;
    let octets = length.to_be_bytes();
    let skip = octets.iter().take_while(|o| **o == 0).count();
    let significant = octets.iter().copied().skip(skip);
    if length < 0x80 {
        out.splice(start..start, octets.last().copied());
    } else {
        let count = u8::try_from(octets.len() - skip).unwrap_or(8);
        out.splice(start..start, std::iter::once(0x80 | count).chain(significant));
    }
}

/// Appends a signed number in the fewest octets.
pub(super) fn put_signed(out: &mut Vec<u8>, tag: u8, n: i64) {
    let octets = n.to_be_bytes();
    let mut rest = octets.as_slice();
    // An octet may go when the next one carries the same sign.
    while let [first @ (0 | 0xff), next, ..] = rest
        && (*first == 0) == (next & 0x80 == 0)
    {
        rest = rest.get(1..).unwrap_or_default();
    }
    put(out, tag, |o| o.extend_from_slice(rest));
}

/// Appends an unsigned number in the fewest octets.
pub(super) fn put_unsigned(out: &mut Vec<u8>, tag: u8, n: u64) {
    let octets = n.to_be_bytes();
    let skip = octets.iter().take_while(|o| **o == 0).count().min(7);
    put(out, tag, |o| {
        let rest = octets.iter().copied().skip(skip);
        if rest.clone().next().is_some_and(|first| first & 0x80 != 0) {
            o.push(0);
        }
        o.extend(rest);
    });
}
