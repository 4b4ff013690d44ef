//! How much memory the program may take: of what the machine has, and of what its container or job was given.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes that can be taken: the smaller of what is available and of what the control groups leave (versions 1 and 2). `None`
/// where the system does not say.
pub(crate) fn available() -> Option<u64> {
    available_under(Path::new("/"))
}

/// The most bytes that the program has had in memory; `None` where the system does not say.
pub(crate) fn peak() -> Option<u64> {
    let status = text(Path::new("/proc/self/status"))?;
    entry(&status, "VmHWM:").map(|kib| kib.saturating_mul(1024))
}

fn available_under(root: &Path) -> Option<u64> {
    let machine = text(&root.join("proc/meminfo")).and_then(|t| entry(&t, "MemAvailable:"));
    let machine = machine.map(|kib| kib.saturating_mul(1024));
    machine.into_iter().chain(groups(root)).min()
}

/// What each control group that the process is in leaves, and those around it.
fn groups(root: &Path) -> Vec<u64> {
    let own = text(&root.join("proc/self/cgroup")).unwrap_or_default();
    let mut left = vec![];
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (mounts, files): (&[&str], _) = match controllers {
            "" => (&["sys/fs/cgroup", "sys/fs/cgroup/unified"], &V2),
            c if c.split(',').any(|c| c == "memory") => (&["sys/fs/cgroup/memory"], &V1),
            _ => continue,
        };
        let around = Path::new(path.trim_start_matches('/')).ancestors();
        for inner in around {
            // In a container the path may be that of the machine; the group itself is then the mount.
            let folders = mounts.iter().map(|mount| root.join(mount).join(inner));
            left.extend(folders.filter_map(|folder| files.left(folder)));
        }
    }
    left
}

/// Names of a control group's files.
struct Files {
    limit: &'static str,
    usage: &'static str,
    /// Lines of `memory.stat` that count what is given back when it is wanted.
    cache: [&'static str; 2],
}

const V2: Files = Files {
    limit: "memory.max",
    usage: "memory.current",
    cache: ["inactive_file", "active_file"],
};
const V1: Files = Files {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    cache: ["total_inactive_file", "total_active_file"],
};

impl Files {
    /// `None` for a group without a limit.
    fn left(&self, folder: PathBuf) -> Option<u64> {
        let number = |name: &str| text(&folder.join(name))?.trim().parse::<u64>().ok();
        let limit = number(self.limit)?;
        let stat = text(&folder.join("memory.stat")).unwrap_or_default();
        let cache = self.cache.iter().filter_map(|name| entry(&stat, name));
        let used = number(self.usage).unwrap_or(0);
        Some(limit.saturating_sub(used.saturating_sub(cache.sum())))
    }
}

/// The number behind `name` at the beginning of a line.
fn entry(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(name)).then(|| words.next()?.parse().ok())?
    })
}

/// A file of the system: a few kilobytes.
fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = File::open(path).ok()?;
    file.take(1 << 20).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn machine(files: &[(&str, String)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        available_under(root.path())
    }

    fn meminfo(gib: u64) -> (&'static str, String) {
        let kib = gib << 20;
        let text = format!("MemTotal: 99999999 kB\nMemFree: 5 kB\nMemAvailable: {kib} kB\n");
        ("proc/meminfo", text)
    }

    fn own(text: &str) -> (&'static str, String) {
        ("proc/self/cgroup", text.to_owned())
    }

    #[test]
    fn the_smallest_limit_counts() {
        assert_eq!(machine(&[]), None);
        assert_eq!(machine(&[meminfo(8)]), Some(8 * GIB));
        let v2 = |name, bytes: String| (name, bytes);
        let job = [
            meminfo(8),
            own("0::/jobs/7/step\n"),
            v2("sys/fs/cgroup/jobs/7/step/memory.max", "max\n".into()),
            v2("sys/fs/cgroup/jobs/7/memory.max", format!("{}\n", 4 * GIB)),
            v2(
                "sys/fs/cgroup/jobs/7/memory.current",
                format!("{}\n", 3 * GIB),
            ),
            v2(
                "sys/fs/cgroup/jobs/7/memory.stat",
                format!("anon 5\nactive_file {}\ninactive_file {GIB}\n", GIB / 2),
            ),
        ];
        assert_eq!(machine(&job), Some(4 * GIB - 3 * GIB / 2));
        assert_eq!(machine(&job[..3]), Some(8 * GIB));
    }

    #[test]
    fn groups_of_the_first_version_too() {
        let old = "12:cpu,cpuacct:/docker/ab\n5:memory:/docker/ab\n";
        let inside = [
            meminfo(8),
            own(old),
            // The path is the machine's: the container sees its own group at the mount.
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                format!("{}\n", 2 * GIB),
            ),
            (
                "sys/fs/cgroup/memory/memory.usage_in_bytes",
                format!("{GIB}\n"),
            ),
            (
                "sys/fs/cgroup/memory/memory.stat",
                "cache 7\ntotal_inactive_file 24\n".to_owned(),
            ),
        ];
        assert_eq!(machine(&inside), Some(GIB + 24));
        let none = [
            meminfo(8),
            own(old),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n".to_owned(),
            ),
        ];
        assert_eq!(machine(&none), Some(8 * GIB));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_says_it() {
        assert!(available().is_some_and(|bytes| bytes > 0));
    }
}
