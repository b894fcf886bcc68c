//! Container images: [`read`] finds manifest, configuration and layers among an image's [`Blobs`],
//! checks every digest, and lays the layers over each other.
//!
//! Sources: the OCI image specification (image-layout.md, image-index.md, manifest.md, config.md),
//! and the `manifest.json` of `docker save`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use kiln_core::num::u64_of;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tar::{Archive, EntryType};

use super::config::Image;
use super::spool::Spool;
use super::stream::{Hashed, Limited, plain};
use super::{Root, layer};
use crate::tree::Tree;

/// Larger than any sensible manifest or configuration.
const MOST_JSON: u64 = 4 << 20;
/// An index may name another index, but not for ever.
const MOST_INDEXES: u32 = 4;
/// As many links as an archive's blob may be behind.
const MOST_LINKS: u32 = 8;

/// The files that an image consists of.
pub(super) enum Blobs {
    /// Those of a layout in a directory.
    Directory(PathBuf),
    /// Those of an archive that isn't compressed.
    Archive {
        file: Arc<File>,
        files: HashMap<Vec<u8>, (u64, u64)>,
        links: HashMap<Vec<u8>, Vec<u8>>,
    },
}

impl Blobs {
    pub(super) fn directory(path: &Path) -> Self {
        Self::Directory(path.to_owned())
    }

    /// Lists an archive's files without reading them.
    pub(super) fn archive(file: File) -> Result<Self> {
        let (mut files, mut links) = (HashMap::new(), HashMap::new());
        let mut archive = Archive::new(&file);
        for entry in archive.entries_with_seek().context("it is no tar")? {
            let Ok(entry) = entry else {
                // A broken tar is told when it is unpacked; a broken image misses its blobs.
                break;
            };
            let path = clean(&entry.path_bytes());
            match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous => {
                    files.insert(path, (entry.raw_file_position(), entry.size()));
                }
                EntryType::Symlink | EntryType::Link => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    let dir = match entry.header().entry_type() {
                        EntryType::Symlink => path
                            .rsplit(|byte| *byte == b'/')
                            .skip(1)
                            .collect::<Vec<_>>(),
                        _ => vec![],
                    };
                    let dir: Vec<u8> = dir.into_iter().rev().collect::<Vec<_>>().join(&b'/');
                    links.insert(path, clean(&[&dir, b"/".as_slice(), &target].concat()));
                }
                _ => {}
            }
        }
        Ok(Self::Archive {
            file: Arc::new(file),
            files,
            links,
        })
    }

    /// Whether there is an image among them.
    pub(super) fn are_an_image(&self) -> bool {
        self.has("manifest.json") || (self.has("oci-layout") && self.has("index.json"))
    }

    fn has(&self, name: &str) -> bool {
        self.open(name).is_ok()
    }

    fn open(&self, name: &str) -> Result<Box<dyn Read>> {
        let missing = || anyhow!("the image lacks {name}");
        match self {
            Self::Directory(dir) => {
                let relative = clean(name.as_bytes());
                let relative = String::from_utf8(relative).map_err(|_| missing())?;
                Ok(Box::new(
                    File::open(dir.join(relative)).with_context(missing)?,
                ))
            }
            Self::Archive { file, files, links } => {
                let mut name = clean(name.as_bytes());
                for _ in 0..MOST_LINKS {
                    match links.get(&name) {
                        Some(target) => name.clone_from(target),
                        None => break,
                    }
                }
                let (at, left) = *files.get(&name).ok_or_else(missing)?;
                let file = Arc::clone(file);
                Ok(Box::new(Part { file, at, left }))
            }
        }
    }

    /// A small file.
    fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(name)?
            .take(MOST_JSON + 1)
            .read_to_end(&mut bytes)?;
        if u64_of(bytes.len()) > MOST_JSON {
            bail!("{name} is too large");
        }
        Ok(bytes)
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        serde_json::from_slice(&self.bytes(name)?).with_context(|| name.to_owned())
    }

    /// A small blob whose digest is right.
    fn checked<T: DeserializeOwned>(&self, blob: &Descriptor) -> Result<T> {
        let bytes = self.bytes(&blob.path()?)?;
        let (mut stream, sum) = Hashed::new(bytes.as_slice());
        io::copy(&mut stream, &mut io::sink())?;
        blob.check(&sum.digest(), sum.len())?;
        serde_json::from_slice(&bytes).with_context(|| blob.digest.clone())
    }
}

/// A path without what doesn't change it; `..` takes a part away.
fn clean(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

/// Part of an archive.
struct Part {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let count = self
            .file
            .read_at(buffer.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at += u64_of(count);
        self.left -= u64_of(count);
        Ok(count)
    }
}

/// A blob's name and length (descriptor.md).
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<Platform>,
}

#[derive(Clone, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

