//! A fleet's network: a bridge with the machine's own address, and for each host a namespace joined by a veth pair.
//!
//! Nothing is forwarded to other networks; the default route of a host leads to the bridge and ends there.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::Result;

use crate::command::run;
use crate::slot::Slot;

/// One host's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) address: Ipv4Addr,
    namespace: String,
    /// The machine's end of the veth pair.
    interface: String,
}

/// Makes the slot's bridge and gives it its address.
pub(crate) fn make_bridge(slot: &Slot) -> Result<()> {
    let bridge = slot.bridge();
    run("ip", &["link", "add", &bridge, "type", "bridge"])?;
    run("ip", &["address", "add", &format!("{}/24", slot.gateway()), "dev", &bridge])?;
    run("ip", &["link", "set", &bridge, "up"]).map(|_| ())
}

impl Connection {
    /// Makes the namespace of the host with this number and joins it to the bridge.
    pub(crate) fn make(slot: &Slot, name: &str, number: u8) -> Result<Self> {
        let address = slot.address(number).ok_or_else(|| anyhow::anyhow!("too many hosts in one fleet: {number}"))?;
        let namespace = format!("{}{name}", slot.prefix());
        let interface = format!("{}{number}", slot.interface_prefix());
        let inner = format!("{interface}i");
        run("ip", &["netns", "add", &namespace])?;
        run("ip", &["link", "add", &interface, "type", "veth", "peer", "name", &inner])?;
        run("ip", &["link", "set", &inner, "netns", &namespace, "name", "eth0"])?;
        run("ip", &["link", "set", &interface, "master", &slot.bridge(), "up"])?;
        let inside = |arguments: &[&str]| run("ip", &[&["-n", &namespace], arguments].concat());
        inside(&["link", "set", "lo", "up"])?;
        inside(&["address", "add", &format!("{address}/24"), "dev", "eth0"])?;
        inside(&["link", "set", "eth0", "up"])?;
        inside(&["route", "add", "default", "via", &slot.gateway().to_string()])?;
        Ok(Self { address, namespace, interface })
    }

    /// The namespace, as systemd-nspawn wants it.
    pub(crate) fn namespace_path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.namespace)
    }

    /// No packet passes from now on; the host's own interface and addresses stay, as with a pulled switch port.
    pub(crate) fn cut(&self) -> Result<()> {
        run("ip", &["link", "set", &self.interface, "down"]).map(|_| ())
    }

    /// Packets pass again.
    pub(crate) fn restore(&self) -> Result<()> {
        run("ip", &["link", "set", &self.interface, "up"]).map(|_| ())
    }
}
