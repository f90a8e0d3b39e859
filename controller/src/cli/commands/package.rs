//! `patchwave package`: who has what installed.

use clap::Subcommand;
use patchwave_common::domain::{PackageName, Selector, Timestamp};
use patchwave_proto::operator::v1::{ListPackageHostsRequest, ListPackagesRequest, PackageHost, PackageRow};

use crate::cli::output::{self, Tabular};
use crate::cli::status::About;
use crate::cli::table::{Cell, Column};
use crate::cli::text::Tone;
use crate::cli::{CliError, Session, values};

const LIST_EXAMPLES: &str = "\
Examples:
  patchwave package list --name 'openssl*'
  patchwave package list ring=test
  patchwave package list -o json";
const HOSTS_EXAMPLES: &str = "\
Examples:
  patchwave package hosts openssl
  patchwave package hosts libssl3 --version '<3.0.22'      quote it: < is the shell's
  patchwave package hosts nginx --select site=ams -o json";

/// Verbs of `package`.
#[derive(Debug, Subcommand)]
pub enum PackageCommand {
    /// List installed packages, each version with its number of hosts
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Only on these hosts, e.g. ring=test,os=debian
        #[arg(value_name = "SELECTOR", value_parser = values::selector, default_value = "", hide_default_value = true)]
        selector: Selector,
        /// Only packages of this name; * and ? stand for others
        #[arg(long, value_name = "PATTERN", default_value = "", hide_default_value = true)]
        name: String,
    },
    /// List the hosts that have a package
    #[command(after_help = HOSTS_EXAMPLES)]
    Hosts {
        /// The package
        #[arg(value_parser = |text: &str| PackageName::parse(text))]
        name: PackageName,
        /// Only these versions: <V, <=V, =V, >=V or >V, as the package manager orders them
        #[arg(long, value_name = "BOUND", value_parser = values::version_bound)]
        version: Option<values::VersionBound>,
        /// Only on these hosts
        #[arg(long, value_name = "SELECTOR", value_parser = values::selector, default_value = "", hide_default_value = true)]
        select: Selector,
    },
}

pub(super) async fn run(command: PackageCommand, session: &mut Session<'_>) -> Result<(), CliError> {
    match command {
        PackageCommand::List { selector, name } => {
            let request = ListPackagesRequest { selector: selector.into(), name_pattern: name };
            let packages = session.stream(About::Package, async |client| client.list_packages(request).await).await?;
            output::stream(session.printer, packages).await
        }
        PackageCommand::Hosts { name, version, select } => {
            let version = version.map(|bound| bound.0).unwrap_or_default();
            let request = ListPackageHostsRequest { name: name.into(), version, selector: select.into() };
            let hosts = session.stream(About::Package, async |client| client.list_package_hosts(request).await).await?;
            output::stream(session.printer, hosts).await
        }
    }
}

impl Tabular for PackageRow {
    const COLUMNS: &'static [Column] = &[
        Column::new("NAME"),
        Column::new("ARCH").expendable(1),
        Column::new("VERSION"),
        Column::new("SOURCE").expendable(2),
        Column::new("HOSTS").right(),
    ];
    const EMPTY: &'static str = "No such package on these hosts, as far as they have reported.";

    fn row(&self, _now: Timestamp) -> Vec<Cell> {
        vec![
            Cell::from(&self.name),
            Cell::from(&self.architecture),
            Cell::from(&self.version),
            Cell::from(&self.source),
            Cell::count(self.hosts),
        ]
    }
}

impl Tabular for PackageHost {
    const COLUMNS: &'static [Column] = &[
        Column::new("HOST").shrinks_to(24),
        Column::new("ID").expendable(2),
        Column::new("PACKAGE").expendable(3),
        Column::new("ARCH").expendable(1),
        Column::new("VERSION"),
    ];
    const EMPTY: &'static str = "No host has it, as far as they have reported.";

    fn row(&self, _now: Timestamp) -> Vec<Cell> {
        vec![
            Cell::from(&self.name),
            Cell::toned(&self.host, Tone::Dim),
            Cell::from(&self.package),
            Cell::from(&self.architecture),
            Cell::from(&self.version),
        ]
    }
}
