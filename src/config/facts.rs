//! What no device tells about a node: MACs, processors, memory, identity.

use super::{load::Cx, problem::At, section::Section, types::Facts};

/// Architectures as Ironic and the kernel write them, with what people write instead.
const ARCHITECTURES: &[(&str, &str)] =
    &[("amd64", "x86_64"), ("x86-64", "x86_64"), ("x64", "x86_64"), ("arm64", "aarch64"), ("ppc64el", "ppc64le")];

/// Reads all facts but the MACs.
pub(super) fn read(cx: &mut Cx<'_>, s: &Section<'_>) -> Facts {
    let uuid = s.text(&mut cx.p, "uuid").and_then(|text| match uuid::Uuid::try_parse(&text) {
        Ok(uuid) if !uuid.is_nil() => Some(uuid),
        Ok(_) => {
            s.wrong(&mut cx.p, "uuid", "the nil UUID names nothing", "leave the key out: one is derived from the name");
            None
        }
        Err(_) => {
            s.wrong(
                &mut cx.p,
                "uuid",
                format!("{text:?} is not a UUID"),
                "write 8-4-4-4-12 hexadecimal digits, or leave the key out: one is derived from the name",
            );
            None
        }
    });
    let cpu_arch = s.label(&mut cx.p, "cpu_arch");
    if let Some(arch) = &cpu_arch
        && let Some((_, usual)) = ARCHITECTURES.iter().find(|(alias, _)| alias == arch)
    {
        let at = s.at("cpu_arch");
        cx.p.warn(at, s.key("cpu_arch"), format!("Ironic does not know {arch:?}"), format!("it writes {usual:?}"));
    }
    let (p, sources) = (&mut cx.p, cx.sources);
    let cpus = s.int(p, sources, "cpus", 1..=65_536);
    let sockets = s.int(p, sources, "sockets", 1..=1_024);
    if let (Some(cpus), Some(sockets)) = (cpus, sockets)
        && sockets > cpus
    {
        let cpus: u32 = cpus;
        s.wrong(p, "sockets", format!("{sockets} sockets for {cpus} threads"), "`cpus` counts threads in all sockets");
    }
    Facts {
        uuid,
        macs: Vec::new(),
        cpus,
        sockets,
        cpu_arch,
        cpu_model: s.label(p, "cpu_model"),
        memory_gib: s.float(p, sources, "memory_gib", 1_048_576.0),
        manufacturer: s.label(p, "manufacturer"),
        model: s.label(p, "model"),
        serial: s.label(p, "serial"),
        sku: s.label(p, "sku"),
        part_number: s.label(p, "part_number"),
        asset_tag: s.label(p, "asset_tag"),
        hostname: s.label(p, "hostname"),
        description: s.label(p, "description"),
        bios_version: s.label(p, "bios_version"),
    }
}

/// The node's MACs in lower case with colons.
pub(super) fn macs(cx: &mut Cx<'_>, s: &Section<'_>) -> (Vec<String>, Vec<At>) {
    let (mut macs, mut places) = (Vec::new(), Vec::new());
    for (at, text) in s.texts(&mut cx.p, cx.sources, "macs").unwrap_or_default() {
        match mac(&text) {
            Some(mac) => {
                macs.push(mac);
                places.push(at);
            }
            None => cx.p.add(
                at,
                s.key("macs"),
                format!("{text:?} is not the MAC of an interface"),
                "write six pairs of hexadecimal digits, as in \"52:54:00:12:34:56\"",
            ),
        }
    }
    (macs, places)
}

/// `52-54-00-AB-CD-EF`, `5254.00ab.cdef`, `525400abcdef` -> `52:54:00:ab:cd:ef`; no group and no zero addresses.
pub fn mac(text: &str) -> Option<String> {
    let digits: Vec<u8> = text.bytes().filter(|b| !matches!(b, b':' | b'-' | b'.')).collect();
    let separators: Vec<(usize, u8)> =
        text.bytes().enumerate().filter(|(_, b)| matches!(b, b':' | b'-' | b'.')).collect();
    let step = match (separators.len(), separators.first()) {
        (0, _) => 0,
        (5, Some((_, b':' | b'-'))) => 3,
        (2, Some((_, b'.'))) => 5,
        _ => return None,
    };
    let even = separators
        .iter()
        .enumerate()
        .all(|(i, (at, b))| *at == (i + 1) * step - 1 && Some(b) == separators.first().map(|(_, first)| first));
    if !even || digits.len() != 12 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let pairs: Vec<String> =
        digits.chunks_exact(2).map(|pair| String::from_utf8_lossy(pair).to_ascii_lowercase()).collect();
    let first = u8::from_str_radix(pairs.first()?, 16).ok()?;
    (first & 1 == 0 && pairs.iter().any(|pair| pair != "00")).then(|| pairs.join(":"))
}

#[cfg(test)]
mod tests {
    use super::mac;

    #[test]
    fn macs_in_all_spellings() {
        for text in ["52:54:00:ab:CD:ef", "52-54-00-AB-CD-EF", "5254.00ab.cdef", "525400ABCDEF"] {
            assert_eq!(mac(text).as_deref(), Some("52:54:00:ab:cd:ef"), "{text}");
        }
        for bad in [
            "",
            "52:54:00:ab:cd",
            "52:54:00:ab:cd:eg",
            "5:25400:ab:cd:ef:",
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
            "52:54-00:ab:cd:ef",
        ] {
            assert_eq!(mac(bad), None, "{bad}");
        }
    }
}
