//! nginx with HTTP/2 and client certificates of our authority, where it is installed.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

/// Debian's place for it, and those of the path.
const PLACES: [&str; 3] = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"];
/// The answer: as small as an answer to a heartbeat.
const PAGE: &str = "1";

/// The program, if it is installed.
pub fn find() -> Option<PathBuf> {
    PLACES.iter().map(PathBuf::from).find(|path| path.is_file())
}

/// Writes its configuration and page into `directory`; gives the command that serves.
pub fn command(program: &Path, directory: &Path, pki: &Path, listen: SocketAddr) -> Result<Command> {
    fs::create_dir_all(directory.join("pages"))?;
    fs::write(directory.join("pages/page"), PAGE)?;
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let (here, pki) = (directory.display(), pki.display());
    // Nothing that an idle connection would lose by time, no logging of requests, no tickets: as our own server has it. Two workers would
    // share the load, and cost as much for each connection.
    let text = format!(
        "{user}\ndaemon off;\nworker_processes 1;\nworker_rlimit_nofile 20000;\npid {here}/pid;\nerror_log {here}/error.log;\n\
         events {{ worker_connections 19900; }}\n\
         http {{\n  access_log off;\n  keepalive_timeout 3600s;\n  keepalive_requests 1000000000;\n  client_header_timeout 3600s;\n  \
         client_body_temp_path {here}/body;\n  proxy_temp_path {here}/proxy;\n  fastcgi_temp_path {here}/fastcgi;\n  \
         uwsgi_temp_path {here}/uwsgi;\n  scgi_temp_path {here}/scgi;\n  \
         server {{\n    listen {listen} ssl http2 backlog=1024;\n    root {here}/pages;\n    \
         ssl_certificate {pki}/server.pem;\n    ssl_certificate_key {pki}/server.pem;\n    ssl_protocols TLSv1.3;\n    \
         ssl_client_certificate {pki}/authority.pem;\n    ssl_verify_client on;\n    \
         ssl_session_cache off;\n    ssl_session_tickets off;\n  }}\n}}\n"
    );
    let path = directory.join("nginx.conf");
    fs::write(&path, text)?;
    let mut command = Command::new(program);
    command.arg("-p").arg(directory).arg("-e").arg(directory.join("error.log")).arg("-c").arg(&path);
    Ok(command)
}
