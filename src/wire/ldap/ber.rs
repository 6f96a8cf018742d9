//! BER as LDAP restricts it (RFC 4511, 5.1): definite lengths, tags of one octet.

/// Why bytes are no BER.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BerError {
    /// It ends too early.
    #[error("the message ends too early")]
    Short,
    /// A length that no honest peer sends.
    #[error("a length in the message makes no sense")]
    Length,
    /// Something else was due here.
    #[error("the message has tag {found:#04x} where another is due")]
    Tag {
        /// What is there.
        found: u8,
    },
    /// A number or text out of range.
    #[error("a value in the message makes no sense")]
    Value,
}

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// Tag, length of the content, and where that begins. `None`: more bytes are needed to tell.
pub(super) fn header(bytes: &[u8]) -> Result<Option<(u8, usize, usize)>, BerError> {
    let (Some(&tag), Some(&first)) = (bytes.first(), bytes.get(1)) else { return Ok(None) };
    // Tags of several octets are not used by LDAP.
    if tag & 0x1f == 0x1f {
        return Err(BerError::Tag { found: tag });
    }
    if first < 0x80 {
        return Ok(Some((tag, usize::from(first), 2)));
    }
    // 0x80 is the indefinite form, which LDAP forbids.
    let octets = usize::from(first & 0x7f);
    if octets == 0 || octets > 4 {
        return Err(BerError::Length);
    }
    let Some(coded) = bytes.get(2..2 + octets) else { return Ok(None) };
    let length = coded.iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
    let length = usize::try_from(length).map_err(|_| BerError::Length)?;
    Ok(Some((tag, length, 2 + octets)))
}

/// Reads one element after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element, whatever it is.
    pub fn any(&mut self) -> Result<(u8, &'a [u8]), BerError> {
        let (tag, length, start) = header(self.0)?.ok_or(BerError::Short)?;
        let end = start.checked_add(length).ok_or(BerError::Length)?;
        let content = self.0.get(start..end).ok_or(BerError::Short)?;
        self.0 = self.0.get(end..).unwrap_or_default();
        Ok((tag, content))
    }

    /// The next element, which has that tag.
    pub fn take(&mut self, tag: u8) -> Result<&'a [u8], BerError> {
        match self.any()? {
            (found, content) if found == tag => Ok(content),
            (found, _) => Err(BerError::Tag { found }),
        }
    }

    /// A number that is not negative.
    pub fn number(&mut self, tag: u8) -> Result<u32, BerError> {
        let content = self.take(tag)?;
        let negative = content.first().is_none_or(|first| first & 0x80 != 0);
        if negative || content.len() > 5 {
            return Err(BerError::Value);
        }
        let value = content.iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        u32::try_from(value).map_err(|_| BerError::Value)
    }
}

/// Appends an element.
pub(super) fn put(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let octets = content.len().to_be_bytes();
            let skip = octets.iter().take_while(|byte| **byte == 0).count();
            let coded = octets.get(skip..).unwrap_or_default();
            out.push(0x80 | u8::try_from(coded.len()).unwrap_or(8));
            out.extend_from_slice(coded);
        }
    }
    out.extend_from_slice(content);
}

/// Appends a number.
pub(super) fn put_number(out: &mut Vec<u8>, tag: u8, value: u32) {
    let octets = value.to_be_bytes();
    let skip = octets.iter().take(3).take_while(|byte| **byte == 0).count();
    let mut content = octets.get(skip..).unwrap_or_default().to_vec();
    if content.first().is_some_and(|first| first & 0x80 != 0) {
        content.insert(0, 0);
    }
    put(out, tag, &content);
}
