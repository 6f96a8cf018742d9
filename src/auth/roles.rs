//! Roles that administrators have made, and what every role is good for at this moment.
//!
//! All roles are in memory, swapped as a whole by a change. Nobody keeps what a role is good for: it is looked up here
//! with every request, so a change holds at once for sessions that are under way. Two rules: a role that accounts have
//! can't be removed, and the last account that can make accounts can't lose that by its role either.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use super::{Inner, RoleError, RoleInfo, outside::Source};
use crate::{
    model::{Privileges, Role, Scope},
    store::{self, Expect, Kind, Safety, Store, StoreError},
};

/// Roles that administrators may make: far more than anybody tells apart.
const MAX_ROLES: usize = 100;
/// Accounts that an error names.
const SHOWN: usize = 10;

/// The document of a role; its key is the name.
#[derive(Debug, Serialize, Deserialize)]
struct RoleDoc {
    privileges: Privileges,
}

/// A role in memory.
#[derive(Debug, Clone)]
struct Custom {
    role: Role,
    privileges: Privileges,
    revision: u64,
}

impl Custom {
    fn info(&self) -> RoleInfo {
        RoleInfo { role: self.role.clone(), privileges: self.privileges, revision: self.revision }
    }
}

type Map = BTreeMap<Arc<str>, Custom>;

/// All roles that aren't predefined.
#[derive(Debug, Default)]
pub(super) struct Roles {
    map: ArcSwap<Map>,
}

/// What a role is good for; `None`: there is no such role.
pub(super) type Known<'k> = &'k dyn Fn(&Role) -> Option<Privileges>;

/// For who can't ask the service: takes every name for a role.
#[allow(clippy::unnecessary_wraps)] // a [`Known`]
pub(super) fn believing(role: &Role) -> Option<Privileges> {
    Some(role.predefined().unwrap_or_default())
}

impl Roles {
    /// Reads them from the store. What makes no sense is left alone, and is no role.
    pub async fn open(store: &dyn Store) -> Result<Self, StoreError> {
        let mut map = Map::new();
        for (name, revision, doc) in store::read_all::<RoleDoc>(store, Kind::Role).await? {
            if let Ok(role @ Role::Custom(_)) = Role::new(&name) {
                map.insert(Arc::from(name), Custom { role, privileges: doc.privileges, revision });
            } else {
                tracing::warn!(role = name, "a stored role has a name that it can't have: it does not count");
            }
        }
        Ok(Self { map: ArcSwap::from_pointee(map) })
    }

    /// What a role is good for; `None`: there is no such role.
    pub fn find(&self, role: &Role) -> Option<Privileges> {
        role.predefined().or_else(|| self.map.load().get(role.as_str()).map(|custom| custom.privileges))
    }

    /// As [`Self::find`]; a role that does not exist is good for nothing.
    pub fn privileges(&self, role: &Role) -> Privileges {
        self.find(role).unwrap_or(Privileges::NONE)
    }

    /// All of them, the predefined ones first.
    pub fn list(&self) -> Vec<RoleInfo> {
        let predefined = Role::PREDEFINED.into_iter().map(|role| RoleInfo {
            privileges: role.predefined().unwrap_or_default(),
            role,
            revision: 0,
        });
        predefined.chain(self.map.load().values().map(Custom::info)).collect()
    }

    fn update(&self, change: impl Fn(&mut Map)) {
        self.map.rcu(|map| {
            let mut map = Map::clone(map);
            change(&mut map);
            map
        });
    }
}

/// Of rules that fit, the role with the most power that there is, and the nodes of all rules for that role; of two with
/// the same power the first. Nodes of other roles do not count: a role must not reach a node that nobody gave it for.
pub(super) fn highest<'r>(
    rules: impl Iterator<Item = (&'r Role, &'r Scope)> + Clone,
    known: Known<'_>,
) -> Option<(Role, Scope)> {
    let mut best: Option<(&Role, Privileges)> = None;
    for (role, _) in rules.clone() {
        if let Some(privileges) = known(role)
            && best.is_none_or(|(_, most)| privileges > most)
        {
            best = Some((role, privileges));
        }
    }
    let (role, _) = best?;
    let scopes = rules.filter(|(other, _)| *other == role).map(|(_, scope)| scope.clone());
    Some((role.clone(), scopes.reduce(united)?))
}

fn united(a: Scope, b: Scope) -> Scope {
    match (a, b) {
        (Scope::Some { mut nodes, mut groups }, Scope::Some { nodes: more_nodes, groups: more_groups }) => {
            nodes.extend(more_nodes);
            groups.extend(more_groups);
            Scope::Some { nodes, groups }
        }
        _ => Scope::All,
    }
}

impl Inner {
    pub(super) async fn create_role(&self, name: &str, privileges: Privileges) -> Result<RoleInfo, RoleError> {
        let role = Role::new(name)
            .map_err(|reason| RoleError::Unacceptable { property: "RoleId", reason: reason.to_string() })?;
        if role.predefined().is_some() {
            return Err(RoleError::Exists(name.to_owned()));
        }
        acceptable(privileges)?;
        let _one = self.accounts.changing.lock().await;
        let map = self.roles.map.load_full();
        if map.keys().any(|known| known.eq_ignore_ascii_case(name)) {
            return Err(RoleError::Exists(name.to_owned()));
        }
        if map.len() >= MAX_ROLES {
            return Err(RoleError::TooMany(MAX_ROLES));
        }
        let doc = RoleDoc { privileges };
        let revision =
            written(store::write(&*self.store, Kind::Role, name, Expect::Absent, &doc, Safety::PowerLoss).await)?;
        Ok(self.keep_role(&Custom { role, privileges, revision }, "role made"))
    }

