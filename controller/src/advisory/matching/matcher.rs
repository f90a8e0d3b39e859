//! The answers for a fleet, kept while hosts and advisories change.

use std::collections::BTreeMap;
use std::sync::Arc;

use patchwave_common::domain::{AdvisoryId, Digest};
use roaring::RoaringBitmap;

use super::{AdvisorySet, Match, Matches, PackageKey};
use crate::advisory::record::{Advisory, Space};

/// An image within this matcher; given again to another one once no host has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageId(u32);

impl ImageId {
    /// The number, as bitmaps of images hold it.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

/// Keeps, for each package key that any host has, what matches it, and who has it. Hosts are numbers, which the caller gives.
#[derive(Debug, Default)]
pub struct Matcher {
    advisories: AdvisorySet,
    packages: Slots<Package>,
    ids: BTreeMap<Space, BTreeMap<Arc<str>, Versions>>,
    images: Slots<Image>,
    digests: BTreeMap<Digest, u32>,
    hosts: BTreeMap<u32, u32>,
}

/// The numbers of a package's versions.
type Versions = BTreeMap<Arc<str>, u32>;

#[derive(Debug)]
struct Package {
    key: PackageKey,
    matches: Arc<Matches>,
    images: RoaringBitmap,
}

#[derive(Debug)]
struct Image {
    digest: Digest,
    packages: RoaringBitmap,
    hosts: RoaringBitmap,
}

impl Matcher {
    /// The advisories in use.
    #[must_use]
    pub fn advisories(&self) -> &AdvisorySet {
        &self.advisories
    }

    /// Gives a host the image of this digest; `keys` is asked for only where no other host has it. The digest must stand for exactly
    /// these keys. The matching of keys that no host had before happens here.
    pub fn set_host(&mut self, host: u32, digest: Digest, keys: impl FnOnce() -> Vec<PackageKey>) -> ImageId {
        let id = match self.digests.get(&digest) {
            Some(id) => *id,
            None => self.add_image(digest, keys()),
        };
        let before = self.hosts.insert(host, id);
        if let Some(image) = self.images.get_mut(id) {
            image.hosts.insert(host);
        }
        if let Some(before) = before.filter(|before| *before != id) {
            self.leave(host, before);
        }
        ImageId(id)
    }

    /// Forgets a host.
    pub fn remove_host(&mut self, host: u32) {
        if let Some(image) = self.hosts.remove(&host) {
            self.leave(host, image);
        }
    }

    /// Takes advisories in (a new one, or one in the place of one of its id) and out, and matches again the packages of which they speak or
    /// spoke. Gives the images for which something changed.
    pub fn change(&mut self, put: impl IntoIterator<Item = Arc<Advisory>>, remove: impl IntoIterator<Item = AdvisoryId>) -> RoaringBitmap {
        let mut concerned = RoaringBitmap::new();
        for id in remove {
            if let Some(old) = self.advisories.remove(&id) {
                self.note_packages(&old, &mut concerned);
            }
        }
        for advisory in put {
            self.note_packages(&advisory, &mut concerned);
            if let Some(old) = self.advisories.insert(advisory) {
                self.note_packages(&old, &mut concerned);
            }
        }
        let mut images = RoaringBitmap::new();
        for id in &concerned {
            let Some(package) = self.packages.get_mut(id) else { continue };
            let matches = self.advisories.matches(&package.key);
            if matches != *package.matches {
                package.matches = Arc::new(matches);
                images |= &package.images;
            }
        }
        images
    }

    /// The image that a host has.
    #[must_use]
    pub fn image_of(&self, host: u32) -> Option<ImageId> {
        self.hosts.get(&host).copied().map(ImageId)
    }

    /// The hosts that have an image.
    #[must_use]
    pub fn hosts_of(&self, image: ImageId) -> Option<&RoaringBitmap> {
        self.images.get(image.0).map(|image| &image.hosts)
    }

    /// The hosts that have the image of this number.
    #[must_use]
    pub fn hosts_of_number(&self, image: u32) -> Option<&RoaringBitmap> {
        self.hosts_of(ImageId(image))
    }

    /// Every package key of an image with what matches it, if anything; in no order.
    pub fn packages_of(&self, image: ImageId) -> impl Iterator<Item = (&PackageKey, &Matches)> {
        let packages = self.images.get(image.0).into_iter().flat_map(|image| &image.packages);
        packages.filter_map(|id| self.packages.get(id)).map(|package| (&package.key, package.matches.as_ref()))
    }

