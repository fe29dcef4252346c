//! From root to an ordinary user, once the sockets are bound (`user`, `group`).
//!
//! In: whom to become. Out: done for the whole process, for good, or why not. It comes before any thread and before the
//! store, so that every file belongs to that user.

use nix::unistd::{Gid, Group, Uid, User, chown, getegid, geteuid, initgroups, setgid, setuid};
use std::ffi::CString;
use std::path::Path;

/// Whom to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: String,
    /// The group; the user's own where there is none.
    pub group: Option<String>,
}

/// Why the process does not become somebody else; each is for people and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeFault {
    /// No such user.
    #[error("there is no user `{0}`: make it (useradd --system {0}), or correct `user`")]
    NoUser(String),
    /// No such group.
    #[error("there is no group `{0}`: make it (groupadd --system {0}), or correct `group`")]
    NoGroup(String),
    /// Root is who it is to stop being.
    #[error("`user` is root; name an ordinary user, or leave it out")]
    Root,
    /// Started as somebody else.
    #[error("cannot become `{0}`: only root can; start as root, as `{0}`, or leave `user` out")]
    NotRoot(String),
    /// The system refuses.
    #[error("cannot become `{user}`: the system refuses {what}: {cause}")]
    System {
        /// Whom.
        user: String,
        /// Which step.
        what: &'static str,
        /// The system's words.
        cause: nix::Error,
    },
}

/// Whether the process may do everything.
pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}

/// Becomes somebody else for good; `data` is given to them where it is made now.
///
/// # Errors
/// Nothing, or not all, was given up: the process must end.
pub(crate) fn drop_to(account: &Account, data: Option<&Path>) -> Result<(), PrivilegeFault> {
    let name = &account.user;
    let (uid, gid) = ids(account)?;
    if !is_root() {
        let is_already = geteuid() == uid && getegid() == gid;
        return if is_already { Ok(()) } else { Err(PrivilegeFault::NotRoot(name.clone())) };
    }
    let fault = |what| move |cause| PrivilegeFault::System { user: name.clone(), what, cause };
    if let Some(data) = data.filter(|data| !data.exists()) {
        let made = std::fs::create_dir_all(data);
        made.map_err(|error| {
            fault("the data directory")(error.raw_os_error().map_or(nix::Error::EIO, nix::Error::from_raw))
        })?;
        chown(data, Some(uid), Some(gid)).map_err(fault("the data directory"))?;
    }
    let user = CString::new(name.as_str()).map_err(|_| PrivilegeFault::NoUser(name.clone()))?;
    initgroups(&user, gid).map_err(fault("its groups"))?;
    setgid(gid).map_err(fault("its group"))?;
    setuid(uid).map_err(fault("its user"))?;
    // Why: a system on which this can be taken back has given up nothing.
    if setuid(Uid::from_raw(0)).is_ok() {
        return Err(fault("to give root up")(nix::Error::EPERM));
    }
    Ok(())
}

fn ids(account: &Account) -> Result<(Uid, Gid), PrivilegeFault> {
    let user = User::from_name(&account.user).ok().flatten();
    let user = user.ok_or_else(|| PrivilegeFault::NoUser(account.user.clone()))?;
    let gid = match &account.group {
        None => user.gid,
        Some(name) => {
            let group = Group::from_name(name).ok().flatten();
            group.ok_or_else(|| PrivilegeFault::NoGroup(name.clone()))?.gid
        }
    };
    if user.uid.is_root() {
        return Err(PrivilegeFault::Root);
    }
    Ok((user.uid, gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_exist_or_is_root_is_refused_in_words() {
        let account =
            |user: &str, group: Option<&str>| Account { user: user.into(), group: group.map(Into::into) };
        for (account, said) in [
            (account("no-such-user-here", None), "there is no user `no-such-user-here`"),
            (account("nobody", Some("no-such-group-here")), "there is no group `no-such-group-here`"),
            (account("root", None), "`user` is root"),
        ] {
            let fault = drop_to(&account, None).expect_err("refused").to_string();
            assert!(fault.starts_with(said), "{fault}");
        }
    }
}
