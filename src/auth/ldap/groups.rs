//! Which groups a user is in, groups in groups included, and what that gives them.

use std::{collections::HashSet, sync::Arc};

use super::conn::{Broken, Connection, MAX_ENTRIES};
use crate::{
    config::{Ldap, LdapNested, LdapRole, LdapSchema},
    model::{Role, Scope},
    wire::ldap::{Dn, Filter, Request, SearchScope},
};

/// How many steps groups in groups are followed, when we do it.
const MAX_STEPS: usize = 16;
/// Groups that are asked for with one search.
const TOGETHER: usize = 50;
/// LDAP_MATCHING_RULE_IN_CHAIN ([MS-ADTS] 3.1.1.3.4.4.3).
const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";

/// Whose groups are asked for.
pub(super) struct User<'a> {
    /// Their entry.
    pub dn: &'a str,
    /// What they are called.
    pub name: &'a str,
    /// The SID of their primary group, which does not list them.
    pub primary: Option<&'a [u8]>,
}

/// The groups of a user.
pub(super) async fn of(connection: &mut Connection, config: &Ldap, user: &User<'_>) -> Result<Vec<Dn>, Broken> {
    let User { dn, name, primary } = *user;
    let mut next = match primary {
        Some(sid) => search(connection, config, Filter::Equal("objectSid".to_owned(), sid.to_vec())).await?,
        None => Vec::new(),
    };
    let first = match (config.schema, config.nested) {
        (LdapSchema::Rfc2307, _) => value("memberUid", name),
        (LdapSchema::Ad, LdapNested::Server) => {
            let groups = next.iter().map(Dn::as_str);
            Filter::Or([dn].into_iter().chain(groups).map(in_chain).collect())
        }
        _ => member(dn),
    };
    let mut known: Vec<Dn> = Vec::new();
    let mut seen: HashSet<Dn> = Dn::parse(dn).into_iter().collect();
    next.extend(search(connection, config, first).await?);
    for _ in 0..MAX_STEPS {
        // A group that was seen is not followed again: a circle ends here.
        next.retain(|group| seen.insert(group.clone()));
        known.extend(next.iter().cloned());
        if known.len() > MAX_ENTRIES {
            tracing::warn!(user = name, "more than {MAX_ENTRIES} groups: the rest does not count");
            known.truncate(MAX_ENTRIES);
            break;
        }
        if next.is_empty() || config.nested != LdapNested::Walk || config.schema == LdapSchema::Rfc2307 {
            break;
        }
        let mut above = Vec::new();
        for some in next.chunks(TOGETHER) {
            let filter = Filter::Or(some.iter().map(|group| member(group.as_str())).collect());
            above.extend(search(connection, config, filter).await?);
        }
        next = above;
    }
    Ok(known)
}

async fn search(connection: &mut Connection, config: &Ldap, filter: Filter) -> Result<Vec<Dn>, Broken> {
    let request = Request::Search {
        base: &config.group_base,
        scope: SearchScope::Subtree,
        limit: 0,
        seconds: 0,
        filter: &filter,
        // RFC 4511, 4.5.1.8: no attributes.
        attributes: &["1.1"],
    };
    let found = connection.search("the search for groups", &request).await?;
    if found.no_base {
        tracing::warn!(base = %config.group_base, "auth.ldap.group_base does not exist in the directory");
    }
    Ok(found.entries.iter().filter_map(|entry| Dn::parse(&entry.dn)).collect())
}

fn value(attribute: &str, text: &str) -> Filter {
    Filter::Equal(attribute.to_owned(), text.as_bytes().to_vec())
}

fn member(dn: &str) -> Filter {
    Filter::Or(vec![value("member", dn), value("uniqueMember", dn)])
}

fn in_chain(dn: &str) -> Filter {
    Filter::Rule(Some("member".to_owned()), Some(IN_CHAIN.to_owned()), dn.as_bytes().to_vec(), false)
}

/// The highest role that one of the groups is given, and the nodes of all groups that are given this one. Nodes of lesser
/// roles do not count: a role must not reach a node that nobody gave it for. `None`: no group is given any.
pub(super) fn rights(groups: &[Dn], roles: &[LdapRole]) -> Option<(Role, Arc<Scope>)> {
    let mine: Vec<&LdapRole> = roles.iter().filter(|role| groups.contains(&role.group)).collect();
    let highest = mine.iter().map(|role| role.role).max()?;
    let scopes = mine.iter().filter(|role| role.role == highest).map(|role| role.scope.clone());
    Some((highest, Arc::new(scopes.reduce(united)?)))
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn dn(text: &str) -> Dn {
        Dn::parse(text).unwrap()
    }

    fn role(group: &str, role: Role, groups: &[&str]) -> LdapRole {
        let groups: std::collections::BTreeSet<String> = groups.iter().map(|g| (*g).to_owned()).collect();
        let scope = if groups.is_empty() { Scope::All } else { Scope::Some { nodes: [].into(), groups } };
        LdapRole { group: dn(group), role, scope }
    }

    #[test]
    fn the_highest_role_counts_with_its_own_nodes() {
        let roles = [
            role("cn=all,dc=x", Role::ReadOnly, &[]),
            role("cn=r1,dc=x", Role::Operator, &["rack1"]),
            role("cn=r2,dc=x", Role::Operator, &["rack2"]),
            role("cn=adm,dc=x", Role::Administrator, &[]),
        ];
        let of = |groups: &[&str]| rights(&groups.iter().map(|g| dn(g)).collect::<Vec<_>>(), &roles);
        assert!(of(&[]).is_none() && of(&["cn=other,dc=x"]).is_none());
        let (role, scope) = of(&["cn=all,dc=x", "CN=R1, DC=X"]).unwrap();
        let rack1 = Scope::Some { nodes: [].into(), groups: ["rack1".to_owned()].into() };
        assert_eq!((role, &*scope), (Role::Operator, &rack1), "reading everything is no leave to switch everything");
        let (_, scope) = of(&["cn=r1,dc=x", "cn=r2,dc=x"]).unwrap();
        let both = Scope::Some { nodes: [].into(), groups: ["rack1".to_owned(), "rack2".to_owned()].into() };
        assert_eq!(*scope, both);
        let (role, scope) = of(&["cn=adm,dc=x", "cn=r1,dc=x"]).unwrap();
        assert_eq!((role, &*scope), (Role::Administrator, &Scope::All));
    }
}