    /// Everything that matches a package key of an image, ordered by key.
    #[must_use]
    pub fn matches_of(&self, image: ImageId) -> Vec<(&PackageKey, &Matches)> {
        let packages = self.images.get(image.0).into_iter().flat_map(|image| &image.packages);
        let mut matches: Vec<(&PackageKey, &Matches)> = packages
            .filter_map(|id| self.packages.get(id))
            .filter(|package| !package.matches.found.is_empty() || package.matches.unreadable)
            .map(|package| (&package.key, package.matches.as_ref()))
            .collect();
        matches.sort_unstable_by_key(|(key, _)| *key);
        matches
    }

    /// The hosts with a version of which an advisory speaks.
    #[must_use]
    pub fn affected_by(&self, advisory: &AdvisoryId) -> RoaringBitmap {
        let mut concerned = RoaringBitmap::new();
        if let Some(advisory) = self.advisories.get(advisory) {
            self.note_packages(advisory, &mut concerned);
        }
        let has_it = |package: &&Package| package.matches.found.iter().any(|Match { advisory: found, .. }| found.id == *advisory);
        let mut hosts = RoaringBitmap::new();
        for package in concerned.iter().filter_map(|id| self.packages.get(id)).filter(has_it) {
            for image in package.images.iter().filter_map(|id| self.images.get(id)) {
                hosts |= &image.hosts;
            }
        }
        hosts
    }

    /// Distinct package keys and distinct images: what the work grows with.
    #[must_use]
    pub fn distinct(&self) -> (usize, usize) {
        (self.packages.used(), self.images.used())
    }

    fn add_image(&mut self, digest: Digest, keys: Vec<PackageKey>) -> u32 {
        let packages: RoaringBitmap = keys.into_iter().map(|key| self.package(key)).collect();
        let id = self.images.add(Image { digest, packages: packages.clone(), hosts: RoaringBitmap::new() });
        for package in &packages {
            if let Some(package) = self.packages.get_mut(package) {
                package.images.insert(id);
            }
        }
        self.digests.insert(digest, id);
        id
    }

    /// The number of a package key, which is matched where it is new.
    fn package(&mut self, key: PackageKey) -> u32 {
        let versions = self.ids.entry(key.space.clone()).or_default().entry(key.name.clone()).or_default();
        if let Some(id) = versions.get(&key.version) {
            return *id;
        }
        let matches = Arc::new(self.advisories.matches(&key));
        let version = key.version.clone();
        let id = self.packages.add(Package { key, matches, images: RoaringBitmap::new() });
        versions.insert(version, id);
        id
    }

    /// The numbers of all package keys of which an advisory speaks, whatever their version.
    fn note_packages(&self, advisory: &Advisory, concerned: &mut RoaringBitmap) {
        for affected in &advisory.affected {
            let versions = self.ids.get(&affected.space).and_then(|names| names.get(&affected.package));
            concerned.extend(versions.into_iter().flat_map(BTreeMap::values));
        }
    }

    /// A host leaves an image; an image without hosts goes, and so does a package key without images.
    fn leave(&mut self, host: u32, image: u32) {
        let Some(left) = self.images.get_mut(image) else { return };
        left.hosts.remove(host);
        if !left.hosts.is_empty() {
            return;
        }
        let Some(gone) = self.images.remove(image) else { return };
        self.digests.remove(&gone.digest);
        for id in &gone.packages {
            let Some(package) = self.packages.get_mut(id) else { continue };
            package.images.remove(image);
            if package.images.is_empty() {
                self.forget_package(id);
            }
        }
    }

    fn forget_package(&mut self, id: u32) {
        let Some(Package { key, .. }) = self.packages.remove(id) else { return };
        let Some(names) = self.ids.get_mut(&key.space) else { return };
        if let Some(versions) = names.get_mut(&key.name) {
            versions.remove(&key.version);
            if versions.is_empty() {
                names.remove(&key.name);
            }
        }
        if names.is_empty() {
            self.ids.remove(&key.space);
        }
    }
}

/// Values by small numbers; the number of one that went is given again.
#[derive(Debug)]
struct Slots<T> {
    values: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { values: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    fn add(&mut self, value: T) -> u32 {
        if let Some(id) = self.free.pop()
            && let Some(slot) = self.values.get_mut(id as usize)
        {
            *slot = Some(value);
            return id;
        }
        // A slot takes more than a hundred bytes: 2³² of them are in no machine's memory.
        let id = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push(Some(value));
        id
    }

    fn remove(&mut self, id: u32) -> Option<T> {
        let value = self.values.get_mut(id as usize)?.take()?;
        self.free.push(id);
        Some(value)
    }

    fn get(&self, id: u32) -> Option<&T> {
        self.values.get(id as usize)?.as_ref()
    }

    fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.values.get_mut(id as usize)?.as_mut()
    }

    fn used(&self) -> usize {
        self.values.len() - self.free.len()
    }
}
