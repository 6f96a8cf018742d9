//! `rackfish init`: asks a device what it is and writes a first configuration.
//!
//! The main file is made once; each device gets a file of its own in `nodes.d/`, its secrets lie in `secrets/`
//! (mode 0600). Nothing that exists is overwritten. Nothing is switched: the device is only read.

use std::{
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::{Args, Subcommand};

use super::{
    CliError, Exit, check,
    exit::Failure,
    out::{Out, remark},
    password,
};
use crate::{
    drivers::{Driver, DriverKind, Setup, find, snmp_pdu},
    model::{ActKind, Aspect, AspectKind, Caps, Cursor, EndpointId, Fact, Inventory, Secret, Unit},
};

mod text;

/// One device may take that long to tell everything.
const PATIENCE: Duration = Duration::from_mins(1);
/// Pages of one reading.
const PAGES: usize = 1_000;

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Folder for the configuration
    #[arg(long, global = true, value_name = "DIR", default_value = "/etc/rackfish")]
    out: PathBuf,
    #[command(subcommand)]
    device: Device,
}

#[derive(Debug, Subcommand)]
enum Device {
    /// A PDU that speaks SNMP
    Pdu(PduArgs),
    /// A BMC that speaks IPMI
    Bmc(BmcArgs),
    /// A BMC that speaks Redfish
    Redfish(RedfishArgs),
}

#[derive(Debug, Args)]
struct PduArgs {
    /// IP address or host name
    address: String,
    /// Name of the endpoint; made from the address if absent
    #[arg(long)]
    name: Option<String>,
    /// UDP port
    #[arg(long, default_value_t = 161)]
    port: u16,
    /// Family of the PDU; all known ones are tried if absent
    #[arg(long)]
    model: Option<String>,
    /// SNMP version: 1, 2c or 3
    #[arg(long)]
    version: Option<String>,
    /// File with the community; the family's usual one if absent
    #[arg(long, value_name = "FILE")]
    community_file: Option<PathBuf>,
    /// File with the community for writing, if it is another
    #[arg(long, value_name = "FILE")]
    write_community_file: Option<PathBuf>,
    /// User (version 3)
    #[arg(long)]
    user: Option<String>,
    /// File with the authentication passphrase (version 3)
    #[arg(long, value_name = "FILE")]
    auth_key_file: Option<PathBuf>,
    /// md5, sha, sha224, sha256, sha384 or sha512 (version 3)
    #[arg(long)]
    auth_protocol: Option<String>,
    /// File with the privacy passphrase (version 3)
    #[arg(long, value_name = "FILE")]
    priv_key_file: Option<PathBuf>,
    /// des, aes, aes192 or aes256 (version 3)
    #[arg(long)]
    priv_protocol: Option<String>,
}

