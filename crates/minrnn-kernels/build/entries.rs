//! Entry points of CUDA's libraries. A program that is linked against those libraries does not start without them, not
//! even to say so. Here each function gets an entry of the same name in the program itself, which jumps through a slot;
//! the first call fills the slot (`src/on_demand`). The linker then leaves the libraries out. A function that has no
//! entry is linked as ever.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use crate::nvcc::Nvcc;

/// A library: its name for the linker, its headers, the prefix of its functions.
struct Library {
    name: &'static str,
    headers: &'static [&'static str],
    prefix: &'static str,
}

/// In the order of `Library` in `src/on_demand`.
const LIBRARIES: [Library; 5] = [
    Library {
        name: "cuda",
        headers: &["cuda.h"],
        prefix: "cu",
    },
    Library {
        name: "cublas",
        headers: &["cublas_api.h", "cublas_v2.h"],
        prefix: "cublas",
    },
    Library {
        name: "cublasLt",
        headers: &["cublasLt.h"],
        prefix: "cublasLt",
    },
    Library {
        name: "curand",
        headers: &["curand.h"],
        prefix: "curand",
    },
    Library {
        name: "nvrtc",
        headers: &["nvrtc.h"],
        prefix: "nvrtc",
    },
];

/// Writes the entries as assembly (`entries.s`), and what the slots stand for, one line each (`entries.txt`). Whether
/// there are any: only for x86-64 Linux, and where the headers are.
pub(crate) fn write(nvcc: &Nvcc, out: &Path) -> Result<bool, String> {
    let target = |key: &str| env::var(key).unwrap_or_default();
    let system = [
        target("CARGO_CFG_TARGET_ARCH"),
        target("CARGO_CFG_TARGET_OS"),
        target("CARGO_CFG_TARGET_ENV"),
    ];
    if system != ["x86_64", "linux", "gnu"] {
        return Ok(false);
    }
    let Some(include) = nvcc.include() else {
        return Ok(false);
    };
    let mut slots: Vec<(usize, String)> = vec![];
    let mut known = BTreeSet::new();
    // Longer prefixes first: every function of cuBLASLt looks like one of cuBLAS.
    for (index, library) in LIBRARIES.iter().enumerate().rev() {
        for header in library.headers {
            let Ok(text) = fs::read_to_string(include.join(header)) else {
                return Ok(false);
            };
            for name in identifiers(&text, library.prefix) {
                if known.insert(name.to_owned()) {
                    slots.push((index, name.to_owned()));
                }
            }
        }
    }
    let mut list = String::new();
    for (index, name) in &slots {
        // Writing to a string cannot fail.
        let _ = writeln!(list, "{} {name}", LIBRARIES[*index].name);
    }
    let left_out = if env::var_os("CARGO_FEATURE_WITHOUT_CANDLE_QUANTIZED").is_some() {
        quantized()
    } else {
        vec![]
    };
    put(&out.join("entries.s"), &assembly(&slots, &left_out))?;
    put(&out.join("entries.txt"), &list)?;
    Ok(true)
}

fn put(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

/// Names in a header that may be functions: the prefix, a capital letter, and no lower-case start of another name.
fn identifiers<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(move |word| {
            let rest = word.strip_prefix(prefix).unwrap_or_default();
            rest.starts_with(|c: char| c.is_ascii_uppercase())
                && !word.ends_with("_t")
                && !word.ends_with("_st")
        })
}

/// The functions of candle's kernels for quantised weights: 30 MB of machine code that no command uses.
fn quantized() -> Vec<String> {
    let mut names: Vec<String> = ["moe_gemm_wmma", "moe_gemm_gguf", "moe_gemm_gguf_prefill"]
        .map(String::from)
        .into();
    names.extend(["D4", "DS4", "D2S6"].map(|of| format!("launch_mmq_quantize_q8_1_{of}")));
    for elem in ["f32", "f16", "bf16"] {
        names.push(format!("launch_mmvq_gguf_quantize_q8_1_{elem}"));
    }
    for weight in [
        "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k",
    ] {
        names.push(format!("launch_mmq_gguf_{weight}"));
        for elem in ["f32", "f16", "bf16"] {
            names.push(format!("launch_mmvq_gguf_{weight}_{elem}_plain"));
        }
    }
    names
}

/// Entries and slots. A slot first leads to a line that names it (on the stack) and goes on to `minrnn_cuda_first`: that
/// keeps every register that may hold an argument, asks `minrnn_cuda_resolve` for the function, and goes there.
fn assembly(slots: &[(usize, String)], left_out: &[String]) -> String {
    let mut text = String::from(".section .text.minrnn_cuda,\"ax\",@progbits\n");
    let entry = |name: &str, jump: String| {
        format!(
            ".globl {name}\n.type {name},@function\n{name}:\n jmp {jump}\n.size {name},.-{name}\n"
        )
    };
    for (i, (_, name)) in slots.iter().enumerate() {
        text += &entry(
            name,
            format!("qword ptr [rip + minrnn_cuda_slots + {}]", 8 * i),
        );
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            ".Lminrnn_cuda_{i}:\n push {i}\n jmp minrnn_cuda_first"
        );
    }
    for name in left_out {
        text += &entry(name, "minrnn_cuda_left_out".into());
    }
    text += FIRST;
    text += ".section .data.minrnn_cuda,\"aw\",@progbits\n.balign 8\n.globl minrnn_cuda_slots\n.hidden minrnn_cuda_slots\nminrnn_cuda_slots:\n";
    for i in 0..slots.len() {
        let _ = writeln!(text, " .quad .Lminrnn_cuda_{i}");
    }
    text + ".text\n"
}

/// On entry the number of the slot lies on the stack above the return address, and the stack is aligned to 16 bytes.
const FIRST: &str = "minrnn_cuda_first:
 sub rsp, 192
 mov [rsp], rdi
 mov [rsp + 8], rsi
 mov [rsp + 16], rdx
 mov [rsp + 24], rcx
 mov [rsp + 32], r8
 mov [rsp + 40], r9
 mov [rsp + 48], rax
 movups [rsp + 64], xmm0
 movups [rsp + 80], xmm1
 movups [rsp + 96], xmm2
 movups [rsp + 112], xmm3
 movups [rsp + 128], xmm4
 movups [rsp + 144], xmm5
 movups [rsp + 160], xmm6
 movups [rsp + 176], xmm7
 mov rdi, [rsp + 192]
 call minrnn_cuda_resolve
 mov r11, rax
 mov rdi, [rsp]
 mov rsi, [rsp + 8]
 mov rdx, [rsp + 16]
 mov rcx, [rsp + 24]
 mov r8, [rsp + 32]
 mov r9, [rsp + 40]
 mov rax, [rsp + 48]
 movups xmm0, [rsp + 64]
 movups xmm1, [rsp + 80]
 movups xmm2, [rsp + 96]
 movups xmm3, [rsp + 112]
 movups xmm4, [rsp + 128]
 movups xmm5, [rsp + 144]
 movups xmm6, [rsp + 160]
 movups xmm7, [rsp + 176]
 add rsp, 200
 jmp r11
";
