//! SIGTERM (Slurm, Docker, `kill`) and SIGHUP (a terminal that is closed), beside Ctrl-C.

use std::io;
use std::process::{Command, Stdio};

use signal_hook::consts::{SIGHUP, SIGTERM};
use signal_hook::iterator::Signals;

/// Calls `seen` with each signal, on a thread of its own.
pub(super) fn listen(seen: fn(i32)) -> io::Result<()> {
    let mut signals = vec![SIGTERM];
    if !hangup_is_ignored() {
        signals.push(SIGHUP);
    }
    let mut signals = Signals::new(signals)?;
    let listener = std::thread::Builder::new().name("signals".into());
    listener.spawn(move || signals.forever().for_each(seen))?;
    Ok(())
}

/// Whether the program was started to outlive its terminal, as by `nohup`.
fn hangup_is_ignored() -> bool {
    match std::fs::read_to_string("/proc/self/status") {
        Ok(status) => ignored_in(&status),
        Err(_) => outlived_by_a_shell(),
    }
}

/// The bit of signal 1 in the set of ignored ones, as Linux writes it.
fn ignored_in(status: &str) -> bool {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 << (SIGHUP - 1) != 0)
}

/// What is ignored here is ignored by children: one that hangs up on itself tells.
fn outlived_by_a_shell() -> bool {
    let mut shell = Command::new("sh");
    shell.args(["-c", "kill -HUP $$"]).stdin(Stdio::null());
    shell.stdout(Stdio::null()).stderr(Stdio::null());
    shell.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_ask_say_the_same() {
        assert!(ignored_in("Name:\tminrnn\nSigIgn:\t0000000000001001\n"));
        assert!(!ignored_in("SigIgn:\t0000000000001000\n") && !ignored_in("SigIgn: x\n"));
        if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
            assert_eq!(ignored_in(&status), outlived_by_a_shell());
        }
    }
}