#[derive(Debug, Args)]
struct BmcArgs {
    /// IP address or host name
    address: String,
    /// Name of the endpoint; made from the address if absent
    #[arg(long)]
    name: Option<String>,
    /// Name of the node; made from the endpoint's if absent
    #[arg(long)]
    node: Option<String>,
    /// UDP port
    #[arg(long, default_value_t = 623)]
    port: u16,
    /// User name
    #[arg(long, short)]
    user: String,
    /// File with the password; it is asked for if absent
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RedfishArgs {
    /// IP address or host name, with :PORT if it is not 443; or https://...
    address: String,
    /// Name of the endpoint; made from the address if absent
    #[arg(long)]
    name: Option<String>,
    /// Name of the node; made from the endpoint's if absent
    #[arg(long)]
    node: Option<String>,
    /// User name
    #[arg(long, short)]
    user: String,
    /// File with the password; it is asked for if absent
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Id of the System, if it has several
    #[arg(long, value_name = "ID")]
    system: Option<String>,
    /// PEM file with the certificate's CA, or with the certificate itself; the system's CAs if absent
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fingerprint", "insecure_no_verify"])]
    ca_file: Option<PathBuf>,
    /// SHA-256 of its own, self-signed certificate
    #[arg(long, value_name = "HEX", conflicts_with = "insecure_no_verify")]
    fingerprint: Option<String>,
    /// Take any certificate, and http:// too: whoever answers gets the password
    #[arg(long)]
    insecure_no_verify: bool,
}

/// What is known before the device was asked.
struct Draft {
    kind: &'static DriverKind,
    name: EndpointId,
    node: Option<String>,
    keys: Vec<(String, toml::Value)>,
    secrets: Vec<(String, Secret)>,
    /// Values of `model` to try; empty: the driver has none.
    models: Vec<String>,
}

/// What the device said.
struct Found {
    model: Option<String>,
    address: String,
    units: Vec<(Unit, Caps, Option<String>)>,
    inventory: Inventory,
}

pub(super) fn run(args: &InitArgs) -> Result<(), CliError> {
    let draft = match &args.device {
        Device::Pdu(pdu) => pdu_draft(pdu)?,
        Device::Bmc(bmc) => bmc_draft(bmc)?,
        Device::Redfish(bmc) => redfish_draft(bmc)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(ask(&draft))?;
    let written = write(&args.out, &draft, &found)?;
    for path in &written {
        remark(&format!("wrote {}", path.display()));
    }
    let main = args.out.join("rackfish.toml");
    check::report(&main, Out::stdout(false))?;
    remark(&format!("read it, change it, then: rackfish serve --config {}", main.display()));
    Ok(())
}

fn kind(name: &str) -> Result<&'static DriverKind, CliError> {
    find(name).ok_or_else(|| CliError::new("no-driver", Exit::Failed, format!("this build has no driver {name:?}")))
}

fn endpoint_name(given: Option<&String>, prefix: &str, address: &str) -> Result<EndpointId, CliError> {
    let made = || {
        let host: String =
            address.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
        format!("{prefix}-{}", host.trim_matches('-'))
    };
    let name = given.cloned().unwrap_or_else(made);
    EndpointId::new(&name).map_err(|error| Failure::usage(format!("--name {name:?}: {error}")).into())
}

fn pdu_draft(args: &PduArgs) -> Result<Draft, CliError> {
    let mut keys = vec![("address".to_owned(), toml::Value::String(args.address.clone()))];
    if args.port != 161 {
        keys.push(("port".to_owned(), toml::Value::Integer(args.port.into())));
    }
    let texts = [
        ("version", &args.version),
        ("user", &args.user),
        ("auth_protocol", &args.auth_protocol),
        ("priv_protocol", &args.priv_protocol),
    ];
    for (key, value) in texts {
        keys.extend(value.clone().map(|value| (key.to_owned(), toml::Value::String(value))));
    }
    let mut secrets = Vec::new();
    let files = [
        ("community", &args.community_file),
        ("write_community", &args.write_community_file),
        ("auth_key", &args.auth_key_file),
        ("priv_key", &args.priv_key_file),
    ];
    for (key, file) in files {
        if let Some(file) = file {
            secrets.push((key.to_owned(), password::read(file)?));
        }
    }
    Ok(Draft {
        kind: kind("snmp-pdu")?,
        name: endpoint_name(args.name.as_ref(), "pdu", &args.address)?,
        node: None,
        keys,
        secrets,
        // In turn, the most particular first: a device that answers to several is taken for what it is.
        models: args
            .model
            .clone()
            .map_or_else(|| snmp_pdu::families().into_iter().map(|(name, _)| name).collect(), |m| vec![m]),
    })
}

fn bmc_draft(args: &BmcArgs) -> Result<Draft, CliError> {
    let secret = match &args.password_file {
        Some(file) => password::read(file)?,
        None => password::prompt(&format!("Password of {} at {}: ", args.user, args.address))?,
    };
    let mut keys = vec![
        ("address".to_owned(), toml::Value::String(args.address.clone())),
        ("username".to_owned(), toml::Value::String(args.user.clone())),
    ];
    if args.port != 623 {
        keys.push(("port".to_owned(), toml::Value::Integer(args.port.into())));
    }
    Ok(Draft {
        kind: kind("ipmi")?,
        name: endpoint_name(args.name.as_ref(), "bmc", &args.address)?,
        node: args.node.clone(),
        keys,
        secrets: vec![("password".to_owned(), secret)],
        models: Vec::new(),
    })
}

fn redfish_draft(args: &RedfishArgs) -> Result<Draft, CliError> {
    let secret = match &args.password_file {
        Some(file) => password::read(file)?,
        None => password::prompt(&format!("Password of {} at {}: ", args.user, args.address))?,
    };
    let text = |key: &str, value: &str| (key.to_owned(), toml::Value::String(value.to_owned()));
    let mut keys = vec![text("address", &args.address), text("username", &args.user)];
    keys.extend(args.system.as_deref().map(|id| text("system", id)));
    keys.extend(args.fingerprint.as_deref().map(|hex| text("fingerprint", hex)));
    if let Some(file) = &args.ca_file {
        // The file that names it will lie in another folder.
        let whole = file.canonicalize().map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
        keys.push(text("ca_file", &whole.display().to_string()));
    }
    if args.insecure_no_verify {
        keys.push(("insecure_no_verify".to_owned(), toml::Value::Boolean(true)));
    }
    let host = args.address.split_once("://").map_or(args.address.as_str(), |(_, host)| host);
    Ok(Draft {
        kind: kind("redfish")?,
        name: endpoint_name(args.name.as_ref(), "bmc", host)?,
        node: args.node.clone(),
        keys,
        secrets: vec![("password".to_owned(), secret)],
        models: Vec::new(),
    })
}

fn setup(draft: &Draft, model: Option<&str>) -> Result<Arc<dyn Setup>, CliError> {
    let mut table = toml::Table::new();
    for (key, value) in &draft.keys {
        table.insert(key.clone(), value.clone());
    }
    for (key, secret) in &draft.secrets {
        table.insert(key.clone(), toml::Value::String(secret.expose().to_owned()));
    }
    if let Some(model) = model {
        table.insert("model".to_owned(), toml::Value::String(model.to_owned()));
    }
    (draft.kind.parse)(&table).map_err(|errors| {
        let lines: Vec<String> = errors
            .into_iter()
            .map(|error| error.key.map_or_else(String::new, |key| format!("{key}: ")) + &error.message)
            .collect();
        Failure::usage(lines.join("\n          ")).into()
    })
}

/// Opens the device with the first model that fits and reads what it is.
async fn ask(draft: &Draft) -> Result<Found, CliError> {
    let models: Vec<Option<&str>> =
        if draft.models.is_empty() { vec![None] } else { draft.models.iter().map(|m| Some(m.as_str())).collect() };
    let mut said = Vec::new();
    for model in models {
        let setup = setup(draft, model)?;
        let mut driver = setup.connect();
        let tried = tokio::time::timeout(PATIENCE, read(&mut *driver)).await;
        tokio::time::timeout(Duration::from_secs(5), driver.close()).await.unwrap_or_default();
        let fault = match tried {
            Ok(Ok((units, inventory))) => {
                return Ok(Found { model: model.map(str::to_owned), address: setup.address(), units, inventory });
            }
            Ok(Err(fault)) => fault.to_string(),
            Err(_) => format!("took longer than {} s", PATIENCE.as_secs()),
        };
        said.push(model.map_or_else(String::new, |model| format!("as {model}: ")) + &fault);
    }
    let address = setup(draft, draft.models.first().map(String::as_str)).map(|s| s.address()).unwrap_or_default();
    Err(CliError::new(
        "endpoint",
        Exit::Failed,
        format!("{address} could not be read; nothing was written\n  {}", said.join("\n  ")),
    ))
}

type Told = (Vec<(Unit, Caps, Option<String>)>, Inventory);

async fn read(driver: &mut dyn Driver) -> Result<Told, crate::model::Fault> {
    let mut units: Vec<(Unit, Caps, Option<String>)> =
        driver.open().await?.into_iter().map(|(unit, caps)| (unit, caps, None)).collect();
    if !units.iter().any(|(_, caps, _)| caps.acts.has(ActKind::On)) {
        return Err(crate::model::Fault::Unsupported("it has nothing that could be switched".to_owned()));
    }
    let mut inventory = Inventory::default();
    // Names and identity make the file readable; a device without them is none the worse.
    for aspect in [Aspect::Units, Aspect::Inventory] {
        let kind = aspect.kind();
        let asked: Vec<Unit> = units
            .iter()
            .filter(|(_, caps, _)| kind == AspectKind::Units || caps.aspects.has(kind))
            .map(|(unit, _, _)| unit.clone())
            .collect();
        let mut cursor: Option<Cursor> = None;
        for _ in 0..PAGES {
            let Ok(page) = driver.observe(&aspect, &asked, cursor.take()).await else { break };
            for (unit, fact) in page.items {
                match fact {
                    Ok(Fact::Caps(_, Some(name))) => {
                        if let Some(known) = units.iter_mut().find(|(known, _, _)| *known == unit) {
                            known.2 = Some(name);
                        }
                    }
                    Ok(Fact::Inventory(told)) => inventory = *told,
                    _ => {}
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    Ok((units, inventory))
}

/// Writes the files; those that would be overwritten are found before the first is written.
fn write(out: &Path, draft: &Draft, found: &Found) -> Result<Vec<PathBuf>, CliError> {
    let (main, nodes, secrets) = (out.join("rackfish.toml"), out.join("nodes.d"), out.join("secrets"));
    let device = nodes.join(format!("{}.toml", draft.name));
    let kept: Vec<(PathBuf, &Secret)> =
        draft.secrets.iter().map(|(key, secret)| (secrets.join(format!("{}.{key}", draft.name)), secret)).collect();
    if let Some(path) = kept.iter().map(|(path, _)| path).chain([&device]).find(|path| path.exists()) {
        return Err(CliError::new(
            "exists",
            Exit::Failed,
            format!("{} exists already; take another --name or move it away", path.display()),
        ));
    }
    let fail = |path: &Path, error: &io::Error| {
        CliError::new("output", Exit::Failed, format!("{} can't be written: {error}", path.display()))
    };
    std::fs::create_dir_all(&nodes).map_err(|e| fail(&nodes, &e))?;
    let mut written = Vec::new();
    if !kept.is_empty() && !secrets.exists() {
        std::fs::DirBuilder::new().mode(0o700).create(&secrets).map_err(|e| fail(&secrets, &e))?;
    }
    for (path, secret) in kept {
        password::keep(&path, secret).map_err(|e| fail(&path, &e))?;
        written.push(path);
    }
    if !main.exists() {
        std::fs::write(&main, text::MAIN).map_err(|e| fail(&main, &e))?;
        written.push(main);
    }
    std::fs::write(&device, text::device(draft, found)).map_err(|e| fail(&device, &e))?;
    written.push(device);
    Ok(written)
}

#[cfg(test)]
mod tests;
