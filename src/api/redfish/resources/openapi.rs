//! `openapi.yaml`: paths, methods and statuses of this service, from the descriptors (DSP0266, "OpenAPI schema support";
//! OpenAPI 3.0.3).
//!
//! What a resource holds is not described here: the document points to the schemas that DMTF publishes.

use std::fmt::Write as _;

use super::super::{
    call::Call,
    descriptor::{LOGIN, Method, Queries, Resource, Verb},
    error::Error,
    reply::Reply,
    table,
};

/// `/redfish/v1/openapi.yaml`
pub static OPENAPI: Resource = Resource {
    schema: "openapi",
    version: "",
    uris: &["/redfish/v1/openapi.yaml"],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "The OpenAPI document of this service.",
    queries: Queries::None,
};

/// Where DMTF publishes schemas.
const PUBLISHED: &str = "http://redfish.dmtf.org/schemas/v1";

/// What all operations share. The error is DSP0266's, "Error responses".
const COMPONENTS: &str = r"components:
  securitySchemes:
    Basic:
      type: http
      scheme: basic
    Session:
      type: apiKey
      in: header
      name: X-Auth-Token
  responses:
    Error:
      description: It was not done; the messages say why.
      content:
        application/json:
          schema:
            $ref: '#/components/schemas/Error'
  schemas:
    Error:
      type: object
      required: [error]
      properties:
        error:
          type: object
          required: [code, message]
          properties:
            code:
              type: string
            message:
              type: string
            '@Message.ExtendedInfo':
              type: array
              items:
                $ref: http://redfish.dmtf.org/schemas/v1/Message.v1_3_0.yaml#/components/schemas/Message_v1_3_0_Message
";

#[allow(clippy::unnecessary_wraps)]
fn get(call: &Call<'_>) -> Result<Reply, Error> {
    // Without subscriptions there is no EventService, and nothing below it.
    let all = call.face.subscriptions.is_some();
    let served: Vec<_> = table::ALL
        .iter()
        .copied()
        .filter(|r| all || !r.uris.iter().any(|u| u.starts_with(super::subscriptions::URI)))
        .collect();
    Ok(Reply::raw("application/yaml", document(&served).into_bytes()))
}

fn document(resources: &[&Resource]) -> String {
    let mut out = String::from("openapi: 3.0.3\ninfo:\n  title: rackfish\n");
    // Writing into a String can't fail.
    writeln!(out, "  version: '{}'\nsecurity:\n- Basic: []\n- Session: []\npaths:", env!("CARGO_PKG_VERSION"))
        .unwrap_or_default();
    for resource in resources {
        for uri in resource.uris {
            path(&mut out, resource, uri).unwrap_or_default();
        }
    }
    out.push_str(COMPONENTS);
    out
}

fn path(out: &mut String, resource: &Resource, uri: &str) -> std::fmt::Result {
    writeln!(out, "  '{uri}':")?;
    let names = || uri.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    if names().next().is_some() {
        writeln!(out, "    parameters:")?;
        for name in names() {
            writeln!(
                out,
                "    - name: {name}\n      in: path\n      required: true\n      schema:\n        type: string"
            )?;
        }
    }
    for verb in resource.verbs {
        writeln!(out, "    {}:", verb.method.as_str().to_lowercase())?;
        writeln!(out, "      summary: {}", quoted(resource.summary))?;
        if verb.privileges.is_empty() {
            writeln!(out, "      security: []")?;
        }
        if matches!(verb.method, Method::Post | Method::Patch) {
            writeln!(out, "      requestBody:\n        content:\n          application/json:\n            schema:")?;
            writeln!(out, "              type: object")?;
        }
        writeln!(out, "      responses:")?;
        answers(out, resource, verb)?;
        writeln!(out, "        default:\n          $ref: '#/components/responses/Error'")?;
    }
    Ok(())
}

/// What comes back when it went well.
fn answers(out: &mut String, resource: &Resource, verb: &Verb) -> std::fmt::Result {
    let creates = verb.method == Method::Post && !resource.is_action();
    let statuses: &[(u16, &str)] = match verb.method {
        Method::Get => &[(200, "The resource.")],
        Method::Patch => &[(200, "The resource as it is now."), (202, "A task goes on with it."), (204, "Done.")],
        Method::Delete => &[(200, "Done."), (204, "Done.")],
        Method::Post if creates => &[(201, "The new resource; its URI is in Location.")],
        Method::Post => &[(200, "Done."), (202, "A task goes on with it."), (204, "Done.")],
    };
    for (status, text) in statuses {
        writeln!(out, "        '{status}':\n          description: {text}")?;
        let shown = *status == 200 && matches!(verb.method, Method::Get | Method::Patch);
        if resource.has_schema() && shown {
            let file = resource.schema_id();
            let name = format!("{}_{}", file.replace('.', "_"), resource.schema);
            writeln!(
                out,
                "          content:\n            application/json:\n              schema:\n                \
                 $ref: {PUBLISHED}/{file}.yaml#/components/schemas/{name}"
            )?;
        }
    }
    Ok(())
}

/// As YAML has it, whatever is in the text.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_its_methods() {
        let text = document(table::ALL);
        for resource in table::ALL {
            for uri in resource.uris {
                let (_, rest) = text.split_once(&format!("\n  '{uri}':\n")).unwrap_or_default();
                let part: Vec<_> = rest.lines().take_while(|line| line.starts_with("    ")).collect();
                for verb in resource.verbs {
                    let line = format!("    {}:", verb.method.as_str().to_lowercase());
                    assert!(part.contains(&line.as_str()), "{uri} {line}");
                }
                assert_eq!(part.iter().filter(|l| l.contains("in: path")).count(), uri.matches('{').count(), "{uri}");
            }
        }
        assert!(text.contains("ComputerSystem.v1_27_0.yaml#/components/schemas/ComputerSystem_v1_27_0_ComputerSystem"));
        assert_eq!(quoted("it's"), "'it''s'");
    }
}
