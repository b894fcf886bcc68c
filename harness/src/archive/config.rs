//! What an image's configuration says of the job: [`Image`] as it is written (config.md of the OCI
//! image specification), [`Defaults`] as the launcher uses it.

use std::io::Read;

use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::tree::{Content, Tree};

/// What runs when the command line names nothing else.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub struct Defaults {
    /// Entrypoint and arguments.
    pub args: Vec<String>,
    /// `K=V` each.
    pub env: Vec<String>,
    /// The working directory; empty: the root.
    pub cwd: String,
    /// User and group.
    pub user: Option<(u32, u32)>,
    /// The user's home, as `/etc/passwd` has it.
    pub home: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Image {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    config: Option<Config>,
    pub(super) rootfs: Layers,
}

#[derive(Deserialize)]
pub(super) struct Layers {
    #[serde(default)]
    pub(super) diff_ids: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    user: Option<String>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
}

impl Image {
    /// Refuses what this machine can't run.
    pub(super) fn check(&self) -> Result<()> {
        let (os, architecture) = (self.os.as_str(), self.architecture.as_str());
        if !matches!(os, "" | "linux") || !matches!(architecture, "" | "amd64") {
            bail!("it is an image for {os}/{architecture}, not for linux/amd64");
        }
        Ok(())
    }

    /// What it says of the job; names of users and groups are those of `tree`.
    pub(super) fn defaults(self, tree: &Tree) -> Result<Defaults> {
        let config = self.config.unwrap_or_default();
        let mut args = config.entrypoint.unwrap_or_default();
        args.extend(config.cmd.unwrap_or_default());
        let user = config.user.filter(|user| !user.is_empty());
        let account = user.map(|user| Account::find(tree, &user)).transpose()?;
        Ok(Defaults {
            args,
            env: config.env.unwrap_or_default(),
            cwd: config.working_dir.unwrap_or_default(),
            user: account.as_ref().map(|account| (account.uid, account.gid)),
            home: account.and_then(|account| account.home),
        })
    }
}

struct Account {
    uid: u32,
    gid: u32,
    home: Option<String>,
}

impl Account {
    /// `user`, `uid`, `user:group`, `uid:gid`, `uid:group` or `user:gid`.
    fn find(tree: &Tree, text: &str) -> Result<Self> {
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        let passwd = text_of(tree, b"/etc/passwd");
        let line = entry(&passwd, user);
        let field = |at: usize| line.as_ref().and_then(|line| line.get(at)).copied();
        let unknown = |what: &str| anyhow!("its user is '{text}', but {what} isn't in it");
        let uid = field(2)
            .and_then(|uid| uid.parse().ok())
            .or_else(|| user.parse().ok())
            .ok_or_else(|| unknown("such a user"))?;
        let gid = if group.is_empty() {
            field(3).and_then(|gid| gid.parse().ok()).unwrap_or(0)
        } else {
            let groups = text_of(tree, b"/etc/group");
            let line = entry(&groups, group);
            line.and_then(|line| line.get(2)?.parse().ok())
                .or_else(|| group.parse().ok())
                .ok_or_else(|| unknown("such a group"))?
        };
        let home = field(5).filter(|home| !home.is_empty()).map(str::to_owned);
        Ok(Self { uid, gid, home })
    }
}

/// The fields of the line whose name or number is `key`.
fn entry<'a>(text: &'a str, key: &str) -> Option<Vec<&'a str>> {
    let lines = || text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines()
        .find(|line| line.first() == Some(&key))
        .or_else(|| lines().find(|line| line.get(2) == Some(&key)))
}

/// A file's text; empty when there is none.
fn text_of(tree: &Tree, path: &[u8]) -> String {
    let node = tree.find(path).and_then(|index| tree.nodes().get(index));
    let mut bytes = Vec::new();
    if let Some(Content::Piece(piece)) = node.map(|node| &node.content) {
        // One that can't be read is as good as none.
        let _ = piece.reader().read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
