//! CUDA's libraries, loaded when a function of theirs is first called: a program with the feature `cuda` starts, and
//! computes on the CPU, on machines without a driver. `build/entries.rs` makes the entries.
//!
//! Where a library or a function is missing, its functions answer with an error of that library.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A library of CUDA that a program needs and this machine does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} cannot be loaded ({reason}): {mend}")]
pub struct Missing {
    /// File name of the library.
    pub file: &'static str,
    /// What the system says.
    pub reason: String,
    /// What would mend it.
    pub mend: &'static str,
}

/// Loads the driver and CUDA's libraries for matrix products and random numbers.
///
/// # Errors
/// [`Missing`], for the first that is not there.
pub fn load() -> Result<(), Missing> {
    for name in ["cuda", "cublasLt", "cublas", "curand"] {
        if let Some(library) = library(name) {
            library.handle().clone()?;
        }
    }
    Ok(())
}

struct Library {
    /// In `SLOTS`.
    name: &'static str,
    /// What is loaded.
    file: &'static str,
    /// Folder where it is looked for, after the places that the system knows.
    folder: &'static str,
    /// That must be loaded before.
    needs: Option<&'static str>,
    mend: &'static str,
    /// What its functions answer where there is no such library.
    absent: extern "C" fn() -> u32,
    /// What a function answers that the library does not have.
    older: extern "C" fn() -> u32,
    handle: OnceLock<Result<Handle, Missing>>,
}

/// What `dlopen` gave; never closed.
#[derive(Clone)]
struct Handle(usize);

macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        $($(#[$doc])* extern "C" fn $name() -> u32 { $code })*
    };
}
answers! {
    /// `CUDA_ERROR_STUB_LIBRARY`.
    no_driver = 34,
    /// `CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER`.
    old_driver = 36,
    /// `CUBLAS_STATUS_NOT_INITIALIZED`.
    no_cublas = 1,
    /// `CURAND_STATUS_INITIALIZATION_FAILED`.
    no_curand = 203,
    /// `NVRTC_ERROR_INTERNAL_ERROR`.
    no_nvrtc = 11,
}

const DRIVER: &str = "install NVIDIA's driver";
const TOOLKIT: &str =
    "install the CUDA libraries of that version, or name their folder in LD_LIBRARY_PATH";
/// Where NVIDIA's packages put the libraries.
const TOOLKIT_FOLDER: &str = "/usr/local/cuda/lib64";

macro_rules! toolkit {
    ($name:literal, $file:expr, $needs:expr, $answer:ident) => {
        Library {
            name: $name,
            file: $file,
            folder: TOOLKIT_FOLDER,
            needs: $needs,
            mend: TOOLKIT,
            absent: $answer,
            older: $answer,
            handle: OnceLock::new(),
        }
    };
}
/// Versions are those of the toolkit that this was built with.
static LIBRARIES: [Library; 5] = [
    Library {
        name: "cuda",
        file: "libcuda.so.1",
        folder: "/usr/lib/wsl/lib",
        needs: None,
        mend: DRIVER,
        absent: no_driver,
        older: old_driver,
        handle: OnceLock::new(),
    },
    toolkit!(
        "cublas",
        concat!("libcublas.so.", env!("MINRNN_CUDA_MAJOR")),
        Some("cublasLt"),
        no_cublas
    ),
    toolkit!(
        "cublasLt",
        concat!("libcublasLt.so.", env!("MINRNN_CUDA_MAJOR")),
        None,
        no_cublas
    ),
    toolkit!("curand", "libcurand.so.10", None, no_curand),
    toolkit!(
        "nvrtc",
        concat!("libnvrtc.so.", env!("MINRNN_CUDA_MAJOR")),
        None,
        no_nvrtc
    ),
];

fn library(name: &str) -> Option<&'static Library> {
    LIBRARIES.iter().find(|library| library.name == name)
}

impl Library {
    fn handle(&self) -> &Result<Handle, Missing> {
        self.handle.get_or_init(|| {
            if let Some(first) = self.needs.and_then(library) {
                first.handle().clone()?;
            }
            let missing = |reason| Missing {
                file: self.file,
                reason,
                mend: self.mend,
            };
            let elsewhere = || open(&format!("{}/{}", self.folder, self.file));
            open(self.file).or_else(|reason| elsewhere().map_err(|_| missing(reason)))
        })
    }

    /// The address of a function, or of what answers in its place.
    fn function(&self, name: &str) -> *mut c_void {
        match self.handle() {
            Ok(handle) => handle.symbol(name).unwrap_or(self.older as *mut c_void),
            Err(_) => self.absent as *mut c_void,
        }
    }
}

#[allow(unsafe_code, reason = "the system's loader")]
unsafe extern "C" {
    fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlerror() -> *const c_char;
}
/// Symbols are bound when they are first used.
const RTLD_LAZY: c_int = 1;

#[allow(unsafe_code, reason = "the system's loader")]
fn open(file: &str) -> Result<Handle, String> {
    let file = CString::new(file).map_err(|e| e.to_string())?;
    // SAFETY: the name ends in a null byte. What runs while it is loaded are the initialisers of NVIDIA's libraries.
    let handle = unsafe { dlopen(file.as_ptr(), RTLD_LAZY) };
    if !handle.is_null() {
        return Ok(Handle(handle as usize));
    }
    // SAFETY: the message of the call above, of this thread: null or a string that lives until the next such call.
    let text = unsafe {
        let text = dlerror();
        if text.is_null() {
            None
        } else {
            Some(CStr::from_ptr(text).to_string_lossy().into_owned())
        }
    };
    Err(text.unwrap_or_else(|| "no reason given".into()))
}

