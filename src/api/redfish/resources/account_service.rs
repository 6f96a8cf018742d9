//! The AccountService: rules for passwords and lockout, and what is known of other sources of accounts.
//!
//! What the configuration says can't be written here.

use std::time::Duration;

use serde_json::Value;

use super::{
    super::{
        call::{Call, names_etag},
        doc::Doc,
        error::Error,
        fields::Fields,
        reply::Reply,
    },
    accounts::{ACCOUNTS, SERVICE, URI},
    client_certificates, privilege_map, roles,
};
use crate::{
    auth::{PolicyPatch, oauth::IssuerInfo},
    config::{Ldap, LdapSchema, MAX_LOCKOUT, MAX_PASSWORD_DAYS, MAX_PASSWORD_HISTORY, OAuthKeys},
};

/// Longest password: more is not hashed.
const MAX_PASSWORD: u32 = 256;
/// How a client certificate names its account.
const MAPPING: &str = "CommonName";
/// Highest threshold: more is no lockout.
const MAX_THRESHOLD: u64 = 1_000;

/// GET
#[allow(clippy::unnecessary_wraps)]
pub fn get(call: &Call<'_>) -> Result<Reply, Error> {
    Ok(Reply::ok(render(call)))
}

fn render(call: &Call<'_>) -> Doc {
    let config = call.face.fleet.config();
    let policy = call.face.auth.policy();
    let lockout = &policy.lockout;
    let mut doc = Doc::resource(&SERVICE, URI);
    // What somebody sets to what it was is a write all the same.
    doc.salt(policy.revision)
        .set("Id", "AccountService")
        .set("Name", "Account service")
        .set("ServiceEnabled", true)
        .set("MinPasswordLength", config.auth.min_password)
        .set("MaxPasswordLength", MAX_PASSWORD)
        .set("EnforcePasswordHistoryCount", policy.password_history)
        .set("PasswordExpirationDays", policy.password_days)
        .set("AccountLockoutThreshold", lockout.threshold)
        .set("AccountLockoutDuration", lockout.duration.as_secs())
        .set("AccountLockoutCounterResetAfter", lockout.reset_after.as_secs())
        .set("AccountLockoutCounterResetEnabled", lockout.resets)
        .set("HTTPBasicAuth", "Enabled")
        .set("LocalAccountAuth", "Enabled")
        .list("SupportedAccountTypes", ["Redfish"])
        .obj("Status", |o| {
            o.set("State", "Enabled").set("Health", "OK");
        })
        .link("Accounts", ACCOUNTS)
        .link("Roles", roles::URI)
        .link("PrivilegeMap", privilege_map::URI);
    if let Some(tls) = &call.face.certificate {
        let cas = tls.client_cas();
        doc.obj("MultiFactorAuth", |o| {
            o.obj("ClientCertificate", |o| {
                o.set("Enabled", cas.enabled)
                    .set("CertificateMappingAttribute", MAPPING)
                    .link("Certificates", client_certificates::URI);
            });
        });
    }
    // The schema has a place for one; the others are configured and work all the same.
    if let Some(first) = call.face.auth.issuers().first() {
        oauth(&mut doc, first);
    }
    if let Some(ldap) = &config.auth.ldap {
        let (name, other) = match ldap.schema {
            LdapSchema::Ad => ("ActiveDirectory", "LDAP"),
            LdapSchema::Rfc2307bis | LdapSchema::Rfc2307 => ("LDAP", "ActiveDirectory"),
        };
        doc.obj(name, |o| directory(o, ldap, call.has("ConfigureUsers"))).obj(other, |o| {
            o.set("ServiceEnabled", false);
        });
    }
    doc
}

/// `OAuth2`: read-only, as it is configured. The keys of an issuer that is asked for them are its own to publish.
fn oauth(doc: &mut Doc, issuer: &IssuerInfo) {
    let settings = &issuer.settings;
    doc.obj("OAuth2", |o| {
        o.set("ServiceEnabled", true);
        if let OAuthKeys::Url { url, .. } = &settings.keys {
            o.list("ServiceAddresses", [url.as_str()]);
        }
        o.obj("OAuth2Service", |o| {
            o.set("Issuer", settings.issuer.as_str()).list("Audience", settings.audience.iter().map(String::as_str));
            match &settings.keys {
                OAuthKeys::Url { .. } => o.set("Mode", "Discovery"),
                OAuthKeys::File { .. } => {
                    let keys = openssl::base64::encode_block(issuer.set.to_string().as_bytes());
                    o.set("Mode", "Offline").set("OAuthServiceSigningKeys", keys)
                }
            };
        });
    });
}

