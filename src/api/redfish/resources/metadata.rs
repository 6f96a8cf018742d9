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

/// Our own schemas, which `$metadata` and `JsonSchemas` point to: read by clients that have not logged in.
pub static SCHEMAS: Resource = Resource {
    schema: "oem-schema",
    version: "",
    uris: &["/redfish/v1/Schemas/{file}"],
    verbs: &[Verb::get(OPEN, schema)],
    summary: "The schemas (CSDL, JSON Schema) of what stands below `Oem.Rackfish`.",
    queries: Queries::None,
};

/// A schema of our own, in both forms.
pub struct Oem {
    /// `RackfishEvent`
    pub name: &'static str,
    csdl: &'static str,
    json: &'static str,
}

/// Their version.
pub const OEM_VERSION: &str = "v1_0_0";

macro_rules! oem {
    ($($name:literal),* $(,)?) => {
        &[$(Oem {
            name: $name,
            csdl: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/redfish-schemas/oem/", $name, "_v1.xml")),
            json: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/redfish-schemas/oem/", $name, ".v1_0_0.json")),
        }),*]
    };
}

/// Our own schemas.
pub const OEM: &[Oem] = oem![
    "RackfishComputerSystem",
    "RackfishManagerAccount",
    "RackfishLogService",
    "RackfishLogEntry",
    "RackfishEvent",
];

fn schema(call: &Call<'_>) -> Result<Reply, Error> {
    let named = |suffix: &str| {
        let name = call.param(0).strip_suffix(suffix)?;
        OEM.iter().find(|o| o.name == name)
    };
    if let Some(oem) = named("_v1.xml") {
        return Ok(Reply::raw("application/xml", oem.csdl.as_bytes().to_vec()));
    }
    let oem = named(&format!(".{OEM_VERSION}.json")).ok_or_else(|| call.not_found())?;
    Ok(Reply::raw("application/json", oem.json.as_bytes().to_vec()))
}

/// Where the JSON Schema of one of our own is.
pub fn oem_json_uri(name: &str) -> String {
    format!("/redfish/v1/Schemas/{name}.{OEM_VERSION}.json")
}

/// Schemas of embedded objects that bodies name by `@odata.type`.
const EMBEDDED: &[(&str, &str)] = &[("Message", "v1_3_0"), ("Resource", "v1_23_0")];

/// Where DMTF publishes schemas.
const PUBLISHED: &str = "http://redfish.dmtf.org/schemas/v1";

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
        writeln!(out, "  <edmx:Reference Uri=\"{file}\">").unwrap_or_default();
        for (namespace, alias) in includes {
            let alias = alias.map(|a| format!(" Alias=\"{a}\"")).unwrap_or_default();
            writeln!(out, "    <edmx:Include Namespace=\"{namespace}\"{alias}/>").unwrap_or_default();
        }
        out.push_str("  </edmx:Reference>\n");
    };
    for (schema, version) in &schemas {
        let mut includes = vec![((*schema).to_owned(), None)];
        if !version.is_empty() {
            includes.push((format!("{schema}.{version}"), None));
        }
        reference(&format!("{PUBLISHED}/{schema}_v1.xml"), &includes);
    }
    let extensions = [("RedfishExtensions.v1_0_0".to_owned(), Some("Redfish"))];
    reference(&format!("{PUBLISHED}/RedfishExtensions_v1.xml"), &extensions);
    for Oem { name, .. } in OEM {
        let includes = [((*name).to_owned(), None), (format!("{name}.{OEM_VERSION}"), None)];
        reference(&format!("/redfish/v1/Schemas/{name}_v1.xml"), &includes);
    }
    let root = super::root::ROOT.version;
    write!(
        out,
        "  <edmx:DataServices>\n    <Schema xmlns=\"http://docs.oasis-open.org/odata/ns/edm\" Namespace=\"Service\">\n      \
         <EntityContainer Name=\"Service\" Extends=\"ServiceRoot.{root}.ServiceContainer\"/>\n    </Schema>\n  \
         </edmx:DataServices>\n</edmx:Edmx>\n"
    )
    .unwrap_or_default();
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
