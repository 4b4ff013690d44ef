//! Settings that libraries read once from the environment, when it is too late to change it without `unsafe`.

/// Name, value and why.
const WANTED: [(&str, &str); 3] = [
    // candle's elementwise operations wait for other threads in a loop that burns a core: where another program runs
    // too, training takes four times as long. The kernels have threads of their own that sleep.
    ("CANDLE_NUM_THREADS", "1"),
    // glibc gives large buffers back to the system at once and gets them anew, page by page, in each training step.
    ("MALLOC_MMAP_THRESHOLD_", "33554432"),
    ("MALLOC_TRIM_THRESHOLD_", "536870912"),
];

/// Panics of engines that become errors are said once, as these.
pub fn hush() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !minrnn_runtime::panics::are_caught() {
            usual(info);
        }
    }));
}

/// Starts the program anew, in the same process, with what is missing in its environment. Where that is not possible it
/// goes on as it is, only slower. What the user has set stays.
#[cfg(unix)]
pub fn settle() {
    use std::os::unix::process::CommandExt;
    let mut args = std::env::args_os();
    let missing: Vec<_> = WANTED
        .into_iter()
        .filter(|(name, _)| std::env::var_os(name).is_none())
        .collect();
    let (false, Some(name), Ok(program)) =
        (missing.is_empty(), args.next(), std::env::current_exe())
    else {
        return;
    };
    // Comes back only if it fails.
    let _ = std::process::Command::new(program)
        .arg0(name)
        .args(args)
        .envs(missing)
        .exec();
}

/// Nothing to do where a process cannot replace itself.
#[cfg(not(unix))]
pub fn settle() {}
