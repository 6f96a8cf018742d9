//! Virtual media: slots of a BMC that show an image from the network to the machine as if it were a disc or a stick
//! (Redfish `VirtualMedia`, DSP8010).

use serde::{Deserialize, Serialize};

use super::Secret;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[allow(missing_docs)] // the words are the standard's
        pub enum $name { $($variant),* }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The Redfish word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The one of that Redfish word.
            pub fn of(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }
    };
}

words! {
    /// `MediaTypes`: what a slot looks like to the machine.
    MediaType { Cd = "CD", Dvd = "DVD", Floppy = "Floppy", UsbStick = "USBStick" }
}
words! {
    /// `ConnectedVia`: who inserted what is in a slot.
    ConnectedVia { NotConnected = "NotConnected", Uri = "URI", Applet = "Applet", Oem = "Oem" }
}
words! {
    /// `TransferMethod`: read while it is needed, or copied to the BMC first.
    TransferMethod { Stream = "Stream", Upload = "Upload" }
}
words! {
    /// `TransferProtocolType`: how the BMC fetches an image.
    TransferProtocol {
        Cifs = "CIFS", Ftp = "FTP", Sftp = "SFTP", Http = "HTTP", Https = "HTTPS", Nfs = "NFS", Scp = "SCP", Tftp = "TFTP",
    }
}

impl TransferProtocol {
    /// The one that an image's URI begins with.
    pub fn of_uri(uri: &str) -> Option<Self> {
        let (scheme, _) = uri.split_once("://")?;
        match scheme.to_ascii_lowercase().as_str() {
            "smb" => Some(Self::Cifs),
            scheme => Self::ALL.iter().copied().find(|known| known.as_str().eq_ignore_ascii_case(scheme)),
        }
    }
}

/// A slot as its BMC shows it. Never a password, and no credentials within `image`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaSlot {
    /// Unique on its unit, made of name characters: usable in a URI.
    pub id: String,
    /// As the BMC names it.
    pub name: String,
    /// What it looks like to the machine.
    pub types: Vec<MediaType>,
    /// URI of what is in it.
    pub image: Option<String>,
    /// Name of what is in it.
    pub image_name: Option<String>,
    /// Whether something is in it; `None`: the BMC does not tell.
    pub inserted: Option<bool>,
    /// Whether the machine may write to it.
    pub write_protected: Option<bool>,
    /// Who inserted it.
    pub connected: Option<ConnectedVia>,
    /// How it is read.
    pub method: Option<TransferMethod>,
    /// How it is fetched.
    pub protocol: Option<TransferProtocol>,
    /// As whom it is fetched.
    pub user: Option<String>,
    /// Protocols that the slot takes; empty: the BMC does not say.
    pub protocols: Vec<TransferProtocol>,
    /// Something can be inserted by request.
    pub takes: bool,
    /// It can be ejected by request.
    pub ejects: bool,
}

impl MediaSlot {
    /// Whether something is in it.
    pub fn is_full(&self) -> bool {
        self.inserted.unwrap_or(self.image.is_some())
    }

    /// Whether it is that image that is in it, as far as the BMC tells: some show its name alone, or its path.
    pub fn holds(&self, image: &str) -> bool {
        let name = |uri: &str| {
            let path = uri.split(['?', '#']).next().unwrap_or_default();
            path.rsplit('/').next().unwrap_or_default().to_owned()
        };
        let shown = self.image.as_deref().or(self.image_name.as_deref());
        self.is_full()
            && shown.is_some_and(|shown| {
                if shown.contains("://") { shown == image } else { !shown.is_empty() && name(shown) == name(image) }
            })
    }
}

/// What to insert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaInsert {
    /// The slot's id.
    pub slot: String,
    /// URI of the image, without credentials.
    pub image: String,
    /// The machine may not write to it.
    pub write_protected: bool,
    /// For the server that has the image.
    pub user: Option<String>,
    /// For the server that has the image.
    pub password: Option<Secret>,
    /// How it is read, if that was asked for.
    pub method: Option<TransferMethod>,
    /// How it is fetched, if that was asked for; else the URI says.
    pub protocol: Option<TransferProtocol>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_known_by_its_uri_or_its_name() {
        let slot = |image: &str| MediaSlot { image: Some(image.to_owned()), ..MediaSlot::default() };
        let wanted = "http://a/b/ipa.iso?sig=1";
        assert!(slot(wanted).holds(wanted));
        assert!(slot("ipa.iso").holds(wanted), "the name alone");
        assert!(slot("/b/ipa.iso").holds(wanted), "the path alone");
        assert!(!slot("http://other/b/ipa.iso").holds(wanted));
        assert!(!slot("other.iso").holds(wanted) && !slot("").holds("http://a/"));
        assert!(!MediaSlot { inserted: Some(false), ..slot(wanted) }.holds(wanted));
        assert!(MediaSlot { inserted: Some(true), ..MediaSlot::default() }.is_full());
    }

    #[test]
    fn the_protocol_is_in_the_uri() {
        assert_eq!(TransferProtocol::of_uri("HTTPS://a/b"), Some(TransferProtocol::Https));
        assert_eq!(TransferProtocol::of_uri("smb://a/b"), Some(TransferProtocol::Cifs));
        assert_eq!(TransferProtocol::of_uri("file:///etc/passwd"), None);
        assert_eq!(TransferProtocol::of_uri("//a/b"), None);
    }

    #[test]
    fn a_password_is_not_shown() {
        let insert = MediaInsert {
            slot: "Cd".to_owned(),
            image: "cifs://a/b.iso".to_owned(),
            write_protected: true,
            user: Some("u".to_owned()),
            password: Some(Secret::new("hunter2")),
            method: None,
            protocol: None,
        };
        assert!(!format!("{insert:?}").contains("hunter2"));
    }
}
