//! On a real terminal (a pseudo-terminal made by `script`): the drawing over itself, colours, questions.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use futures::StreamExt as _;
use patchwave::cli::context::{Context, Contexts};
use patchwave::cli::watch::draw;
use patchwave::pki::{OPERATOR_LIFETIME, PkiFiles, ServerCertificate, ServerNames};
use patchwave_common::domain::OperatorName;
use patchwave_common::runtime::clock::{Clock as _, SystemClock};
use patchwave_common::runtime::tls::{AcceptLimits, KeyRequest, TrustDomain, accept, server_config};
use patchwave_proto::operator::v1::operator_service_server::OperatorServiceServer;

use rustix::process::{Pid, Signal, kill_process};

use crate::fake::Fake;
use crate::program::program;
use crate::samples;

/// The fake behind real mutual TLS, with a context for the program in `home`.
async fn serve(fake: Fake, home: &Path) {
    let (clock, now) = (Arc::new(SystemClock::new()), SystemClock::new().now());
    let files = PkiFiles::new(&home.join("pki"));
    let names = ServerNames::parse(["127.0.0.1"]).unwrap();
    let (authority, _) = files.init(&TrustDomain::parse("lab").unwrap(), &names, now).unwrap();
    let authority = Arc::new(authority);
    let (certificate, _) = ServerCertificate::open(&files.server_path(), authority.clone(), names, now).unwrap();
    let tls = server_config(authority.certificate(), authority.trust_domain().clone(), certificate.slot(), clock.clone()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let incoming = accept(listener, tls, clock, AcceptLimits::for_this_process());
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(OperatorServiceServer::new(fake))
            .serve_with_incoming(incoming.chain(futures::stream::pending())),
    );
    let key = KeyRequest::new().unwrap();
    let issued = authority.issue_operator(&key.request_der, &OperatorName::parse("anna").unwrap(), OPERATOR_LIFETIME, now).unwrap();
    let context = Context { url, authority: authority.certificate_pem().to_owned(), certificate: issued.chain_pem, key: key.key_pem };
    let contexts = Contexts::at(&home.join(".config/patchwave"));
    contexts.save("lab", &context).unwrap();
    contexts.select("lab").unwrap();
}

/// What a terminal of 80 columns and 40 rows received, and the exit status; `None` where there is no `script`.
async fn on_a_terminal(home: &Path, arguments: &str, answer: &str, environment: &[(&str, &str)]) -> Option<(String, i32)> {
    let program = format!("stty cols 80 rows 40; exec {} {arguments}", env!("CARGO_BIN_EXE_patchwave"));
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &program, "/dev/null"]);
    command
        .env_clear()
        .env("HOME", home)
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh")
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(environment.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("LEFT OUT: there is no script(1) to make a terminal with");
        return None;
    };
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), answer.as_bytes()).unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    Some((String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap()))
}

/// The lines that stand on the screen in the end: text, line ends, cursor up, erase to the right and below; colours show nothing.
fn screen(received: &str) -> Vec<String> {
    let (mut lines, mut row, mut column): (Vec<Vec<char>>, usize, usize) = (vec![Vec::new()], 0, 0);
    let mut characters = received.chars();
    while let Some(character) = characters.next() {
        match character {
            '\r' => column = 0,
            '\n' => row += 1,
            '\u{1b}' => {
                characters.next();
                let mut number = String::new();
                let end = characters.by_ref().find(|next| {
                    if next.is_ascii_digit() {
                        number.push(*next);
                        false
                    } else {
                        next.is_ascii_alphabetic()
                    }
                });
                match end {
                    Some('A') => row -= number.parse::<usize>().unwrap_or(1),
                    Some('K') => lines[row].truncate(column),
                    Some('J') => {
                        lines[row].truncate(column);
                        lines.truncate(row + 1);
                    }
                    _ => {}
                }
            }
            _ => {
                lines[row].truncate(column);
                lines[row].push(character);
                column += 1;
            }
        }
        if row >= lines.len() {
            lines.resize(row + 1, Vec::new());
        }
    }
    let mut shown: Vec<String> = lines.into_iter().map(|line| line.into_iter().collect::<String>().trim_end().to_owned()).collect();
    while shown.last().is_some_and(String::is_empty) {
        shown.pop();
    }
    shown
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_draws_over_itself_and_leaves_the_last_drawing() {
    let home = tempfile::tempdir().unwrap();
    let states = vec![Ok(samples::running_detail()), Ok(samples::running_detail()), Ok(samples::stopped_detail())];
    serve(Fake::watching(states), home.path()).await;
    let Some((received, status)) = on_a_terminal(home.path(), "rollout watch r-4h6j8k0l", "", &[]).await else { return };
    assert_eq!(status, 1, "{received}");
    assert!(received.contains("\u{1b}[31m") && !received.contains("\u{1b}[?1049h"), "in colour, and not on the alternate screen");
    let mut expected = draw(&samples::stopped_detail(), 80);
    expected.push("Next: `patchwave rollout show r-4h6j8k0l` tells which hosts and why".to_owned());
    assert_eq!(screen(&received), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_the_watch_and_says_that_the_rollout_goes_on() {
    let home = tempfile::tempdir().unwrap();
    serve(Fake::watching(vec![Ok(samples::running_detail())]).staying(), home.path()).await;
    let mut watching =
        program(home.path()).args(["rollout", "watch", "r-7k2m9qxa"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let run = tokio::task::spawn_blocking(move || {
        let mut first = String::new();
        BufReader::new(watching.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
        kill_process(Pid::from_raw(watching.id().cast_signed()).unwrap(), Signal::INT).unwrap();
        (first, watching.wait_with_output().unwrap())
    });
    let (first, output) = run.await.unwrap();
    assert!(first.contains("running"), "{first}");
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(talk.contains("the rollout goes on") && talk.contains("patchwave rollout pause r-7k2m9qxa"), "{talk}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_color_leaves_no_colour_on_a_terminal() {
    let home = tempfile::tempdir().unwrap();
    serve(Fake::default(), home.path()).await;
    let Some((coloured, _)) = on_a_terminal(home.path(), "host list", "", &[]).await else { return };
    let (plain, _) = on_a_terminal(home.path(), "host list", "", &[("NO_COLOR", "1")]).await.unwrap();
    assert!(coloured.contains("\u{1b}[") && !plain.contains('\u{1b}'), "{plain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn retiring_asks_on_a_terminal_and_takes_no_for_an_answer() {
    let home = tempfile::tempdir().unwrap();
    let fake = Fake::default();
    serve(fake.clone(), home.path()).await;
    let Some((asked, status)) = on_a_terminal(home.path(), "host retire db", "n\n", &[]).await else { return };
    assert_eq!(status, 1, "{asked}");
    assert!(asked.contains("Retire db-primary-with-a-long-name.fleet.example (h-9z8y7x6w, online, last seen"), "{asked}");
    assert_eq!(fake.asked(), ["ShowHostRequest { host: \"db\" }"]);
    let (_, status) = on_a_terminal(home.path(), "host retire db", "y\n", &[]).await.unwrap();
    assert_eq!((status, fake.asked().last().unwrap().as_str()), (0, "RetireHostRequest { host: \"h-9z8y7x6w\", reason: \"\" }"));
    let (_, status) = on_a_terminal(home.path(), "host retire db --yes", "", &[]).await.unwrap();
    assert_eq!((status, fake.asked().last().unwrap().as_str()), (0, "RetireHostRequest { host: \"db\", reason: \"\" }"));
}
