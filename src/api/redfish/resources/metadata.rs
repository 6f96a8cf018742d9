//! `$metadata`: which schemas the service uses, from the descriptors (DSP0266, "OData metadata").

use std::{collections::BTreeMap, fmt::Write as _};

use super::super::{
    call::Call,
    descriptor::{OPEN, Queries, Resource, Verb},
    error::Error,
    reply::Reply,
    table,
};

/// `/redfish/v1/$metadata`
pub static METADATA: Resource = Resource {
    schema: "$metadata",
    version: "",
    uris: &["/redfish/v1/$metadata"],
    verbs: &[Verb::get(OPEN, get)],
    summary: "The OData metadata document.",
    queries: Queries::None,
};

/// Schemas of embedded objects that bodies name by `@odata.type`.
const EMBEDDED: &[(&str, &str)] = &[("Message", "v1_3_0"), ("Resource", "v1_23_0")];

#[allow(clippy::unnecessary_wraps)]
fn get(_: &Call<'_>) -> Result<Reply, Error> {
    Ok(Reply::raw("application/xml", document(table::ALL).into_bytes()))
}

fn document(resources: &[&Resource]) -> String {
    let mut schemas: BTreeMap<&str, &str> = EMBEDDED.iter().copied().collect();
    schemas.extend(resources.iter().filter(|r| r.has_schema()).map(|r| (r.schema, r.version)));
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <edmx:Edmx xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\" Version=\"4.0\">\n",
    );
    let mut reference = |file: &str, includes: &[(String, Option<&str>)]| {
        // Writing into a String can't fail.
        drop(writeln!(out, "  <edmx:Reference Uri=\"http://redfish.dmtf.org/schemas/v1/{file}\">"));
        for (namespace, alias) in includes {
            let alias = alias.map(|a| format!(" Alias=\"{a}\"")).unwrap_or_default();
            drop(writeln!(out, "    <edmx:Include Namespace=\"{namespace}\"{alias}/>"));
        }
        out.push_str("  </edmx:Reference>\n");
    };
    for (schema, version) in &schemas {
        let mut includes = vec![((*schema).to_owned(), None)];
        if !version.is_empty() {
            includes.push((format!("{schema}.{version}"), None));
        }
        reference(&format!("{schema}_v1.xml"), &includes);
    }
    reference("RedfishExtensions_v1.xml", &[("RedfishExtensions.v1_0_0".to_owned(), Some("Redfish"))]);
    let root = super::root::ROOT.version;
    drop(write!(
        out,
        "  <edmx:DataServices>\n    <Schema xmlns=\"http://docs.oasis-open.org/odata/ns/edm\" Namespace=\"Service\">\n      \
         <EntityContainer Name=\"Service\" Extends=\"ServiceRoot.{root}.ServiceContainer\"/>\n    </Schema>\n  \
         </edmx:DataServices>\n</edmx:Edmx>\n"
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_is_included_with_its_version() {
        let text = document(table::ALL);
        for r in table::ALL.iter().filter(|r| r.has_schema()) {
            assert!(text.contains(&format!("Namespace=\"{}\"", r.schema_id())), "{}", r.schema);
        }
        assert!(text.contains("Extends=\"ServiceRoot.v1_20_0.ServiceContainer\""));
        assert_eq!(text.matches("<edmx:Reference ").count(), text.matches("</edmx:Reference>").count());
    }
}
