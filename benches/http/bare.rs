//! What everything is measured beside: actix-web with one handler that gives out bytes it holds in memory.
//!
//! It has the service's own TLS acceptor (the same certificate, the same settings) and connection settings, and none
//! of its work: no login, no log, no route, no headers besides the type and the length.

use std::{
    ffi::OsString,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use actix_web::{App, HttpResponse, HttpServer, http::header, web};
use rackfish::{api::tls::ReloadableAcceptor, config};

use crate::Failure;

/// The argument that makes this program the bare handler.
pub const WORD: &str = "--bare";

/// Serves until it is ended. Arguments: the demo's state folder, the body's file, the file for the address.
pub fn serve(args: &[OsString]) -> Result<(), Failure> {
    let [state_dir, body, address_file] = args else { return Err("three arguments are needed".into()) };
    let body = web::Bytes::from(fs::read(body)?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let acceptor = ReloadableAcceptor::new(&config::Tls::default(), Path::new(state_dir), &[address])?;
    let handler = move || {
        let body = body.clone();
        async move { HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).body(body) }
    };
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || App::new().default_service(web::to(handler.clone())))
            .keep_alive(Duration::from_secs(5))
            .tcp_nodelay(true)
            .disable_signals()
            .listen_openssl(listener, acceptor.builder()?)?
            .run();
        // Aside, then renamed: whoever sees the file sees all of it.
        let file = PathBuf::from(address_file);
        let aside = file.with_extension("new");
        fs::write(&aside, address.to_string())?;
        fs::rename(&aside, &file)?;
        Ok(server.await?)
    })
}