    pub(super) async fn change_role(
        &self,
        name: &str,
        privileges: Privileges,
        expect: Option<u64>,
    ) -> Result<RoleInfo, RoleError> {
        let _one = self.accounts.changing.lock().await;
        let before = self.custom(name, expect)?;
        acceptable(privileges)?;
        let after = |role: &Role| if *role == before.role { privileges } else { self.roles.privileges(role) };
        self.accounts
            .keep_a_way_in(
                |account| account.way_in(self.roles.privileges(&account.role)),
                |account| account.way_in(after(&account.role)),
            )
            .map_err(RoleError::LastAdministrator)?;
        let doc = RoleDoc { privileges };
        let expected = Expect::Revision(before.revision);
        let revision = written(store::write(&*self.store, Kind::Role, name, expected, &doc, Safety::PowerLoss).await)?;
        Ok(self.keep_role(&Custom { privileges, revision, ..before }, "role changed"))
    }

    pub(super) async fn remove_role(&self, name: &str, expect: Option<u64>) -> Result<(), RoleError> {
        let _one = self.accounts.changing.lock().await;
        let before = self.custom(name, expect)?;
        let mut holders = self.accounts.having(&before.role);
        if !holders.is_empty() {
            let more = holders.len().saturating_sub(SHOWN);
            holders.truncate(SHOWN);
            holders.extend((more > 0).then(|| format!("and {more} more")));
            return Err(RoleError::InUse { role: name.to_owned(), accounts: holders });
        }
        let expected = Expect::Revision(before.revision);
        written(self.store.delete(Kind::Role, name, expected, Safety::PowerLoss).await)?;
        self.roles.update(|map| {
            map.remove(name);
        });
        tracing::info!(target: "audit", role = name, "role removed");
        self.roles_changed();
        Ok(())
    }

    /// The role that may be changed.
    fn custom(&self, name: &str, expect: Option<u64>) -> Result<Custom, RoleError> {
        if Role::PREDEFINED.iter().any(|role| role.as_str() == name) {
            return Err(RoleError::Predefined(name.to_owned()));
        }
        let found = self.roles.map.load().get(name).cloned();
        let found = found.ok_or_else(|| RoleError::NotFound(name.to_owned()))?;
        if expect.is_some_and(|revision| revision != found.revision) {
            return Err(RoleError::Changed);
        }
        Ok(found)
    }

    fn keep_role(&self, custom: &Custom, what: &str) -> RoleInfo {
        let info = custom.info();
        self.roles.update(|map| {
            map.insert(Arc::from(custom.role.as_str()), custom.clone());
        });
        let privileges = info.privileges.list().collect::<Vec<_>>().join(",");
        tracing::info!(target: "audit", role = %info.role, privileges, "{what}");
        self.roles_changed();
        info
    }

    /// Which of several roles is the highest may be another one now, for those who have theirs by rules.
    fn roles_changed(&self) {
        self.oauth.judge_anew();
        self.outside.doubt(Source::Ldap);
    }
}

/// Without `Login` nobody could even look; a role like that would be a riddle to whoever has it.
fn acceptable(privileges: Privileges) -> Result<(), RoleError> {
    if privileges.has("Login") {
        return Ok(());
    }
    let reason = "has to hold Login: without it nothing can be read".to_owned();
    Err(RoleError::Unacceptable { property: "AssignedPrivileges", reason })
}

fn written<T>(result: Result<T, StoreError>) -> Result<T, RoleError> {
    match result {
        Err(StoreError::Conflict { .. }) => Err(RoleError::Changed),
        other => Ok(other?),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_most_power_counts_with_its_own_nodes() {
        let group = |name: &str| Scope::Some { nodes: [].into(), groups: [name.to_owned()].into() };
        let watcher = Role::new("watcher").unwrap();
        let gone = Role::new("gone").unwrap();
        let known = |role: &Role| match role.as_str() {
            "watcher" => Privileges::of(["Login"]).ok(),
            "gone" => None,
            _ => role.predefined(),
        };
        let of = |rules: &[(Role, Scope)]| highest(rules.iter().map(|(role, scope)| (role, scope)), &known);
        let all = [(Role::ReadOnly, Scope::All), (watcher.clone(), group("a")), (gone.clone(), Scope::All)];
        assert_eq!(of(&all), Some((Role::ReadOnly, Scope::All)));
        let two = [(Role::ReadOnly, Scope::All), (Role::Operator, group("a")), (Role::Operator, group("b"))];
        let both = Scope::Some { nodes: [].into(), groups: ["a".to_owned(), "b".to_owned()].into() };
        assert_eq!(of(&two), Some((Role::Operator, both)), "reading everything is no leave to switch everything");
        assert_eq!(of(&[(gone, Scope::All)]), None, "a name that no role has gives nothing");
        assert_eq!(of(&[(watcher.clone(), group("a"))]), Some((watcher, group("a"))));
        assert_eq!(of(&[]), None);
    }
}
