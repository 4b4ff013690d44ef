"""Writes the Parquet files of other writers. Made with PyArrow 26.0.1 and Polars 2.1.0: python generate_parquet.py"""
import polars
import pyarrow
from pyarrow import parquet

ROWS = range(240)
TABLE = {
    "run": [i // 20 for i in ROWS],
    "on": [i % 3 == 0 for i in ROWS],
    "steps": [i * 4000 for i in ROWS],
    "flow": [i * 0.5 - 1 for i in ROWS],
    "level": [(i * 37 % 101) * 0.125 for i in ROWS],
    "kind": [["rest", "walk", "run"][i // 20 % 3] for i in ROWS],
}
table = pyarrow.table(TABLE)
parquet.write_table(table, "zstd_v1.parquet", compression="zstd", row_group_size=150)
parquet.write_table(table, "zstd_v2.parquet", compression="zstd", data_page_version="2.0", use_dictionary=False, row_group_size=150)
polars.DataFrame(TABLE).write_parquet("polars.parquet")
small = table.slice(0, 60)
parquet.write_table(small, "brotli.parquet", compression="brotli")
parquet.write_table(small, "lz4.parquet", compression="lz4")
