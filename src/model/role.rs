//! Roles and what they are good for (DSP0266, "Roles" and "Privileges").
//!
//! A [`Role`] is a name. Which [`Privileges`] a role of the administrator's own making assigns is known to `auth` alone,
//! and may change at any time: whoever decides something asks for privileges, never for a role.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Longest name of a role, in characters.
const MAX_NAME: usize = 64;

/// Which role somebody has. Written as its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Role {
    /// Login, ConfigureSelf.
    ReadOnly,
    /// Also ConfigureComponents: may switch.
    Operator,
    /// Also ConfigureManager and ConfigureUsers.
    Administrator,
    /// Made by an administrator.
    Custom(RoleName),
}

/// The name of a role that isn't predefined.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoleName(Arc<str>);

impl RoleName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that can't be the name of a role, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadRole(String);

impl Role {
    /// Those that everybody has.
    pub const PREDEFINED: [Self; 3] = [Self::Administrator, Self::Operator, Self::ReadOnly];

    /// The role of that name, whether there is one or not. Names go into URIs and log lines.
    pub fn new(name: &str) -> Result<Self, BadRole> {
        if let Some(known) = Self::PREDEFINED.into_iter().find(|role| role.as_str() == name) {
            return Ok(known);
        }
        if let Some(alike) = Self::PREDEFINED.into_iter().find(|role| role.as_str().eq_ignore_ascii_case(name)) {
            return Err(BadRole(format!("is too much like {alike}")));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(BadRole(format!("has to have 1 to {MAX_NAME} characters")));
        }
        if !name.chars().all(plain) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(BadRole("may contain a-z, A-Z, 0-9 and . _ -, and begins with a letter or digit".to_owned()));
        }
        Ok(Self::Custom(RoleName(Arc::from(name))))
    }

    /// The Redfish `RoleId`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Administrator => "Administrator",
            Self::Operator => "Operator",
            Self::ReadOnly => "ReadOnly",
            Self::Custom(name) => name.as_str(),
        }
    }

    /// What a predefined role assigns; `None` for others.
    pub fn predefined(&self) -> Option<Privileges> {
        match self {
            Self::Administrator => Some(Privileges::ALL),
            Self::Operator => Some(Privileges::OPERATOR),
            Self::ReadOnly => Some(Privileges::READ_ONLY),
            Self::Custom(_) => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Role {
    type Error = BadRole;

    fn try_from(name: String) -> Result<Self, BadRole> {
        Self::new(&name)
    }
}

impl From<Role> for String {
    fn from(role: Role) -> Self {
        role.as_str().to_owned()
    }
}

/// A set of Redfish's standard privileges. Written as a list of their names. The order is one of power: who may make
/// accounts comes before who may not, and so on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<&'static str>")]
pub struct Privileges(u8);

impl Privileges {
    /// The names, as DSP0266 lists them, with the bits: the more power, the higher.
    const NAMES: [(&'static str, u8); 5] = [
        ("Login", 1),
        ("ConfigureManager", 8),
        ("ConfigureUsers", 16),
        ("ConfigureSelf", 2),
        ("ConfigureComponents", 4),
    ];
    /// None at all.
    pub const NONE: Self = Self(0);
    /// Of the role ReadOnly.
    pub const READ_ONLY: Self = Self(1 | 2);
    /// Of the role Operator.
    pub const OPERATOR: Self = Self(1 | 2 | 4);
    /// Of the role Administrator.
    pub const ALL: Self = Self(1 | 2 | 4 | 8 | 16);

    /// The names of all there are.
    pub fn names() -> [&'static str; 5] {
        Self::NAMES.map(|(name, _)| name)
    }

    /// The set of these names; the first that is none is the error.
    pub fn of<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, S> {
        let mut set = Self::NONE;
        for name in names {
            match Self::NAMES.into_iter().find(|(known, _)| *known == name.as_ref()) {
                Some((_, bit)) => set.0 |= bit,
                None => return Err(name),
            }
        }
        Ok(set)
    }

    /// Whether `privilege` is among them.
    pub fn has(self, privilege: &str) -> bool {
        self.list().any(|name| name == privilege)
    }

    /// Their names.
    pub fn list(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(_, bit)| self.0 & bit != 0).map(|(name, _)| name)
    }

    /// May switch (`ConfigureComponents`).
    pub fn may_switch(self) -> bool {
        self.has("ConfigureComponents")
    }

    /// May look after the service itself (`ConfigureManager`).
    pub fn may_manage(self) -> bool {
        self.has("ConfigureManager")
    }

    /// May make and change accounts and roles, and so come to have every privilege (`ConfigureUsers`).
    pub fn may_make_users(self) -> bool {
        self.has("ConfigureUsers")
    }
}

impl TryFrom<Vec<String>> for Privileges {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        Self::of(names).map_err(|name| format!("{name:?} is no privilege"))
    }
}

impl From<Privileges> for Vec<&'static str> {
    fn from(set: Privileges) -> Self {
        set.list().collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_written_as_their_names() {
        for name in ["Administrator", "ReadOnly", "rack-1.ops_2"] {
            let json = format!("{name:?}");
            let role: Role = serde_json::from_str(&json).unwrap();
            assert_eq!((role.as_str(), serde_json::to_string(&role).unwrap()), (name, json));
        }
        assert_eq!(Role::new("Operator").unwrap(), Role::Operator);
        for bad in ["", "operator", "ADMINISTRATOR", "-x", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(Role::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn privileges_are_ordered_by_power() {
        assert!(Privileges::ALL > Privileges::OPERATOR && Privileges::OPERATOR > Privileges::READ_ONLY);
        let users = Privileges::of(["ConfigureUsers"]).unwrap();
        assert!(users > Privileges::of(["Login", "ConfigureManager", "ConfigureComponents"]).unwrap());
        assert_eq!(Privileges::of(["Login", "NoAuth"]), Err("NoAuth"));
        let json = serde_json::to_string(&Privileges::OPERATOR).unwrap();
        assert_eq!(json, r#"["Login","ConfigureSelf","ConfigureComponents"]"#);
        assert_eq!(serde_json::from_str::<Privileges>(&json).unwrap(), Privileges::OPERATOR);
        assert_eq!(Role::PREDEFINED.map(|role| role.predefined().unwrap().list().count()), [5, 3, 2]);
    }
}