impl Descriptor {
    fn path(&self) -> Result<String> {
        let digits = self.digest.strip_prefix("sha256:").filter(|digits| {
            digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        });
        let digits = digits.ok_or_else(|| anyhow!("digest '{}' isn't a SHA-256", self.digest))?;
        Ok(format!("blobs/sha256/{digits}"))
    }

    fn check(&self, digest: &str, len: u64) -> Result<()> {
        if len != self.size || digest != self.digest {
            bail!("{} is damaged: its digest is {digest}", self.digest);
        }
        Ok(())
    }

    /// Whether it can be for this machine.
    fn fits(&self) -> bool {
        let fits = |platform: &Platform| platform.os == "linux" && platform.architecture == "amd64";
        self.platform.as_ref().is_none_or(fits)
    }

    fn is_index(&self) -> bool {
        self.media_type.contains("index") || self.media_type.contains("manifest.list")
    }
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// An entry of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    layers: Vec<String>,
}

/// A layer: its file, and for an OCI image its digest.
struct Layer {
    path: String,
    blob: Option<Descriptor>,
}

/// Reads the image.
pub(super) fn read(blobs: &Blobs, spool: &mut Spool, limit: u64) -> Result<Root> {
    let (image, layers) = if blobs.has("index.json") {
        laid_out(blobs)?
    } else {
        saved(blobs)?
    };
    image.check()?;
    let sums = &image.rootfs.diff_ids;
    if sums.len() != layers.len() {
        bail!(
            "the image has {} layers, and its configuration {}",
            layers.len(),
            sums.len()
        );
    }
    let mut tree = Tree::default();
    for (number, (layer, sum)) in (1..).zip(layers.iter().zip(sums)) {
        unpack(blobs, layer, sum, &mut tree, spool, limit)
            .with_context(|| format!("layer {number} of {}", sums.len()))?;
    }
    let tree = tree.compacted();
    let defaults = image.defaults(&tree)?;
    Ok(Root { tree, defaults })
}

/// An OCI layout's image for this machine.
fn laid_out(blobs: &Blobs) -> Result<(Image, Vec<Layer>)> {
    let mut index: Index = blobs.json("index.json")?;
    for _ in 0..MOST_INDEXES {
        let mut fitting = index.manifests.iter().filter(|manifest| manifest.fits());
        let manifest = fitting
            .next()
            .ok_or_else(|| anyhow!("it holds no image for linux/amd64"))?;
        if fitting.next().is_some() {
            bail!("it holds several images; save one alone");
        }
        if manifest.is_index() {
            index = blobs.checked(manifest)?;
            continue;
        }
        let manifest: Manifest = blobs.checked(manifest)?;
        let image = blobs.checked(&manifest.config)?;
        let layers = manifest.layers.into_iter().map(|blob| {
            let path = blob.path()?;
            let blob = Some(blob);
            Ok(Layer { path, blob })
        });
        return Ok((image, layers.collect::<Result<_>>()?));
    }
    bail!("its index leads to too many others")
}

/// The one image of `docker save`.
fn saved(blobs: &Blobs) -> Result<(Image, Vec<Layer>)> {
    let images: Vec<Saved> = blobs.json("manifest.json")?;
    let [image] = images
        .try_into()
        .map_err(|images: Vec<_>| anyhow!("it holds {} images; save one alone", images.len()))?;
    let bytes = blobs.bytes(&image.config)?;
    let (mut stream, sum) = Hashed::new(bytes.as_slice());
    io::copy(&mut stream, &mut io::sink())?;
    // The file's name is its digest.
    let name = image.config.rsplit('/').next().unwrap_or_default();
    let name = name.strip_suffix(".json").unwrap_or(name);
    if sum.digest().strip_prefix("sha256:") != Some(name) {
        bail!(
            "{} is damaged: its digest is {}",
            image.config,
            sum.digest()
        );
    }
    let config = serde_json::from_slice(&bytes).with_context(|| image.config.clone())?;
    let layers = image
        .layers
        .into_iter()
        .map(|path| Layer { path, blob: None });
    Ok((config, layers.collect()))
}

fn unpack(
    blobs: &Blobs,
    layer: &Layer,
    wanted: &str,
    tree: &mut Tree,
    spool: &mut Spool,
    limit: u64,
) -> Result<()> {
    let (packed, packed_sum) = Hashed::new(blobs.open(&layer.path)?);
    let (bytes, _) = plain(packed.buffered())?;
    let (mut bytes, sum) = Hashed::new(Limited::new(bytes, limit));
    layer::apply(&mut bytes, tree, spool, true)?;
    // What follows the tar's end counts as well.
    io::copy(&mut bytes, &mut io::sink())?;
    drop(bytes);
    if let Some(blob) = &layer.blob {
        blob.check(&packed_sum.digest(), packed_sum.len())?;
    }
    if sum.digest() != wanted {
        bail!(
            "it is damaged: its digest is {}, not {wanted}",
            sum.digest()
        );
    }
    Ok(())
}