/// The directory, as `ExternalAccountProvider`. It is set up in the configuration: nothing here can be changed. Groups are
/// for those who may change accounts.
fn directory(o: &mut Doc, ldap: &Ldap, all: bool) {
    o.set("ServiceEnabled", true).list("ServiceAddresses", ldap.servers.iter().map(|server| server.url.as_str()));
    if all {
        o.arr("RemoteRoleMapping", |a| {
            for role in &ldap.roles {
                a.item_obj(|o| {
                    o.set("RemoteGroup", role.group.as_str()).set("LocalRole", role.role.as_str());
                });
            }
        });
    }
}

/// A whole number, or null where the schema has it for "off".
fn number_or_null(fields: &mut Fields, key: &str, most: u64) -> Option<u64> {
    if fields.is_null(key) {
        fields.take(key);
        return Some(0);
    }
    fields.number(key, 0..=most)
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// `MultiFactorAuth.ClientCertificate.Enabled`
fn clients(fields: &mut Fields, current: &Value) -> Option<bool> {
    let mut all = fields.object("MultiFactorAuth")?;
    let mut enabled = None;
    if let Some(mut ours) = all.object("ClientCertificate") {
        enabled = ours.boolean("Enabled");
        ours.one_of("CertificateMappingAttribute", &[MAPPING], |word| word);
        all.absorb(ours, current.pointer("/MultiFactorAuth/ClientCertificate"));
    }
    fields.absorb(all, current.get("MultiFactorAuth"));
    enabled
}

/// PATCH
pub async fn patch(call: &Call<'_>) -> Result<Reply, Error> {
    let policy = call.face.auth.policy();
    let current = render(call).finish();
    let expect = match (call.if_match, &current.etag) {
        (None, _) => None,
        (Some(header), Some(etag)) if names_etag(header, etag) => Some(policy.revision),
        (Some(_), _) => return Err(Error::precondition()),
    };
    let value: Value = serde_json::from_slice(&current.bytes).unwrap_or_default();
    let mut fields = call.properties()?;
    let patch = PolicyPatch {
        threshold: number_or_null(&mut fields, "AccountLockoutThreshold", MAX_THRESHOLD).map(narrow),
        duration: number_or_null(&mut fields, "AccountLockoutDuration", MAX_LOCKOUT.as_secs()).map(Duration::from_secs),
        reset_after: fields
            .number("AccountLockoutCounterResetAfter", 0..=MAX_LOCKOUT.as_secs())
            .map(Duration::from_secs),
        resets: fields.boolean("AccountLockoutCounterResetEnabled"),
        password_history: fields.number("EnforcePasswordHistoryCount", 0..=MAX_PASSWORD_HISTORY.into()).map(narrow),
        password_days: number_or_null(&mut fields, "PasswordExpirationDays", MAX_PASSWORD_DAYS.into())
            .map(|days| Some(narrow(days)).filter(|days| *days > 0)),
    };
    // Where it is plain HTTP there is no such property, and that is said of it.
    let clients = call.face.certificate.as_ref().and_then(|_| clients(&mut fields, &value));
    fields.finish(Some(&value))?;
    if let Some(enabled) = clients {
        client_certificates::may_change(call)?;
        call.note(format!("Client certificates: {enabled}; rules for accounts: {patch:?}"));
    } else {
        call.note(format!("Change the rules for accounts ({patch:?})"));
    }
    if patch != PolicyPatch::default() {
        call.face.auth.change_policy(patch, expect).await.map_err(|e| Error::of_policy(&e))?;
    }
    if let Some(enabled) = clients {
        client_certificates::change(call, move |tls| tls.enable_client_cas(enabled)).await?;
    }
    Ok(Reply::ok(render(call)))
}
