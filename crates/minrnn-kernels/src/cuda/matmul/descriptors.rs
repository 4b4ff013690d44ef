//! Products as cuBLASLt is told of them.

use std::ffi::c_void;

use candle_core::cuda_backend::cudarc::cublaslt::{result, sys};

use super::{Blas, Matmul, Operand, Precision, WORKSPACE};
use crate::Elem;

/// Descriptors of one product, freed on drop.
pub(super) struct Descriptors {
    pub(super) desc: sys::cublasLtMatmulDesc_t,
    pub(super) a: sys::cublasLtMatrixLayout_t,
    pub(super) b: sys::cublasLtMatrixLayout_t,
    pub(super) c: sys::cublasLtMatrixLayout_t,
    preference: sys::cublasLtMatmulPreference_t,
}

fn data_type(elem: Elem) -> sys::cudaDataType_t {
    match elem {
        Elem::F32 | Elem::U32 => sys::cudaDataType_t::CUDA_R_32F,
        Elem::Bf16 => sys::cudaDataType_t::CUDA_R_16BF,
        Elem::F16 => sys::cudaDataType_t::CUDA_R_16F,
    }
}

impl Descriptors {
    #[allow(unsafe_code, reason = "calls of cuBLASLt")]
    pub(super) fn new(of: &Matmul<'_>) -> std::result::Result<Self, result::CublasError> {
        use sys::cublasLtMatmulDescAttributes_t as Attribute;
        let compute = match (of.a.view.elem(), of.precision) {
            (Elem::F32, Precision::Tf32) => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
            _ => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
        };
        let layout = |operand: Operand<'_>, rows: usize, columns: usize| {
            let (rows, columns) = if operand.transposed {
                (columns, rows)
            } else {
                (rows, columns)
            };
            let kind = data_type(operand.view.elem());
            result::create_matrix_layout(kind, columns as u64, rows as u64, columns as i64)
        };
        let c = Operand {
            view: of.c,
            transposed: false,
        };
        let null = std::ptr::null_mut::<c_void>();
        let mut made = Self {
            desc: null.cast(),
            a: null.cast(),
            b: null.cast(),
            c: null.cast(),
            preference: null.cast(),
        };
        made.desc = result::create_matmul_desc(compute, sys::cudaDataType_t::CUDA_R_32F)?;
        made.a = layout(of.a, of.m, of.k)?;
        made.b = layout(of.b, of.k, of.n)?;
        made.c = layout(c, of.m, of.n)?;
        made.preference = result::create_matmul_pref()?;
        if of.count > 1 {
            let [m, n, k] = [of.m, of.n, of.k];
            for (layout, len) in [(made.a, m * k), (made.b, k * n), (made.c, m * n)] {
                batch(layout, of.count as i32, len as i64)?;
            }
        }
        let set = |attribute, value: *const c_void, bytes| {
            // SAFETY: the descriptor was made above; the value has this size.
            unsafe { result::set_matmul_desc_attribute(made.desc, attribute, value, bytes) }
        };
        for (attribute, transposed) in [
            (Attribute::CUBLASLT_MATMUL_DESC_TRANSA, of.b.transposed),
            (Attribute::CUBLASLT_MATMUL_DESC_TRANSB, of.a.transposed),
        ] {
            let value = i32::from(transposed);
            set(
                attribute,
                std::ptr::from_ref(&value).cast(),
                size_of::<i32>(),
            )?;
        }
        if let Some(bias) = of.bias {
            let epilogue = sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_BIAS;
            set(
                Attribute::CUBLASLT_MATMUL_DESC_EPILOGUE,
                std::ptr::from_ref(&epilogue).cast(),
                size_of_val(&epilogue),
            )?;
            let address = bias.address();
            set(
                Attribute::CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                std::ptr::from_ref(&address).cast(),
                size_of::<u64>(),
            )?;
        }
        let most =
            sys::cublasLtMatmulPreferenceAttributes_t::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
        // SAFETY: made above; the attribute is a size.
        unsafe {
            result::set_matmul_pref_attribute(
                made.preference,
                most,
                std::ptr::from_ref(&WORKSPACE).cast(),
                size_of::<usize>(),
            )?;
        }
        Ok(made)
    }
}

/// Makes a layout that of `count` matrices, so many elements apart.
#[allow(unsafe_code, reason = "calls of cuBLASLt")]
fn batch(
    layout: sys::cublasLtMatrixLayout_t,
    count: i32,
    apart: i64,
) -> std::result::Result<(), result::CublasError> {
    use sys::cublasLtMatrixLayoutAttribute_t as Attribute;
    let of_count = Attribute::CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT;
    let of_offset = Attribute::CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET;
    // SAFETY: the caller made the layout; the attributes are an int32 and an int64, which are copied.
    unsafe {
        let from = std::ptr::from_ref(&count).cast();
        result::set_matrix_layout_attribute(layout, of_count, from, size_of::<i32>())?;
        let from = std::ptr::from_ref(&apart).cast();
        result::set_matrix_layout_attribute(layout, of_offset, from, size_of::<i64>())
    }
}

impl Descriptors {
    /// Up to `most` algorithms, the one that the library thinks fastest first.
    #[allow(unsafe_code, reason = "calls of cuBLASLt")]
    pub(super) fn candidates(
        &self,
        blas: &Blas,
        most: usize,
    ) -> std::result::Result<Vec<sys::cublasLtMatmulAlgo_t>, result::CublasError> {
        // SAFETY: plain numbers, for which zeros are valid; the library fills the first `count`.
        let mut found: Vec<sys::cublasLtMatmulHeuristicResult_t> =
            unsafe { vec![std::mem::zeroed(); most] };
        let mut count = 0;
        // SAFETY: the descriptors live as long as `self`; `found` has room for `most` results.
        unsafe {
            sys::cublasLtMatmulAlgoGetHeuristic(
                blas.handle,
                self.desc,
                self.b,
                self.a,
                self.c,
                self.c,
                self.preference,
                most as i32,
                found.as_mut_ptr(),
                &mut count,
            )
            .result()?;
        }
        found.truncate(usize::try_from(count).unwrap_or(0));
        let good = |f: &sys::cublasLtMatmulHeuristicResult_t| f.state.result().is_ok();
        Ok(found.into_iter().filter(good).map(|f| f.algo).collect())
    }
}

impl Drop for Descriptors {
    #[allow(unsafe_code, reason = "end of the descriptors")]
    fn drop(&mut self) {
        // SAFETY: each was made by its `create` and is used by nobody afterwards; null ones were never made.
        unsafe {
            for layout in [self.a, self.b, self.c] {
                if !layout.is_null() {
                    let _ = result::destroy_matrix_layout(layout);
                }
            }
            if !self.desc.is_null() {
                let _ = result::destroy_matmul_desc(self.desc);
            }
            if !self.preference.is_null() {
                let _ = result::destroy_matmul_pref(self.preference);
            }
        }
    }
}