impl Handle {
    #[allow(unsafe_code, reason = "the system's loader")]
    fn symbol(&self, name: &str) -> Option<*mut c_void> {
        let name = CString::new(name).ok()?;
        // SAFETY: the handle is open, as it is never closed; the name ends in a null byte.
        let symbol = unsafe { dlsym(self.0 as *mut c_void, name.as_ptr()) };
        (!symbol.is_null()).then_some(symbol)
    }
}

#[allow(unsafe_code, reason = "the entries are assembly")]
mod entries {
    // SAFETY: a function's entry leaves every register as it found it and goes on to the function itself, or to one that
    // takes nothing and answers with a code of the library. `build/entries.rs` says how.
    std::arch::global_asm!(include_str!(concat!(env!("OUT_DIR"), "/entries.s")));
}

/// The library and the function of each slot, a line each.
const SLOTS: &str = include_str!(concat!(env!("OUT_DIR"), "/entries.txt"));

#[allow(unsafe_code, reason = "written in assembly")]
unsafe extern "C" {
    /// As many as `SLOTS` has lines.
    #[link_name = "minrnn_cuda_slots"]
    static FIRST_SLOT: AtomicPtr<c_void>;
}

/// Called by the entry of a function on its first calls, by any thread: finds the function and fills the slot.
#[allow(unsafe_code, reason = "called from assembly, by name")]
#[unsafe(no_mangle)]
extern "C" fn minrnn_cuda_resolve(slot: usize) -> *mut c_void {
    let entry = SLOTS
        .lines()
        .nth(slot)
        .and_then(|line| line.split_once(' '));
    let found = entry.and_then(|(of, name)| Some(library(of)?.function(name)));
    // The entries and the lines were written together.
    let function = found.unwrap_or(no_driver as *mut c_void);
    // SAFETY: the assembly passes numbers of its slots only; a slot is an aligned pointer that is written and read whole.
    let place = unsafe { &*(&raw const FIRST_SLOT).add(slot) };
    // Two threads write the same. The entry's plain load sees the old or the new target, both of which work.
    place.store(function, Ordering::Relaxed);
    function
}

/// In place of candle's kernels for quantised weights, in programs that leave them out.
#[allow(unsafe_code, reason = "called from assembly, by name")]
#[unsafe(no_mangle)]
extern "C" fn minrnn_cuda_left_out() {
    panic!(
        "candle's CUDA kernels for quantised weights were left out of this program (feature `without-candle-quantized`)"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_names_a_library_and_a_function() {
        let mut lines = 0;
        for line in SLOTS.lines() {
            let (of, name) = line.split_once(' ').unwrap();
            assert!(library(of).is_some(), "{line}");
            assert!(
                name.starts_with(if of == "cuda" { "cu" } else { of }),
                "{line}"
            );
            lines += 1;
        }
        assert!(lines > 500, "{lines}");
    }

    #[test]
    fn a_library_that_is_not_there_says_so() {
        let error = open("libminrnn_nowhere.so.1").map(|_| ()).unwrap_err();
        assert!(error.contains("libminrnn_nowhere.so.1"), "{error}");
    }

    /// The system's own loader is such a library.
    #[test]
    fn a_function_is_found_by_name() {
        let handle = open("libc.so.6").unwrap();
        assert!(handle.symbol("strlen").is_some());
        assert!(handle.symbol("minrnn_nowhere").is_none());
    }

    /// On a machine without a driver its functions answer that they are none; with one, they are found.
    #[test]
    fn the_driver_answers_either_way() {
        use candle_core::cuda_backend::cudarc::driver::{result, sys::CUresult};
        let answer = result::init();
        match library("cuda").unwrap().handle() {
            Ok(handle) => assert!(handle.symbol("cuInit").is_some()),
            Err(missing) => {
                assert_eq!(answer.unwrap_err().0, CUresult::CUDA_ERROR_STUB_LIBRARY);
                assert_eq!(missing.file, "libcuda.so.1");
                assert_eq!(load().unwrap_err(), *missing);
            }
        }
    }

    /// cuRAND's generator of the host needs no GPU: mean and deviation arrive, as floats among integers and pointers.
    #[test]
    #[allow(unsafe_code, reason = "the C interface itself")]
    fn arguments_reach_the_function() {
        use candle_core::cuda_backend::cudarc::curand::sys::{
            curandCreateGeneratorHost, curandDestroyGenerator, curandGenerateNormal, curandRngType,
            curandSetPseudoRandomGeneratorSeed, curandStatus,
        };
        let mut x = vec![0f32; 100_000];
        let mut generator = std::ptr::null_mut();
        let kind = curandRngType::CURAND_RNG_PSEUDO_PHILOX4_32_10;
        // SAFETY: the generator is made first, and as many numbers are written as there is room for.
        let done = unsafe {
            [
                curandCreateGeneratorHost(&raw mut generator, kind),
                curandSetPseudoRandomGeneratorSeed(generator, 7),
                curandGenerateNormal(generator, x.as_mut_ptr(), x.len(), 5.0, 2.0),
                curandDestroyGenerator(generator),
            ]
        };
        if library("curand").unwrap().handle().is_err() {
            let none = curandStatus::CURAND_STATUS_INITIALIZATION_FAILED;
            assert_eq!(done, [none; 4]);
            return;
        }
        assert_eq!(done, [curandStatus::CURAND_STATUS_SUCCESS; 4]);
        let mean = x.iter().sum::<f32>() / x.len() as f32;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / x.len() as f32;
        assert!((mean - 5.0).abs() < 0.05, "{mean}");
        assert!((variance - 4.0).abs() < 0.1, "{variance}");
    }
}
