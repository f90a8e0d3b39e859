//! One file per noun: its arguments, its verbs, and what its answers look like.

pub mod advisory;
pub mod audit;
pub mod backup;
pub mod completions;
pub mod context;
pub mod events;
pub mod feed;
pub mod finding;
pub mod halt;
pub mod host;
pub mod init;
pub mod operator;
pub mod package;
pub mod policy;
pub mod quarantine;
pub mod restore;
pub mod rollout;
pub mod serve;
pub mod token;
pub mod update;
pub mod version;

use super::arguments::Command;
use super::error::CliError;
use super::session::Session;

/// Does what was asked for.
pub async fn dispatch(command: Command, session: &mut Session<'_>) -> Result<(), CliError> {
    match command {
        Command::Init(arguments) => init::run(arguments, session).await?,
        Command::Serve(arguments) => serve::run(arguments).await?,
        Command::Backup(arguments) => backup::run(arguments, session).await?,
        Command::Restore(arguments) => restore::run(arguments, session).await?,
        Command::Operator(command) => operator::run(command, session).await?,
        Command::Token(command) => token::run(command, session).await?,
        Command::Host(command) => host::run(command, session).await?,
        Command::Package(command) => package::run(command, session).await?,
        Command::Update(command) => update::run(command, session).await?,
        Command::Policy(command) => policy::run(command, session).await?,
        Command::Rollout(command) => rollout::run(command, session).await?,
        Command::Quarantine(command) => quarantine::run(command, session).await?,
        Command::Halt(arguments) => halt::run(arguments, session).await?,
        Command::Events(arguments) => events::run(arguments, session).await?,
        Command::Audit(command) => audit::run(command, session).await?,
        Command::Context(command) => context::run(command, session)?,
        Command::Feed(command) => feed::run(command, session).await?,
        Command::Finding(command) => finding::run(command, session).await?,
        Command::Advisory(command) => advisory::run(command, session).await?,
        Command::Version(command) => version::run(command, session.printer)?,
        Command::Completions(arguments) => completions::run(&arguments, session.printer)?,
    }
    Ok(session.printer.finish()?)
}
