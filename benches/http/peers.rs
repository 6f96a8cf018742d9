//! The processes that are measured, each of its own: `rackfish demo`, the bare handler, sushy-emulator.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::Failure;

/// What comes up, comes up within that time.
const UP: Duration = Duration::from_mins(1);
/// Ticks a second of `/proc/PID/stat` (proc(5); the kernel shows them as 100 on every Linux we run on).
const TICKS: f64 = 100.0;
/// System that sushy-emulator's fake driver shows.
pub const FAKE: &str = "6f1f1d8c-5d1c-4b0e-9d3a-3b7f6f1c2a10";

/// A process that ends with its owner.
pub struct Peer {
    child: Child,
    /// Where it serves.
    pub address: SocketAddr,
}

impl Peer {
    /// CPU seconds that it has used up to now, user and system, all threads.
    pub fn cpu(&self) -> Result<f64, Failure> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name is in parentheses and may hold anything; fields 14 and 15 are the 12th and 13th after it.
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        let times: Vec<f64> = after.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
        Ok(times.iter().sum::<f64>() / TICKS)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A demo and what its ready file says.
pub struct Demo {
    /// The process.
    pub peer: Peer,
    /// Its state folder.
    pub state_dir: PathBuf,
    /// Its authority.
    pub ca: PathBuf,
    /// Password of `admin`.
    pub password: String,
    /// A node with a BMC and a feed: the largest System there is.
    pub system: String,
}

fn wait_for<T>(what: &str, child: &mut Child, mut look: impl FnMut() -> Option<T>) -> Result<T, Failure> {
    let until = Instant::now() + UP;
    while Instant::now() < until {
        if let Some(status) = child.try_wait()? {
            return Err(format!("{what} ended with {status}").into());
        }
        if let Some(found) = look() {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill()?;
    Err(format!("{what} did not come up within {} s", UP.as_secs()).into())
}

/// Starts `rackfish demo` with three nodes.
pub fn demo(folder: &Path) -> Result<Demo, Failure> {
    let (ready, state_dir) = (folder.join("ready.json"), folder.join("state"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_rackfish"))
        .args(["demo", "--listen", "127.0.0.1:0", "--nodes", "3", "--redfish-nodes", "0", "--ready-file"])
        .arg(&ready)
        .arg("--state-dir")
        .arg(&state_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join("demo.log"))?)
        .spawn()?;
    let facts: Value = wait_for("rackfish demo", &mut child, || serde_json::from_slice(&fs::read(&ready).ok()?).ok())?;
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("the ready file lacks something");
    let url = text(&facts["redfish"])?;
    let address = url.trim_start_matches("https://").parse()?;
    let password = fs::read_to_string(text(&facts["password_file"])?)?.trim().to_owned();
    let mixed = facts["nodes"].as_array().and_then(|nodes| nodes.iter().find(|n| n["kind"] == "mixed"));
    Ok(Demo {
        peer: Peer { child, address },
        state_dir,
        ca: text(&facts["ca_file"])?.into(),
        password,
        system: text(&mixed.ok_or("no mixed node")?["system"])?,
    })
}

/// Starts this program again as the bare handler that serves `body`.
pub fn bare(demo: &Demo, body: &Path, folder: &Path) -> Result<Peer, Failure> {
    let address_file = folder.join("bare.address");
    let mut child = Command::new(std::env::current_exe()?)
        .args([crate::bare::WORD.as_ref(), demo.state_dir.as_os_str(), body.as_os_str(), address_file.as_os_str()])
        .stdin(Stdio::null())
        .spawn()?;
    let address = wait_for("the bare handler", &mut child, || fs::read_to_string(&address_file).ok()?.parse().ok())?;
    Ok(Peer { child, address })
}

/// Starts sushy-emulator with its fake driver and the demo's certificate.
pub fn emulator(program: &Path, demo: &Demo, folder: &Path) -> Result<Peer, Failure> {
    let tls = demo.state_dir.join("tls");
    let (certificate, key) = (tls.join("cert.pem"), tls.join("key.pem"));
    // It takes no port 0: one that was free a moment ago has to do.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let config = folder.join("emulator.conf");
    let text = format!(
        "SUSHY_EMULATOR_FAKE_DRIVER = True\nSUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'\n\
         SUSHY_EMULATOR_LISTEN_PORT = {}\nSUSHY_EMULATOR_SSL_CERT = '{}'\nSUSHY_EMULATOR_SSL_KEY = '{}'\n\
         SUSHY_EMULATOR_STATE_DIR = '{}'\nSUSHY_EMULATOR_FAKE_SYSTEMS = [{{'uuid': '{FAKE}', 'name': 'node-03', \
         'power_state': 'On', 'external_notifier': False, 'nics': [{{'mac': '52:54:00:00:00:03', 'ip': '127.0.0.3'}}]}}]\n",
        address.port(),
        certificate.display(),
        key.display(),
        folder.display(),
    );
    fs::write(&config, text)?;
    let log = fs::File::create(folder.join("emulator.log"))?;
    let mut child = Command::new(program)
        .arg("--config")
        .arg(&config)
        .arg("--fake")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .map_err(|e| format!("{}: {e}", program.display()))?;
    wait_for("sushy-emulator", &mut child, || TcpStream::connect(address).ok())?;
    Ok(Peer { child, address })
}
