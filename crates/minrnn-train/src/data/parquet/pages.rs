//! The pages of a column, unpacked. What is packed by zstd the Parquet library unpacks through a library in C: here it is done in Rust.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use ::parquet::basic::{Compression, CompressionCodec};
use ::parquet::column::page::{Page, PageMetadata, PageReader};
use ::parquet::column::reader::{ColumnReader, get_column_reader};
use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::reader::RowGroupReader;
use ::parquet::file::serialized_reader::SerializedPageReader;
use ruzstd::decoding::StreamingDecoder;

/// What a column is packed by that is not read here.
pub(super) fn unknown(codec: CompressionCodec) -> Option<&'static str> {
    use CompressionCodec as C;
    match codec {
        C::UNCOMPRESSED | C::SNAPPY | C::GZIP | C::ZSTD => None,
        C::BROTLI => Some("Brotli"),
        C::LZ4 | C::LZ4_RAW => Some("LZ4"),
        C::LZO => Some("LZO"),
    }
}

/// The values of a column of a row group; `file` is the group's.
pub(super) fn column(
    file: &Arc<File>,
    group: &dyn RowGroupReader,
    column: usize,
) -> Result<ColumnReader> {
    let about = group.metadata().column(column);
    if about.compression_codec() != CompressionCodec::ZSTD {
        return group.get_column_reader(column);
    }
    // The pages as they are in the file.
    let packed = about.clone().into_builder();
    let packed = packed.set_compression(Compression::UNCOMPRESSED).build()?;
    let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
    let pages = SerializedPageReader::new(file.clone(), &packed, rows, None)?;
    let unpacked = Unpacked {
        pages,
        most: u64::try_from(about.uncompressed_size()).unwrap_or(0),
    };
    Ok(get_column_reader(
        about.column_descr_ptr(),
        Box::new(unpacked),
    ))
}

/// Pages packed by zstd, unpacked as they come.
struct Unpacked {
    pages: SerializedPageReader<File>,
    /// Bytes of all pages of the column, their heads too: no page has more.
    most: u64,
}

impl Unpacked {
    fn page(&self, page: Page) -> Result<Page> {
        Ok(match page {
            Page::DataPage {
                buf,
                num_values,
                encoding,
                def_level_encoding,
                rep_level_encoding,
                statistics,
            } => Page::DataPage {
                buf: self.unpack(vec![], &buf)?.into(),
                num_values,
                encoding,
                def_level_encoding,
                rep_level_encoding,
                statistics,
            },
            Page::DictionaryPage {
                buf,
                num_values,
                encoding,
                is_sorted,
            } => Page::DictionaryPage {
                buf: self.unpack(vec![], &buf)?.into(),
                num_values,
                encoding,
                is_sorted,
            },
            Page::DataPageV2 {
                buf,
                num_values,
                encoding,
                num_nulls,
                num_rows,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed: true,
                statistics,
            } => {
                // Levels stand before the values and are never packed.
                let levels = u64::from(def_levels_byte_len) + u64::from(rep_levels_byte_len);
                let levels = usize::try_from(levels).unwrap_or(usize::MAX);
                let Some((levels, values)) = buf.split_at_checked(levels) else {
                    return fault("a page is shorter than its levels");
                };
                Page::DataPageV2 {
                    buf: self.unpack(levels.to_vec(), values)?.into(),
                    num_values,
                    encoding,
                    num_nulls,
                    num_rows,
                    def_levels_byte_len,
                    rep_levels_byte_len,
                    is_compressed: false,
                    statistics,
                }
            }
            page @ Page::DataPageV2 { .. } => page,
        })
    }

    /// Adds what is packed to `to`.
    fn unpack(&self, mut to: Vec<u8>, mut packed: &[u8]) -> Result<Vec<u8>> {
        while !packed.is_empty() {
            let frame = StreamingDecoder::new(&mut packed);
            let frame = frame.map_err(|e| ParquetError::General(format!("zstd: {e}")))?;
            let left = self.most.saturating_sub(to.len() as u64);
            let read = frame.take(left + 1).read_to_end(&mut to);
            read.map_err(|e| ParquetError::General(format!("zstd: {e}")))?;
            if to.len() as u64 > self.most {
                return fault("a page is longer than its column says that it is");
            }
        }
        Ok(to)
    }
}

fn fault<T>(what: &str) -> Result<T> {
    Err(ParquetError::General(what.to_owned()))
}

impl Iterator for Unpacked {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Result<Page>> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Unpacked {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        page.map(|page| self.page(page)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }
}
